"""Sentences that name the events of each type behind a value of several types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.compute as pc

from features.contracts import Dataset
from features.definitions.feature import TYPE_PREFIX
from features.definitions.semantics import Meaning
from features.definitions.vocabulary import Vocabulary
from features.wording.language import humanize_name
from features.wording.wording import Wording, compile_template, is_absent

# Parts of a sentence, that of all other types included: more are not read.
MAX_PARTS = 4
# A text field of the CRMs that we know holds as many characters (docs/crm.md); a sentence that the
# parts would make longer has fewer of them.
MAX_SENTENCE_LENGTH = 255


@dataclass(frozen=True)
class EventParts:
    """The events behind one value.

    Attributes:
        types: event types with their numbers of events, in the order to name them.
        rest: events of all other types.
    """

    types: tuple[tuple[str, int], ...]
    rest: int = 0


def write_with_parts(
    wording: Wording, meaning: Meaning, little: bool = False
) -> Callable[[Any, EventParts], str]:
    """Return a function from a value and its events to the sentence.

    ``meaning.has_composition`` holds. The parts add up to the events behind the value; those beyond
    MAX_PARTS, and those for which the sentence has no room, are one number.
    """
    write_value, cache = wording.sentence_writer(meaning, little), dict[str, Any]()

    def write_sentence(value: Any, parts: EventParts) -> str:
        sentence = write_value(value)
        if is_absent(value, meaning) or not parts.types or (little and meaning.key == "age"):
            return sentence
        kind = parts.types[0][0]
        if not little and _is_one_type(meaning, parts):
            # “3 calls” rather than “3 activities: 3 calls”.
            if kind not in cache:
                own = replace(meaning, subject=TYPE_PREFIX + kind)
                cache[kind] = wording.sentence_writer(own)
            return str(cache[kind](value))
        if meaning.key == "age":
            return _join_sentence(wording, "newest", sentence, wording.name(kind, TYPE_PREFIX))
        form = "adding_up" if meaning.key == "count" else "apart"
        for count in range(MAX_PARTS, 0, -1):
            text = _join_sentence(wording, form, sentence, _list_parts(wording, parts, count))
            if len(text) <= MAX_SENTENCE_LENGTH:
                return text
        return sentence

    return write_sentence


def name_only_type(wording: Wording, vocabulary: Vocabulary, dataset: Dataset) -> Wording:
    """Return the wording with the noun of the only event type for any event, if there is one.

    The vocabulary alone does not say so: it leaves out excluded types, and the data may have had a
    new one since.
    """
    if len(vocabulary.types) != 1 or not vocabulary.has_history:
        return wording
    (only,) = vocabulary.types
    is_other = pc.not_equal(dataset.events["event_type"], only)
    return wording if pc.any(is_other).as_py() else replace(wording, only_type=only)


def _is_one_type(meaning: Meaning, parts: EventParts) -> bool:
    """Return whether the sentence may speak of the type of all events instead of any event."""
    # A channel or a direction would be lost, and a number of kinds would have no meaning.
    is_any = meaning.subject == "any" and meaning.key != "kinds"
    return is_any and len(parts.types) == 1 and not parts.rest


def _list_parts(wording: Wording, parts: EventParts, max_parts: int) -> str:
    """Return the parts as a list of at most ``max_parts``, or of one and the rest."""
    has_room = len(parts.types) + bool(parts.rest) <= max_parts
    shown = parts.types if has_room else parts.types[: max(max_parts - 1, 1)]
    rest = parts.rest + sum(count for _, count in parts.types[len(shown) :])
    texts = [_write_part(wording, kind, count) for kind, count in shown]
    texts += [_write_number(wording, "rest", rest)] * bool(rest)
    separators = wording.language.parts
    head = separators["next"].join(texts[:-1])
    return head + separators["last"] + texts[-1] if head else texts[-1]


def _write_part(wording: Wording, kind: str, count: int) -> str:
    """Return a number of events of a type: in own words, else as “2 × page view”."""
    subject = TYPE_PREFIX + kind
    if wording.has_own_words(subject):
        forms = wording.noun(subject)
        return _write_number(wording, "worded", count, forms[wording.language.form_of(count)])
    return _write_number(wording, "named", count, humanize_name(kind))


def _write_number(wording: Wording, key: str, count: int, noun: str = "") -> str:
    number = wording.language.number(count, ",d")
    fields = {"n": number, "noun": noun}
    template = wording.language.parts[key]
    return compile_template(template, fields, {}, wording.language.form_of)(float(count))


def _join_sentence(wording: Wording, key: str, sentence: str, parts: str) -> str:
    fields = {"sentence": sentence, "parts": parts}
    return compile_template(wording.language.parts[key], fields, {}, wording.language.form_of)(0.0)
