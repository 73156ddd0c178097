"""Days of a company: how fast it works, and how many deals arrive."""
