"""Reading of the YAML: the file with its variables, and the errors of its keys."""
