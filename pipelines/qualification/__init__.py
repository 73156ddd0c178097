"""Hand-overs of leads to sales: made by a night, and followed afterwards."""
