"""Wiring of touches: from events to the chance of a reply, and whom to touch next."""
