"""One lead: what was published of it, what stands behind it, and why it changed."""
