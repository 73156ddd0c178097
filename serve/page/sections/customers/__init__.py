"""Sections on customers after the win."""
