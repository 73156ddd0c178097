"""The commands of ``leadscore``."""
