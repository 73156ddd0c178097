"""Assignments of outreach at random, read from the sources of a company."""
