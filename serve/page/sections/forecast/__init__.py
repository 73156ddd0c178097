"""Whether the goal will be made: the forecast, its change, and the leads that it rests on."""
