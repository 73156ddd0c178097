"""The declared features that are no aggregate: the order of the events, the journey, and the lead row."""

from __future__ import annotations

from collections.abc import Iterator

from configs.feature_options import Family
from features.definitions.feature import TYPE_PREFIX, Feature
from features.definitions.semantics import Meaning, Unit
from features.definitions.vocabulary import Vocabulary, make_slug

LAST_EVENTS = 3
"""How many of the latest events a row names."""

ORIGINS = ("cold", "warm")
"""Whether we spoke first or they did."""

STAGE_FEATURES: tuple[tuple[str, str, Unit], ...] = (
    ("stage_age", "stage_age", "days"),
    ("stages_age", "stages_age", "days"),
    ("stages_skipped", "skipped", "count"),
    ("stages_returns", "returns", "count"),
    ("stages_moves", "moves", "count"),
    ("stage_stalled", "stalled", "share"),
)


def declare_sequence_features(offer: Vocabulary) -> Iterator[Feature]:
    """Yield what the order, the hours and the directions of the entity's events say."""
    for k in range(LAST_EVENTS):
        yield _make_category_feature(
            f"last_type_{k + 1}", "last_type", "types", index=k, key=f"last_type_{k + 1}"
        )
    for k in range(LAST_EVENTS - 1):
        words = Meaning("entity.recency", f"last_gap_{k + 1}", "days")
        yield Feature(f"last_gap_{k + 1}", "last_gap", words, "sequence", index=k)
    yield _make_category_feature("first_type", "first_type", "types", group="entity.beginning")
    if offer.channels:
        yield _make_category_feature("last_channel", "last_channel", "channels", group="channels")
        yield _make_category_feature("first_channel", "first_channel", "channels", group="channels")
    for aggregate in ("office_hours", "weekend"):
        yield Feature(
            f"any_{aggregate}_share", aggregate, Meaning("hours", aggregate, "share"), "sequence"
        )
    yield Feature(
        "last_hour_of_week", "last_hour", Meaning("hours", "last_hour", "number"), "sequence"
    )
    if offer.outbound:
        yield from _declare_touch_features()


def declare_journey_features(offer: Vocabulary) -> Iterator[Feature]:
    """Yield where the entity stands on its way and how it came there."""
    if offer.ends:
        yield Feature("spells", "spells", Meaning("spells", "spells", "count"), "journey")
        yield Feature("spell_age", "spell_age", Meaning("spells", "spell_age", "days"), "journey")
    if not set(offer.stages) & set(offer.types):
        return
    for name in ("stage_now", "stage_entry"):
        yield _make_category_feature(name, name, "stages", group="stage", family="journey")
    for name, aggregate, unit in STAGE_FEATURES:
        yield Feature(name, aggregate, Meaning("stage", aggregate, unit), "journey")
    for rank, stage in enumerate(offer.stages):
        name, subject = make_slug(stage), TYPE_PREFIX + stage
        words = Meaning(f"entity.{subject}", "visits", "count", subject=subject, name=stage)
        yield Feature(f"stage_{name}_visits", "visits", words, "journey", index=rank)
        words = Meaning(f"entity.{subject}", "stage_days", "days", subject=subject, name=stage)
        yield Feature(f"stage_{name}_days", "stage_days", words, "journey", index=rank)


def declare_lead_features(offer: Vocabulary) -> Iterator[Feature]:
    """Yield what the lead row and its value histories say."""
    if offer.timed:
        words = Meaning("entity.beginning", "created_age", "days")
        yield Feature("created_age", "created_age", words, "lead", "lead")
    if offer.timed and offer.hours:
        words = Meaning("entity.beginning", "created_hour", "number")
        yield Feature("created_hour_of_week", "created_hour", words, "lead", "lead")
    for aggregate, columns in (("attribute", offer.attributes), ("dated", offer.dated)):
        for name, kind in columns:
            unit: Unit = "number" if kind == "number" else "category"
            words = Meaning(f"attribute.{name}", aggregate, unit, "lead", name, name=name)
            yield Feature(name, aggregate, words, "lead", "lead", name, is_category=kind == "category")


def _declare_touch_features() -> Iterator[Feature]:
    yield _make_category_feature("origin", "origin", "origins", group="origin")
    for aggregate in ("unanswered", "before_reply"):
        words = Meaning("entity.group:outbound", aggregate, "count", subject="group:outbound")
        yield Feature(f"touches_{aggregate}", aggregate, words, "sequence")


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
    words = Meaning(group, key or aggregate, "category")
    return Feature(name, aggregate, words, family, index=index, is_category=True, levels=levels)
