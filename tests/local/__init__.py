"""Tests of the pods on one machine that need no pod."""
