"""Hand-overs of leads to sales: thresholds, states, and what became of them."""
