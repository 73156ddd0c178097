"""Statistical leakage audit: columns that appear to know the outcome."""
