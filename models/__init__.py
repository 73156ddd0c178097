"""From features and labels to a calibrated, explained and registered scorer."""
