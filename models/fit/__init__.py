"""Fit: which accounts become valuable customers, by attributes known at their entry."""
