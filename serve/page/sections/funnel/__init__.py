"""The funnel: losses, paths, times and stuck leads, from the funnel's tables."""
