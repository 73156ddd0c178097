"""Groups of features that a sales lead understands, for lists of what a model reads."""

from __future__ import annotations

from typing import Literal

from features.definitions.feature import GROUP_PREFIX, Feature

# Stored with models, so these keys never change.
FeatureGroup = Literal[
    "attribute",
    "account",
    "stage",
    "amount",
    "outreach",
    "activity",
    "time_since",
    "order",
    "calendar",
]

OUTBOUND = f"{GROUP_PREFIX}outbound"
CALENDAR_AGGREGATES = ("office_hours", "weekend", "last_hour", "created_hour")
TIME_AGGREGATES = ("last_gap", "gap_mean", "gap_std", "gap_max", "silence", "created_age")


def find_feature_group(feature: Feature) -> FeatureGroup:
    """Return the group of a feature.

    - attribute: a property of the lead, such as its country;
    - account: what the other leads of the account, or all of them, do;
    - stage: the stage, the way there, and earlier journeys;
    - amount: values of events;
    - outreach: what the company itself sends to the lead;
    - activity: how much the lead does;
    - time_since: time since, and between, events, and since the lead was created;
    - order: which event types and channels come first and last;
    - calendar: hours and days of the week.
    """
    if feature.aggregate in ("attribute", "dated"):
        return "attribute"
    if feature.family == "account":
        return "account"
    if feature.family == "journey":
        return "stage"
    if feature.subject == OUTBOUND or feature.meaning.subject == OUTBOUND:
        return "outreach"
    if feature.aggregate == "origin":
        return "outreach"
    if feature.family == "amounts":
        return "amount"
    if feature.aggregate in CALENDAR_AGGREGATES:
        return "calendar"
    if feature.family == "recency" or feature.aggregate in TIME_AGGREGATES:
        return "time_since"
    return "order" if feature.family == "sequence" else "activity"
