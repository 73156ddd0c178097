"""Channels, as the YAML says them: what they cost, and what counts as a touch."""
