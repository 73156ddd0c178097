"""What sections of the page are made of, and what they are given."""
