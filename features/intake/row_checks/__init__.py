"""Checks of the leads as rows: their order, and rows that repeat each other."""
