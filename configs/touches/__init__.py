"""Touches: own outreach to leads, and when it is worth no further attempt."""
