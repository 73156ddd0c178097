"""Reference profile of a training: dependence of outcomes within accounts."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from configs.schema import load_project
from models.training.results import OUT_OF_TIME
from pipelines.runner import read_clock
from pipelines.training.reference_profile import fit_account_dependence
from pipelines.training_data import load_snapshot
from tests.pipelines import tiny


@pytest.mark.parametrize("by", ["cutoff", "fold"])
def test_account_rows_at_one_time_are_one_group(tmp_path, monkeypatch, by):
    monkeypatch.chdir(tmp_path)
    targets = {
        "buy": tiny.CONFIG["targets"]["buy"]
        | ({"cutoffs": {"delay": "7d"}} if by == "fold" else {})
    }
    now = load_snapshot(
        load_project(tiny.write(tmp_path, leads=60, targets=targets)), tiny.END, read_clock()
    )
    rng, leads = np.random.default_rng(5), now.dataset.leads.to_pylist()
    rows = [
        {
            "entity_id": lead["entity_id"],
            "cutoff": now.as_of.replace(day=1 + day),
            "fold": 1 + day % 2,
            "label": 0,
        }
        | {"probability": rng.random(), "uncalibrated": 0.5}
        for lead in leads
        for day in range(4)
    ]
    for row in rows:
        row["label"] = int(rng.random() < row["probability"])
    account = {lead["entity_id"]: lead["account_id"] for lead in leads}
    groups = defaultdict(list)
    for row in rows:
        if account[row["entity_id"]] is not None:
            groups[account[row["entity_id"]], row[by]].append(row)
    several = [own for own in groups.values() if len(own) > 1]
    found = fit_account_dependence(now, "buy", pa.Table.from_pylist(rows, schema=OUT_OF_TIME))
    assert found.groups == len(several) > 10
    assert found.observed == sum(any(row["label"] for row in own) for own in several)
    assert found.independent == pytest.approx(
        sum(1 - np.prod([1 - row["probability"] for row in own]) for own in several)
    )


def test_data_without_accounts_has_no_groups(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    now = load_snapshot(load_project(tiny.write(tmp_path, leads=60)), tiny.END, read_clock())
    leads = now.dataset.leads.set_column(
        1, "account_id", pa.nulls(now.dataset.leads.num_rows, pa.string())
    )
    bare = replace(now, dataset=replace(now.dataset, leads=leads))
    assert fit_account_dependence(bare, "buy", OUT_OF_TIME.empty_table()).groups == 0
