"""Forms in which the values of a source are written."""
