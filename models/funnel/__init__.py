"""Tables of the funnel: where leads are, get stuck and drop off, and how long it takes."""
