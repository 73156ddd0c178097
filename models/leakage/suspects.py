"""The leakage audit: find columns whose current value was written after the prediction time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from models.encoding import sample_evenly
from models.leakage.drawing import draw_sample
from models.leakage.origins import ColumnOrigins
from models.leakage.rules import (
    MIN_CLASS_ROWS,
    MIN_CLASS_ROWS_TO_COMPARE,
    RULES,
    find_decisive_dated,
)

# Rows that are read, spread evenly: enough to distinguish a strength of 0.01 from none.
MAX_ROWS = 20_000
# More rows, up to a bound on the cost, where these would contain fewer rows of the rarer class.
ENOUGH_CLASS_ROWS, MAX_ROWS_IF_RARE = 200, 100_000


@dataclass(frozen=True)
class Suspect:
    """A source column that seems to contain the outcome.

    Attributes:
        target: Name of the target.
        column: Name of the source column.
        evidence: Evidence in words and numbers.
        allowed: Whether the config lets features use it all the same.
        dated: Whether the suspect is an event type or a value history, and not a column of the
            leads; a column may have the same name.
    """

    target: str
    column: str
    evidence: str
    allowed: bool = False
    dated: bool = False

    def to_json(self) -> dict[str, str]:
        """Return target, column and evidence as plain JSON values."""
        return {"target": self.target, "column": self.column, "evidence": self.evidence}


def find_suspects(
    matrix: pa.Table, labels: pa.Table, target: str, origins: ColumnOrigins
) -> list[Suspect]:
    """Return the columns that seem to contain the outcome of ``target``, sorted by name.

    ``matrix`` holds SPINE and features (float64 or string); ``labels`` is a LABELS table of the
    same rows in the same order. At most 20,000 rows with a label are read, or more if the outcome
    is rare, and the same tables give the same suspects. With fewer than 100 rows with or without
    the outcome only some rules apply (``describe_limits``).
    """
    rows = _choose_rows(labels)
    label = labels["label"].take(rows).to_numpy().astype(np.int64)
    class_rows = min(label.sum(), len(label) - label.sum())
    if not len(rows):
        return []
    dated = origins.dated if class_rows >= MIN_CLASS_ROWS else {}
    sample = draw_sample(matrix, rows, label, replace(origins, dated=dated))
    suspects: dict[str, str] = {}
    for rule, min_class_rows in RULES:
        if class_rows < min_class_rows:
            continue
        incriminating = {
            column: evidence
            for column, evidence in suspects.items()
            if column not in origins.allowed
        }
        # The config declares an allowed column honest, so it must not incriminate others.
        for column, evidence in rule(sample, incriminating):
            suspects.setdefault(column, evidence)
    return [
        Suspect(target, column, evidence, column in origins.allowed, is_dated)
        for column, is_dated, evidence in sorted(
            [(column, False, evidence) for column, evidence in suspects.items()]
            + [(column, True, evidence) for column, evidence in find_decisive_dated(sample)]
        )
    ]


def describe_limits(labels: pa.Table) -> str | None:
    """Return a sentence on what the audit cannot see for lack of outcomes; None if it sees all.

    ``labels`` is a LABELS table.
    """
    label = labels["label"].drop_null().to_numpy()
    outcomes, others = int(label.sum()), int(len(label) - label.sum())
    count, having = min((outcomes, "have"), (others, "lack"))
    head = f"only {count:,} of {len(label):,} rows with a label {having} the outcome"
    if count < MIN_CLASS_ROWS:
        return (
            f"{head}: with fewer than {MIN_CLASS_ROWS} no leak is distinct from chance, so no "
            f"column was compared with the outcome"
        )
    if count < MIN_CLASS_ROWS_TO_COMPARE:
        return (
            f"{head}: with fewer than {MIN_CLASS_ROWS_TO_COMPARE} only columns that nearly decide "
            f"the outcome are seen; weaker leaks are not"
        )
    return None


def _choose_rows(labels: pa.Table) -> np.ndarray:
    """Return the positions of the rows to read, ascending: labelled ones, evenly spread."""
    rows = np.flatnonzero(labels["label"].is_valid().to_numpy())
    if not len(rows):
        return rows
    label = labels["label"].drop_null().to_numpy()
    rarer = min(label.mean(), 1 - label.mean())
    enough = ENOUGH_CLASS_ROWS / rarer if rarer > 0 else 0
    limit = int(np.clip(enough, MAX_ROWS, MAX_ROWS_IF_RARE))
    return rows[sample_evenly(len(rows), limit)]
