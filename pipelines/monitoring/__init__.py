"""Compares published scores with realised outcomes."""
