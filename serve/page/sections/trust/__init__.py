"""The trust that the scores deserve: promises kept, and the checks of the night."""
