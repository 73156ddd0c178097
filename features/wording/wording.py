"""Sentences for feature values, in one language and with a company's own nouns."""

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

# Templates of a meaning: for a value, for one that is low or long ago, and for 0 or missing.
SENTENCE_FORMS = ("some", "little", "none")

# A silence is expressed in typical gaps, up to this many: beyond it the gaps were of minutes, and
# their number says nothing.
MAX_PAUSES = 100.0


@dataclass(frozen=True)
class Wording:
    """A language, with a company's own words for names and values.

    Attributes:
        language: the language of the sentences.
        custom_words: own words for an event type, channel, stage, attribute or category value: as
            many forms as a noun has in the language, or one for all. A key may say which of them it
            means: ``type:email`` and ``channel:email``.
        ends: event types that close a lead; they are never presented as good news.
        only_type: the event type of all events, whose noun then stands for any event; else empty.
    """

    language: Language
    custom_words: Mapping[str, NounForms] = field(default_factory=dict)
    ends: frozenset[str] = frozenset()
    only_type: str = ""

    @classmethod
    def load(cls, language: str, own: Mapping[str, str | NounForms] | None = None) -> Self:
        """Read a language and check the own words against it.

        Raises ConfigError if there is no such language, or if a word has not as many forms as the
        language's nouns.
        """
        loaded = Language.load(language)
        words = {
            key: (forms,) if isinstance(forms, str) else tuple(forms)
            for key, forms in (own or {}).items()
        }
        for key, forms in words.items():
            if len(forms) not in (1, loaded.form_count):
                nouns = ", ".join(loaded.nouns["any"])
                raise ConfigError(
                    f"a word has {loaded.form_count} forms in this language",
                    where=f"words.{key}",
                    found=f"{len(forms)}: {', '.join(forms)}",
                    fix=f"give {loaded.form_count}, as of “{nouns}”, or one for all",
                )
        return cls(loaded, words)

    def noun_phrase(self, meaning: Meaning) -> str:
        """Return what a feature measures, as a noun phrase."""
        return self._compile_sentence(meaning, "what")(0.0)

    def sentence(self, meaning: Meaning, value: float | str | None, little: bool = False) -> str:
        """Return the sentence for a value; None or a number that is not finite is missing.

        ``little`` asks for the words of a value that is low, or of a time that is long.
        """
        present = None if isinstance(value, float) and not isfinite(value) else value
        return self.sentence_writer(meaning, little)(present)

    def sentence_writer(self, meaning: Meaning, little: bool = False) -> Callable[[Any], str]:
        """Return a function from a value or None to its sentence.

        The templates are compiled once for all values of a feature.
        """
        some, less, none = (self._compile_sentence(meaning, form) for form in SENTENCE_FORMS)

        def write_sentence(value: Any) -> str:
            if is_absent(value, meaning):
                return none(0.0)
            if meaning.unit == "change":
                return (some if value > 0 else less)(abs(value))
            return (less if little else some)(_round_for_sentence(value, meaning))

        return write_sentence

    def noun(self, subject: str) -> NounForms:
        """Return the noun forms of a Feature's subject: a type, a channel or a group of them."""
        kind, _, name = subject.partition(":")
        for key in _list_word_keys(subject):
            if key in self.custom_words:
                return self.custom_words[key] * (
                    self.language.form_count if len(self.custom_words[key]) == 1 else 1
                )
        forms = self.language.nouns[name if kind == "group" else kind]
        return tuple(form.replace("{name}", humanize_name(name)) for form in forms)

    def has_own_words(self, subject: str) -> bool:
        """Return whether the company has words of its own for a Feature's subject."""
        return any(key in self.custom_words for key in _list_word_keys(subject))

    def name(self, name: str, kind: str = "") -> str:
        """Return the name of a stage, an attribute or a category value in words."""
        return self.custom_words.get(
            f"{kind}{name}", self.custom_words.get(name, (humanize_name(name),))
        )[0]

    def _compile_sentence(self, meaning: Meaning, form: str) -> Callable[[Any], str]:
        if self.only_type and meaning.subject == "any" and meaning.scope != "lead":
            meaning = replace(meaning, subject=TYPE_PREFIX + self.only_type)
        texts = self.language.sentences[meaning.key]
        template = texts.get(form, texts["some"])
        return compile_template(
            template,
            self._fixed_fields(meaning),
            self._value_fields(meaning),
            self.language.form_of,
        )

    def _fixed_fields(self, meaning: Meaning) -> dict[str, str]:
        """Return the fields of a template that do not depend on the value."""
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
        """Return the noun as it stands after "with"; own words are used as a name instead."""
        kind, _, name = meaning.subject.partition(":")
        key = name if kind == "group" else kind
        if meaning.scope == "lead" or key not in self.language.beside:
            return many
        if self.has_own_words(meaning.subject):
            return self.language.beside["type"].replace("{name}", self.noun(meaning.subject)[0])
        return self.language.beside[key].replace("{name}", humanize_name(name))

    def _value_fields(self, meaning: Meaning) -> dict[str, Callable[[Any], str]]:
        """Return the functions that write the fields that depend on the value."""
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
            kind = {"last_channel": "channel:", "first_channel": "channel:"}.get(
                meaning.key, TYPE_PREFIX
            )
            return self.category_value(value, kind, as_is=meaning.scope == "lead")
        if meaning.unit == "days":
            return self.language.days(value)
        if meaning.unit == "share":
            return self.language.percent(value)
        number = self.language.number(*_choose_style(value, meaning.unit))
        return (
            self.language.numbers["more"].replace("{n}", number)
            if _exceeds_max_pauses(value, meaning)
            else number
        )

    def category_value(self, value: str, kind: str, as_is: bool) -> str:
        """Return a category value in the company's words, or ``as_is`` if it has none for it."""
        return value if as_is and value not in self.custom_words else self.name(value, kind)


def load_wording(project: Project) -> Wording:
    """Return the wording of a project's reasons; raise ConfigError as ``Wording.load`` does."""
    targets = project.targets.values()
    ends = {
        *project.features.ends,
        *(name for target in targets for name in target.population.until),
    }
    # An outcome that ends the journey, such as "won", remains good news.
    ends -= {name for target in targets for name in target.outcome_types}
    return replace(Wording.load(project.publish.language, project.words), ends=frozenset(ends))


def is_absent(value: float | str | None, meaning: Meaning) -> bool:
    """Return whether a value is missing or counts no event at all."""
    return value is None or (meaning.unit in ("count", "change") and value == 0)


@cache
def load_english() -> Wording:
    """Return the wording of terminal output and reports."""
    return Wording.load("en")


def _list_word_keys(subject: str) -> tuple[str, str]:
    """Return the keys of own words for a subject, the one that counts first."""
    kind, _, name = subject.partition(":")
    # The key with its kind first: a type and a channel may share a name.
    return subject, name or kind


def _round_for_sentence(value: Any, meaning: Meaning) -> Any:
    """Return a value as exact as it is written: a silence in two digits or whole gaps."""
    if meaning.key != "silence":
        return value
    if _exceeds_max_pauses(value, meaning):
        return MAX_PAUSES
    return float(round(value)) if abs(value) >= 10 else float(f"{value:.2g}")


def _exceeds_max_pauses(value: float, meaning: Meaning) -> bool:
    """Return whether a silence is longer than the maximum number of gaps that is written."""
    return meaning.key == "silence" and value >= MAX_PAUSES


def _round_count(value: float) -> float:
    return round(value) if isinstance(value, float | int) else 0


def _choose_style(value: float, unit: str) -> tuple[float, str]:
    """Return a number, rounded for its unit, and Python's format for it."""
    if unit in ("count", "change"):
        return round(value), ",d"
    if unit == "amount":
        return value, ",.0f" if value == round(value) or abs(value) >= 1000 else ",.2f"
    if value == round(value):
        return value, ",.0f"
    return float(f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"), ",.15g"


def compile_template(
    template: str,
    fixed_fields: Mapping[str, str],
    value_fields: Mapping[str, Callable[[Any], str]],
    form: Callable[[float], int],
) -> Callable[[Any], str]:
    """Return a function that fills a template; fixed fields are filled here, others per value."""
    parts = list[str | Callable[[Any], str]]()
    # Split before any field is filled, since a company's names may contain braces.
    for position, text in enumerate(re.split(r"\{([^{}]*)\}", template)):
        if position % 2 == 0 or text in fixed_fields:
            parts.append(text if position % 2 == 0 else fixed_fields[text])
        else:
            parts.append(
                value_fields[text] if text in value_fields else _choose_form(text.split("|"), form)
            )
    if all(isinstance(part, str) for part in parts):
        sentence = "".join(map(str, parts))
        return lambda _: sentence
    return lambda value: "".join(part if isinstance(part, str) else part(value) for part in parts)


def _choose_form(words: list[str], form: Callable[[float], int]) -> Callable[[Any], str]:
    return lambda value: words[form(_round_as_written(value))]


def _round_as_written(value: float) -> float:
    # The noun agrees with the number on the screen: 0.999 is written as 1.
    return float(f"{value:.2f}") if isinstance(value, float) else value
