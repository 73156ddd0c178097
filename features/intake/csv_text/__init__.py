"""Text of CSV files: encoding, lines above and below the table, delimiter, and records."""
