"""Purchases of customers: histories, and estimators of purchases, margins and renewals."""
