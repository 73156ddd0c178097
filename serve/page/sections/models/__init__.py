"""The models behind the scores: quality, weights and versions."""
