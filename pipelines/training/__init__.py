"""Training runs: audit, train, evaluate, gate, backtest and ablation."""
