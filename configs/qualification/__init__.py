"""Hand-overs of leads to sales, as the YAML says them."""
