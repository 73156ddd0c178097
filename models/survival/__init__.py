"""How long stays in a state last, and how they end."""
