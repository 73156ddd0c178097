"""The contract of a source: rows and values that break a rule, counted with an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from threading import Lock
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.contract import Bound, ColumnRule, Severity, SourceContract
from configs.errors import DataError, join_names
from configs.schema import Project
from configs.source_rows import AttributeRows, NamedRows
from configs.suggestions import did_you_mean
from features.contracts import SourceCount
from features.intake.formats.number_signs import (
    SignChoice,
    SignedNumbers,
    choose_signs,
    list_possible_signs,
    parse_plain_numbers,
)
from features.intake.formats.texts import is_text_column, to_plain_text, to_text
from features.intake.names import clean_values, read_names
from features.intake.reading import RawRows, describe_place
from features.intake.values import parse_instants
from features.readings.columns import MASK
from features.times.time_format import ISO_FORMAT, TimeFormat
from features.tools.distinct_texts import DistinctTexts
from features.tools.duplicates import HASHES, find_duplicate_rows
from features.tools.instants import to_microseconds
from features.tools.row_hash import hash_texts

# Accepted values that a message lists, and characters of the value that it shows.
MAX_ACCEPTED_LISTED, MAX_CHARACTERS = 6, 60
MISSING, ACCEPTED, RANGE, UNIQUE = "missing", "accepted", "range", "unique"


@dataclass
class RuleCounts:
    """Rows that one rule of a column applies to, and those that break it.

    Attributes:
        rows: Rows that the rule applies to.
        breaks: Rows that break it.
        example: Number, place and value of the first of these; None if there is none.
    """

    rows: int = 0
    breaks: int = 0
    example: tuple[int, str, str] | None = None

    def add(self, mask: np.ndarray, raw: RawRows, values: pa.ChunkedArray) -> None:
        """Count the rows of a mask; ``raw`` and ``values`` have the rows that the rule is for."""
        self.rows += len(mask)
        broken = np.flatnonzero(mask)
        if not len(broken):
            return
        self.breaks += len(broken)
        first = int(broken[0])
        nr, value = raw.table["nr"][first].as_py(), to_text(values.slice(first, 1))[0].as_py()
        example = (nr, describe_place(raw.table, first), str(value)[:MAX_CHARACTERS])
        self.example = min(example, self.example or example)


@dataclass
class ContractCheck:
    """Counts what breaks the contract of one source; threads may add pieces of it.

    Attributes:
        project: The config.
        source: The source.
        name: Name of the source, such as ``events_1``.
        rows: Rows of the pieces so far.
        counts: Counts by column, place of the rule in its list, and kind of rule.
        keys: Hashes and places of the values of columns that must be unique.
    """

    project: Project
    source: NamedRows
    name: str
    rows: int = 0
    counts: dict[tuple[str, int, str], RuleCounts] = field(default_factory=dict)
    keys: dict[str, list[pa.Table]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def contract(self) -> SourceContract:
        """Return the rules of the source; without any if the config has none."""
        return self.project.sources.contract.get(self.name, SourceContract())

    @property
    def needed_columns(self) -> dict[str, str]:
        """Return the columns that the rules name, by config key.

        A long history is left out, since its rules may name attributes.
        """
        if isinstance(self.source, AttributeRows) and self.source.attribute:
            return {}
        where = f"sources.contract.{self.name}.columns"
        return {f"{where}.{name}": name for name in self.contract.columns}

    def add(self, raw: RawRows, choice: SignChoice | None = None) -> None:
        """Count the readable rows of a piece; ``choice`` is how an event's value is read."""
        with self.lock:
            self.rows += len(raw.table)
        if not self.contract.columns:
            return
        raw = raw.filter_rows(~raw.unreadable_rows().to_numpy())
        for name, rules in self.contract.columns.items():
            part, column = self._select_rows(raw, name)
            values = clean_values(part, column, self.source)
            signs = choice if column == getattr(self.source, "value", None) else None
            for place, rule in enumerate(rules):
                self._count_rule((name, place), rule, part, values, signs)

    def list_breaches(self) -> Iterator[tuple[Severity, str]]:
        """Yield severity and description of each broken rule, in the order of the config."""
        total = self.contract.rows
        if total and not total.allows(self.rows):
            yield total.severity, f"{self.name}: {self.rows:,} rows ({total.describe()})"
        for name, rules in self.contract.columns.items():
            for place, rule in enumerate(rules):
                for kind in (MISSING, ACCEPTED, RANGE, UNIQUE):
                    counts = self.counts.get((name, place, kind), RuleCounts())
                    counts = self._count_repeated(name) if _is_unique(rule, kind) else counts
                    if text := _describe_breach(kind, rule, counts, self._hides(name)):
                        yield rule.severity, f"{self.name}.{name}: {text}"

    def _select_rows(self, raw: RawRows, name: str) -> tuple[RawRows, str]:
        """Return the rows and the column of a rule, which may name an attribute of a history."""
        source = self.source
        where = f"sources.contract.{self.name}.columns"
        if name in raw.names or not isinstance(source, AttributeRows) or not source.attribute:
            raw.column(name, where)
            return raw, name
        names = read_names(raw, source.attribute, source)
        known = [*source.only, *pc.unique(names.drop_null()).to_pylist()]
        if name not in known:
            raise DataError(
                "no such column or attribute",
                where=f"{self.project.path}: {where}",
                found=f"{name!r}; the attributes are {join_names(sorted(set(known)), 20)}",
                fix=did_you_mean(name, [*raw.names, *known]) or "correct the name",
            )
        own = pc.fill_null(pc.equal(names, name), False).to_numpy(zero_copy_only=False)
        return raw.filter_rows(own), source.value or ""

    def _count_rule(
        self,
        key: tuple[str, int],
        rule: ColumnRule,
        raw: RawRows,
        values: pa.ChunkedArray,
        signs: SignChoice | None,
    ) -> None:
        """Count the rows of a piece that break each part of a rule."""
        filled = values.is_valid().to_numpy()
        checked: dict[str, tuple[np.ndarray, RawRows, pa.ChunkedArray]] = {}
        if rule.max_missing is not None:
            checked[MISSING] = ~filled, raw, values
        raw, values = raw.filter_rows(filled), values.filter(pa.array(filled))
        if rule.accepted is not None:
            accepted = pa.array(rule.accepted, pa.string())
            known = pc.is_in(to_plain_text(to_text(values)), value_set=accepted)
            checked[ACCEPTED] = ~known.to_numpy(), raw, values
        if rule.min is not None or rule.max is not None:
            form = raw.time_formats.get(key[0], ISO_FORMAT)
            checked[RANGE] = self._find_outside(rule, values, signs, form), raw, values
        with self.lock:
            for kind, (mask, rows, cells) in checked.items():
                self.counts.setdefault((*key, kind), RuleCounts()).add(mask, rows, cells)
            if rule.unique:
                self.keys.setdefault(key[0], []).append(_hash_values(raw, values))

    def _find_outside(
        self,
        rule: ColumnRule,
        values: pa.ChunkedArray,
        signs: SignChoice | None,
        form: TimeFormat,
    ) -> np.ndarray:
        """Return a mask of the values that lie outside a range, or are of another kind."""
        if rule.bounds_dates:
            instants, _ = parse_instants(values, self.project.zone, form)
            cells = pc.fill_null(instants.cast(pa.int64()), np.iinfo(np.int64).min).to_numpy()
            lowest, highest = (
                _to_instant(bound, self.project.zone, last)
                for bound, last in ((rule.min, False), (rule.max, True))
            )
            outside = instants.is_null().to_numpy(zero_copy_only=False)
            outside = outside | (cells < lowest if lowest is not None else False)
            return outside | (cells > highest if highest is not None else False)
        numbers = self._read_numbers(values, signs)
        # A comparison with NaN is false, so a text that is no number lies outside.
        inside = ~np.isnan(numbers)
        inside &= numbers >= rule.min if rule.min is not None else inside
        inside &= numbers <= rule.max if rule.max is not None else inside
        return ~inside

    def _read_numbers(self, values: pa.ChunkedArray, signs: SignChoice | None) -> np.ndarray:
        """Return values as numbers, NaN for others; the signs are chosen as for attributes."""
        if not is_text_column(values):
            return pc.fill_null(parse_plain_numbers(values), np.nan).to_numpy()
        distinct = DistinctTexts.from_column(to_plain_text(to_text(values)))
        possible = list_possible_signs(self.source)
        numbers = SignedNumbers.from_texts(distinct.texts, possible)
        limit = self.project.sources.max_unreadable_cells
        choice = signs or choose_signs(numbers.count(distinct.counts), possible, limit)
        return numbers.resolve(choice)[distinct.indices.to_numpy()]

    def _count_repeated(self, name: str) -> RuleCounts:
        """Return the rows whose value an earlier row has."""
        pieces = [piece for piece in self.keys.get(name, []) if len(piece)]
        pieces.sort(key=lambda piece: piece["nr"][0].as_py())
        if not pieces:
            return RuleCounts()
        table = pa.concat_tables(pieces, promote_options="permissive")
        again = find_duplicate_rows(table.select(HASHES.names))
        if not len(again):
            return RuleCounts(len(table))
        first = int(again[0])
        example = (table["nr"][first].as_py(), describe_place(table, first), MASK)
        return RuleCounts(len(table), len(again), example)

    def _hides(self, name: str) -> bool:
        personal = self.project.privacy.personal
        return name in personal or getattr(self.source, "value", None) in personal


def note_breaches(count: SourceCount, check: ContractCheck) -> SourceCount:
    """Return the counts of a source with the broken rules of its contract."""
    lines = {"warn": list(count.warnings), "stop": list(count.breaches)}
    for severity, text in check.list_breaches():
        lines[severity].append(f"{check.source.label}: contract of {text}")
    return replace(count, warnings=tuple(lines["warn"]), breaches=tuple(lines["stop"]))


def _describe_breach(kind: str, rule: ColumnRule, counts: RuleCounts, hidden: bool) -> str:
    """Return the description of a broken rule; "" if it is kept."""
    if counts.example is None:
        return ""
    rows, (_, place, value) = f"{counts.breaks:,} of {counts.rows:,}", counts.example
    if kind == MISSING:
        limit = rule.max_missing or 0.0
        if counts.breaks <= limit * counts.rows:
            return ""
        return f"{rows} rows have no value, the first in {place} (max_missing: {limit:g})"
    if kind == UNIQUE:
        return f"{rows} values repeat that of an earlier row, the first in {place} (unique)"
    example = f"such as {MASK if hidden else repr(value)} in {place}"
    if kind == ACCEPTED:
        listed = join_names([repr(text) for text in rule.accepted or ()], MAX_ACCEPTED_LISTED)
        return f"{rows} values are not accepted, {example} (accepted: {listed})"
    kind = "dates" if rule.bounds_dates else "numbers"
    bounds = {"min": rule.min, "max": rule.max}
    limits = ", ".join(f"{key}: {_write_bound(n)}" for key, n in bounds.items() if n is not None)
    return f"{rows} values are no {kind} in the range, {example} ({limits})"


def _is_unique(rule: ColumnRule, kind: str) -> bool:
    return kind == UNIQUE and rule.unique


def _hash_values(raw: RawRows, values: pa.ChunkedArray) -> pa.Table:
    """Return hash and place of each value, one row a value."""
    hashes = hash_texts(to_plain_text(to_text(values)))
    halves = {name: hashes[:, i].copy() for i, name in enumerate(HASHES.names)}
    places = {name: raw.table[name] for name in ("nr", "row")}
    return pa.table(halves | places | {"file": raw.table["file"].cast(pa.string())})


def _to_instant(bound: Bound | None, zone: ZoneInfo, last: bool) -> int | None:
    """Return a bound in microseconds; of a date as ``last`` the end of the day."""
    if bound is None or isinstance(bound, float):
        return None
    if isinstance(bound, datetime):
        return to_microseconds(bound if bound.tzinfo else bound.replace(tzinfo=zone))
    day = bound + timedelta(days=1) if last else bound
    return to_microseconds(datetime.combine(day, time.min, zone)) - int(last)


def _write_bound(bound: Bound) -> str:
    return f"{bound:.15g}" if isinstance(bound, float) else bound.isoformat()
