"""Out-of-time metrics, the promotion gate and plots."""
