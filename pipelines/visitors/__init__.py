"""The web funnel of a project: from its sources to its table."""
