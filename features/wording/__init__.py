"""Sentences about features in each supported language."""
