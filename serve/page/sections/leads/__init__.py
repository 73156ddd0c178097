"""The leads of a night, and the changes since the night before."""
