"""How a feature is told to people: the words of each aggregate, filled in for a subject and a span."""

from __future__ import annotations

from datetime import timedelta

from configs.durations import duration_label
from features.meaning import Meaning, Unit

WORDS: dict[str, tuple[str, str, str]] = {
    "count": ("{nouns} {when}", "{{value}} {noun_s} {when}", "no {nouns} {when}"),
    "trend": (
        "change in {nouns}, {recent} against as long before",
        "{nouns} {recent} less as long before: {{value}}",
        "",
    ),
    "share": ("share of {nouns} {when}", "{{value}} of all events are {nouns} {when}", ""),
    "total": ("total value of {nouns} {when}", "{what}: {{value}}", "no value of {nouns} {when}"),
    "mean": ("average value of {nouns} {when}", "{what}: {{value}}", ""),
    "least": ("smallest value of {nouns} {when}", "{what}: {{value}}", ""),
    "most": ("largest value of {nouns} {when}", "{what}: {{value}}", ""),
    "decay_total": (
        "value of {nouns}, fading {fading}",
        "{nouns} lately are worth {{value}} ({fading})",
        "no recent {nouns}",
    ),
    "age": ("time since last {noun}", "last {noun} {{value}} ago", "no {noun} yet"),
    "first": ("time since first {noun}", "first {noun} {{value}} ago", "no {noun} yet"),
    "decay": ("{nouns}, fading {fading}", "{{value}} {nouns} lately (older ones fade, {fading})", "no recent {nouns}"),
    "gap_mean": ("usual pause between {nouns}", "usually {{value}} between {nouns}", "fewer than two {nouns}"),
    "gap_std": ("spread of the pauses between {nouns}", "pauses between {nouns} vary by {{value}}", ""),
    "gap_max": ("longest pause between {nouns}", "{what}: {{value}}", "fewer than two {nouns}"),
    "silence": ("silence against the usual pause between {nouns}", "silent for {{value}} times {usual}", ""),
    "active_days": ("days with {nouns} {when}", "{{value}} day{{s}} with {nouns} {when}", "no day with {nouns} {when}"),
    "kinds": ("different kinds of {nouns} {when}", "{what}: {{value}}", "no {nouns} {when}"),
    "ways": ("different channels of {nouns} {when}", "{what}: {{value}}", "no channel of {nouns} {when}"),
    "people": ("active people{owner} {when}", "{what}: {{value}}", "no {what}"),
    "new_people": ("new people{owner} {when}", "{what}: {{value}}", "no {what}"),
    "roles": ("roles active{owner} {when}", "{what}: {{value}}", "no {what}"),
}
"""Of each aggregate: what it is, the sentence for a value, and the sentence where it is 0 or missing."""

NOUNS = {"any": "event", "type": "“{}” event", "channel": "{} event", "group": "{} event"}
OWNERS = {"entity": "", "account": " of the account", "others": " of others at the account"}


def meaning_of(aggregate: str, unit: Unit, scope: str, subject: str, span: timedelta | None) -> Meaning:
    """Return the wording of one figure of one subject; ``span`` is its window or half-life, None for all of history."""
    kind, _, name = subject.partition(":")
    noun, owner = NOUNS[kind].format(name), OWNERS[scope]
    length = spelled(span) if span else ""
    parts = {
        "noun": noun + owner,
        "nouns": f"{noun}s{owner}",
        "noun_s": f"{noun}\0{owner}",
        "owner": owner,
        "when": f"in the last {length}" if span else "so far",
        "recent": f"in the last {length}",
        "fading": f"by half every {length}",
        "usual": f"the usual pause between {noun}s{owner}",
    }
    what, present, absent = WORDS[aggregate]
    parts["what"] = what.format(**parts)
    return Meaning(
        f"{scope}.{subject}",
        parts["what"],
        unit,
        present.format(**{key: template(text) for key, text in parts.items()}).replace("\0", "{s}"),
        absent.format(**parts),
        speaks=aggregate not in ("decay", "decay_total", "gap_std"),
    )


def spelled(span: timedelta) -> str:
    """Return a duration in the words that follow “last” or “every”: ``7 days``, ``day``, ``12 hours``."""
    label = duration_label(span)
    unit = {"d": "day", "h": "hour", "m": "minute", "s": "second"}[label[-1]]
    return unit if label[:-1] == "1" else f"{label[:-1]} {unit}s"


def template(text: str) -> str:
    """Return a text with its braces doubled, as part of a sentence that is a template."""
    return text.replace("{", "{{").replace("}", "}}")
