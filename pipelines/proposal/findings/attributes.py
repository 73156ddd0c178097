"""Which columns of the leads may be attributes, and why the others are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from features.contracts import LEADS
from features.intake.csv_text.header import is_unnamed
from pipelines.proposal.findings.roles import rank_name
from pipelines.proposal.reading.column_profile import (
    CATEGORY,
    EMPTY,
    MIN_FITTING_SHARE,
    TIME,
    ColumnProfile,
)
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import NO_RANK, matches_words, split_words

# A category that so many of its rows have for themselves identifies them.
MAX_CATEGORY_SHARE = 0.3
MIN_CATEGORIES = 100

# A number with the sign or the code of a currency before or behind it.
_UNIT = r"(?:[$€£¥₽₴₸₹]|(?:CHF|EUR|USD|GBP|RUB|PLN|CZK|SEK|NOK|DKK|Fr|kr|zł|Kč|руб|р)\b\.?)"
_NUMBER = r"[+-]?\d[\d.,'’ \u00a0\u202f]*[–-]*"
AMOUNT_PATTERN = re.compile(rf"{_UNIT}\s*{_NUMBER}|{_NUMBER}\s*{_UNIT}", re.IGNORECASE)

PERSONAL = "personal"
CONSTANT = "the same in all rows, or empty"
WORKED = "changes while a lead is worked, or is written when it closes"
DATES = "a date"
IDENTIFIES = "an id"
VARIED = "text with hardly any value twice"
AMOUNTS = "amounts with a unit, which are text; a column of numbers could be used"
RESERVED = "the name of a column of the leads table; rename it to use it"
UNNAMED = "no heading"


@dataclass(frozen=True)
class AttributeChoice:
    """The columns of the leads by their use.

    Attributes:
        used: Attributes, in the order of the source.
        left_out: The reason of each column that is no attribute and has no role.
    """

    used: tuple[str, ...]
    left_out: dict[str, str]

    @property
    def personal(self) -> tuple[str, ...]:
        """Return the personal columns."""
        return tuple(name for name, reason in self.left_out.items() if reason == PERSONAL)


def choose_attributes(table: SourceTable, mapped: set[str]) -> AttributeChoice:
    """Return the columns that may be attributes; ``mapped`` are those with another role."""
    used, left_out = list[str](), dict[str, str]()
    for name in table.names:
        if name in mapped:
            continue
        reason = explain_left_out(table.profiles[name])
        if reason:
            left_out[name] = reason
        else:
            used.append(name)
    return AttributeChoice(tuple(used), left_out)


def explain_left_out(profile: ColumnProfile) -> str:
    """Return why a column is no attribute; empty if it may be one."""
    if is_unnamed(profile.name):
        return UNNAMED
    if profile.name in LEADS.names:
        return RESERVED
    if is_personal(profile):
        return PERSONAL
    if profile.kind == EMPTY or profile.is_constant:
        return CONSTANT
    if matches_words(profile.name, "worked"):
        return WORKED
    if profile.kind == TIME:
        return DATES
    if not _identifies_rows(profile):
        return ""
    if rank_name(profile.name, "columns.id") < NO_RANK:
        return IDENTIFIES
    return AMOUNTS if _holds_amounts(profile) else VARIED


def is_personal(profile: ColumnProfile) -> bool:
    """Return whether a column holds personal data, by its name or by the pattern of its values."""
    if profile.personal:
        return True
    if profile.kind == TIME:
        return matches_words(profile.name, "personal") and "birth" in "".join(
            split_words(profile.name)
        )
    if rank_name(profile.name, "columns.staff") < NO_RANK and profile.kind == CATEGORY:
        return True
    if rank_name(profile.name, "personal") == NO_RANK or matches_words(
        profile.name, "not_personal"
    ):
        return False
    # “E-mail opt-out” and “phone verified” say yes or no.
    return profile.distinct > 2 and not profile.is_flag


def _holds_amounts(profile: ColumnProfile) -> bool:
    fitting = sum(bool(AMOUNT_PATTERN.fullmatch(text.strip())) for text in profile.counts)
    return fitting >= MIN_FITTING_SHARE * len(profile.counts)


def _identifies_rows(profile: ColumnProfile) -> bool:
    words = split_words(profile.name)
    if profile.kind == CATEGORY:
        return profile.distinct > max(MAX_CATEGORY_SHARE * profile.filled, MIN_CATEGORIES)
    # A number is an id by its name: amounts are as varied.
    is_id = rank_name(profile.name, "columns.id") < NO_RANK and words[-1] != "no"
    return is_id and profile.distinct > max(0.9 * profile.filled, MIN_CATEGORIES)
