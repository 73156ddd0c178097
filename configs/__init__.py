"""What a company tells leadscore about itself: one YAML file, read into frozen models."""
