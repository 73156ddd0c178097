"""Proposes a config from files: what each table and column is, and a first target."""
