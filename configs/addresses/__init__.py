"""Addresses of databases and servers: one parser, and one redaction of their secrets."""
