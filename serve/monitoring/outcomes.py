"""Published scores and what became of them: which rows count, and the realised outcome of each.

Nothing is scored again: probability, grade, expected value and version are read from the scores table, outcomes from
today's data by the one label function.

A lead is scored night after night, so nights repeat each other. Of each week (ISO 8601, in the config's zone) the last
published night counts: one row a lead a week. Where a lead is scored once after its entry, or its outcome is a column
without a time, the first published row of each lead counts, in the week of its night.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import ColumnOutcome, Target
from features.contracts import INSTANT, LABELS, SPINE, Dataset
from features.labels import compute_labels
from features.score_tables import SCORES
from features.tools.instants import MICROSECOND, column_to_microseconds, duration_to_microseconds
from models.evaluation.metrics import Estimate
from serve.scoring.weekly_lists import Week, keep_first_per_lead
from serve.store.store import Store

READ_COLUMNS = (
    "entity_id",
    "cutoff",
    "as_of",
    "probability",
    "grade",
    "expected_value",
    "model_version",
)
"""What is read of a night, column by column: the reasons would be most of it."""
FOLLOWED = pa.schema(
    [
        *(SCORES.field(name) for name in READ_COLUMNS),
        pa.field("week", pa.string()),
        LABELS.field("label"),
    ]
)
"""One row a published row that counts; the label is null where the outcome is not known (yet)."""
MAX_FOLLOWED_ROWS = 3_000_000
"""Weeks that are older than the newest ones with so many rows are left out."""
MAX_FIRST_DELAY = timedelta(days=7)

NOT_LAST_OF_WEEK, REHEARSED = (
    "not the last night of its week",
    "the model had learnt from later data",
)
NOT_KEPT, OLDER = (
    "no longer in the scores table",
    f"older than the newest {MAX_FOLLOWED_ROWS:,} rows",
)
"""Why a night does not count."""
GONE, LATE_START = (
    "the lead is no longer in the data",
    "first published over a week after the lead's own cutoff",
)
"""Why a row that counts has no outcome and never will."""


@dataclass(frozen=True)
class VersionRecord:
    """What is kept with a model version: the horizon of its scores, and what it promised.

    ``trained_as_of`` is the as-of of its training, ``observed_until`` the instant through which outcomes were complete then.
    """

    horizon: timedelta | None = None
    trained_as_of: datetime | None = None
    observed_until: datetime | None = None
    expectations: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedNight:
    """One published as-of of a target as it stands in the ledger; ``week`` is written like 2025-W07."""

    as_of: datetime
    week: str
    version: str
    rows: int


@dataclass(frozen=True)
class NightSelection:
    """The nights whose rows count, ascending: those to read and those wholly immature; and the others by reason."""

    read: list[PublishedNight]
    immature: list[PublishedNight]
    excluded: Counter[str]


@dataclass(frozen=True)
class FollowedScores:
    """What became of the rows that count: published = used + immature + unknown.

    ``rows`` is FOLLOWED with the rows used, those whose outcome is known. ``immature`` and ``unknown`` count the others
    by (week, version); ``unknown_reasons`` says why rows are unknown, ``excluded_nights`` why nights do not count. ``first_mature`` is
    the instant through which outcomes must be complete for the first of the immature rows to be known; None where
    there are none, or no time to tell it by.
    """

    rows: pa.Table
    immature: Counter[tuple[str, str]]
    unknown: Counter[tuple[str, str]]
    unknown_reasons: Counter[str]
    excluded_nights: Counter[str]
    first_mature: datetime | None


def list_unique_columns(target_config: Target) -> tuple[str, ...]:
    """Return what makes a row of a target the only one of its lead; nothing where leads are scored every night."""
    if isinstance(target_config.outcome, ColumnOutcome):
        return ("entity_id",)
    return ("entity_id", "cutoff") if target_config.cutoffs and target_config.cutoffs.delay else ()


def list_published_nights(
    ledger: pa.Table, target: str, until: datetime, zone: ZoneInfo
) -> list[PublishedNight]:
    """Return the published nights of a target up to and including an instant, ascending, each as published last."""
    mine = (pc.field("target") == target) & (pc.field("status") == "published")
    rows = ledger.filter(mine & (pc.field("as_of") <= pa.scalar(until, INSTANT))).to_pylist()
    last = {
        row["as_of"]: row
        for row in sorted(rows, key=lambda row: (row["finished_at"], row["run_id"]))
    }
    return [
        PublishedNight(
            at, Week.containing(at, zone).name, row["model_version"] or "", row["rows"] or 0
        )
        for at, row in sorted(last.items())
    ]


def select_nights(
    nights: Sequence[PublishedNight],
    target_config: Target,
    observed: datetime,
    records: Mapping[str, VersionRecord],
) -> NightSelection:
    """Return the nights whose rows count; a night is left out if its model had learnt as of later (a rehearsal)."""
    honest = [night for night in nights if not _is_rehearsal(night, records)]
    others = Counter({REHEARSED: len(nights) - len(honest)})
    if list_unique_columns(target_config):
        return NightSelection(honest, [], +others)
    last = list({night.week: night for night in honest}.values())
    others[NOT_LAST_OF_WEEK] = len(honest) - len(last)
    waiting = [
        night
        for night in last
        if night.as_of + resolve_horizon(night.version, target_config, records) > observed
    ]
    mature = [night for night in last if night not in waiting]
    read = _take_newest(mature)
    others[OLDER] = len(mature) - len(read)
    return NightSelection(read, waiting, +others)


def resolve_horizon(version: str, target_config: Target, records: Mapping[str, VersionRecord]) -> timedelta:
    """Return how far ahead a version's scores look: its own horizon where that is known, else the target's of today."""
    own = records[version].horizon if version in records else None
    return own or target_config.horizon or timedelta(0)


def follow_scores(
    store: Store,
    names: tuple[str, str],
    target_config: Target,
    nights: Sequence[PublishedNight],
    observed: tuple[Dataset, datetime],
    records: Mapping[str, VersionRecord],
) -> FollowedScores:
    """Return what became of the published rows of a target that count.

    ``names`` are those of project and target; ``now`` is the data and the instant through which its outcomes are
    complete; ``records`` are known of a version or not.
    """
    choice = select_nights(nights, target_config, observed[1], records)
    published, lost = _read_published(store, names, choice.read, list_unique_columns(target_config))
    never = _explain_unknowable(published, target_config, observed[0])
    rows = _label_rows(published.filter(never.is_null()), target_config, observed, records)
    open_rows = rows.filter(rows["label"].is_null())
    immature = _count_by_week(open_rows)
    for night in choice.immature:
        immature[night.week, night.version] += night.rows
    ends = [
        night.as_of + resolve_horizon(night.version, target_config, records)
        for night in choice.immature
        if night.rows
    ]
    return FollowedScores(
        rows.filter(rows["label"].is_valid()),
        immature,
        _count_by_week(published.filter(never.is_valid())),
        Counter(never.drop_null().to_pylist()),
        +(choice.excluded + Counter({NOT_KEPT: lost})),
        min([*ends, *_find_mature_instants(open_rows, target_config, records)], default=None),
    )


def follow_lists(
    store: Store,
    names: tuple[str, str],
    target_config: Target,
    nights: Sequence[PublishedNight],
    observed: tuple[Dataset, datetime],
    records: Mapping[str, VersionRecord],
) -> pa.Table:
    """Return FOLLOWED with ``listed_leads``: each week's list, every lead as it stood on its first night there.

    The last night of a week no longer has those whose outcome came meanwhile, so a list is followed from its beginning.
    Where a lead is scored once, its first row counts. Rows whose outcome will never be known are left out; the label
    is null where it is not known yet. Parameters are those of ``follow_scores``.
    """
    schema = pa.schema(
        [*(SCORES.field(name) for name in (*READ_COLUMNS, "listed")), FOLLOWED.field("week")]
    )
    honest = [night for night in nights if not _is_rehearsal(night, records)]
    kept = [schema.empty_table()]
    for week, days in groupby(honest, key=lambda night: night.week):
        ends = [night.as_of for night in days]
        rows = store.listed_leads(
            *names, min(ends), max(ends) + MICROSECOND, (*READ_COLUMNS, "listed")
        )
        rows = keep_first_per_lead(rows.filter(pc.is_in(rows["as_of"], pa.array(ends, INSTANT))))
        kept.append(rows.append_column("week", pa.repeat(week, rows.num_rows)).cast(schema))
    rows = pa.concat_tables(kept).combine_chunks()
    if list_unique_columns(target_config):
        rows = keep_first_per_lead(rows)
    return _label_rows(rows.filter(_explain_unknowable(rows, target_config, observed[0]).is_null()), target_config, observed, records)


def _is_rehearsal(night: PublishedNight, records: Mapping[str, VersionRecord]) -> bool:
    learnt = records[night.version].trained_as_of if night.version in records else None
    return learnt is not None and learnt > night.as_of


def _take_newest(nights: list[PublishedNight]) -> list[PublishedNight]:
    """Return the newest nights with at most MOST_ROWS rows, but one at least."""
    rows = np.cumsum([night.rows for night in reversed(nights)])
    return nights[len(nights) - max(1, int((rows <= MAX_FOLLOWED_ROWS).sum())) :] if nights else []


def _read_published(
    store: Store, names: tuple[str, str], nights: Sequence[PublishedNight], unique_columns: tuple[str, ...]
) -> tuple[pa.Table, int]:
    """Return the rows of the nights with their week, and how many nights the table no longer keeps."""
    schema = FOLLOWED.remove(len(FOLLOWED) - 1)
    kept, lost = [schema.empty_table()], 0
    for night in nights:
        rows = store.scores(names[0], night.as_of, names[1], READ_COLUMNS)
        lost += night.rows > 0 and not rows.num_rows
        rows = rows.append_column(FOLLOWED.field("week"), pa.repeat(night.week, rows.num_rows))
        if unique_columns:
            seen = pa.concat_tables(table.select(unique_columns) for table in kept)
            rows = rows.join(seen, list(unique_columns), join_type="left anti").sort_by("entity_id")
        kept.append(rows.cast(schema).combine_chunks())
    return pa.concat_tables(kept), lost


def _explain_unknowable(rows: pa.Table, target_config: Target, dataset: Dataset) -> pa.Array:
    """Return for each row why its outcome will never be known; null where it is known or will be."""
    gone = pa.array(dataset.find_leads(rows["entity_id"]) < 0)
    late = pa.array(np.zeros(rows.num_rows, bool))
    if "cutoff" in list_unique_columns(target_config):
        # Who is still open so long after the cutoff is a survivor, and the probability is not one of survivors.
        late = pa.array(
            column_to_microseconds(rows["as_of"]) - column_to_microseconds(rows["cutoff"])
            > duration_to_microseconds(MAX_FIRST_DELAY)
        )
    return pc.case_when(pc.make_struct(gone, late), GONE, LATE_START)


def _label_rows(
    rows: pa.Table,
    target_config: Target,
    observed: tuple[Dataset, datetime],
    records: Mapping[str, VersionRecord],
) -> pa.Table:
    """Return FOLLOWED: the rows with their labels, each by the horizon that its version has."""
    versions = pc.unique(rows["model_version"]).to_pylist()
    horizons = {version: resolve_horizon(version, target_config, records) for version in versions}
    parts = [rows.slice(0, 0).append_column(FOLLOWED.field("label"), pa.array([], pa.int8()))]
    for horizon in sorted(set(horizons.values())):
        mine = pa.array(
            [version for version in versions if horizons[version] == horizon], pa.string()
        )
        part = rows.filter(pc.is_in(rows["model_version"], mine)).combine_chunks()
        asked = target_config.model_copy(update={"horizon": horizon})
        found = compute_labels(observed[0], part.select(SPINE.names), asked, observed[1])
        parts.append(part.append_column(FOLLOWED.field("label"), found["label"]))
    return pa.concat_tables(parts).combine_chunks()


def _count_by_week(rows: pa.Table) -> Counter[tuple[str, str]]:
    groups = rows.group_by(["week", "model_version"]).aggregate([([], "count_all")]).to_pylist()
    return Counter(
        {(group["week"], group["model_version"]): group["count_all"] for group in groups}
    )


def _find_mature_instants(rows: pa.Table, target_config: Target, records: Mapping[str, VersionRecord]) -> list[datetime]:
    """Return when the first row of each version is mature."""
    if isinstance(target_config.outcome, ColumnOutcome):
        return []
    first = rows.group_by("model_version").aggregate([("cutoff", "min")]).to_pylist()
    return [
        group["cutoff_min"] + resolve_horizon(group["model_version"], target_config, records) for group in first
    ]
