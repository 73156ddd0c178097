"""Prefect flows, schedules, and the watch over scheduled runs."""
