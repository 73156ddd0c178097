"""Fit: who becomes a customer, and which accounts fit and are silent."""
