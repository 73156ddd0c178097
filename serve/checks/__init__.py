"""Checks that run before scores are published."""
