"""Keys of a project on accounts and the people there."""
