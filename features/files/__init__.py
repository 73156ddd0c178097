"""Files that a project stores: what is wrong with them, and what helps."""
