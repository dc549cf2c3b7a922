"""Tests of the Terraform module, whose files they read as data."""
