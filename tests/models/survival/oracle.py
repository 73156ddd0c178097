"""Cumulative incidence in exact fractions, from the definition: a loop over ages and stays."""

from fractions import Fraction

import numpy as np

from models.survival.stays import CENSORED, Stays


def make_stays(rows, clusters=None):
    """Return stays from rows of (group, begin, end, exit)."""
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    cluster = np.arange(columns.shape[1]) if clusters is None else np.array(clusters)
    return Stays(*columns, cluster.astype(np.uint64))


def is_at_risk(stay, age):
    """Return whether a stay (begin, end, exit) is observed at an age, at which it may exit."""
    begin, end, ending = stay
    return begin <= age and (age < end if ending == CENSORED else age <= end)


def list_incidence(stays, kinds):
    """Return (age, at risk, incidences, staying) at each age with an exit, in fractions."""
    staying, left, rows = Fraction(1), [Fraction(0)] * kinds, []
    exits = sorted({end for begin, end, ending in stays if ending != CENSORED and begin <= end})
    for age in exits:
        risk = [stay for stay in stays if is_at_risk(stay, age)]
        gone = [ending for _, end, ending in risk if ending != CENSORED and end == age]
        for kind in range(kinds):
            left[kind] += staying * Fraction(gone.count(kind), len(risk))
        staying *= 1 - Fraction(len(gone), len(risk))
        rows.append((age, len(risk), list(left), staying))
    return rows
