"""Sources of links between web visitors and leads."""
