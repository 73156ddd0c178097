"""What each feature is: its definition, its name and the vocabulary it is built from."""
