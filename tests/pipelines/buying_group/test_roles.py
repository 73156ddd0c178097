"""The comparison of roles: its rows by definition, and the law that is planted."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.tools.instants import column_to_microseconds
from models.buying_roles import BUYING_ROLES
from pipelines.buying_group.roles import (
    NightRoles,
    compare_roles,
    compute_night_roles,
    gather_role_rows,
    list_role_tables,
    make_group_rules,
    select_compared_rows,
)
from pipelines.simulated import company
from tests.pipelines.buying_group.companies import (
    LAW,
    load_committees,
    make_company,
    make_rare_law,
    put_column,
    take_snapshot,
)

DAY = 86_400_000_000
FINANCE = LAW.factors["finance"]


@pytest.fixture(scope="module")
def project():
    return load_committees()


@pytest.fixture(scope="module")
def small(project):
    return take_snapshot(project, make_company(project, 5, leads=400))


def list_people(dataset):
    """Return instant, role and account of each person by entity."""
    leads = dataset.leads
    known = column_to_microseconds(leads["available_at"]).tolist()
    roles, accounts = leads["role"].to_pylist(), leads["account_id"].to_pylist()
    return dict(
        zip(leads["entity_id"].to_pylist(), zip(known, roles, accounts, strict=True), strict=True)
    )


def list_acts(dataset, outbound):
    """Return time and availability of each person's events that are no touch of ours."""
    events, acts = dataset.events, {}
    times = (column_to_microseconds(events[c]).tolist() for c in ("event_time", "available_at"))
    names = (events[c].to_pylist() for c in ("entity_id", "event_type"))
    for entity, kind, at, known in zip(*names, *times, strict=True):
        if kind not in outbound:
            acts.setdefault(entity, []).append((at, known))
    return acts


def test_compared_rows_count_people_by_their_definition(project, small):
    """A person counts at a cutoff if its row was known before it and it acted in 30 days."""
    people, acts = list_people(small.dataset), list_acts(small.dataset, project.features.outbound)
    rows = select_compared_rows(small, "close")
    assert rows.num_rows > 300 and rows["label"].null_count == 0
    found = gather_role_rows(small, rows)
    cutoffs = column_to_microseconds(rows["cutoff"]).tolist()
    for at, (entity, cutoff) in enumerate(zip(rows["entity_id"].to_pylist(), cutoffs, strict=True)):
        engaged = {
            name
            for name, (known, _, account) in people.items()
            if account == people[entity][2] and known < cutoff
            if any(cutoff - 30 * DAY <= t < cutoff > k for t, k in acts.get(name, ()))
        }
        roles = {people[name][1] for name in engaged}
        assert found.people[at] == len(engaged)
        assert found.own[at] == (entity in engaged)
        assert found.engaged[at].tolist() == [role in roles for role in project.accounts.roles]
        assert found.account[at] == people[entity][2]


def average_factors(dataset, rows):
    """Return for each row the mean factor of the law over its horizon, from what people did.

    ``rows`` are accounts and cutoffs. The mean is over business time, in which rates are constant.
    """
    people, finance = list_people(dataset), {}
    # The law counts any event of a contact; its first lead has no such title.
    for entity, acts in list_acts(dataset, ()).items():
        _, role, account = people[entity]
        if LAW.factors.get(role, 1) != 1:
            finance.setdefault(account, []).extend(at for at, _ in acts)
    clock, steps, factors = company.build_demo_clock(), np.arange(0.5, 30) * DAY, []
    for account, cutoff in rows:
        at, times = cutoff + steps, np.array(finance.get(account, []))
        engaged = ((times[None] <= at[:, None]) & (at[:, None] < times[None] + 30 * DAY)).any(1)
        speed = np.diff(clock.to_business_days(np.append(at - DAY // 2, at[-1] + DAY // 2)))
        factors.append(np.average(np.where(engaged, FINANCE, 1.0), weights=speed))
    return np.array(factors)


# Of seeds 1 to 8 the interval holds the law in all but 8 (1.81, 1.44 to 2.28, of 2.42): it is one
# of 97.5 %. In none another role is proven.
@pytest.mark.parametrize("seed", [1, 4, 7])
def test_comparison_finds_the_planted_role_and_its_factor(project, seed):
    """Where wins are rare an odds ratio is nearly the ratio of the rates that the law gives."""
    snapshot = take_snapshot(project, make_company(project, seed, 2, law=make_rare_law()))
    effects = {row["role"]: row for row in compare_roles(snapshot, "close").to_pylist()}
    assert [role for role, row in effects.items() if row["proven"]] == ["finance"]
    rows = select_compared_rows(snapshot, "close")
    drawn = rows.take(pa.array(np.random.default_rng(0).choice(rows.num_rows, 2000, False)))
    compared = gather_role_rows(snapshot, drawn)
    has = compared.engaged[:, [*project.accounts.roles].index("finance")]
    cutoffs = column_to_microseconds(drawn["cutoff"]).tolist()
    pairs = zip(drawn["account_id"].to_pylist(), cutoffs, strict=True)
    factor = average_factors(snapshot.dataset, pairs)
    others = ~has & (compared.people > 0)
    truth = factor[has].mean() / factor[others].mean()
    # A role that is engaged now is for a part of the horizon only.
    assert 2.2 < truth < FINANCE
    found = effects["finance"]
    assert found["odds_ratio_low"] < truth < found["odds_ratio_high"]


def test_comparison_ignores_whoever_is_entered_after_every_cutoff(project, small):
    """Roles of people whose row was known too late for any row change no number."""
    rows = select_compared_rows(small, "close")
    last = pc.max(rows["cutoff"])
    later = pc.greater_equal(small.dataset.leads["available_at"], last)
    assert pc.sum(later).as_py() > 0
    roles = pc.if_else(later, "finance", small.dataset.leads["role"])
    other = take_snapshot(project, put_column(small.dataset, "role", roles))
    assert compare_roles(other, "close") == compare_roles(small, "close")


def test_night_compares_roles_of_all_targets(project, small):
    night = compute_night_roles(small, ["close"])
    assert night.problem is None and night.result.schema == BUYING_ROLES
    assert night.result["role"].to_pylist() == [*project.accounts.roles]
    assert list_role_tables(night.result) == {"buying_roles": night.result}
    assert make_group_rules(small, "close", night).roles == (*project.accounts.roles,)


def test_night_without_titles_compares_nothing(project, small):
    plain = project.model_copy(update={"accounts": type(project.accounts)()})
    night = compute_night_roles(take_snapshot(plain, small.dataset), ["close"])
    assert night == NightRoles() and list_role_tables(night.result) == {}
    assert make_group_rules(take_snapshot(plain, small.dataset), "close", night).winning == []


def test_comparison_that_fails_names_its_problem(project, small, monkeypatch):
    """The scores are published in any case."""

    def fail(*_):
        raise MemoryError("too large")

    monkeypatch.setattr("pipelines.buying_group.roles.gather_role_rows", fail)
    night = compute_night_roles(small, ["close"])
    assert night.result is None and night.problem.startswith("MemoryError in compare_roles")
