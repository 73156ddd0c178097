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
from features.definitions.feature import TYPE_PREFIX
from features.definitions.semantics import Meaning
from features.wording.language import Language, humanize_name

NounForms = tuple[str, ...]
SENTENCE_FORMS = ("some", "little", "none")
"""The sentences of a meaning: for a value, for one that is low or long ago, and where it is 0 or missing."""

MAX_PAUSES = 100.0
"""A silence is told as so many of the usual pauses at most."""


@dataclass(frozen=True)
class Wording:
    """A language and a company's own words: of an event type, channel, stage or attribute, or of a category's value.

    ``own`` holds the forms of each, as many as a noun has in the language, or one for all. A key may say which it
    means: ``type:email`` and ``channel:email``.
    ``ends`` are the event types that give a lead up: having them is never told as something good.
    """

    language: Language
    custom_words: Mapping[str, NounForms] = field(default_factory=dict)
    ends: frozenset[str] = frozenset()

    @classmethod
    def load(cls, language: str, own: Mapping[str, str | NounForms] | None = None) -> Self:
        """Read a language; raises ConfigError if there is none, or if a word's forms are not as many as its nouns'."""
        known = Language.load(language)
        words = {
            key: (forms,) if isinstance(forms, str) else tuple(forms)
            for key, forms in (own or {}).items()
        }
        for key, forms in words.items():
            if len(forms) not in (1, known.form_count):
                nouns = ", ".join(known.nouns["any"])
                raise ConfigError(
                    f"a word has {known.form_count} forms in this language",
                    where=f"words.{key}",
                    found=f"{len(forms)}: {', '.join(forms)}",
                    fix=f"give {known.form_count}, as of “{nouns}”, or one for all",
                )
        return cls(known, words)

    def noun_phrase(self, meaning: Meaning) -> str:
        """Return what a feature is, as a noun phrase."""
        return self._compile_sentence(meaning, "what")(0.0)

    def sentence(self, meaning: Meaning, value: float | str | None, little: bool = False) -> str:
        """Return what a value says; None or a number that is not finite is a missing value.

        ``little`` asks for the words of a value that is low, or of a time that is long.
        """
        known = None if isinstance(value, float) and not isfinite(value) else value
        return self.sentence_writer(meaning, little)(known)

    def sentence_writer(self, meaning: Meaning, little: bool = False) -> Callable[[Any], str]:
        """Return what words a known value or None: the templates are read once for all values of a feature."""
        some, less, none = (self._compile_sentence(meaning, form) for form in SENTENCE_FORMS)

        def worded(value: Any) -> str:
            if is_absent(value, meaning):
                return none(0.0)
            if meaning.unit == "change":
                return (some if value > 0 else less)(abs(value))
            return (less if little else some)(_round_for_sentence(value, meaning))

        return worded

    def noun(self, subject: str) -> NounForms:
        """Return the forms of an event type, channel or group of them, as a Feature's subject names it."""
        kind, _, name = subject.partition(":")
        for key in (subject, name or kind):
            if key in self.custom_words:
                return self.custom_words[key] * (self.language.form_count if len(self.custom_words[key]) == 1 else 1)
        forms = self.language.nouns[name if kind == "group" else kind]
        return tuple(form.replace("{name}", humanize_name(name)) for form in forms)

    def name(self, name: str, kind: str = "") -> str:
        """Return a stage's, an attribute's or a value's name in words."""
        return self.custom_words.get(f"{kind}{name}", self.custom_words.get(name, (humanize_name(name),)))[0]

    def _compile_sentence(self, meaning: Meaning, form: str) -> Callable[[Any], str]:
        texts = self.language.sentences[meaning.key]
        template = texts.get(form, texts["some"])
        return _compile_template(template, self._fixed_fields(meaning), self._value_fields(meaning), self.language.form_of)

    def _fixed_fields(self, meaning: Meaning) -> dict[str, str]:
        """Return what a template's fields are filled with whatever the value is."""
        forms = self.noun(meaning.subject) if meaning.scope != "lead" else ("",)
        return {
            "one": forms[0],
            "many": forms[-1],
            "when": self.language.window(meaning.span),
            "every": self.language.duration(meaning.span),
            "whose": self.language.whose[meaning.scope],
            "among": self.language.among.get(meaning.scope, ""),
            "beside": self._noun_after_with(meaning, forms[-1]),
            "name": self.name(meaning.name, TYPE_PREFIX if meaning.scope != "lead" else ""),
        }

    def _noun_after_with(self, meaning: Meaning, many: str) -> str:
        """Return the noun as it stands after “with”; a company's own has no such form, and stands as a name."""
        kind, _, name = meaning.subject.partition(":")
        key = name if kind == "group" else kind
        if meaning.scope == "lead" or key not in self.language.beside:
            return many
        if meaning.subject in self.custom_words or (name or kind) in self.custom_words:
            return self.language.beside["type"].replace("{name}", self.noun(meaning.subject)[0])
        return self.language.beside[key].replace("{name}", humanize_name(name))

    def _value_fields(self, meaning: Meaning) -> dict[str, Callable[[Any], str]]:
        """Return how the fields that change with the value are written."""
        form, forms = (
            self.language.form_of,
            self.noun(meaning.subject) if meaning.scope != "lead" else ("",),
        )
        return {
            "n": lambda value: self._format_value(value, meaning),
            "counted": lambda value: forms[form(_round_count(value))],
        }

    def _format_value(self, value: float | str, meaning: Meaning) -> str:
        if isinstance(value, str):
            if value in self.language.values and meaning.key == "origin":
                return self.language.values[value]
            kind = {"last_channel": "channel:", "first_channel": "channel:"}.get(meaning.key, TYPE_PREFIX)
            return self.category_value(value, kind, as_is=meaning.scope == "lead")
        if meaning.unit == "days":
            return self.language.days(value)
        if meaning.unit == "share":
            return self.language.percent(value)
        told = self.language.number(*_choose_style(value, meaning.unit))
        return (
            self.language.numbers["more"].replace("{n}", told) if _exceeds_max_pauses(value, meaning) else told
        )

    def category_value(self, value: str, kind: str, as_is: bool) -> str:
        """Return a category's value in the company's words; an attribute's own stays ``as_is`` without them."""
        return value if as_is and value not in self.custom_words else self.name(value, kind)


def load_wording(project: Project) -> Wording:
    """Return the words of a project's reasons; raises ConfigError as ``Wording.of`` does."""
    targets = project.targets.values()
    ends = {
        *project.features.ends,
        *(name for target in targets for name in target.population.until),
    }
    ends -= {name for target in targets for name in target.outcome_types}
    return replace(Wording.load(project.publish.language, project.words), ends=frozenset(ends))


def is_absent(value: float | str | None, meaning: Meaning) -> bool:
    """Say whether a value tells that there is nothing: missing, or no event at all."""
    return value is None or (meaning.unit in ("count", "change") and value == 0)


@cache
def load_english() -> Wording:
    """Return the words of the screens and reports."""
    return Wording.load("en")


def _round_for_sentence(value: Any, meaning: Meaning) -> Any:
    """Return a value as exact as it is told: how many pauses long a silence is, in two digits or whole."""
    if meaning.key != "silence":
        return value
    if _exceeds_max_pauses(value, meaning):
        return MAX_PAUSES
    return float(round(value)) if abs(value) >= 10 else float(f"{value:.2g}")


def _exceeds_max_pauses(value: float, meaning: Meaning) -> bool:
    """Say whether a silence is so many pauses long that their number says nothing: the pauses were of minutes."""
    return meaning.key == "silence" and value >= MAX_PAUSES


def _round_count(value: float) -> float:
    return round(value) if isinstance(value, float | int) else 0


def _choose_style(value: float, unit: str) -> tuple[float, str]:
    """Return a number and Python's format for it, by its unit."""
    if unit in ("count", "change"):
        return round(value), ",d"
    if unit == "amount":
        return value, ",.0f" if value == round(value) or abs(value) >= 1000 else ",.2f"
    if value == round(value):
        return value, ",.0f"
    return float(f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"), ",.15g"


def _compile_template(
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
            parts.append(moving[text] if text in moving else _choose_form(text.split("|"), form))
    if all(isinstance(part, str) for part in parts):
        whole = "".join(map(str, parts))
        return lambda _: whole
    return lambda value: "".join(part if isinstance(part, str) else part(value) for part in parts)


def _choose_form(words: list[str], form: Callable[[float], int]) -> Callable[[Any], str]:
    return lambda value: words[form(_round_as_written(value))]


def _round_as_written(value: float) -> float:
    return float(f"{value:.2f}") if isinstance(value, float) else value
