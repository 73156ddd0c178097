"""Histories of attributes as tables of values."""
