"""Readers of the source formats: delimited text, JSON lines, Parquet and databases."""
