"""Wiring of uplift: from randomised assignments to the incremental effect of outreach."""
