"""Penalised logistic regression: its solver, and the prior of its weights."""
