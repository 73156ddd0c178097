"""What becomes of web visitors."""
