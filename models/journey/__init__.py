"""The journey: where leads enter, how long they stay silent, what their next step depends on."""
