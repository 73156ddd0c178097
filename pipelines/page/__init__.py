"""Collects the contents of the page, for a night and for `report`."""
