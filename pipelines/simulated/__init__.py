"""A simulated company whose true probabilities are known."""
