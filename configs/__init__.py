"""Configuration of one company: a YAML file, parsed into frozen, typed models."""
