"""Customers of the simulated company: their rows, and the exact truth against brute force."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from configs.schema import load_project
from features.contracts import Dataset
from features.sources import read_sources
from features.tools.instants import to_microseconds
from pipelines.simulated import customers as law_of_customers
from pipelines.simulated.company import END, build_demo_clock
from pipelines.simulated.customer_truth import (
    CustomerFuture,
    count_future,
    expect_future,
    find_alive,
    integrate_decay,
)
from pipelines.simulated.customers import (
    CUSTOMER_TYPES,
    DEMO_CUSTOMERS,
    ORDER_TYPES,
    SimulatedCustomers,
    simulate_customers,
)
from pipelines.simulated.oracle import compute_oracle
from pipelines.simulated.simulate import SimulatedBlock, simulate_block, write_company

CLOCK = build_demo_clock()
START = datetime(2025, 1, 1, tzinfo=UTC)
FIGURES = ("orders", "days", "any_order", "revenue")


@pytest.fixture(scope="module")
def block() -> SimulatedBlock:
    return simulate_block(3, 0, 3000)


@pytest.fixture(scope="module")
def simulated(block: SimulatedBlock) -> SimulatedCustomers:
    return simulate_customers(3, 0, *block)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()
    }


def test_files_of_leads_are_equal_with_and_without_customers(tmp_path: Path) -> None:
    write_company(tmp_path / "with", 1500, 3)
    write_company(tmp_path / "without", 1500, 3, customers=None)
    other = replace(DEMO_CUSTOMERS, order_rate=(1.2, 1 / 9), referral_rate=0.1)
    write_company(tmp_path / "other", 1500, 3, customers=other)
    files = {name: contents(tmp_path / name) for name in ("with", "without", "other")}
    orders = {name: files[name].pop("orders.csv") for name in ("with", "other")}
    assert files["with"] == files["without"] == files["other"]
    assert set(files["without"]) >= {"leads.csv", "crm.csv"}
    assert orders["with"] != orders["other"]


def test_accounts_with_a_win_are_one_customer_from_the_first(
    block: SimulatedBlock, simulated: SimulatedCustomers
) -> None:
    account = dict(
        zip(*(block.leads[c].to_pylist() for c in ("entity_id", "account_id")), strict=True)
    )
    first: dict[str, tuple[datetime, str]] = {}
    for row in block.events.to_pylist():
        if row["event_type"] == "won":
            unit = account[row["entity_id"]] or row["entity_id"]
            found = row["event_time"], row["entity_id"]
            first[unit] = min(first.get(unit, found), found)
    truth = simulated.truth
    assert sorted(lead for _, lead in first.values()) == sorted(truth.entity_id.to_pylist())
    assert [account[lead] for lead in truth.entity_id.to_pylist()] == truth.account_id.to_pylist()
    times = {lead: to_microseconds(at) for at, lead in first.values()}
    expected = [times[lead] for lead in truth.entity_id.to_pylist()]
    assert np.abs(CLOCK.to_instants(truth.won) - expected).max() <= 1
    assert 0 < truth.account_id.null_count < len(first)


def test_rows_lie_between_the_win_and_the_leaving(simulated: SimulatedCustomers) -> None:
    truth, events = simulated.truth, simulated.events.to_pandas()
    assert set(events["event_type"]) == set(CUSTOMER_TYPES)
    row = dict(zip(truth.entity_id.to_pylist(), range(len(truth.won)), strict=True))
    number = events["entity_id"].map(row).to_numpy()
    us = np.array([to_microseconds(at) for at in events["event_time"]])
    assert (us >= CLOCK.to_instants(truth.won)[number]).all()
    bought = events["event_type"].isin([*ORDER_TYPES, "referral"]).to_numpy()
    assert (us <= CLOCK.to_instants(truth.left)[number])[bought].all()
    assert events["value"].notna().equals(events["event_type"].isin(ORDER_TYPES))
    assert (events["value"].dropna() > 0).all()
    assert events["available_at"].max() < END
    late = events["available_at"] > events["event_time"]
    share = late.groupby(events["event_type"]).mean()
    assert share["delivery"] == share["referral"] == 0
    assert abs(share["order"] - DEMO_CUSTOMERS.entered_late) < 0.06
    assert (events["available_at"] - events["event_time"]).max() < timedelta(hours=120)
    assert not set(events.loc[events["event_type"] == "referral", "entity_id"]) & set(
        truth.entity_id.filter(pa.array(truth.is_late)).to_pylist()
    )
    counts = events["event_type"].value_counts()
    before_end = simulated.orders.tau < CLOCK.to_business_days(np.array([to_microseconds(END)]))[0]
    # Those entered after END are missing, and those delivered after it have no delivery.
    assert 0 <= before_end.sum() - counts[["order", "upgrade"]].sum() < 0.03 * before_end.sum()


def test_parameters_follow_the_law() -> None:
    leads, wins = make_wins(20_000)
    truth = simulate_customers(1, 0, leads, wins).truth
    law, size = DEMO_CUSTOMERS, 20_000
    shape, mean = law.order_rate
    assert abs(truth.rate.mean() / mean - 1) < 4 / np.sqrt(shape * size)
    assert abs(truth.rate.std() / truth.rate.mean() - shape**-0.5) < 0.05
    # The sum of two exponentials of mean 6: the chance that it is above 18 is (1 + 3) e^-3.
    assert abs(truth.is_late.mean() - 4 * np.exp(-3)) < 4 * 0.4 / np.sqrt(size)
    factor = np.where(truth.is_late, law.late_factor, 1.0)
    source = np.array(leads["source"].to_pylist())
    factor *= np.array([law.source_factors.get(name, 1.0) for name in source])
    ratio = truth.leaving / factor
    assert abs(ratio.mean() / law.leaving_rate[1] - 1) < 4 / np.sqrt(law.leaving_rate[0] * size)
    # Lives, in units of their own means, are exponential.
    lives = np.sort((truth.left - truth.won) * truth.leaving)
    assert np.abs(-np.expm1(-lives) - (np.arange(size) + 0.5) / size).max() < 1.63 / np.sqrt(size)
    level = truth.level / wins["value"].to_numpy()
    assert abs(level.mean() / law.level_share - 1) < 4 / np.sqrt(law.level_shape * size)


def make_wins(size: int) -> tuple[pa.Table, pa.Table]:
    """Return leads of sources in turn, each its own customer, and their wins of 2024-06-03."""
    ids = pa.array([f"L{row:05d}" for row in range(size)])
    sources = ["organic", "partner", "bought_list"]
    leads = pa.table(
        {
            "entity_id": ids,
            "account_id": pa.nulls(size, pa.string()),
            "source": pa.array([sources[row % 3] for row in range(size)]),
        }
    )
    at = pa.array([datetime(2024, 6, 3, 9, 30, tzinfo=UTC)] * size, pa.timestamp("us", "UTC"))
    wins = {
        "entity_id": ids,
        "event_time": at,
        "event_type": pa.array(["won"] * size),
        "value": pa.array(np.linspace(1_000, 50_000, size)),
    }
    return leads, pa.table(wins)


@pytest.mark.parametrize("days", [7, 90, 400])
def test_expected_future_agrees_with_many_simulated_ones(days: int) -> None:
    """Orders are drawn again and again for the same customers, who are alive at the start."""
    leads, wins = make_wins(60)
    law = replace(DEMO_CUSTOMERS, order_rate=(1.2, 1 / 15), leaving_rate=(1.5, 1 / 60))
    start = datetime(2024, 6, 20, 15, tzinfo=UTC)
    end = start + timedelta(days=days)
    simulated = simulate_customers(4, 0, leads, wins, law)
    tau = float(CLOCK.to_business_days(np.array([to_microseconds(start)]))[0])
    # Given are life until the start and the upgrades before it; both are fixed here.
    truth = simulated.truth._replace(left=np.full(60, np.inf))
    before = simulated.orders.tau < tau
    given_orders = law_of_customers.CustomerOrders(*(c[before] for c in simulated.orders))
    expected = expect_future(
        SimulatedCustomers(truth, given_orders, simulated.events), start, end, law
    )
    raised = np.bincount(given_orders.customer[given_orders.is_upgrade], minlength=60)
    rng, draws = np.random.default_rng(5), 1_500
    total = {name: np.zeros(60) for name in FIGURES}
    square = {name: np.zeros(60) for name in FIGURES}
    until = float(CLOCK.to_business_days(np.array([to_microseconds(end)]))[0])
    for _ in range(draws):
        drawn = truth._replace(
            # From the start on, a customer is as one who was won then, but for the onboarding.
            won=np.full(60, tau),
            left=tau + rng.exponential(1 / truth.leaving),
            level=truth.level * law.upgrade_factor**raised,
        )
        orders = law_of_customers._draw_orders(rng, law, drawn, until)
        came = count_future(SimulatedCustomers(truth, orders, simulated.events), start, end)
        for name in FIGURES:
            total[name] += getattr(came, name)
            square[name] += getattr(came, name) ** 2
    for name in FIGURES:
        mean = total[name] / draws
        error = np.sqrt((square[name] / draws - mean**2) / draws) + 1e-9
        off = (getattr(expected, name) - mean) / error
        assert np.abs(off).max() < 4.5, name
        # Of all customers together, no bias.
        assert abs(off.mean()) < 4 / np.sqrt(60), name


def test_expectation_is_the_integral_over_time(simulated: SimulatedCustomers) -> None:
    """One customer's expected orders by numerical integration in business time."""
    start, end = START, START + timedelta(days=80)
    expected = expect_future(simulated, start, end)
    truth, law = simulated.truth, DEMO_CUSTOMERS
    low, high = CLOCK.to_business_days(np.array([to_microseconds(t) for t in (start, end)]))
    checked = 0
    for row in np.flatnonzero(find_alive(truth, start, CLOCK))[:40]:

        def rate(t: float, row: int = row) -> float:
            factor = law.onboarding_factor if t < truth.new_until[row] else 1.0
            return float(truth.rate[row] * factor * np.exp(-truth.leaving[row] * (t - low)))

        points = [truth.new_until[row]] if low < truth.new_until[row] < high else None
        value, _ = quad(rate, low, high, points=points)
        assert expected.orders[row] == pytest.approx(value, rel=1e-7)
        checked += 1
    assert checked == 40


def test_expected_totals_agree_with_what_came() -> None:
    """Over companies, what came deviates from the exact expectation by chance alone."""
    off, spread = {name: 0.0 for name in FIGURES}, {name: 0.0 for name in FIGURES}
    for seed in range(12):
        block = simulate_block(seed, 0, 1500)
        found = simulate_customers(seed, 0, *block)
        for months in (12, 6):
            start = END - timedelta(days=30 * months)
            end = start + timedelta(days=150)
            expected, came = expect_future(found, start, end), count_future(found, start, end)
            for name in FIGURES:
                difference = getattr(came, name) - getattr(expected, name)
                off[name] += float(difference.sum())
                spread[name] += float((difference**2).sum())
    for name in FIGURES:
        assert abs(off[name]) < 3.5 * np.sqrt(spread[name]), name


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 800),
    st.floats(0.1, 300),
    st.floats(0.1, 0.9),
)
def test_expectations_are_coherent(
    simulated: SimulatedCustomers, day: int, days: float, part: float
) -> None:
    start = datetime(2024, 1, 2, 7, tzinfo=UTC) + timedelta(days=day)
    middle, end = start + timedelta(days=days * part), start + timedelta(days=days)
    whole, first = expect_future(simulated, start, end), expect_future(simulated, start, middle)
    alive = find_alive(simulated.truth, start, CLOCK)
    for name in FIGURES:
        values = getattr(whole, name)
        assert (values[~alive] == 0).all() and (values[alive] > 0).all()
        assert (getattr(first, name) <= values + 1e-9).all()
    assert (whole.any_order <= np.minimum(whole.days, 1) + 1e-12).all()
    assert (whole.days <= whole.orders + 1e-12).all()
    came = count_future(simulated, start, end)
    assert (came.orders[~alive] == 0).all()


def test_integral_of_decay_has_its_limit_without_decay() -> None:
    rates = np.array([0.0, 1e-15, 1e-6, 0.3, -0.2])
    exact = [2.0, 2.0, 2 - 2e-6, (1 - np.exp(-0.6)) / 0.3, (np.exp(0.4) - 1) / 0.2]
    assert integrate_decay(rates, 2.0) == pytest.approx(exact, rel=1e-9)


def test_orders_are_read_with_the_other_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    summary = write_company(tmp_path / "data", 1500, 3)
    rows = pacsv.read_csv(
        tmp_path / "data" / "orders.csv",
        convert_options=pacsv.ConvertOptions(column_types={"at": pa.string()}),
    )
    block = simulate_block(3, 0, 1500)
    own = simulate_customers(3, 0, *block).events
    assert rows.num_rows > own.num_rows
    assert summary.events == block.events.num_rows + own.num_rows
    dataset = read_sources(load_project(Path(__file__).parents[3] / "configs" / "demo.yaml"))
    read = dataset.events.filter(
        pc.is_in(dataset.events["event_type"], value_set=pa.array(CUSTOMER_TYPES))
    )
    order = [(name, "ascending") for name in own.column_names]
    assert read.select(own.column_names).sort_by(order).equals(own.sort_by(order))
    assert dataset.counts[-1].quarantined


def test_oracle_takes_orders_for_no_evidence(block: SimulatedBlock) -> None:
    leads = block.leads.drop_columns(["email", "billing_contact", "owner"])
    own = simulate_customers(3, 0, *block).events
    events = block.events.select(own.column_names)
    both = pa.concat_tables([events, own]).sort_by("event_time")
    spine = pa.table(
        {
            "entity_id": leads["entity_id"].slice(0, 40),
            "cutoff": pa.array([END] * 40, pa.timestamp("us", "UTC")),
        }
    )
    without, with_orders = (
        compute_oracle(Dataset(leads, log, (), ""), spine, "close", timedelta(days=30))
        for log in (events, both)
    )
    assert np.array_equal(without, with_orders)


def test_company_without_a_win_has_no_orders(tmp_path: Path) -> None:
    write_company(tmp_path, 20, 3)
    lines = (tmp_path / "orders.csv").read_text(encoding="utf-8").splitlines()
    leads, events, *_ = simulate_block(3, 0, 20)
    found: CustomerFuture = expect_future(simulate_customers(3, 0, leads, events), START, END)
    assert len(found.orders) == pc.sum(pc.equal(events["event_type"], "won")).as_py()
    assert len(lines) == 1 or len(found.orders)
