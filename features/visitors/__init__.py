"""Web visitors: which lead an anonymous event belongs to, and from when on that was known."""
