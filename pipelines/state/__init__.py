"""Stored state of a project: what a night needs of it, and whether all of it agrees."""
