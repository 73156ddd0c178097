"""The sections of the page: each file has its query, its sentence and its chart."""
