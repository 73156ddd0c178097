"""The leakage audit: find columns whose current value was written after the prediction time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from models.encoding import sample_evenly
from models.leakage.rules import (
    MIN_CLASS_ROWS,
    MIN_CLASS_ROWS_TO_COMPARE,
    RULES,
    find_decisive_dated,
)
from models.leakage.sample import AuditSample
from models.leakage.standouts import MAX_COMPARED
from models.leakage.strength import AuditColumn, measure_single_strength
from models.training.folds import hash_entities

# Rows that are read, spread evenly: enough to distinguish a strength of 0.01 from none.
MAX_ROWS = 20_000
# More rows, up to a bound on the cost, where these would contain fewer rows of the rarer class.
ENOUGH_CLASS_ROWS, MAX_ROWS_IF_RARE = 200, 100_000
# Rows that rank the dated features; only the strongest are compared on all rows.
PILOT_ROWS = 4_000


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


@dataclass(frozen=True)
class ColumnOrigins:
    """Origin of the columns of a feature matrix.

    Attributes:
        current: Source column by feature, for features that show the current value of a column.
        dated: Event type or attribute by feature, for features computed point-in-time. Features in
            neither mapping are not audited.
        ordered: Whether the order of the cutoffs means anything.
        account_id: One text or null for each row of the matrix; None without accounts.
        allowed: Columns that the config allows; they make no other column a suspect.
    """

    current: Mapping[str, str]
    dated: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = True
    account_id: pa.ChunkedArray | None = None
    allowed: frozenset[str] = frozenset()


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
    if class_rows < MIN_CLASS_ROWS:
        return []
    sample = _draw_sample(matrix, rows, label, origins)
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


def _draw_sample(
    matrix: pa.Table, rows: np.ndarray, label: np.ndarray, origins: ColumnOrigins
) -> AuditSample:
    """Return the audit sample of some rows of the matrix."""
    ids = matrix["entity_id"].take(rows).to_numpy()
    # Halves keep accounts together: leads of one account share their outcome, so a column that only
    # identifies the account would seem strong in the other half.
    group, account = ids, None
    if origins.account_id is not None:
        account = origins.account_id.take(rows).to_numpy()
        group = account = np.where(account == None, ids, account)  # noqa: E711 - element by element
    half = hash_entities(group.astype(str), 0) % np.uint64(2) == 0
    current = {
        column: AuditColumn.from_arrow(column, matrix[name].take(rows))
        for name, column in origins.current.items()
    }
    return AuditSample(
        label=label,
        half=half,
        entity=_encode_ids(ids),
        account=None if account is None else _encode_ids(account),
        time_order=matrix["cutoff"].take(rows).cast(pa.int64()).to_numpy().astype(np.float64)
        if origins.ordered
        else None,
        id_number=_parse_numeric_ids(ids),
        columns={name: column for name, column in current.items() if column.filled.any()},
        dated=_select_dated_features(matrix, rows, label, half, origins.dated),
    )


def _select_dated_features(
    matrix: pa.Table,
    rows: np.ndarray,
    label: np.ndarray,
    half: np.ndarray,
    dated: Mapping[str, str],
) -> list[AuditColumn]:
    """Return the strongest dated features, named by their event type or attribute."""
    pilot = sample_evenly(len(rows), PILOT_ROWS)
    strengths = {}
    for name in dated:
        bins = AuditColumn.from_arrow(name, matrix[name].take(rows[pilot])).bins
        strengths[name] = (
            measure_single_strength(bins, label[pilot], half[pilot]) if bins.any() else -1.0
        )
    strongest = sorted(strengths, key=lambda name: (-strengths[name], name))[:MAX_COMPARED]
    return [
        AuditColumn.from_arrow(dated[name], matrix[name].take(rows))
        for name in strongest
        if strengths[name] > 0
    ]


def _encode_ids(texts: np.ndarray) -> np.ndarray:
    return np.unique(texts.astype(str), return_inverse=True)[1]


def _parse_numeric_ids(ids: np.ndarray) -> np.ndarray | None:
    """Return the ids as numbers, or None if any is not a number.

    Numeric ids mostly follow the order in which the rows were created.
    """
    try:
        return ids.astype(np.float64)
    except ValueError:
        return None
