"""The form in which a source is written, and the kind and the number format of its columns."""
