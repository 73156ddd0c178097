"""Customers after the win: whether they buy again, how often, and what they bring."""
