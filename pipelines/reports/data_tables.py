"""Data of a project as tables of texts: sources, event types, targets and features.

The first row of a table holds the headers.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from configs.errors import join_names
from features.wording.wording import load_english

if TYPE_CHECKING:
    from features.contracts import SourceCount
    from features.definitions.catalog import Catalog
    from features.readings.source_form import FormEntry
    from pipelines.results.data_check import DataCheck, TargetCheck

ATTRIBUTE_NOTE = (
    "static attributes show the current value, which may be newer than a cutoff; where they "
    "change, give their history in sources.attributes"
)


def describe_data(check: DataCheck) -> list[str]:
    """Return the size and the time span of the data in lines of text."""
    when = f"as of {check.as_of.isoformat()}" if check.timed else "(data without times)"
    lines = [
        f"{check.project} {when}",
        f"{check.entities:,} entities, {check.accounts:,} accounts, {check.events:,} events",
    ]
    if check.span:
        lines.append(f"from {check.span[0].isoformat()} to {check.span[1].isoformat()}")
        lines.append(f"outcomes complete through {check.observed.isoformat()}")
    return lines


def build_source_table(counts: tuple[SourceCount, ...]) -> list[list[str]]:
    """Return one row per source: its rows by use, and the reasons of its quarantined rows."""
    numbers = ["rows in", "used", "not yet", "suppressed", "quarantined"]
    return [["source", *numbers, "reasons"], *(_build_source_row(count) for count in counts)]


def _build_source_row(count: SourceCount) -> list[str]:
    quarantined = sum(count.quarantined.values())
    numbers = (count.rows_in, count.used, count.skipped, count.suppressed, quarantined)
    reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in count.quarantined.items())
    used = {"used for merged records": count.moved, "of visitors identified": count.identified}
    used["of visitors never identified"] = count.anonymous
    reasons = "; ".join([reasons] * bool(reasons) + [f"{k} {n:,}" for k, n in used.items() if n])
    return [count.source, *(f"{number:,}" for number in numbers), reasons]


def build_form_table(counts: tuple[SourceCount, ...]) -> list[list[str]]:
    """Return one row per source, part of its form and value, with the columns that have it."""
    rows: dict[tuple[str, str, str], list[FormEntry]] = {}
    for count in counts:
        for entry in count.form:
            rows.setdefault((count.source, entry.key, entry.value), []).append(entry)
    table = [["source", "read with", "columns", "how it is known"]]
    for (source, key, value), entries in rows.items():
        columns = list(dict.fromkeys(entry.column for entry in entries if entry.column))
        table.append([source, f"{key}: {value}", join_names(columns, 3), _describe_origin(entries)])
    return table


def _describe_origin(entries: list[FormEntry]) -> str:
    """Return how the first of several entries of one value is known, and from where."""
    words = {
        "config": "config",
        "stated": "stated",
        "proven": "proven",
        "default": "usual",
        "open": "any",
    }
    first, others = entries[0], len(entries) - 1
    evidence = f": {first.evidence}" if first.evidence else ""
    more = f" and {others} more" if others and first.evidence else ""
    return f"{words[first.origin]}{evidence}{more}"


def build_event_table(types: dict[str, int]) -> list[list[str]]:
    """Return one row per event type: the number of its events."""
    return [["event type", "events"], *([name, f"{rows:,}"] for name, rows in types.items())]


def build_target_table(targets: tuple[TargetCheck, ...]) -> list[list[str]]:
    """Return one row per target: its rows, base rate and number of leads to score."""
    headers = ["eligible rows", "entities", "mature", "outcomes", "base rate", "to score"]
    return [["target", *headers], *(_build_target_row(target) for target in targets)]


def _build_target_row(check: TargetCheck) -> list[str]:
    # Without mature rows the rate is unknown, which is not 0 %.
    rate = f"{check.base_rate:.2%}" if check.base_rate is not None else "–"
    numbers = (check.rows, check.entities, check.mature, check.positive)
    return [check.target, *(f"{number:,}" for number in numbers), rate, f"{check.to_score:,}"]


def build_catalog_table(catalog: Catalog) -> list[list[str]]:
    """Return one row per feature: name, family, unit, meaning, and when its value is known."""
    words = load_english()
    rows = [
        [f.name, f.family, f.meaning.unit, words.noun_phrase(f.meaning), f.availability]
        for f in catalog.features
    ]
    return [["feature", "family", "unit", "meaning", "known"], *rows]


def catalog_to_json(catalog: Catalog) -> dict[str, list[dict[str, str]]]:
    """Return the features of ``build_catalog_table`` as plain JSON values."""
    keys = ("name", "family", "unit", "meaning", "availability")
    rows = build_catalog_table(catalog)[1:]
    return {"features": [dict(zip(keys, row, strict=True)) for row in rows]}


def describe_catalog(catalog: Catalog) -> list[str]:
    """Return the number of features by family, and a note on static attributes, in lines."""
    families = Counter(feature.family for feature in catalog.features)
    counts = ", ".join(f"{family} {number}" for family, number in families.items())
    lines = [f"{len(catalog.features)} features: {counts}"]
    if catalog.attributes:
        lines.append(f"{len(catalog.attributes)} {ATTRIBUTE_NOTE}")
    return lines
