"""Every feature, declared once: its name, what it is, its unit, its wording for people, and when it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from configs.durations import duration_label, parse_duration
from configs.schema import Project
from features.contracts import Dataset
from features.meaning import Meaning

MOST_TYPES = 60
"""Rarer event types and channels beyond this many have no features of their own; “any” counts them still."""

TYPE, CHANNEL = "type:", "channel:"
"""What a subject's name starts with, so that an event type and a channel of one name stay apart."""

Scope = Literal["entity", "account", "lead"]


@dataclass(frozen=True)
class Feature:
    """One column of the feature matrix.

    ``scope`` says whose history is read: the entity's events, those of all entities of its account, or the lead row
    itself. ``span`` is the window or half-life, None for all of history or where there is none.
    """

    name: str
    aggregate: str
    meaning: Meaning
    scope: Scope = "entity"
    subject: str = "any"
    span: timedelta | None = None
    category: bool = False

    @property
    def availability(self) -> str:
        """Say when the feature's inputs are known."""
        if self.aggregate == "attribute":
            return "the value the leads source shows today; it may have been filled later than the cutoff"
        return "rows with available_at before the cutoff"


@dataclass(frozen=True)
class Catalog:
    """What a data set offers, frozen with a model: from it the same features follow in training and in scoring.

    ``valued`` are the event types that carry amounts, ``attributes`` pairs of column name and “number” or “category”.
    """

    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    valued: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    windows: tuple[timedelta, ...] = ()
    half_lives: tuple[timedelta, ...] = ()
    accounts: bool = False
    timed: bool = True

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """All features, in the order of the matrix's columns."""
        found = [*self._history(), *self._group(), *self._journey()] if self.timed and self.types else []
        if self.timed:
            found.append(_created_age())
        return (*found, *(_attribute(name, kind) for name, kind in self.attributes))

    @cached_property
    def slugs(self) -> dict[str, str]:
        """Name of each subject inside feature names, a channel's with ``_channel``; no two alike."""
        taken = {"any": "any"}
        for subject in self.subjects[1:]:
            text = (
                subject.removeprefix(TYPE) if subject.startswith(TYPE) else f"{subject.removeprefix(CHANNEL)}_channel"
            )
            slug = re.sub(r"\W+", "_", text.lower()).strip("_") or "unnamed"
            while slug in taken.values():
                slug += "_"
            taken[subject] = slug
        return taken

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """What is counted apart: “any”, each event type, each channel, in the order of the kernel's blocks."""
        return ("any", *(TYPE + name for name in self.types), *(CHANNEL + name for name in self.channels))

    def to_json(self) -> dict[str, Any]:
        """Return the catalogue as JSON values."""
        plain = asdict(self)
        for key in ("windows", "half_lives"):
            plain[key] = [duration_label(length) for length in plain[key]]
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        known: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()}
        known["attributes"] = tuple((name, kind) for name, kind in plain["attributes"])
        for key in ("windows", "half_lives"):
            known[key] = tuple(parse_duration(text) for text in plain[key])
        return cls(**known)

    def _history(self) -> Iterator[Feature]:
        for subject in self.subjects:
            yield from self._spanned("count", "count", subject, "entity")
            yield self._plain("age", subject, "days")
            if not subject.startswith(CHANNEL):
                yield from self._decays(subject, "entity")
        for subject in (*(TYPE + name for name in self.valued), *(["any"] if self.valued else [])):
            yield from self._spanned("total", "sum_value", subject, "entity")
        yield self._plain("first", "any", "days")
        yield from self._spanned("kinds", "distinct_type", "any", "entity")
        if self.channels:
            yield from self._spanned("ways", "distinct_channel", "any", "entity")
        yield from self._spanned("active_days", "days_active", "any", "entity")

    def _group(self) -> Iterator[Feature]:
        if not self.accounts:
            return
        for subject in self.subjects[: 1 + len(self.types)]:
            yield from self._spanned("count", "count", subject, "account")
            yield self._plain("age", subject, "days", "account")
        yield from self._decays("any", "account")
        yield from self._spanned("people", "people", "any", "account")

    def _journey(self) -> Iterator[Feature]:
        if not self.stages:
            return
        words = Meaning("stage", "stage", "category", "stage is {value}", "no stage reached yet")
        yield Feature("stage_now", "stage_now", words, category=True)
        yield Feature("stage_age", "stage_age", Meaning("stage", "time in stage", "days", "{value} in this stage", ""))

    def _spanned(self, aggregate: str, of: str, subject: str, scope: Scope) -> Iterator[Feature]:
        """Declare one feature for each window and one for all of history."""
        for span in (*self.windows, None):
            label = duration_label(span) if span else "all"
            what, present, absent = _wording(
                aggregate, subject, scope, f"in the last {spelled(span)}" if span else "so far"
            )
            unit: Literal["amount", "count"] = "amount" if aggregate == "total" else "count"
            meaning = Meaning(f"{scope}.{subject}", what, unit, present, absent)
            yield Feature(
                f"{_prefix(scope)}{self.slugs[subject]}_{of}_{label}",
                aggregate,
                meaning,
                scope,
                subject,
                span,
            )

    def _plain(self, aggregate: str, subject: str, unit: Literal["days"], scope: Scope = "entity") -> Feature:
        edge = "last" if aggregate == "age" else "first"
        name = f"{_prefix(scope)}{self.slugs[subject]}_{'age' if aggregate == 'age' else 'first_age'}"
        noun = _noun(subject, scope, "")
        meaning = Meaning(
            f"{scope}.{subject}",
            f"time since {edge} {noun}",
            unit,
            f"{edge} {_template(noun)} {{value}} ago",
            f"no {noun} yet",
        )
        return Feature(name, aggregate, meaning, scope, subject)

    def _decays(self, subject: str, scope: Scope) -> Iterator[Feature]:
        for half_life in self.half_lives:
            noun = _noun(subject, scope)
            words = f"{{value}} {_template(noun)} lately (older ones fade, by half every {spelled(half_life)})"
            meaning = Meaning(
                f"{scope}.{subject}", f"recent {noun}", "number", words, f"no recent {noun}", speaks=False
            )
            name = f"{_prefix(scope)}{self.slugs[subject]}_decay_{duration_label(half_life)}"
            yield Feature(name, "decay", meaning, scope, subject, half_life)


def catalog_of(project: Project, dataset: Dataset, hidden: frozenset[str] | set[str] = frozenset()) -> Catalog:
    """Return the catalogue of a data set as it is known, less what the config excludes and the ``hidden`` columns."""
    out = {*project.features.exclude, *hidden}
    types = _most_frequent(dataset.events["event_type"], out)
    with_value = dataset.events.filter(pc.is_valid(dataset.events["value"]))["event_type"]
    accounts = dataset.leads["account_id"].drop_null()
    return Catalog(
        types=types,
        channels=_most_frequent(dataset.events["channel"], out),
        valued=tuple(sorted(set(types) & set(pc.unique(with_value).to_pylist()))),
        stages=tuple(stage for stage in project.features.stages if stage not in out),
        attributes=tuple(
            (name, "number" if pa.types.is_floating(dataset.leads[name].type) else "category")
            for name in dataset.attributes
            if name not in out
        ),
        windows=tuple(sorted(project.features.windows)),
        half_lives=tuple(sorted(project.features.half_lives)),
        accounts=len(pc.unique(accounts)) < len(accounts),
        timed=dataset.timed,
    )


def spelled(span: timedelta) -> str:
    """Return a duration in the words that follow “last” or “every”: ``7 days``, ``day``, ``12 hours``."""
    label = duration_label(span)
    unit = {"d": "day", "h": "hour", "m": "minute", "s": "second"}[label[-1]]
    return unit if label[:-1] == "1" else f"{label[:-1]} {unit}s"


def _most_frequent(column: pa.ChunkedArray, out: set[str]) -> tuple[str, ...]:
    counts = [(-row["counts"], row["values"]) for row in pc.value_counts(column.drop_null()).to_pylist()]
    return tuple(sorted(name for _, name in sorted(counts)[:MOST_TYPES] if name not in out))


def _prefix(scope: Scope) -> str:
    return "account_" if scope == "account" else ""


def _noun(subject: str, scope: Scope, ending: str = "s") -> str:
    kind, _, name = subject.partition(":")
    noun = {"any": "event", "channel": f"{name} event", "type": f"“{name}” event"}[kind]
    return noun + ending + (" of the account" if scope == "account" else "")


def _template(text: str) -> str:
    """Return a text with its braces doubled, as part of a sentence that is a template."""
    return text.replace("{", "{{").replace("}", "}}")


def _wording(aggregate: str, subject: str, scope: Scope, when: str) -> tuple[str, str, str]:
    """Return what a spanned feature is, its sentence where it is above zero, and where it is zero."""
    what = {
        "count": _noun(subject, scope),
        "total": f"total value of {_noun(subject, scope)}",
        "kinds": "different kinds of events",
        "ways": "different channels",
        "active_days": "active days",
        "people": "active people of the account",
    }[aggregate]
    one = {
        "count": _template(_noun(subject, scope, "\0")).replace("\0", "{s}"),
        "ways": "different channel{s}",
        "active_days": "active day{s}",
    }.get(aggregate)
    present = f"{{value}} {one} {when}" if one else f"{_template(what)} {when}: {{value}}"
    return f"{what} {when}", present, f"no {what} {when}"


def _created_age() -> Feature:
    return Feature(
        "created_age",
        "created_age",
        Meaning("created", "age of the lead", "days", "created {value} ago", ""),
        "lead",
    )


def _attribute(name: str, kind: str) -> Feature:
    unit: Literal["number", "category"] = "number" if kind == "number" else "category"
    words = name.replace("{", "{{").replace("}", "}}")
    meaning = Meaning(f"attribute.{name}", name, unit, f"{words} is {{value}}", f"{words} is not known")
    return Feature(name, "attribute", meaning, "lead", name, category=kind == "category")
