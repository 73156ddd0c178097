"""Scores of open leads, with trends, grades, weekly lists and review dates."""
