"""Transitions between states."""

import pytest

from models.funnel.funnel_table import estimate_stages
from models.funnel.path_table import build_path_table
from tests.models.funnel.histories import all_leads, make_history
from tests.models.funnel.test_funnel_table import EXAMPLE


def test_paths_by_hand():
    history = make_history(EXAMPLE, value=[1, 10, 100, 1000, 10000, 100000, 1000000])
    staged = estimate_stages(history, all_leads(history))
    rows = {
        (row["from"], row["to"]): row
        for row in build_path_table(history, staged.estimates).to_pylist()
    }
    assert {step: (row["n"], row["value"]) for step, row in rows.items()} == {
        ("created", "mql"): (2, 1000001.0),
        ("created", "offer"): (1, 10.0),
        ("created", "won"): (1, 1000.0),
        ("created", "lost"): (1, 100.0),
        ("mql", "offer"): (2, 2.0),
        ("mql", "gone"): (1, 1000000.0),
        ("offer", "mql"): (1, 1.0),
        ("offer", "won"): (1, 1.0),
    }
    # The transitions of a stage compete: what goes one way goes no other.
    assert rows["mql", "offer"]["p30"] == pytest.approx(2 / 3)
    assert rows["mql", "gone"]["p30"] == pytest.approx(1 / 3)
    assert rows["mql", "offer"]["median_days"] == 5.0
    assert rows["created", "offer"]["p30"] == 0.0
    assert rows["created", "offer"]["p30_high"] > 0.2
