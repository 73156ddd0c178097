"""Sources in databases: one module for each way in which rows are read."""
