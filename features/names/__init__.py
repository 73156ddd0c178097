"""Names that look alike: how they are compared, and how they are described."""
