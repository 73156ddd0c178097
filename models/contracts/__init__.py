"""Contracts of customers: paid periods, renewals, and what they will bring."""
