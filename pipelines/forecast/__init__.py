"""The forecast of a company as known at an as-of, and its backtest."""
