"""The buying group of each account: roles, engaged people, and who to reach next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.accounts.buying_group import ROLE_ATTRIBUTE, ROLE_SEPARATOR
from features.contracts import INSTANT, Dataset
from features.score_tables import ACCOUNT_SCORES, GROUP_COLUMNS
from features.tools.instants import to_microseconds

ENGAGED_WITHIN = timedelta(days=30)
NEW_WITHIN = timedelta(days=14)


@dataclass(frozen=True)
class GroupRules:
    """What the buying group of an account is described by.

    Attributes:
        roles: Roles of the config, in its order; empty where titles are not mapped.
        outbound: Event types that are touches of ours, which engage nobody.
        winning: Roles that are proven to win more often if engaged, the strongest first.
    """

    roles: Sequence[str] = ()
    outbound: Sequence[str] = ()
    winning: Sequence[str] = ()


NO_ROLES = GroupRules()


@dataclass(frozen=True)
class _Members:
    """The people of the accounts that are described, one element each.

    Attributes:
        row: Row in the leads.
        account: Number of the account.
        acts: Events in the last ENGAGED_WITHIN that are no touch of ours.
        role: Position of the role in the config, -1 for another or none.
    """

    row: np.ndarray
    account: np.ndarray
    acts: np.ndarray
    role: np.ndarray


def describe_groups(
    dataset: Dataset, scores: pa.Table, ids: pa.Array, as_of: datetime, rules: GroupRules
) -> dict[str, pa.Array]:
    """Return GROUP_COLUMNS of accounts, one element per account of ``ids``, by name.

    ``dataset`` holds the rows available before the as-of, so a person counts from when its lead row
    was known. Merged and suppressed leads are no people. Windows are [as-of − length, as-of).
    ``scores`` gives the probability of scored leads. All are null without times.
    """
    count = len(ids)
    if not dataset.timed:
        return {name: pa.nulls(count, ACCOUNT_SCORES.field(name).type) for name in GROUP_COLUMNS}
    people = _find_members(dataset, ids, as_of, rules)
    engaged = np.bincount(people.account[people.acts > 0], minlength=count)
    total = np.bincount(people.account, people.acts, count)
    most = np.zeros(count)
    np.maximum.at(most, people.account, people.acts)
    known = dataset.leads["available_at"].take(pa.array(people.row))
    is_new = pc.greater_equal(known, pa.scalar(as_of - NEW_WITHIN, INSTANT)).to_numpy()
    columns = {
        "engaged_people_30d": pa.array(engaged),
        "new_people_14d": pa.array(np.bincount(people.account[is_new], minlength=count)),
        "concentration": pa.array(most / np.maximum(total, 1), mask=total == 0),
        "single_threaded": pa.array(engaged == 1),
    }
    return columns | _describe_roles(dataset, scores, people, count, rules)


def _find_members(dataset: Dataset, ids: pa.Array, as_of: datetime, rules: GroupRules) -> _Members:
    leads = dataset.leads
    place = pc.index_in(leads["account_id"], value_set=ids)
    gone = dataset.merges.ends(leads["entity_id"]) < to_microseconds(as_of)
    objects = pc.is_in(leads["entity_id"], value_set=dataset.suppressed.entity_ids).to_numpy()
    row = np.flatnonzero(place.is_valid().to_numpy() & ~gone & ~objects)
    since = pa.scalar(as_of - ENGAGED_WITHIN, INSTANT)
    acting = pc.greater_equal(dataset.events["event_time"], since)
    if rules.outbound:
        ours = pc.is_in(dataset.events["event_type"], pa.array(rules.outbound, pa.string()))
        acting = pc.and_not(acting, ours)
    code = dataset.find_leads(dataset.events["entity_id"].filter(acting))
    acts = np.bincount(code[code >= 0], minlength=leads.num_rows)
    role = np.full(leads.num_rows, -1)
    if rules.roles:
        names = pa.array(rules.roles, pa.string())
        position = pc.index_in(leads[ROLE_ATTRIBUTE], value_set=names)
        role = pc.fill_null(position, -1).to_numpy()
    account = pc.fill_null(place, -1).to_numpy()
    return _Members(row, account[row], acts[row], role[row])


def _describe_roles(
    dataset: Dataset, scores: pa.Table, people: _Members, count: int, rules: GroupRules
) -> dict[str, pa.Array]:
    """Return the columns of the roles; null where no title is mapped."""
    roles = len(rules.roles)
    has_role = people.role >= 0
    present, engaged = (np.zeros((count, roles), bool) for _ in range(2))
    present[people.account[has_role], people.role[has_role]] = True
    active = has_role & (people.acts > 0)
    engaged[people.account[active], people.role[active]] = True
    next_role = np.full(count, -1)
    # From the weakest to the strongest, so that the strongest role that is not engaged stays.
    for name in reversed(rules.winning):
        code = list(rules.roles).index(name)
        next_role[~engaged[:, code]] = code
    contact = _choose_contacts(dataset, scores, people, next_role)
    names = pa.array(rules.roles, pa.string())
    return {
        "roles_present": _join_roles(present, rules.roles),
        "roles_missing": _join_roles(~present, rules.roles),
        "who_next": names.take(pa.array(next_role, mask=next_role < 0)),
        "next_contact": dataset.leads["entity_id"]
        .take(pa.array(contact, mask=contact < 0))
        .combine_chunks(),
    }


def _join_roles(has: np.ndarray, roles: Sequence[str]) -> pa.Array:
    """Return the names of each account's roles in the config's order; null without any."""
    texts = [
        ROLE_SEPARATOR.join(role for role, given in zip(roles, row, strict=True) if given) or None
        for row in has.tolist()
    ]
    return pa.array(texts, pa.string())


def _choose_contacts(
    dataset: Dataset, scores: pa.Table, people: _Members, next_role: np.ndarray
) -> np.ndarray:
    """Return the row of a known person in each account's next_role role, -1 if there is none.

    It is the most probable of the scored ones, else the one known last; ties by entity_id.
    """
    candidate = np.flatnonzero((people.role >= 0) & (people.role == next_role[people.account]))
    row = people.row[candidate]
    ids = dataset.leads["entity_id"].take(pa.array(row))
    place = pc.index_in(ids, value_set=scores["entity_id"])
    probability = pc.fill_null(scores["probability"].take(place), -1.0).to_numpy()
    known = dataset.leads["available_at"].take(pa.array(row)).cast(pa.int64()).to_numpy()
    # Leads are ordered by entity_id, so the row number stands for it.
    order = np.lexsort((row, -known, -probability, people.account[candidate]))
    account, first = np.unique(people.account[candidate][order], return_index=True)
    contact = np.full(len(next_role), -1)
    contact[account] = row[order][first]
    return contact
