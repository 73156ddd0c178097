"""Goals of a period, calendar periods, and public holidays."""
