"""Pods on one machine: Linux namespaces in place of containers, for `make run` and the system tests."""
