"""Computes features: the sorted event log, the shards and the assembly of the matrix."""
