"""Sentences: what a feature's value says in one language, with a company's own nouns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import isfinite
from typing import Any, Self

from configs.errors import ConfigError
from configs.schema import Project
from features.definitions.feature import TYPE
from features.definitions.semantics import Meaning
from features.wording.language import Language, readable

Forms = tuple[str, ...]
FORMS = ("some", "little", "none")
"""The sentences of a meaning: for a value, for one that is low or long ago, and where it is 0 or missing."""

MOST_PAUSES = 100.0
"""A silence is told as so many of the usual pauses at most."""


@dataclass(frozen=True)
class Wording:
    """A language and a company's own words: of an event type, channel, stage or attribute, or of a category's value.

    ``own`` holds the forms of each, as many as a noun has in the language, or one for all. A key may say which it
    means: ``type:email`` and ``channel:email``.
    ``ends`` are the event types that give a lead up: having them is never told as something good.
    """

    language: Language
    own: Mapping[str, Forms] = field(default_factory=dict)
    ends: frozenset[str] = frozenset()

    @classmethod
    def of(cls, language: str, own: Mapping[str, str | Forms] | None = None) -> Self:
        """Read a language; raises ConfigError if there is none, or if a word's forms are not as many as its nouns'."""
        known = Language.load(language)
        words = {
            key: (forms,) if isinstance(forms, str) else tuple(forms)
            for key, forms in (own or {}).items()
        }
        for key, forms in words.items():
            if len(forms) not in (1, known.forms):
                nouns = ", ".join(known.nouns["any"])
                raise ConfigError(
                    f"a word has {known.forms} forms in this language",
                    where=f"words.{key}",
                    found=f"{len(forms)}: {', '.join(forms)}",
                    fix=f"give {known.forms}, as of “{nouns}”, or one for all",
                )
        return cls(known, words)

    def what(self, meaning: Meaning) -> str:
        """Return what a feature is, as a noun phrase."""
        return self._sentence(meaning, "what")(0.0)

    def sentence(self, meaning: Meaning, value: float | str | None, little: bool = False) -> str:
        """Return what a value says; None or a number that is not finite is a missing value.

        ``little`` asks for the words of a value that is low, or of a time that is long.
        """
        known = None if isinstance(value, float) and not isfinite(value) else value
        return self.wording(meaning, little)(known)

    def wording(self, meaning: Meaning, little: bool = False) -> Callable[[Any], str]:
        """Return what words a known value or None: the templates are read once for all values of a feature."""
        some, less, none = (self._sentence(meaning, form) for form in FORMS)

        def worded(value: Any) -> str:
            if is_none(value, meaning):
                return none(0.0)
            if meaning.unit == "change":
                return (some if value > 0 else less)(abs(value))
            return (less if little else some)(_told(value, meaning))

        return worded

    def noun(self, subject: str) -> Forms:
        """Return the forms of an event type, channel or group of them, as a Feature's subject names it."""
        kind, _, name = subject.partition(":")
        for key in (subject, name or kind):
            if key in self.own:
                return self.own[key] * (self.language.forms if len(self.own[key]) == 1 else 1)
        forms = self.language.nouns[name if kind == "group" else kind]
        return tuple(form.replace("{name}", readable(name)) for form in forms)

    def name(self, name: str, kind: str = "") -> str:
        """Return a stage's, an attribute's or a value's name in words."""
        return self.own.get(f"{kind}{name}", self.own.get(name, (readable(name),)))[0]

    def _sentence(self, meaning: Meaning, form: str) -> Callable[[Any], str]:
        texts = self.language.sentences[meaning.key]
        template = texts.get(form, texts["some"])
        return _filled(template, self._still(meaning), self._moving(meaning), self.language.form)

    def _still(self, meaning: Meaning) -> dict[str, str]:
        """Return what a template's fields are filled with whatever the value is."""
        forms = self.noun(meaning.subject) if meaning.scope != "lead" else ("",)
        return {
            "one": forms[0],
            "many": forms[-1],
            "when": self.language.window(meaning.span),
            "every": self.language.spelled(meaning.span),
            "whose": self.language.whose[meaning.scope],
            "among": self.language.among.get(meaning.scope, ""),
            "beside": self._beside(meaning, forms[-1]),
            "name": self.name(meaning.name, TYPE if meaning.scope != "lead" else ""),
        }

    def _beside(self, meaning: Meaning, many: str) -> str:
        """Return the noun as it stands after “with”; a company's own has no such form, and stands as a name."""
        kind, _, name = meaning.subject.partition(":")
        key = name if kind == "group" else kind
        if meaning.scope == "lead" or key not in self.language.beside:
            return many
        if meaning.subject in self.own or (name or kind) in self.own:
            return self.language.beside["type"].replace("{name}", self.noun(meaning.subject)[0])
        return self.language.beside[key].replace("{name}", readable(name))

    def _moving(self, meaning: Meaning) -> dict[str, Callable[[Any], str]]:
        """Return how the fields that change with the value are written."""
        form, forms = (
            self.language.form,
            self.noun(meaning.subject) if meaning.scope != "lead" else ("",),
        )
        return {
            "n": lambda value: self._written(value, meaning),
            "counted": lambda value: forms[form(_rounded(value))],
        }

    def _written(self, value: float | str, meaning: Meaning) -> str:
        if isinstance(value, str):
            if value in self.language.values and meaning.key == "origin":
                return self.language.values[value]
            kind = {"last_channel": "channel:", "first_channel": "channel:"}.get(meaning.key, TYPE)
            return self.own_value(value, kind, as_is=meaning.scope == "lead")
        if meaning.unit == "days":
            return self.language.days(value)
        if meaning.unit == "share":
            return self.language.percent(value)
        told = self.language.number(*_style(value, meaning.unit))
        return (
            self.language.numbers["more"].replace("{n}", told) if _endless(value, meaning) else told
        )

    def own_value(self, value: str, kind: str, as_is: bool) -> str:
        """Return a category's value in the company's words; an attribute's own stays ``as_is`` without them."""
        return value if as_is and value not in self.own else self.name(value, kind)


def wording_of(project: Project) -> Wording:
    """Return the words of a project's reasons; raises ConfigError as ``Wording.of`` does."""
    targets = project.targets.values()
    ends = {
        *project.features.ends,
        *(name for target in targets for name in target.population.until),
    }
    ends -= {name for target in targets for name in target.outcome_types}
    return replace(Wording.of(project.publish.language, project.words), ends=frozenset(ends))


def is_none(value: float | str | None, meaning: Meaning) -> bool:
    """Say whether a value tells that there is nothing: missing, or no event at all."""
    return value is None or (meaning.unit in ("count", "change") and value == 0)


@cache
def english() -> Wording:
    """Return the words of the screens and reports."""
    return Wording.of("en")


def _told(value: Any, meaning: Meaning) -> Any:
    """Return a value as exact as it is told: how many pauses long a silence is, in two digits or whole."""
    if meaning.key != "silence":
        return value
    if _endless(value, meaning):
        return MOST_PAUSES
    return float(round(value)) if abs(value) >= 10 else float(f"{value:.2g}")


def _endless(value: float, meaning: Meaning) -> bool:
    """Say whether a silence is so many pauses long that their number says nothing: the pauses were of minutes."""
    return meaning.key == "silence" and value >= MOST_PAUSES


def _rounded(value: float) -> float:
    return round(value) if isinstance(value, float | int) else 0


def _style(value: float, unit: str) -> tuple[float, str]:
    """Return a number and Python's format for it, by its unit."""
    if unit in ("count", "change"):
        return round(value), ",d"
    if unit == "amount":
        return value, ",.0f" if value == round(value) or abs(value) >= 1000 else ",.2f"
    if value == round(value):
        return value, ",.0f"
    return float(f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"), ",.15g"


def _filled(
    template: str,
    still: Mapping[str, str],
    moving: Mapping[str, Callable[[Any], str]],
    form: Callable[[float], int],
) -> Callable[[Any], str]:
    """Return what fills a template: fields that do not change are filled now, the others with each value."""
    parts = list[str | Callable[[Any], str]]()
    for place, text in enumerate(re.split(r"\{([^{}]*)\}", template)):
        if place % 2 == 0 or text in still:
            parts.append(text if place % 2 == 0 else still[text])
        else:
            parts.append(moving[text] if text in moving else _choice(text.split("|"), form))
    if all(isinstance(part, str) for part in parts):
        whole = "".join(map(str, parts))
        return lambda _: whole
    return lambda value: "".join(part if isinstance(part, str) else part(value) for part in parts)


def _choice(words: list[str], form: Callable[[float], int]) -> Callable[[Any], str]:
    return lambda value: words[form(_as_written(value))]


def _as_written(value: float) -> float:
    return float(f"{value:.2f}") if isinstance(value, float) else value
