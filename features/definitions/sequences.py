"""Declarations of the other features: order of the events, journey, and lead row."""

from __future__ import annotations

from collections.abc import Iterator

from configs.feature_options import Family
from features.definitions.feature import TYPE_PREFIX, Feature
from features.definitions.semantics import Meaning, Unit
from features.definitions.vocabulary import Vocabulary, make_slug

# Number of latest events whose types are features.
LAST_EVENTS = 3

# Levels of the origin: the first event was a touch of ours (cold), or theirs (warm). The kernel
# writes their positions, so the order matters.
ORIGINS = ("cold", "warm")

STAGE_FEATURES: tuple[tuple[str, str, Unit], ...] = (
    ("stage_age", "stage_age", "days"),
    ("stages_age", "stages_age", "days"),
    ("stages_skipped", "skipped", "count"),
    ("stages_returns", "returns", "count"),
    ("stages_moves", "moves", "count"),
    ("stage_stalled", "stalled", "share"),
)


def declare_sequence_features(vocabulary: Vocabulary) -> Iterator[Feature]:
    """Yield the features of the order, hours and directions of the entity's events."""
    for k in range(LAST_EVENTS):
        yield _make_category_feature(
            f"last_type_{k + 1}", "last_type", "types", index=k, key=f"last_type_{k + 1}"
        )
    for k in range(LAST_EVENTS - 1):
        meaning = Meaning("entity.recency", f"last_gap_{k + 1}", "days")
        yield Feature(f"last_gap_{k + 1}", "last_gap", meaning, "sequence", index=k)
    yield _make_category_feature("first_type", "first_type", "types", group="entity.beginning")
    if vocabulary.channels:
        yield _make_category_feature("last_channel", "last_channel", "channels", group="channels")
        yield _make_category_feature("first_channel", "first_channel", "channels", group="channels")
    for aggregate in ("office_hours", "weekend"):
        yield Feature(
            f"any_{aggregate}_share", aggregate, Meaning("hours", aggregate, "share"), "sequence"
        )
    yield Feature(
        "last_hour_of_week", "last_hour", Meaning("hours", "last_hour", "number"), "sequence"
    )
    if vocabulary.outbound:
        yield from _declare_touch_features()


def declare_journey_features(vocabulary: Vocabulary) -> Iterator[Feature]:
    """Yield the features of the entity's stage, its way there, and its spells."""
    if vocabulary.ends:
        yield Feature("spells", "spells", Meaning("spells", "spells", "count"), "journey")
        yield Feature("spell_age", "spell_age", Meaning("spells", "spell_age", "days"), "journey")
    # Without an event of any stage, all of the following would be empty.
    if not set(vocabulary.stages) & set(vocabulary.types):
        return
    for name in ("stage_now", "stage_entry"):
        yield _make_category_feature(name, name, "stages", group="stage", family="journey")
    for name, aggregate, unit in STAGE_FEATURES:
        yield Feature(name, aggregate, Meaning("stage", aggregate, unit), "journey")
    for rank, stage in enumerate(vocabulary.stages):
        name, subject = make_slug(stage), TYPE_PREFIX + stage
        meaning = Meaning(f"entity.{subject}", "visits", "count", subject=subject, name=stage)
        yield Feature(f"stage_{name}_visits", "visits", meaning, "journey", index=rank)
        meaning = Meaning(f"entity.{subject}", "stage_days", "days", subject=subject, name=stage)
        yield Feature(f"stage_{name}_days", "stage_days", meaning, "journey", index=rank)


def declare_lead_features(vocabulary: Vocabulary) -> Iterator[Feature]:
    """Yield the features of the lead row and its value histories."""
    if vocabulary.timed:
        meaning = Meaning("entity.beginning", "created_age", "days")
        yield Feature("created_age", "created_age", meaning, "lead", "lead")
    # A source of dates has no hours: all its leads would be created at midnight.
    if vocabulary.timed and vocabulary.hours:
        meaning = Meaning("entity.beginning", "created_hour", "number")
        yield Feature("created_hour_of_week", "created_hour", meaning, "lead", "lead")
    for aggregate, columns in (("attribute", vocabulary.attributes), ("dated", vocabulary.dated)):
        for name, kind in columns:
            unit: Unit = "number" if kind == "number" else "category"
            meaning = Meaning(f"attribute.{name}", aggregate, unit, "lead", name, name=name)
            yield Feature(
                name, aggregate, meaning, "lead", "lead", name, is_category=kind == "category"
            )


def _declare_touch_features() -> Iterator[Feature]:
    yield _make_category_feature("origin", "origin", "origins", group="origin")
    for aggregate in ("unanswered", "before_reply"):
        meaning = Meaning("entity.group:outbound", aggregate, "count", subject="group:outbound")
        yield Feature(f"touches_{aggregate}", aggregate, meaning, "sequence")


def _make_category_feature(
    name: str,
    aggregate: str,
    levels: str,
    *,
    index: int = 0,
    key: str = "",
    group: str = "order",
    family: Family = "sequence",
) -> Feature:
    meaning = Meaning(group, key or aggregate, "category")
    return Feature(name, aggregate, meaning, family, index=index, is_category=True, levels=levels)
