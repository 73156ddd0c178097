"""The simulated company: its clock, its seed, its true rows and its untidy files."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from configs.schema import load_project
from features.contracts import EVENTS, LEADS
from features.definitions.catalog import build_catalog
from features.intake.leads.columns import list_carried_columns
from features.sources import read_sources
from features.tools.instants import to_microseconds
from pipelines.simulated import company, simulate
from pipelines.simulated.customers import CUSTOMER_TYPES, simulate_customers
from pipelines.simulated.outreach import OUTREACH_TYPES
from pipelines.simulated.simulate import simulate_block
from serve.scoring.weekly_lists import total_weekly_capacity

CLOCK = company.build_demo_clock()


@pytest.fixture(scope="module")
def truth() -> simulate.SimulatedBlock:
    return simulate_block(3, 0, 1500)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, simulate.SimulationSummary]:
    folder = tmp_path_factory.mktemp("company") / "data"
    return folder, simulate.write_company(folder, 1500, 3)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()
    }


def text_of(path: Path) -> pa.Table:
    names = path.read_text(encoding="utf-8").splitlines()[0].replace('"', "").split(",")
    options = pacsv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=True
    )
    return pacsv.read_csv(path, convert_options=options)


@settings(max_examples=50)
@given(st.integers(0, int((company.END - company.START).total_seconds()) * 1_000_000))
def test_clock_and_its_inverse_agree_to_a_microsecond(offset: int) -> None:
    us = np.array([to_microseconds(company.START) + offset])
    assert abs(int(CLOCK.to_instants(CLOCK.to_business_days(us))[0] - us[0])) <= 1


def test_clock_always_runs_and_is_faster_by_day() -> None:
    steps = np.diff(CLOCK.edges)
    assert steps.min() > 0
    assert steps[10] > 3 * steps[2]
    assert steps[10] > 3 * steps[5 * 24 + 10]  # 2024-01-01 is a Monday


def test_clock_rejects_an_instant_before_the_company() -> None:
    with pytest.raises(DataError, match="clock"):
        CLOCK.to_business_days(np.array([to_microseconds(company.START) - 1]))


def test_company_of_one_seed_has_the_same_bytes(
    written: tuple[Path, simulate.SimulationSummary], tmp_path: Path
) -> None:
    assert simulate.write_company(tmp_path, 1500, 3) == written[1]
    assert contents(tmp_path) == contents(written[0])
    simulate.write_company(tmp_path, 1500, 4)
    assert contents(tmp_path).keys() == contents(written[0]).keys()
    assert contents(tmp_path) != contents(written[0])


def test_blocks_are_independent_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "BLOCK_LEADS", 100)
    seen: list[tuple[int, int]] = []
    simulate.write_company(tmp_path, 250, 3, lambda done, total: seen.append((done, total)))
    assert seen == [(100, 250), (200, 250), (250, 250)]
    second = simulate_block(3, 1, 100)
    part = pq.read_table(tmp_path / "web" / "part-00001.parquet")
    web = second.events.filter(pc.equal(second.events["log"], "web"))
    assert set(part["lead_id"].drop_null().to_pylist()) == set(web["entity_id"].to_pylist())
    simulate.write_company(tmp_path, 80, 3)
    assert [f.name for f in (tmp_path / "web").iterdir()] == ["part-00000.parquet"]
    assert not (tmp_path / ".partial").exists()


def test_failure_leaves_the_old_files(tmp_path: Path) -> None:
    simulate.write_company(tmp_path, 60, 3)
    before = contents(tmp_path)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate.write_company(tmp_path, 60, 4, fail)
    assert contents(tmp_path) == before


def test_lead_acts_only_between_its_creation_and_its_end(truth: simulate.SimulatedBlock) -> None:
    leads, events = truth.leads.to_pandas(), truth.events.to_pandas()
    joined = events.merge(leads[["entity_id", "created_at"]], on="entity_id")
    assert (joined["event_time"] >= joined["created_at"]).all()
    assert events["available_at"].max() < company.END
    done = events[events["event_type"].isin(["disqualified", "won", "lost"])].set_index(
        "entity_id"
    )["event_time"]
    assert done.index.is_unique
    last = events.groupby("entity_id")["event_time"].max()
    assert (last.loc[done.index] == done).all()
    opened = events[events["event_type"] == "opportunity"].set_index("entity_id")["event_time"]
    assert opened.index.is_unique
    assert set(events.loc[events["event_type"].isin(["won", "lost"]), "entity_id"]) <= set(
        opened.index
    )
    assert events.duplicated().sum() == 0


def test_late_rows_are_known_two_days_later_and_outcomes_immediately(
    truth: simulate.SimulatedBlock,
) -> None:
    events = truth.events.to_pandas()
    delay = events["available_at"] - events["event_time"]
    assert set(delay) == {timedelta(0), timedelta(days=2)}
    share = (delay > timedelta(0)).groupby(events["event_type"]).mean()
    assert 0.2 < share["call"] < 0.4
    assert (
        share[["opportunity", "won", "lost", "disqualified", "mql", "proposal", "page_view"]].sum()
        == 0
    )


def test_behaviour_changes_part_way(truth: simulate.SimulatedBlock) -> None:
    events = truth.events.to_pandas()
    web = events[
        events["event_type"].isin(["chat", "form_submit"]) & (events["channel"] != "partner")
    ]
    after = web["event_time"] >= company.CHANGE_AT
    share = (web["event_type"] == "chat").groupby(after).mean()
    assert share[True] > share[False] + 0.1


def test_planted_column_is_filled_only_after_an_opportunity(
    truth: simulate.SimulatedBlock,
) -> None:
    events = truth.events.to_pandas()
    opened = set(events.loc[events["event_type"] == "opportunity", "entity_id"])
    leads = truth.leads.to_pandas().set_index("entity_id")
    filled = leads["billing_contact"].notna()
    assert set(filled.index[filled]) <= opened
    assert 0.75 < filled[list(opened)].mean() < 0.93


def test_leads_include_missing_accounts_and_missing_values(
    truth: simulate.SimulatedBlock,
) -> None:
    leads = truth.leads.to_pandas()
    assert 0.15 < leads["account_id"].isna().mean() < 0.25
    assert leads["account_id"].value_counts().max() == 3
    assert 0 < leads["industry"].isna().mean() < 0.1
    assert (company.compute_fit(truth.leads) > 0).all()


def test_accounts_have_one_owner_of_five(truth: simulate.SimulatedBlock) -> None:
    leads = truth.leads.to_pandas()
    assert leads.groupby("account_id")["owner"].nunique().max() == 1
    assert set(leads["owner"]) == set(simulate.OWNERS)
    # Even shares, and no tie to what the lead does.
    assert leads["owner"].value_counts(normalize=True).between(0.1, 0.3).all()


def test_owners_change_no_other_value(
    truth: simulate.SimulatedBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "OWNERS", ("nobody",) * 7)
    other = simulate_block(3, 0, 1500)
    assert other.events.equals(truth.events)
    assert other.leads.drop_columns("owner").equals(truth.leads.drop_columns("owner"))
    assert not other.leads["owner"].equals(truth.leads["owner"])


def test_wins_are_worth_the_newest_proposal(truth: simulate.SimulatedBlock) -> None:
    offers: dict[str, float] = {}
    expected: dict[str, float | None] = {}
    worth: dict[str, float] = {}
    for row in truth.events.sort_by("event_time").to_pylist():
        if row["event_type"] == "proposal":
            offers[row["entity_id"]] = row["value"]
        if row["event_type"] == "won":
            expected[row["entity_id"]] = offers.get(row["entity_id"])
            worth[row["entity_id"]] = row["value"]
    assert {lead: worth[lead] for lead, offer in expected.items() if offer} == {
        lead: offer for lead, offer in expected.items() if offer
    }
    without = [worth[lead] for lead, offer in expected.items() if offer is None]
    assert len(without) > 5
    # Drawn as proposals are, so of the same order of magnitude.
    ratio = np.median(without) / np.median(list(offers.values()))
    assert 0.4 < ratio < 2.5
    others = truth.events.filter(pc.is_in(truth.events["event_type"], pa.array(["lost", "chat"])))
    assert others.num_rows > 0
    assert others["value"].null_count == others.num_rows


def test_amounts_of_wins_change_no_other_value(
    truth: simulate.SimulatedBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget_amounts(*arguments: object) -> pa.ChunkedArray:
        events = arguments[-1]
        assert isinstance(events, pa.Table)
        return events["value"]

    monkeypatch.setattr(simulate, "_draw_win_amounts", forget_amounts)
    other = simulate_block(3, 0, 1500)
    assert other.leads.equals(truth.leads)
    assert other.events.drop_columns("value").equals(truth.events.drop_columns("value"))
    won = pc.equal(truth.events["event_type"], "won")
    assert other.events.filter(pc.invert(won)).equals(truth.events.filter(pc.invert(won)))
    assert other.events.filter(won)["value"].null_count == pc.sum(won).as_py()
    assert truth.events.filter(won)["value"].null_count == 0


def test_summary_counts_the_written_rows(
    written: tuple[Path, simulate.SimulationSummary], truth: simulate.SimulatedBlock
) -> None:
    folder, summary = written
    rows = sum(text_of(folder / name).num_rows for name in ("leads.csv", "crm.csv", "orders.csv"))
    rows += pq.read_table(folder / "web").num_rows
    assert rows == summary.leads + summary.events + summary.duplicates + summary.broken
    after = simulate_customers(3, 0, *truth).events
    events = truth.events.num_rows + after.num_rows
    assert (summary.leads, summary.events) == (truth.leads.num_rows, events)
    assert summary.broken > 0
    assert summary.late > 0


def test_files_hold_the_true_rows_duplicates_and_broken_rows_only(
    written: tuple[Path, simulate.SimulationSummary], truth: simulate.SimulatedBlock
) -> None:
    crm = text_of(written[0] / "crm.csv")
    found = Counter(
        zip(*(crm[name].to_pylist() for name in ("lead", "at", "activity")), strict=True)
    )
    own = truth.events.filter(pc.equal(truth.events["log"], "crm"))
    at = [
        text.replace("Z", "+00:00") for text in pc.cast(own["event_time"], pa.string()).to_pylist()
    ]
    true = set(zip(own["entity_id"].to_pylist(), at, own["event_type"].to_pylist(), strict=True))
    assert true <= found.keys()
    strange = {key for key in found if key not in true}
    assert all(
        lead is None or at in ("soon", "9999-12-31 00:00:00+00:00") for lead, at, _ in strange
    )


def test_config_reads_the_true_rows_back(
    written: tuple[Path, simulate.SimulationSummary],
    truth: simulate.SimulatedBlock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    (tmp_path / "data").symlink_to(written[0])
    project = load_project(Path(__file__).parents[3] / "configs" / "demo.yaml")
    dataset = read_sources(project)
    leads = truth.leads.drop_columns(["email", "billing_contact"]).sort_by("entity_id")
    after = simulate_customers(3, 0, *truth).events
    assert dataset.leads.select(LEADS.names).equals(leads.select(LEADS.names))
    assert dataset.leads.to_pandas()["employees"].equals(leads.to_pandas()["employees"])
    order = [(name, "ascending") for name in EVENTS.names]
    events = [table.select(EVENTS.names) for table in (truth.events, after)]
    is_ours = pc.is_in(dataset.events["event_type"], value_set=pa.array(OUTREACH_TYPES))
    read = dataset.events.filter(pc.invert(is_ours))
    assert read.sort_by(order).equals(pa.concat_tables(events).sort_by(order))
    assert pc.sum(is_ours).as_py() > 1000
    assert all(count.quarantined for count in dataset.counts)
    # The owner makes the weekly lists and is no feature; all owners together work 200 leads.
    assert dataset.leads["owner"].to_pylist() == leads["owner"].to_pylist()
    catalog = build_catalog(project, dataset, list_carried_columns(project))
    assert not [feature.name for feature in catalog.features if "owner" in feature.name]
    # What customers do after the win, and our own outreach, is in no feature of leads.
    assert catalog.unused == tuple(sorted([*CUSTOMER_TYPES, *OUTREACH_TYPES]))
    assert total_weekly_capacity(dataset, project.capacity_config) == 200
