"""One entity taken out of all that a project stores."""
