"""The export file that a CRM reads, replaced atomically."""
