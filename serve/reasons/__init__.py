"""Reasons for and against a score: choice, wording and conflicts."""
