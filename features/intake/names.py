"""Names in the rows of a source: event types, channels and categories, as they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from configs.source_rows import Constant, NamedRows
from features.intake.formats.texts import is_text_column
from features.intake.reading import RawRows
from features.intake.values import read_clean_column, read_clean_text, replace_levels
from features.names.twins import Twin, describe_twins, find_twins

# Columns of a log that hold names.
NAME_COLUMNS = ("event_type", "channel")


def read_names(raw: RawRows, mapped: str | Constant | None, source: NamedRows) -> pa.ChunkedArray:
    """Return a column of names: the cleaned text, or for another spelling the name it stands for.

    All null if the config does not map the column (``mapped`` is None).
    """
    if isinstance(mapped, Constant):
        return pa.chunked_array([pa.repeat(mapped.constant, len(raw.table)).dictionary_encode()])
    return unify_spellings(read_clean_text(raw, mapped, source), source.spellings)


def clean_values(raw: RawRows, name: str, source: NamedRows) -> pa.ChunkedArray:
    """Return a cleaned column of attribute values, where it is text with one spelling of a name."""
    column = read_clean_column(raw, name, source)
    return unify_spellings(column, source.spellings) if is_text_column(column) else column


def unify_spellings(column: pa.ChunkedArray, spellings: Mapping[str, str]) -> pa.ChunkedArray:
    """Return a column of texts with the name in place of each other spelling of it."""
    if not spellings:
        return column
    if pa.types.is_dictionary(column.type):
        chunks = [
            replace_levels(chunk, _replace_texts(chunk.dictionary, spellings))
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks, column.type)
    return _replace_texts(column, spellings)


def _replace_texts(
    texts: pa.Array | pa.ChunkedArray, spellings: Mapping[str, str]
) -> pa.Array | pa.ChunkedArray:
    place = pc.index_in(texts, value_set=pa.array(list(spellings), pa.string()))
    return pc.coalesce(pa.array(list(spellings.values()), pa.string()).take(place), texts)


@dataclass
class NameCounts:
    """Rows of each name in the columns of one event source; threads may add pieces to it."""

    rows: dict[str, Counter[str]] = field(
        default_factory=lambda: {column: Counter() for column in NAME_COLUMNS}
    )
    lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, good: pa.Table) -> None:
        """Count the names of used rows."""
        for column, total in self.rows.items():
            for chunk in good[column].chunks:
                counts = _count_texts(chunk)
                with self.lock:
                    total.update(counts)


def describe_event_twins(project: Project, counts: Sequence[NameCounts]) -> list[list[str]]:
    """Return for each event source the warnings about near-twins among its names.

    They are compared with those that the config uses, and with those of all event sources. Each is
    named where it has most rows.
    """
    sources = project.sources.events
    lines: list[list[str]] = [[] for _ in sources]
    for column in NAME_COLUMNS:
        total = sum((count.rows[column] for count in counts), Counter[str]())
        known = {*_list_used_names(project, column), *(n for s in sources for n in s.names)}
        by_source: list[list[Twin]] = [[] for _ in sources]
        for twin in find_twins(total, known):
            most = max(range(len(counts)), key=lambda i: (counts[i].rows[column][twin.written], -i))
            by_source[most].append(twin)
        for i, (source, twins) in enumerate(zip(sources, by_source, strict=True)):
            key = f"sources.events[{i}]"
            subject = f"{source.label}: {key}.{column}"
            lines[i] += describe_twins(twins, subject, key)
    return lines


def _list_used_names(project: Project, column: str) -> Iterator[str]:
    """Yield the names that keys of the config use, in the column of a log."""
    features = project.features
    for source in project.sources.events:
        mapped = getattr(source, column)
        yield from (mapped.constant,) if isinstance(mapped, Constant) else ()
    if column == "channel":
        yield from features.offline
        return
    yield from (*features.stages, *features.outbound, *features.ends, *features.exclude)
    for target in project.targets.values():
        for names in target.event_names.values():
            yield from names


def _count_texts(chunk: pa.Array) -> dict[str, int]:
    if pa.types.is_dictionary(chunk.type):
        codes = chunk.indices.drop_null().to_numpy()
        rows = np.bincount(codes, minlength=len(chunk.dictionary)).tolist()
        counts = Counter[str]()
        # A dictionary of a file may list a text twice.
        for name, count in zip(chunk.dictionary.to_pylist(), rows, strict=True):
            if count:
                counts[name] += count
        return counts
    return {row["values"]: row["counts"] for row in pc.value_counts(chunk.drop_null()).to_pylist()}
