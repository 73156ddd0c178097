"""Web visitors on the page."""
