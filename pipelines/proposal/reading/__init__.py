"""Reads the given files, and profiles their columns by all of their values."""
