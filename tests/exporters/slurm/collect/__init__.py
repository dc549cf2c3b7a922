"""Tests of what makes families of a snapshot."""
