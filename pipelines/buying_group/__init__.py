"""Which roles of the people at an account go with an outcome."""
