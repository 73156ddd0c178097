"""Revenue of quarters to come: the forecast of the bridge, and how far it was off."""
