"""The form in which a source is written, and the kind and number signs of its columns."""
