"""Learners: each fits one kind of model and predicts log-odds."""
