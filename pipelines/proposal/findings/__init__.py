"""What the tables hold: roles of columns, links, logs, outcomes, times, attributes."""
