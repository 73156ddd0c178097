"""Times: ISO text, where the bulk of the data ends, and which instants lie far from it."""
