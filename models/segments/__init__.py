"""Segments: which model predicts the leads of each value of an attribute."""
