"""How single accounts fit the profile: the rows that they match and those that they miss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.fit.classes import CLASSES
from models.fit.entry_values import EntryValues
from models.fit.profile import IdealProfile

SEPARATOR = "; "
# Stands for a missing value, in every language.
UNKNOWN = "–"


# States of an open account.
SILENT, ACTIVE, UNKNOWN_STATE = "silent", "active", "unknown"


def select_white_space(accounts: pa.Table) -> pa.Table:
    """Return the rows of FIT_ACCOUNTS that fit and are silent."""
    return accounts.filter((pc.field("state") == SILENT) & (pc.field("fit_class") == CLASSES[0]))


class FitReasons(NamedTuple):
    """Reasons of the fit of units, one text per unit.

    Attributes:
        matched: Rows that raise what it is expected to bring.
        missing: Attributes with such a row of which it has another value, which is named, or none.
        against: Rows that lower it.
    """

    matched: list[str]
    missing: list[str]
    against: list[str]


def list_fit_reasons(
    profile: IdealProfile, lift: np.ndarray, values: EntryValues, units: np.ndarray
) -> FitReasons:
    """Return the reasons of the fit of some units; ``lift`` is that of each row."""
    has = values.codes[:, units][values.attribute[profile.rows]] == profile.rows[:, None]
    names = [
        f"{values.attributes[values.attribute[row]]}: {values.names[row]}" for row in profile.rows
    ]
    matched, against = (
        _join_rows(has[sign], [names[place] for place in np.flatnonzero(sign)], len(units))
        for sign in (lift > 1, lift < 1)
    )
    return FitReasons(matched, _list_missing(profile, lift, values, units), against)


def _list_missing(
    profile: IdealProfile, lift: np.ndarray, values: EntryValues, units: np.ndarray
) -> list[str]:
    """Return the attributes with a row that raises, of units that match none of its rows."""
    raising = profile.rows[lift > 1]
    parts = list[list[str]]([] for _ in units)
    for attribute in dict.fromkeys(values.attribute[raising].tolist()):
        own = raising[values.attribute[raising] == attribute]
        misses = ~np.isin(values.codes[attribute, units], own)
        texts = values.texts[attribute].take(pa.array(units[misses])).to_pylist()
        name = values.attributes[attribute]
        for place, text in zip(np.flatnonzero(misses), texts, strict=True):
            parts[place].append(f"{name}: {UNKNOWN if text is None else text}")
    return [SEPARATOR.join(part) for part in parts]


def _join_rows(has: np.ndarray, names: list[str], units: int) -> list[str]:
    """Return for each unit the names of the rows that it has."""
    parts = list[list[str]]([] for _ in range(units))
    for own, name in zip(has, names, strict=True):
        for place in np.flatnonzero(own):
            parts[place].append(name)
    return [SEPARATOR.join(part) for part in parts]
