"""Costs of channels, read from the sources of a company."""
