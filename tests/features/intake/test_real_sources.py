"""Shipped configs on the real data sets, if LEADSCORE_DATA names their directory."""

import os
from pathlib import Path

import pytest

from configs.schema import load_project
from features.sources import read_sources

pytestmark = pytest.mark.real
CONFIGS = Path(__file__).parents[3] / "configs"
# rows of leads and of events that are used, and what becomes of the others
EXPECTED = {
    "olist": (8_000, 842, {}),
    "bpi2012": (13_087, 262_200, {}),
    "xeducation": (9_240, 0, {}),
    "ibm_win_loss": (77_829, 0, {"duplicate": 196}),
    "bank_marketing": (41_188, 0, {}),
    "crm_maven": (8_300, 0, {}),
    "online_shoppers": (12_330, 0, {}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_data_set_is_read_completely(name):
    folder = Path(os.environ.get("LEADSCORE_DATA") or "/nowhere") / name
    if not folder.is_dir():
        pytest.skip(f"LEADSCORE_DATA holds no {name}")
    found = read_sources(load_project(CONFIGS / f"{name}.yaml"))
    leads, events, quarantined = EXPECTED[name]
    assert (found.leads.num_rows, found.events.num_rows) == (leads, events)
    assert {
        reason: n for count in found.counts for reason, n in count.quarantined.items()
    } == quarantined
    assert all(
        each.rows_in == each.used + each.skipped + sum(each.quarantined.values())
        for each in found.counts
    )
