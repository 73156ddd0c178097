"""The nightly run: score, check, publish, deliver and backfill."""
