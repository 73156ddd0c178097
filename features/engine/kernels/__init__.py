"""Compiled kernels: each computes one family of features for the rows of one shard."""
