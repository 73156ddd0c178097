"""Incremental effect of outreach, estimated from randomised rows."""
