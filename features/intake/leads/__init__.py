"""The leads source: which columns are read, and the table that they become."""
