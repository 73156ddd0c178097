"""The leakage audit: which columns were not known, as they stand, when the prediction would have been made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from models.encoding import evenly
from models.leakage.rules import COMPARED, RULES, Sample
from models.leakage.strength import Column, alone
from models.training.folds import entity_hash

ROWS = 20_000
"""Rows that are looked at, spread evenly: enough to tell a strength of 0.01 from none."""
PILOT_ROWS = 4_000
"""Rows on which the features of history are ranked, to compare with the strongest of them."""
FEWEST = 100
"""Rows of the rarer class below which nothing is said: chance alone would make suspects."""


@dataclass(frozen=True)
class Suspect:
    """A source's column that seems to know the outcome, with the evidence in words and numbers.

    ``allowed`` is true where the config says that features may use it all the same.
    """

    target: str
    column: str
    evidence: str
    allowed: bool = False

    def to_json(self) -> dict[str, str]:
        """Return target, column and evidence as plain JSON values."""
        return {"target": self.target, "column": self.column, "evidence": self.evidence}


@dataclass(frozen=True)
class Origins:
    """Where the columns of a feature matrix come from.

    ``today`` maps each feature that shows today's value to its source column, ``dated`` the features that look back to
    the event type or attribute they are of; features in neither are not looked at. ``ordered`` is false where the order
    of the rows means nothing. ``account_id`` has one text or null a row of the matrix; None where there are no
    accounts. ``allowed`` columns make no other column a suspect.
    """

    today: Mapping[str, str]
    dated: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = True
    account_id: pa.ChunkedArray | None = None
    allowed: frozenset[str] = frozenset()


def suspects(matrix: pa.Table, labels: pa.Table, target: str, origins: Origins) -> list[Suspect]:
    """Return the columns that seem to know the outcome of ``target``, one Suspect each, by name.

    ``matrix`` holds SPINE and features (float64 or string), ``labels`` is a LABELS table of the same rows in the same
    order. Only rows with a label are read, at most ROWS of them, and the same tables give the same suspects. Nothing is
    said of fewer than FEWEST rows with or without the outcome.
    """
    kept = np.flatnonzero(labels["label"].is_valid().to_numpy())
    kept = kept[evenly(len(kept), ROWS)] if len(kept) else kept
    label = labels["label"].take(kept).to_numpy().astype(np.int64)
    if min(label.sum(), len(label) - label.sum()) < FEWEST:
        return []
    sample = _sample(matrix, kept, label, origins)
    found: dict[str, str] = {}
    for rule in RULES:
        blamed = {
            column: evidence for column, evidence in found.items() if column not in origins.allowed
        }
        for column, evidence in rule(sample, blamed):
            found.setdefault(column, evidence)
    return [
        Suspect(target, column, found[column], column in origins.allowed)
        for column in sorted(found)
    ]


def _sample(matrix: pa.Table, kept: np.ndarray, label: np.ndarray, origins: Origins) -> Sample:
    ids = matrix["entity_id"].take(kept).to_numpy()
    group, account = ids, None
    if origins.account_id is not None:
        account = origins.account_id.take(kept).to_numpy()
        group = account = np.where(account == None, ids, account)  # noqa: E711 - element by element
    half = entity_hash(group.astype(str), 0) % np.uint64(2) == 0
    today = {
        column: Column.of(column, matrix[name].take(kept)) for name, column in origins.today.items()
    }
    return Sample(
        label=label,
        half=half,
        entity=_codes(ids),
        account=None if account is None else _codes(account),
        order=matrix["cutoff"].take(kept).cast(pa.int64()).to_numpy().astype(np.float64)
        if origins.ordered
        else None,
        number=_numbers(ids),
        columns={name: column for name, column in today.items() if column.filled.any()},
        history=_history(matrix, kept, label, half, origins.dated),
    )


def _history(
    matrix: pa.Table,
    kept: np.ndarray,
    label: np.ndarray,
    half: np.ndarray,
    dated: Mapping[str, str],
) -> list[Column]:
    """Return the strongest features of what was dated, named by what they are of."""
    pilot = evenly(len(kept), PILOT_ROWS)
    powers = {}
    for name in dated:
        steps = Column.of(name, matrix[name].take(kept[pilot])).steps
        powers[name] = alone(steps, label[pilot], half[pilot]) if steps.any() else -1.0
    strongest = sorted(powers, key=lambda name: (-powers[name], name))[:COMPARED]
    return [
        Column.of(dated[name], matrix[name].take(kept)) for name in strongest if powers[name] > 0
    ]


def _codes(texts: np.ndarray) -> np.ndarray:
    return np.unique(texts.astype(str), return_inverse=True)[1]


def _numbers(ids: np.ndarray) -> np.ndarray | None:
    """Return ids as numbers, None where any is none: ids are mostly numbered in the order of time."""
    try:
        return ids.astype(np.float64)
    except ValueError:
        return None
