"""From a company's raw tables to point-in-time features and labels."""
