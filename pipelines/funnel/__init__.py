"""The funnel of a company as known at an as-of."""
