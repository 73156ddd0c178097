"""Paths of leads through the sales stages, as far as they are known."""
