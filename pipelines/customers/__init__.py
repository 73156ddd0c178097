"""Wiring of customers: from events to states, chances and values."""
