"""Own touches of leads: chance of a reply by touch number, and whom to touch next."""
