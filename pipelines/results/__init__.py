"""What each command returns: plain results that reports render, with their JSON."""
