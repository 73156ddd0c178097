"""The flows, the demo company and the command line that wire the other packages together."""
