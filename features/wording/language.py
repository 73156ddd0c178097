"""Numbers, durations, nouns and sentences of one language, read from its YAML file here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from gettext import c2py
from pathlib import Path
from typing import Any, Self

import yaml

from configs.durations import format_duration
from configs.errors import ConfigError

LANGUAGE_FOLDER = Path(__file__).parent
UNIT_NAMES = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
# The loader in C, where PyYAML has it, is eight times as fast.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Language:
    """Contents of a language file.

    Attributes:
        code: the file's name, such as ``en``.
        plural: gettext expression that gives the form of a noun for a whole number.
        fraction: the form of a noun for a fraction.
        numbers: decimal and grouping characters, and templates of per cent and "more than".
        lengths: forms of each unit of time.
        within: phrases of time windows.
        whose: phrases of a feature's scope.
        among: phrases of the place in which something happened, by scope.
        nouns: forms of the nouns of each kind of subject.
        values: names of category values.
        sentences: templates of each meaning.
        parts: templates of the events of each type behind a value.
        beside: the nouns as they stand after "with", where that is none of their forms.
    """

    code: str
    plural: str
    fraction: int
    numbers: Mapping[str, str]
    lengths: Mapping[str, Any]
    within: Mapping[str, Any]
    whose: Mapping[str, str]
    among: Mapping[str, str]
    nouns: Mapping[str, list[str]]
    values: Mapping[str, str]
    sentences: Mapping[str, Mapping[str, str]]
    parts: Mapping[str, str]
    beside: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, code: str) -> Self:
        """Return a language; raise ConfigError if it has no file."""
        if code not in list_languages():
            raise ConfigError(
                "no such language",
                where="publish.language",
                found=f"{code!r}, there are {', '.join(list_languages())}",
                fix="name one of them, or add a file to features/wording",
            )
        return cls(code, **_read_file(code))

    @cached_property
    def _plural_rule(self) -> Callable[[int], int]:
        return c2py(self.plural)

    @property
    def form_count(self) -> int:
        """Return the number of forms that a noun has."""
        return len(self.nouns["any"])

    def form_of(self, value: float) -> int:
        """Return the position of the noun form for a number as it is written."""
        return self._plural_rule(abs(int(value))) if value == round(value) else self.fraction

    def number(self, value: float, style: str) -> str:
        """Format a number by Python's ``style``, such as ``,.2f``, in the language's way."""
        text = format(value, style)
        if self.numbers["decimal"] == ".":
            return text
        # In one pass, since a language may use the comma for what the point is in Python.
        return text.translate({ord(","): self.numbers["group"], ord("."): self.numbers["decimal"]})

    def percent(self, share: float) -> str:
        """Return a share in whole per cent; only none is 0 and only all is 100."""
        # 99.7 % rounds to 100 %, which would read as all of them.
        bounded = share if share in (0, 1) else min(max(share, 0.01), 0.99)
        return self.numbers["percent"].replace("{n}", f"{100 * bounded:.0f}")

    def days(self, days: float) -> str:
        """Return days as text, in whole days, or in hours below one day."""
        size, sign = abs(days), "-" if days < 0 else ""
        number, unit = round_length(size)
        return sign + (self.length(number, unit) if number else self.lengths["moment"])

    def length(self, number: int, unit: str) -> str:
        """Return a number of units as a length of time: ``7 days``."""
        return str(self.lengths[unit][self.form_of(number)]).replace(
            "{n}", self.number(number, ",d")
        )

    def duration(self, span: timedelta | None) -> str:
        """Return a configured length of time: ``7 days``; empty for None."""
        return self.length(*_split_duration(span)) if span else ""

    def window(self, span: timedelta | None) -> str:
        """Return a window in words: ``in the last 7 days``; None is all of history."""
        if span is None:
            return str(self.within["always"])
        number, unit = _split_duration(span)
        # One unit has a phrase without a number: "in the last day".
        alone, *forms = self.within[unit]
        return str(alone if number == 1 else forms[self.form_of(number)]).replace(
            "{n}", self.number(number, ",d")
        )


def list_languages() -> list[str]:
    """Return the codes of the available languages."""
    return sorted(path.stem for path in LANGUAGE_FOLDER.glob("*.yaml"))


@cache
def _read_file(code: str) -> dict[str, Any]:
    """Return the contents of a language's file, which is read once."""
    return read_word_file(LANGUAGE_FOLDER / f"{code}.yaml")


def round_length(days: float) -> tuple[int, str]:
    """Return a length as (number, unit): whole days, or whole hours below one day."""
    hours = round(days * 24)
    # Compared after rounding, so that 23.7 hours are a day and not 24 hours.
    return (hours, "hour") if hours < 24 else (round(days), "day")


def humanize_name(name: str) -> str:
    """Return a name as words: ``page_view`` is "page view"."""
    return re.sub(r"_+", " ", name).strip() or name


def _split_duration(span: timedelta) -> tuple[int, str]:
    label = format_duration(span)
    return round(float(label[:-1])), UNIT_NAMES[label[-1]]


def read_word_file(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file of texts that belongs to the program."""
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER))  # a safe loader
