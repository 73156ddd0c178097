"""Web visitors: the sources that link them to leads."""
