"""Reading of the sources: parsing, validation, quarantine and deduplication."""
