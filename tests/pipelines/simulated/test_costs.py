"""Costs of the demo company: of a stream of their own, and readable by its config."""

import hashlib
from collections import Counter
from datetime import date

import pytest

from configs.schema import load_project
from pipelines.demo import CONFIG_PATH
from pipelines.simulated import simulate
from pipelines.simulated.company import SOURCE_SHARES, SOURCES
from pipelines.simulated.costs import COST_PER_LEAD, COSTS_FILE, draw_costs, write_costs
from pipelines.simulated.simulate import write_company


def hash_files(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_costs_leave_every_other_file_as_it_is(tmp_path, monkeypatch):
    write_company(tmp_path / "with", leads=200, seed=7)
    monkeypatch.setattr(simulate, "write_costs", lambda *_: None)
    write_company(tmp_path / "without", leads=200, seed=7)
    files = hash_files(tmp_path / "with")
    assert files.pop(COSTS_FILE)
    assert files == hash_files(tmp_path / "without")


def test_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path):
    first, again, other = (write_costs(tmp_path, 200, seed).read_bytes() for seed in (7, 7, 8))
    assert first == again != other


def test_costs_grow_with_the_company_and_come_on_mondays():
    small, large = (draw_costs(leads, 7) for leads in (1_000, 2_000))
    assert [row[:2] for row in small] == [row[:2] for row in large]
    assert {date.fromisoformat(row[0]).weekday() for row in small} == {0}
    assert max(row[3] for row in small) > max(row[0] for row in small)
    totals = [
        Counter({row[1]: 0.0 for row in rows}) | _sum_channels(rows) for rows in (small, large)
    ]
    for channel, total in totals[0].items():
        assert totals[1][channel] == pytest.approx(2 * total, rel=1e-3)


def _sum_channels(rows):
    total = Counter()
    for _, channel, cost, _ in rows:
        total[channel] += float(cost)
    return total


def test_config_of_the_demo_names_the_columns():
    (source,) = load_project(CONFIG_PATH).sources.costs
    assert source.path.endswith(COSTS_FILE)
    assert (source.date, source.channel, source.cost) == ("week", "channel", "cost")


def test_cost_of_a_lead_is_that_of_its_source():
    leads = 10_000
    total = _sum_channels(draw_costs(leads, 7)[:-1])
    shares = dict(zip(SOURCES, SOURCE_SHARES, strict=True))
    for name, cost in COST_PER_LEAD.items():
        # The noise has the mean exp(NOISE² / 2); few weeks with fairs leave more of it.
        assert total[name] / (leads * shares[name]) == pytest.approx(cost, rel=0.15), name
    # A lead of a fair costs most, one of a bought list least.
    assert max(COST_PER_LEAD, key=COST_PER_LEAD.get) == "trade_fair"
    assert min(COST_PER_LEAD, key=COST_PER_LEAD.get) == "bought_list"
