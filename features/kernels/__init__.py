"""The compiled walks: one file for each kind of feature of a history."""
