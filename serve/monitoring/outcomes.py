"""Selection of the published scores that count, and the realised outcome of each.

Nothing is scored again: probability, grade, expected value and version come from the scores table,
outcomes from the current data by the label function that training uses.

A lead is scored every night, so nights repeat each other. Of each week (ISO 8601, in the config's
time zone) the last published night counts: one row per lead and week. If a target scores each lead
once after its entry, or its outcome is a column without a time, the first published row of each
lead counts, in the week of its night.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import ColumnOutcome, Target
from features.contracts import INSTANT, LABELS, SPINE, Dataset
from features.labels import compute_labels, find_column_maturity
from features.score_tables import SCORES
from features.tools.instants import (
    MICROSECOND,
    column_to_microseconds,
    duration_to_microseconds,
    from_microseconds,
)
from models.evaluation.metrics import Estimate
from serve.scoring.weekly_lists import Week, keep_first_per_lead
from serve.store.store import Store

# Columns read of a night. The reasons are left out: they are most of a row.
READ_COLUMNS = (
    "entity_id",
    "cutoff",
    "as_of",
    "probability",
    "grade",
    "expected_value",
    "model_version",
)
# One row per published row that counts; the label is null while the outcome is not known.
FOLLOWED = pa.schema(
    [
        *(SCORES.field(name) for name in READ_COLUMNS),
        pa.field("week", pa.string()),
        pa.field("month", pa.string()),
        LABELS.field("label"),
    ]
)
# Bounds memory: older weeks beyond this many rows are left out.
MAX_FOLLOWED_ROWS = 3_000_000
# A lead first published later than this after its own cutoff counts as a survivor.
MAX_FIRST_DELAY = timedelta(days=7)

# Reasons why a night does not count. They are keys of outcomes.json, so their wording is stored.
NOT_LAST_OF_WEEK, REHEARSED = (
    "not the last night of its week",
    "the model had learnt from later data",
)
NOT_KEPT, OLDER = (
    "no longer in the scores table",
    f"older than the newest {MAX_FOLLOWED_ROWS:,} rows",
)
# Reasons why a row that counts will never have an outcome; keys of outcomes.json too.
GONE, LATE_START = (
    "the lead is no longer in the data",
    "first published over a week after the lead's own cutoff",
)


@dataclass(frozen=True)
class VersionRecord:
    """Facts stored with a model version.

    Attributes:
        horizon: Horizon of its scores; None if unknown.
        trained_as_of: As-of of its training; None if unknown.
        observed_until: Instant through which outcomes were complete at its training; None if
            unknown.
        expectations: Out-of-time metrics at its training, by name.
    """

    horizon: timedelta | None = None
    trained_as_of: datetime | None = None
    observed_until: datetime | None = None
    expectations: Mapping[str, Estimate] = field(default_factory=dict)


class OutcomeData(NamedTuple):
    """Data from which outcomes are read.

    Attributes:
        dataset: The current data.
        complete_until: Instant through which its outcomes are complete.
    """

    dataset: Dataset
    complete_until: datetime


@dataclass(frozen=True)
class PublishedNight:
    """One published as-of of a target, as recorded in the run ledger.

    Attributes:
        as_of: As-of of the night.
        week: ISO 8601 week, such as 2025-W07.
        month: Calendar month of the as-of, such as 2025-02.
        version: Model version.
        rows: Rows published.
    """

    as_of: datetime
    week: str
    month: str
    version: str
    rows: int


class RowGroup(NamedTuple):
    """Rows that are counted together.

    Attributes:
        week: ISO 8601 week of their night.
        month: Calendar month of their night.
        version: Model version.
    """

    week: str
    month: str
    version: str


@dataclass(frozen=True)
class NightSelection:
    """Nights whose rows count, and nights that are excluded.

    Attributes:
        read: Nights to read, ascending.
        immature: Nights without any mature row, ascending.
        excluded: Number of the other nights, by reason.
    """

    read: list[PublishedNight]
    immature: list[PublishedNight]
    excluded: Counter[str]


@dataclass(frozen=True)
class FollowedScores:
    """Published rows that count: published = used + immature + unknown.

    Attributes:
        rows: FOLLOWED rows used, with a known outcome.
        immature: Number of rows whose horizon has not passed.
        unknown: Number of rows whose outcome will never be known.
        unknown_reasons: Unknown rows by reason.
        excluded_nights: Nights that do not count, by reason.
        first_mature: Instant through which outcomes must be complete for the first immature row to
            be known; None if there is none, or no time to derive it from.
    """

    rows: pa.Table
    immature: Counter[RowGroup]
    unknown: Counter[RowGroup]
    unknown_reasons: Counter[str]
    excluded_nights: Counter[str]
    first_mature: datetime | None


def list_unique_columns(target_config: Target) -> tuple[str, ...]:
    """Return the columns that identify the row of a lead that counts; empty if scored nightly."""
    if isinstance(target_config.outcome, ColumnOutcome):
        return ("entity_id",)
    return ("entity_id", "cutoff") if target_config.cutoffs and target_config.cutoffs.delay else ()


def list_published_nights(
    ledger: pa.Table, target: str, until: datetime, zone: ZoneInfo
) -> list[PublishedNight]:
    """Return the nights of a target published up to ``until`` (inclusive), ascending.

    A night published more than once is returned as published last.
    """
    is_published = (pc.field("target") == target) & (pc.field("status") == "published")
    rows = ledger.filter(
        is_published & (pc.field("as_of") <= pa.scalar(until, INSTANT))
    ).to_pylist()
    # The last publication of a night replaces the others, so they are sorted by their end.
    last = {
        row["as_of"]: row
        for row in sorted(rows, key=lambda row: (row["finished_at"], row["run_id"]))
    }
    return [
        PublishedNight(
            at,
            Week.containing(at, zone).name,
            at.astimezone(zone).date().isoformat()[:7],
            row["model_version"] or "",
            row["rows"] or 0,
        )
        for at, row in sorted(last.items())
    ]


def select_nights(
    nights: Sequence[PublishedNight],
    target_config: Target,
    complete_until: datetime,
    records: Mapping[str, VersionRecord],
) -> NightSelection:
    """Return the nights whose rows count.

    A night is a rehearsal, and excluded, if its model was trained as of a later time.
    """
    eligible = [night for night in nights if not _is_rehearsal(night, records)]
    excluded = Counter({REHEARSED: len(nights) - len(eligible)})
    if list_unique_columns(target_config):
        return NightSelection(eligible, [], +excluded)
    # Nights ascend, so the last one of each week replaces the others.
    last = list({night.week: night for night in eligible}.values())
    excluded[NOT_LAST_OF_WEEK] = len(eligible) - len(last)
    immature = [
        night
        for night in last
        if night.as_of + resolve_horizon(night.version, target_config, records) > complete_until
    ]
    mature = [night for night in last if night not in immature]
    read = _take_newest(mature)
    excluded[OLDER] = len(mature) - len(read)
    # The plus drops the reasons that apply to no night.
    return NightSelection(read, immature, +excluded)


def resolve_horizon(
    version: str, target_config: Target, records: Mapping[str, VersionRecord]
) -> timedelta:
    """Return the horizon of a version's scores: its own if recorded, else the configured one."""
    own = records[version].horizon if version in records else None
    return own or target_config.horizon or timedelta(0)


def follow_scores(
    store: Store,
    names: tuple[str, str],
    target_config: Target,
    nights: Sequence[PublishedNight],
    observed: OutcomeData,
    records: Mapping[str, VersionRecord],
) -> FollowedScores:
    """Return the published rows of a target that count, with their outcomes.

    ``names`` are those of project and target. ``records`` may lack a version.
    """
    selection = select_nights(nights, target_config, observed.complete_until, records)
    unique_columns = list_unique_columns(target_config)
    published, lost = _read_published(store, names, selection.read, unique_columns)
    unknowable = _explain_unknowable(published, target_config, observed.dataset)
    rows = _label_rows(published.filter(unknowable.is_null()), target_config, observed, records)
    open_rows = rows.filter(rows["label"].is_null())
    immature = _count_groups(open_rows)
    for night in selection.immature:
        immature[RowGroup(night.week, night.month, night.version)] += night.rows
    ends = [
        night.as_of + resolve_horizon(night.version, target_config, records)
        for night in selection.immature
        if night.rows
    ]
    return FollowedScores(
        rows.filter(rows["label"].is_valid()),
        immature,
        _count_groups(published.filter(unknowable.is_valid())),
        Counter(unknowable.drop_null().to_pylist()),
        +(selection.excluded + Counter({NOT_KEPT: lost})),
        min(
            [*ends, *_find_mature_instants(open_rows, target_config, records, observed.dataset)],
            default=None,
        ),
    )


def follow_lists(
    store: Store,
    names: tuple[str, str],
    target_config: Target,
    nights: Sequence[PublishedNight],
    observed: OutcomeData,
    records: Mapping[str, VersionRecord],
) -> pa.Table:
    """Return each listed lead of a week, on its first night there.

    The rows are FOLLOWED with ``listed`` and without ``month``. The last night of a week lacks the
    leads whose outcome came during the week, so a list is followed from its beginning. If a lead is
    scored once, its first row counts. Rows whose outcome will never be known are left out; the
    label is null while the outcome is not known. Parameters are those of ``follow_scores``.
    """
    schema = pa.schema(
        [*(SCORES.field(name) for name in (*READ_COLUMNS, "listed")), FOLLOWED.field("week")]
    )
    eligible = [night for night in nights if not _is_rehearsal(night, records)]
    lists = [schema.empty_table()]
    # ``groupby`` needs the nights of a week next to each other: they ascend.
    for week, days in groupby(eligible, key=lambda night: night.week):
        ends = [night.as_of for night in days]
        # ``listed_leads`` excludes its end, so a microsecond is added to include the last night.
        rows = store.listed_leads(
            *names, min(ends), max(ends) + MICROSECOND, (*READ_COLUMNS, "listed")
        )
        rows = keep_first_per_lead(rows.filter(pc.is_in(rows["as_of"], pa.array(ends, INSTANT))))
        lists.append(rows.append_column("week", pa.repeat(week, rows.num_rows)).cast(schema))
    rows = pa.concat_tables(lists).combine_chunks()
    if list_unique_columns(target_config):
        rows = keep_first_per_lead(rows)
    unknowable = _explain_unknowable(rows, target_config, observed.dataset)
    return _label_rows(rows.filter(unknowable.is_null()), target_config, observed, records)


def _is_rehearsal(night: PublishedNight, records: Mapping[str, VersionRecord]) -> bool:
    """Return whether the night's model was trained as of a later time than the night's as-of."""
    trained_as_of = records[night.version].trained_as_of if night.version in records else None
    return trained_as_of is not None and trained_as_of > night.as_of


def _take_newest(nights: list[PublishedNight]) -> list[PublishedNight]:
    """Return the newest nights with at most MAX_FOLLOWED_ROWS rows together, but at least one."""
    rows = np.cumsum([night.rows for night in reversed(nights)])
    return nights[len(nights) - max(1, int((rows <= MAX_FOLLOWED_ROWS).sum())) :] if nights else []


def _read_published(
    store: Store,
    names: tuple[str, str],
    nights: Sequence[PublishedNight],
    unique_columns: tuple[str, ...],
) -> tuple[pa.Table, int]:
    """Return the rows of the nights with their week, and the number of nights no longer stored.

    With ``unique_columns``, only the first row with the same values of them is returned.
    """
    schema = FOLLOWED.remove(len(FOLLOWED) - 1)
    parts, lost = [schema.empty_table()], 0
    for night in nights:
        rows = store.scores(names[0], night.as_of, names[1], READ_COLUMNS)
        lost += night.rows > 0 and not rows.num_rows
        for name in ("week", "month"):
            values = pa.repeat(getattr(night, name), rows.num_rows)
            rows = rows.append_column(FOLLOWED.field(name), values)
        if unique_columns:
            seen = pa.concat_tables(table.select(unique_columns) for table in parts)
            # A join gives no fixed order, and the same data must give the same report to the byte.
            rows = rows.join(seen, list(unique_columns), join_type="left anti").sort_by("entity_id")
        parts.append(rows.cast(schema).combine_chunks())
    return pa.concat_tables(parts), lost


def _explain_unknowable(rows: pa.Table, target_config: Target, dataset: Dataset) -> pa.Array:
    """Return why the outcome of each row will never be known; null if it may become known."""
    gone = pa.array(dataset.find_final_leads(rows["entity_id"]) < 0)
    late = pa.array(np.zeros(rows.num_rows, bool))
    if "cutoff" in list_unique_columns(target_config):
        # A lead that is still open so long after its cutoff is a survivor, and its probability was
        # not conditional on surviving.
        late = pa.array(
            column_to_microseconds(rows["as_of"]) - column_to_microseconds(rows["cutoff"])
            > duration_to_microseconds(MAX_FIRST_DELAY)
        )
    return pc.case_when(pc.make_struct(gone, late), GONE, LATE_START)


def _label_rows(
    rows: pa.Table,
    target_config: Target,
    observed: OutcomeData,
    records: Mapping[str, VersionRecord],
) -> pa.Table:
    """Return FOLLOWED: the rows with their labels, each by the horizon of its version."""
    versions = pc.unique(rows["model_version"]).to_pylist()
    horizons = {version: resolve_horizon(version, target_config, records) for version in versions}
    parts = [rows.slice(0, 0).append_column(FOLLOWED.field("label"), pa.array([], pa.int8()))]
    for horizon in sorted(set(horizons.values())):
        same_horizon = [version for version in versions if horizons[version] == horizon]
        is_same = pc.is_in(rows["model_version"], pa.array(same_horizon, pa.string()))
        part = rows.filter(is_same).combine_chunks()
        version_config = target_config.model_copy(update={"horizon": horizon})
        labels = compute_labels(
            observed.dataset, part.select(SPINE.names), version_config, observed.complete_until
        )
        parts.append(part.append_column(FOLLOWED.field("label"), labels["label"]))
    return pa.concat_tables(parts).combine_chunks()


def _count_groups(rows: pa.Table) -> Counter[RowGroup]:
    """Return the number of rows of each group."""
    keys = ["week", "month", "model_version"]
    groups = rows.group_by(keys).aggregate([([], "count_all")]).to_pylist()
    return Counter(
        {RowGroup(*(group[key] for key in keys)): group["count_all"] for group in groups}
    )


def _find_mature_instants(
    rows: pa.Table,
    target_config: Target,
    records: Mapping[str, VersionRecord],
    dataset: Dataset,
) -> list[datetime]:
    """Return the instant at which the first row of each version is mature.

    The first row of an outcome column is one whose column is filled; when the others will be filled
    is not known.
    """
    if isinstance(target_config.outcome, ColumnOutcome):
        spine = rows.select(SPINE.names)
        values = dataset.leads[target_config.outcome.column]
        filled = pc.is_valid(values.take(pa.array(dataset.find_final_leads(spine["entity_id"]))))
        final = find_column_maturity(dataset, spine, target_config)[filled.to_numpy()]
        return [from_microseconds(int(final.min()))] if dataset.timed and final.size else []
    first = rows.group_by("model_version").aggregate([("cutoff", "min")]).to_pylist()
    return [
        group["cutoff_min"] + resolve_horizon(group["model_version"], target_config, records)
        for group in first
    ]
