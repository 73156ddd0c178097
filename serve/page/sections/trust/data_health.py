"""What became of the rows of each source, how the sources were read, and the last nights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.source_rows import SourceRows
from features.contracts import INSTANT
from features.intake.quarantine import DUPLICATE
from serve.checks.form_check import FORM_CHECK
from serve.checks.source_counts import (
    COUNT_CHECKS,
    QUARANTINED,
    ROWS_IN,
    ROWS_NOT_YET,
    ROWS_SUPPRESSED,
    ROWS_USED,
)
from serve.page.content.page_data import PageData
from serve.page.content.parts import Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.trust.checks import name_place

NAME = "data_health"
# Nights of the sentence and of the table.
NIGHTS = 28
DAY = timedelta(days=1)
Result = Mapping[str, Any]
# A night, its last status, and the ledger rows of the run that has it.
Night = list[Mapping[str, Any]]


def build_data_health(data: PageData) -> Section:
    """Return the section: rows by source, reasons, forms, doubts and the last nights."""
    words = data.words
    current = data.checks.filter(pc.field("as_of") == pa.scalar(data.as_of, INSTANT)).to_pylist()
    counts = _count_rows(current)
    nights = _list_nights(data)
    tables = [
        *([_build_source_table(data, counts, current)] if counts else []),
        *_build_reason_table(data, current),
        *_build_form_table(data, current),
        *_build_reading_table(words, current),
        *([_build_night_table(words, nights)] if nights else []),
    ]
    sentence = words.text(NAME, "none")
    if counts:
        read, used = (sum(count[key] for count in counts.values()) for key in (ROWS_IN, ROWS_USED))
        count = words.count(NAME, "counted", read, used=words.number(used))
        verdict = _judge_rows(words, counts, current)
        sentence = f"{verdict} {words.text(NAME, 'sentence')} {count}"
    if nights:
        done = words.number(_count_published(nights))
        sentence += f" {words.count(NAME, 'nights_published', len(nights), done=done)}"
    return Section(
        NAME,
        "team",
        words.text(NAME, "title"),
        sentence,
        [*_build_quotes(words, counts, nights, current)],
        tables=tables,
        notes=[*_list_notes(words, counts, current)],
    )


def _count_rows(current: list[Result]) -> dict[str, dict[str, int]]:
    """Return the row counts by source and check; ``quarantined`` holds the sum of all reasons."""
    counts = {
        row["subject"]: dict.fromkeys(COUNT_CHECKS, 0) for row in current if row["check"] == ROWS_IN
    }
    for row in current:
        if row["check"] in COUNT_CHECKS:
            counts[_split_subject(row["subject"])[0]][row["check"]] += int(row["observed"])
    return counts


def _judge_rows(
    words: PageWords, counts: Mapping[str, Mapping[str, int]], current: list[Result]
) -> str:
    """Return whether anything stops, and how many rows were bad and how many only repeated."""
    read = sum(count[ROWS_IN] for count in counts.values())
    repeated, bad = _count_repeated(current), _count_bad(counts, current)
    stops = any(row["verdict"] == "stop" for row in current)
    return words.text(
        NAME,
        "some_stop" if stops else "none_stops",
        bad=words.count(NAME, "bad", bad, share=words.percent(bad / read if read else None, 2)),
        repeated=words.count(NAME, "repeated", repeated),
    )


def _count_repeated(current: list[Result]) -> int:
    return sum(
        int(row["observed"])
        for row in current
        if row["check"] == QUARANTINED and _split_subject(row["subject"])[1] == DUPLICATE
    )


def _count_bad(counts: Mapping[str, Mapping[str, int]], current: list[Result]) -> int:
    """Return the number of rows that were set aside for a fault; a repetition is none."""
    return sum(count[QUARANTINED] for count in counts.values()) - _count_repeated(current)


def _name_source(data: PageData, source: str) -> str:
    """Return a source with the name of its file or folder; of an address nothing is shown."""
    kind, _, number = source.rpartition("_")
    sources = data.project.sources
    lists: dict[str, Sequence[SourceRows]] = {
        "events": sources.events,
        "attributes": sources.attributes,
        "same_as": sources.same_as,
        "costs": sources.costs,
        "identities": sources.identities,
        "experiments": sources.experiments,
    }
    rows: SourceRows | None = sources.leads if source == "leads" else None
    if kind in lists and number.isdecimal() and 0 < int(number) <= len(lists[kind]):
        rows = lists[kind][int(number) - 1]
    path = rows.path if rows else None
    # An address may hold a user or a key.
    name = "" if path is None or "://" in path else Path(path).name
    return f"{source} ({name})" if name else source


def _split_subject(subject: str) -> tuple[str, str]:
    """Return the source of a subject, and the rest: names of sources have no blanks."""
    source, _, rest = subject.partition(" ")
    return source, rest


def _build_source_table(
    data: PageData, counts: Mapping[str, Mapping[str, int]], current: list[Result]
) -> Table:
    words = data.words
    ages = {
        row["subject"]: words.language.days(row["observed"])
        for row in current
        if row["check"] == "freshness" and row["observed"] is not None
    }
    headings = ("source", "read", "used", "not_yet", "suppressed", "aside", "age")
    keys = (ROWS_IN, ROWS_USED, ROWS_NOT_YET, ROWS_SUPPRESSED, QUARANTINED)
    rows = [
        [
            _name_source(data, source),
            *(words.number(count[key]) for key in keys),
            ages.get(source, "–"),
        ]
        for source, count in counts.items()
    ]
    return Table(
        words.text(NAME, "caption_sources"),
        [words.text(NAME, key) for key in headings],
        rows,
        frozenset(range(1, 6)),
    )


def _build_reason_table(data: PageData, current: list[Result]) -> Iterator[Table]:
    """Yield the reasons of quarantine, the most frequent first."""
    words = data.words
    results = sorted(
        (row for row in current if row["check"] == QUARANTINED), key=lambda row: -row["observed"]
    )
    rows = []
    for row in results:
        source, reason = _split_subject(row["subject"])
        rows.append(
            [_name_source(data, source), _name_reason(words, reason), words.number(row["observed"])]
        )
    if rows:
        headings = [words.text(NAME, key) for key in ("source", "reason", "rows")]
        yield Table(words.text(NAME, "caption_reasons"), headings, rows, frozenset({2}))


def _name_reason(words: PageWords, reason: str) -> str:
    """Return a reason in plain words; one of a later version keeps its own."""
    key = "reason_" + re.sub(r"\W+", "_", reason)
    return words.text(NAME, key) if key in words.texts[NAME] else reason


def _build_form_table(data: PageData, current: list[Result]) -> Iterator[Table]:
    """Yield how each source is written, as its checks of form have it."""
    words = data.words
    columns: dict[tuple[str, str, str], list[str]] = {}
    for row in current:
        if row["check"] == FORM_CHECK:
            source, rest = _split_subject(row["subject"])
            key, column = _split_subject(rest)
            columns.setdefault((source, key, row["message"] or ""), []).append(column)
    rows = []
    for (source, key, value), names in columns.items():
        part = f"part_{key}"
        named = words.text(NAME, part) if part in words.texts[NAME] else key
        rows.append([_name_source(data, source), named, value, ", ".join(filter(None, names))])
    if rows:
        headings = [words.text(NAME, key) for key in ("source", "part", "value", "columns")]
        yield Table(words.text(NAME, "caption_form"), headings, rows, folded=True)


def _build_reading_table(words: PageWords, current: list[Result]) -> Iterator[Table]:
    """Yield the doubtful readings, with the messages of the table as they are stored."""
    rows = [[name_place(row), row["message"] or ""] for row in current if row["check"] == "reading"]
    if rows:
        headings = [words.text(NAME, key) for key in ("source", "doubt")]
        yield Table(words.text(NAME, "caption_doubts"), headings, rows, english=frozenset({1}))


def _list_nights(data: PageData) -> list[Night]:
    """Return the last nights up to the page's, newest first; a night is its decisive run's rows.

    A night that was tried several times counts once: published if any of its runs has published.
    """
    runs: dict[Any, dict[str, Night]] = {}
    known = data.runs.filter(pc.field("as_of") <= pa.scalar(data.as_of, INSTANT))
    for row in known.to_pylist():
        runs.setdefault(row["as_of"], {}).setdefault(row["run_id"], []).append(row)
    return [max(runs[at].values(), key=_rank_run) for at in sorted(runs, reverse=True)[:NIGHTS]]


def _rank_run(rows: Night) -> tuple[bool, Any]:
    last = max(row["finished_at"] or row["started_at"] for row in rows)
    return rows[0]["status"] == "published", last


def _count_published(nights: list[Night]) -> int:
    return sum(rows[0]["status"] == "published" for rows in nights)


def _build_night_table(words: PageWords, nights: list[Night]) -> Table:
    headings = ("night_zone", "status", "scores", "minutes", "versions")
    return Table(
        words.text(NAME, "caption_nights"),
        [words.text(NAME, key, zone=str(words.zone)) for key in headings],
        [_write_night(words, rows) for rows in nights],
        frozenset({2, 3}),
        folded=True,
    )


def _write_night(words: PageWords, rows: Night) -> list[str]:
    first = rows[0]
    status = f"status_{first['status']}"
    scores = [row["rows"] for row in rows if row["rows"] is not None]
    ended = first["finished_at"]
    # The page's own night may still be running, so its ledger has no times yet.
    spent = ended - first["started_at"] if ended else timedelta(0)
    models = ", ".join(
        f"{row['target']} {row['model_version']}" for row in rows if row["model_version"]
    )
    return [
        words.moment(first["as_of"]),
        words.text(NAME, status) if status in words.texts[NAME] else first["status"],
        words.number(sum(scores)) if scores else "–",
        words.number(spent / timedelta(minutes=1), 1) if spent else "–",
        models or "–",
    ]


def _build_quotes(
    words: PageWords,
    counts: Mapping[str, Mapping[str, int]],
    nights: list[Night],
    current: list[Result],
) -> Iterator[Quote]:
    if counts:
        read, aside = (
            sum(count[key] for count in counts.values()) for key in (ROWS_IN, QUARANTINED)
        )
        yield Quote(words.text(NAME, "quote_read"), words.number(read))
        hint = words.text(
            NAME,
            "quote_aside_hint",
            share=words.percent(aside / read if read else None, 2),
            bad=words.number(_count_bad(counts, current)),
            repeated=words.number(_count_repeated(current)),
        )
        yield Quote(words.text(NAME, "quote_aside"), words.number(aside), hint)
    if nights:
        done = words.number(_count_published(nights))
        value = words.text(NAME, "quote_nights_value", done=done, nights=words.number(len(nights)))
        yield Quote(words.text(NAME, "quote_nights"), value, words.text(NAME, "quote_nights_hint"))


def _list_notes(
    words: PageWords, counts: Mapping[str, Mapping[str, int]], current: list[Result]
) -> Iterator[str]:
    if counts:
        yield words.text(NAME, "note_kinds")
        yield words.text(NAME, "note_open")
        yield words.text(NAME, "note_used")
        if any(count[QUARANTINED] for count in counts.values()):
            yield words.text(NAME, "note_aside")
        if not any(row["check"] == "reading" for row in current):
            yield words.text(NAME, "no_doubts")
        if not any(row["check"] == "freshness" for row in current):
            yield words.text(NAME, "untimed")
