"""Which model versions there are, and which nights each of them scored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from models.evaluation.gate import GATE_TAG, PASSED
from models.registry.records import RegisteredVersion
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.trust.gate_verdict import name_failed_tests

NAME = "champions"
# Versions of a target that are listed, newest first.
LISTED_VERSIONS = 20


def build_champions(data: PageData) -> Section:
    """Return the section: versions of each target with their nights, newest first."""
    words = data.words
    used = [
        words.text(NAME, "used", target=target, version=str(data.run.models[target]))
        for target in data.targets
    ]
    return Section(
        NAME,
        "team",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        tables=[_list_versions(data, target) for target in data.targets],
        notes=used,
    )


def _list_versions(data: PageData, target: str) -> Table:
    words = data.words
    nights = find_scored_nights(data, target)
    registered = {str(version.number): version for version in data.versions.get(target, ())}
    numbers = sorted({*nights, *registered}, key=_sort_key, reverse=True)[:LISTED_VERSIONS]
    headings = [
        words.text(NAME, key) for key in ("version", "trained", "gate", "failed", "nights", "span")
    ]
    rows = [
        [
            number,
            _describe_training(words, registered.get(number)),
            _describe_gate(words, registered.get(number)),
            _name_failed(data, target, number),
            *_describe_nights(words, nights.get(number, [])),
        ]
        for number in numbers
    ]
    return Table(words.text(NAME, "caption", target=target), headings, rows, frozenset({4}))


def find_scored_nights(data: PageData, target: str) -> Mapping[str, list[datetime]]:
    """Return the published as-ofs up to that of the page by version, oldest first.

    A night that was published again counts for the version of its latest run.
    """
    own = data.published_runs.filter(pc.field("target") == target)
    rows: list[dict[str, Any]] = own.to_pylist()
    latest = {
        row["as_of"]: row["model_version"]
        for row in sorted(rows, key=lambda row: row["finished_at"])
        if row["as_of"] <= data.as_of
    }
    nights: dict[str, list[datetime]] = {}
    for as_of, version in sorted(latest.items()):
        nights.setdefault(str(version), []).append(as_of)
    return nights


def _sort_key(number: str) -> tuple[int, str]:
    return (int(number), "") if number.isdecimal() else (0, number)


def _describe_training(words: PageWords, version: RegisteredVersion | None) -> str:
    as_of = version.tags.get("as_of") if version else None
    return words.day(datetime.fromisoformat(as_of)) if as_of else "–"


def _describe_gate(words: PageWords, version: RegisteredVersion | None) -> str:
    verdict = version.tags.get(GATE_TAG) if version else None
    if verdict is None:
        return "–"
    return words.text(NAME, "passed" if verdict == PASSED else "refused")


def _name_failed(data: PageData, target: str, number: str) -> str:
    """Return the tests that a refused version failed; a dash where they are not known."""
    record = data.refusals.get(target, {}).get(number)
    return (name_failed_tests(data.words, record) if record else "") or "–"


def _describe_nights(words: PageWords, nights: list[datetime]) -> list[str]:
    if not nights:
        return ["0", "–"]
    first, last = words.day(nights[0]), words.day(nights[-1])
    return [words.number(len(nights)), first if first == last else f"{first} – {last}"]
