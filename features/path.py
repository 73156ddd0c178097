"""The declared features that are no aggregate: the order of the events, the journey, and the lead row."""

from __future__ import annotations

from collections.abc import Iterator

from configs.schema import Family
from features.feature import Feature
from features.meaning import Meaning, Unit
from features.offer import Offer, slugged
from features.wording import template

LAST = ("the last event", "the event before the last", "the third event from the end")
"""How many of the latest events a row names, and how they are called."""

ORIGINS = ("cold", "warm")
"""Whether we spoke first or they did."""

JOURNEY: tuple[tuple[str, str, str, Unit, str], ...] = (
    ("stage_age", "stage_age", "time in stage", "days", "{value} in this stage"),
    ("stages_age", "stages_age", "time since the first stage", "days", "{value} since the first stage"),
    ("stages_skipped", "skipped", "stages skipped", "count", "{value} stage{s} skipped"),
    ("stages_returns", "returns", "returns to an earlier stage", "count", "{value} return{s} to an earlier stage"),
    ("stages_moves", "moves", "changes of stage", "count", "{value} change{s} of stage"),
    (
        "stage_stalled",
        "stalled",
        "how long in stage against past leads",
        "share",
        "{value} of past leads left it sooner",
    ),
)


def of_sequence(offer: Offer) -> Iterator[Feature]:
    """Yield what the order, the hours and the directions of the entity's events say."""
    for k, which in enumerate(LAST):
        yield _category(f"last_type_{k + 1}", "last_type", which, "types", index=k)
    for k, which in enumerate(LAST[:-1]):
        words = Meaning("sequence", f"pause before {which}", "days", f"{{value}} pause before {which}")
        yield Feature(f"last_gap_{k + 1}", "last_gap", words, "sequence", index=k)
    yield _category("first_type", "first_type", "the first event", "types")
    if offer.channels:
        yield _category("last_channel", "last_channel", "the channel of the last event", "channels")
        yield _category("first_channel", "first_channel", "the channel of the first event", "channels")
    for aggregate, when in (("office_hours", "in office hours"), ("weekend", "at the weekend")):
        words = Meaning("hours", f"share of events {when}", "share", f"{{value}} of events {when}", "no events yet")
        yield Feature(f"any_{aggregate}_share", aggregate, words, "sequence")
    words = Meaning("hours", "hour of the week of the last event", "number", "{value}", speaks=False)
    yield Feature("last_hour_of_week", "last_hour", words, "sequence")
    if offer.outbound:
        yield from _touches()


def of_journey(offer: Offer) -> Iterator[Feature]:
    """Yield where the entity stands on its way and how it came there."""
    if offer.ends:
        words = Meaning("spells", "times it was taken up", "count", "taken up {value} time{s}", "never taken up")
        yield Feature("spells", "spells", words, "journey")
        words = Meaning("spells", "time since it was taken up", "days", "taken up {value} ago", "never taken up")
        yield Feature("spell_age", "spell_age", words, "journey")
    if not set(offer.stages) & set(offer.types):
        return
    words = Meaning("stage", "stage", "category", "stage is {value}", "no stage reached yet")
    yield Feature("stage_now", "stage_now", words, "journey", category=True, levels="stages")
    words = Meaning("stage", "entry stage", "category", "entered at stage {value}", "no stage reached yet")
    yield Feature("stage_entry", "stage_entry", words, "journey", category=True, levels="stages")
    for name, aggregate, what, unit, present in JOURNEY:
        yield Feature(name, aggregate, Meaning("stage", what, unit, present), "journey")
    for rank, stage in enumerate(offer.stages):
        name, shown = slugged(stage), template(stage)
        words = Meaning("stage", f"visits to stage {stage}", "count", f"{{value}} visit{{s}} to stage {shown}")
        yield Feature(f"stage_{name}_visits", "visits", words, "journey", index=rank)
        words = Meaning("stage", f"time in stage {stage}", "days", f"{{value}} in stage {shown} in all")
        yield Feature(f"stage_{name}_days", "stage_days", words, "journey", index=rank)


def of_lead(offer: Offer) -> Iterator[Feature]:
    """Yield what the lead row and its value histories say."""
    if offer.timed:
        words = Meaning("created", "age of the lead", "days", "created {value} ago")
        yield Feature("created_age", "created_age", words, "lead", "lead")
    if offer.timed and offer.hours:
        words = Meaning("created", "hour of the week it was created", "number", "{value}", speaks=False)
        yield Feature("created_hour_of_week", "created_hour", words, "lead", "lead")
    for aggregate, columns in (("attribute", offer.attributes), ("dated", offer.dated)):
        for name, kind in columns:
            unit: Unit = "number" if kind == "number" else "category"
            shown = template(name)
            words = Meaning(f"attribute.{name}", name, unit, f"{shown} is {{value}}", f"{shown} is not known")
            yield Feature(name, aggregate, words, "lead", "lead", name, category=kind == "category")


def _touches() -> Iterator[Feature]:
    yield _category("origin", "origin", "the origin", "origins")
    for aggregate, when in (
        ("unanswered", "since they last did something"),
        ("before_reply", "before their first own step"),
    ):
        what = f"touches of ours {when}"
        words = Meaning("touches", what, "count", f"{{value}} {what}", f"no {what}")
        yield Feature(f"touches_{aggregate}", aggregate, words, "sequence")


def _category(
    name: str, aggregate: str, what: str, levels: str, index: int = 0, family: Family = "sequence"
) -> Feature:
    words = Meaning(family, what, "category", f"{what} is {{value}}", f"{what} is not known")
    return Feature(name, aggregate, words, family, index=index, category=True, levels=levels)
