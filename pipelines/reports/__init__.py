"""Renders results for the terminal, Markdown, Prefect and MLflow from the same tables."""
