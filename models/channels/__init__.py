"""Channels: credit for conversions, by rules, a Markov chain and Shapley values."""
