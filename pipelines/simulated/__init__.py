"""A simulated company with known true probabilities."""
