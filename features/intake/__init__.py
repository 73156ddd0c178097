"""Reading: a company's sources as good rows and bad ones, typed, counted and in pieces."""
