"""Realised outcomes of published scores, compared with what was expected."""
