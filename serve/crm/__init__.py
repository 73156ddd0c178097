"""Deliveries in a CRM's own format: one row a lead, full or only what changed."""
