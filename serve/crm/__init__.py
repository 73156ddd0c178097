"""Deliveries in a CRM's own format: one row per lead, full or only what changed."""
