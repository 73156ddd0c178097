"""Forecast of the wins of a period: won so far, from open deals, and from deals to come."""
