"""Rolling-origin training: folds, fitting, calibration, choice and refit."""
