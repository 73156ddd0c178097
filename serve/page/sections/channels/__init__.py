"""Channels on the page: what they cost, and how credit for customers is split."""
