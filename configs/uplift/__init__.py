"""Uplift, as the YAML says it: who was assigned outreach at random, and what it should change."""
