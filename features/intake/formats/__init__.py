"""Readers of each source format: delimited text, JSON lines, Parquet and databases."""
