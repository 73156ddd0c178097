"""Section on next touches."""
