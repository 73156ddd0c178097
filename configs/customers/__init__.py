"""Customers after the win, as the YAML says them."""
