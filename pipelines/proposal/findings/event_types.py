"""Which columns of a log have values like types of events, and why others are not used."""

from __future__ import annotations

import pyarrow as pa

from features.intake.formats.texts import to_plain_text, to_text
from features.tools.duckdb_sql import run_query
from pipelines.proposal.findings.attributes import explain_left_out
from pipelines.proposal.findings.roles import rank_name
from pipelines.proposal.findings.verdicts import decides_lead
from pipelines.proposal.reading.column_profile import CATEGORY, TIME, ColumnProfile
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import NO_RANK, count_nouns, matches_words

# A column with another heading holds types if it has so few texts, in nearly all rows.
MAX_TYPES, MIN_TYPE_FILL = 100, 0.95
# Rows of each text in the mean: types repeat.
MIN_ROWS_PER_TYPE = 3
# Share of the leads with several rows that must have several texts, else it describes the lead.
MIN_VARIED_SHARE = 0.05
FLAG = "--event-type"
OTHER_ROLES = ("columns.staff", "columns.channel", "columns.id", "columns.account", "personal")


def list_event_types(table: SourceTable, entity_id: str, taken: set[str]) -> list[ColumnProfile]:
    """Return the columns whose values are like types of events, the one with most kinds first."""
    fitting = [
        profile
        for profile in table.profiles.values()
        if profile.name not in taken
        and profile.kind == CATEGORY
        and 2 <= profile.distinct <= MAX_TYPES
        and profile.fill_share >= MIN_TYPE_FILL
        and profile.filled >= MIN_ROWS_PER_TYPE * profile.distinct
        and not profile.personal
        and not profile.is_flag
        and all(rank_name(profile.name, path) == NO_RANK for path in OTHER_ROLES)
        and _may_vary(table, entity_id, profile)
    ]
    return sorted(fitting, key=lambda profile: -profile.distinct)


def describe_types(profile: ColumnProfile) -> str:
    """Return a column with the number of its texts, and the most frequent ones."""
    first = ", ".join(f"{text} {rows:,}" for text, rows in list(profile.counts.items())[:3])
    rest = ", …" if profile.distinct > 3 else ""
    return f"{profile.name} ({count_nouns(profile.distinct, 'text')}: {first}{rest})"


def explain_unused(table: SourceTable, entity_id: str, used: set[str]) -> dict[str, str]:
    """Return why each column of a log that has no role is not used."""
    others = {p.name for p in list_event_types(table, entity_id, used)}
    return {
        profile.name: _explain_column(table, entity_id, profile, profile.name in others)
        for profile in table.profiles.values()
        if profile.name not in used
    }


def _explain_column(
    table: SourceTable, entity_id: str, profile: ColumnProfile, may_be_type: bool
) -> str:
    if matches_words(profile.name, "columns.staff"):
        return "staff, and so personal"
    reason = explain_left_out(profile)
    if profile.kind == TIME:
        return "another time of the event"
    if may_be_type:
        return f"a log has one column of types; to use this one: {FLAG} {table.name}:COLUMN"
    if reason:
        return reason
    if not table.profiles[entity_id].is_unique and not measure_variety(
        table, entity_id, profile.name
    ):
        return "the same in all rows of a lead: it describes the lead, not the event"
    return "no type, channel or amount of an event by its heading"


def _may_vary(table: SourceTable, entity_id: str, profile: ColumnProfile) -> bool:
    """Return whether a column may differ from event to event of one lead."""
    if table.profiles[entity_id].is_unique:
        # With one row for each lead most columns describe it: a verdict is an event.
        return any(map(decides_lead, profile.counts))
    return measure_variety(table, entity_id, profile.name) >= MIN_VARIED_SHARE


def measure_variety(table: SourceTable, entity_id: str, column: str) -> float:
    """Return the share of the leads with several rows that have several texts in a column.

    It is 1 if a sample of the rows holds no lead twice, so that nothing is known of it.
    """
    rows = pa.table(
        {
            "entity": to_plain_text(to_text(table.columns[entity_id])),
            "text": to_plain_text(to_text(table.columns[column])),
        }
    )
    counts = run_query(
        """WITH leads AS (
              SELECT count(*) AS n, count(DISTINCT text) AS texts FROM rows GROUP BY entity)
            SELECT count(*) AS every, count(*) FILTER (texts > 1) AS varied
            FROM leads WHERE n > 1""",
        rows=rows,
    ).to_pylist()[0]
    if not counts["every"] and table.is_sample:
        return 1.0
    return float(counts["varied"]) / max(float(counts["every"]), 1.0)
