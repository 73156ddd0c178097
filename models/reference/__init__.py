"""Reference distributions stored with a model, against which a night is compared."""
