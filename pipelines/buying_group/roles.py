"""Which roles win more often, from the past cutoffs of a night's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.build import build_features
from features.contracts import SPINE, Dataset
from features.definitions.catalog import build_catalog
from features.labels import compute_labels
from features.sources import list_carried_columns
from features.spine import build_training_spine
from models.buying_roles import ROLES_TABLE, RoleRows, estimate_buying_roles, rank_winning_roles
from models.encoding import sample_evenly
from pipelines.training_data import Snapshot
from serve.night_part import NightPart, compute_night_part
from serve.scoring.buying_group import ENGAGED_WITHIN, GroupRules

# Rows that are compared, spread evenly: an odds ratio of 1.5 needs no more.
MAX_ROWS = 20_000
# BUYING_ROLES of all targets of a night's data.
NightRoles = NightPart[pa.Table]


def compute_night_roles(snapshot: Snapshot, targets: Sequence[str]) -> NightRoles:
    """Return which roles go with the outcome of each target, if titles are mapped."""
    project = snapshot.project
    if not (project.accounts.roles and project.publish.accounts):
        return NightRoles()
    return compute_night_part(
        "buying_group",
        lambda: pa.concat_tables([compare_roles(snapshot, target) for target in targets]),
        list_role_tables,
    )


def list_role_tables(effects: pa.Table | None) -> dict[str, pa.Table]:
    """Return the tables of a night by name; none where no roles were compared."""
    return {} if effects is None else {ROLES_TABLE: effects}


def make_group_rules(snapshot: Snapshot, target: str, roles: NightRoles) -> GroupRules:
    """Return what the accounts of a target are described by."""
    project = snapshot.project
    return GroupRules(
        tuple(project.accounts.roles),
        project.features.outbound,
        [] if roles.result is None else rank_winning_roles(roles.result, target),
    )


def compare_roles(snapshot: Snapshot, target: str) -> pa.Table:
    """Return BUYING_ROLES of a target: its rows of training with a known outcome, of accounts.

    A person counts at a cutoff only if its lead row was known before it.
    """
    roles = tuple(snapshot.project.accounts.roles)
    rows = gather_role_rows(snapshot, select_compared_rows(snapshot, target))
    return estimate_buying_roles(target, roles, rows)


def select_compared_rows(snapshot: Snapshot, target: str) -> pa.Table:
    """Return the rows of a target's training with an account and a known outcome.

    They are SPINE with ``label`` and ``account_id``; at most MAX_ROWS, spread evenly over time.
    """
    dataset, target_config = snapshot.dataset, snapshot.project.target_config(target)
    spine = build_training_spine(dataset, target_config, snapshot.as_of)
    label = compute_labels(dataset, spine, target_config, snapshot.observed)["label"]
    account = dataset.leads["account_id"].take(pa.array(dataset.find_leads(spine["entity_id"])))
    usable = np.flatnonzero(pc.and_(label.is_valid(), account.is_valid()).to_numpy())
    rows = usable[sample_evenly(len(usable), MAX_ROWS)] if len(usable) else usable
    table = spine.append_column("label", label).append_column("account_id", account)
    return table.take(pa.array(rows))


def gather_role_rows(snapshot: Snapshot, rows: pa.Table) -> RoleRows:
    """Return who was engaged at the accounts of rows of ``select_compared_rows``, in their order.

    The features of training say so, and no others are computed.
    """
    project, dataset = snapshot.project, snapshot.dataset
    catalog = build_catalog(project, dataset, list_carried_columns(project))
    catalog = replace(catalog, windows=(ENGAGED_WITHIN,), only=())
    by_role = [f for f in catalog.features if f.aggregate == "role_people" and f.span]
    names = [feature.name for feature in by_role]
    counts = ["account_engaged_people_30d", "any_count_30d", "outbound_count_30d"]
    matrix = build_features(
        _keep_accounts(dataset, rows["account_id"]),
        rows.select(SPINE.names),
        catalog.select([*names, *counts]),
    )
    columns = {name: matrix[name].to_numpy() for name in matrix.column_names[2:]}
    ours = columns.get("outbound_count_30d", np.zeros(rows.num_rows))
    engaged = [columns[name] > 0 for name in names]
    return RoleRows(
        np.stack(engaged, axis=1) if engaged else np.zeros((rows.num_rows, 0), bool),
        columns["account_engaged_people_30d"].astype(np.int64),
        columns["any_count_30d"] > ours,
        rows["label"].to_numpy(),
        rows["account_id"].to_numpy().astype(str),
    )


def _keep_accounts(dataset: Dataset, account: pa.ChunkedArray) -> Dataset:
    """Return the leads of some accounts with their events."""
    keep = pc.is_in(dataset.leads["account_id"], value_set=pc.unique(account))
    lead = dataset.event_leads
    events = dataset.events.filter(pa.array((lead >= 0) & keep.to_numpy()[lead]))
    return replace(dataset, leads=dataset.leads.filter(keep), events=events)
