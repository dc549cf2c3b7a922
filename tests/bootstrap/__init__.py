"""Tests of bootstrap, one file for each module."""
