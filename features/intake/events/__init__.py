"""Event sources, read piece by piece as one log."""
