"""Leads once more, each without the subject of a reason.

A reason names events, by type, channel, direction or all, in a window or ever, or an attribute. It
may also name nothing in the log: an event that did not happen, or time that passed. A removed
attribute is replaced by those of other leads: the log-odds are the mean over some of their values.
No code is shared with the selection of reasons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from features.build import build_features
from features.contracts import SPINE, Dataset
from features.definitions.catalog import Catalog
from features.definitions.feature import Feature
from models.scorer import Scorer

WINDOWED = {
    "count",
    "trend",
    "share",
    "total",
    "mean",
    "least",
    "most",
    "active_days",
    "kinds",
    "ways",
}
WINDOWED |= {"people", "new_people", "roles", "visits", "unanswered", "before_reply"}
EVER = {"age", "silence", "first", "gap_mean", "gap_max", "last_channel"}
# Aggregates whose value is an event type.
NAMED = {"last_type", "stage_now"}
# Aggregates of the first event only.
FIRST = {"first_type", "first_channel", "stage_entry"}
COUNTS = ("count", "change")


@dataclass(frozen=True)
class Without:
    """One lead without the subject of a reason; unchanged if ``feature`` is None.

    Attributes:
        entity: Id of the lead.
        cutoff: Cutoff of the lead's row.
        feature: Feature of the reason.
        value: Value of the feature.
        instead: Another value in place of an attribute.
    """

    entity: str
    cutoff: datetime
    feature: Feature | None = None
    value: float | str | None = None
    instead: float | str | None = None


def removable(feature: Feature, value: float | str | None, lack: bool) -> bool:
    """Return whether the subject of a reason can be removed; ``lack``: it names an absence."""
    if value is None or (value == 0 and feature.meaning.unit in COUNTS):
        return False
    if feature.aggregate in EVER:
        return not lack and (feature.aggregate, feature.subject) != ("first", "any")
    return (
        feature.scope == "lead" and feature.aggregate != "created_age"
    ) or feature.aggregate in {
        *WINDOWED,
        *NAMED,
        *FIRST,
    }


def log_odds(scorer: Scorer, dataset: Dataset, asked: Sequence[Without]) -> np.ndarray:
    """Return the log-odds of each lead without the subject of its reason.

    Each is a copy of the lead with its whole account, under new names, next to all unchanged leads:
    features look at the account, and at the durations of other leads.
    """
    leads, events = dataset.leads.to_pandas(), dataset.events.to_pandas()
    of_lead, rows = (
        dict(iter(events.groupby("entity_id", sort=False))),
        leads.set_index("entity_id", drop=False),
    )
    of_account = dict(iter(leads.groupby("account_id")["entity_id"]))
    people, logs, spine = [leads], [events], []
    for number, one in enumerate(asked):
        account, mark = rows.at[one.entity, "account_id"], f"#{number}"
        names = [*of_account.get(account, [one.entity])]
        log = pd.concat([events.iloc[:0], *(of_lead[name] for name in names if name in of_lead)])
        copy = rows.loc[names].copy()
        if one.feature is not None and one.feature.scope == "lead":
            copy.loc[one.entity, one.feature.subject] = one.instead
        elif one.feature is not None:
            log = log[~_named(log, one, scorer.catalog)]
        logs.append(log.assign(entity_id=log["entity_id"] + mark))
        people.append(
            copy.assign(entity_id=copy["entity_id"] + mark, account_id=copy["account_id"] + mark)
        )
        spine.append({"entity_id": one.entity + mark, "cutoff": one.cutoff})
    grown = replace(
        dataset,
        leads=_table(pd.concat(people).sort_values("entity_id"), dataset.leads.schema),
        events=_table(pd.concat(logs), dataset.events.schema),
    )
    table = pa.Table.from_pylist(spine, schema=SPINE)
    matrix = build_features(grown, table, scorer.catalog.select(scorer.encoding.names))
    return scorer.explain(matrix).sum(axis=1)


def _table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)


def _named(log: pd.DataFrame, one: Without, catalog: Catalog) -> pd.Series:
    """Say which events of an account a reason names, of those known at the cutoff."""
    feature, time = one.feature, log["event_time"]
    whose = {"entity": log["entity_id"] == one.entity, "others": log["entity_id"] != one.entity}
    mine = (
        (log["available_at"] < one.cutoff)
        & whose.get(feature.scope, True)
        & _of_subject(log, feature, catalog)
    )
    if feature.aggregate in NAMED:
        return mine & (log["event_type"] == one.value)
    if feature.aggregate in FIRST:
        return mine & (time == time[mine].min())
    if feature.aggregate == "last_channel":
        return mine & (log["channel"] == one.value)
    return mine & (time >= one.cutoff - feature.span) if feature.span else mine


def _of_subject(log: pd.DataFrame, feature: Feature, catalog: Catalog) -> pd.Series | bool:
    kind, _, name = feature.meaning.subject.partition(":")
    sets = {"type": ("event_type", (name,)), "channel": ("channel", (name,))}
    sets["group"] = (
        ("event_type", catalog.outbound) if name == "outbound" else ("channel", catalog.offline)
    )
    return log[sets[kind][0]].isin(sets[kind][1]) if kind in sets else True
