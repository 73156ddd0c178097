"""Outreach of the demo company: exact chances, and bands of the hazard that hold them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from configs.schema import load_project
from features.sources import read_sources
from features.tools.instants import (
    NEVER_US,
    column_to_microseconds,
    duration_to_microseconds,
    to_microseconds,
)
from models.touches.hazard import TouchOutcomes
from models.touches.sequences import AnswerTimes, LeadAnswers, build_sequences
from pipelines.demo import CONFIG_PATH
from pipelines.simulated.company import END
from pipelines.simulated.oracle import compute_oracle
from pipelines.simulated.outreach import (
    DEMO_OUTREACH,
    ENDING_TYPES,
    OUTREACH_FILE,
    OUTREACH_TYPES,
    OutreachWriter,
    SimulatedTouches,
    expect_replies,
    list_outreach_rows,
    simulate_outreach,
)
from pipelines.simulated.simulate import SimulatedBlock, simulate_block, write_company
from pipelines.touches.touches import compute_touches

HORIZON = timedelta(days=14)
DRAWS = 24


@pytest.fixture(scope="module")
def block() -> SimulatedBlock:
    """Return the leads and events of a block; outreach is drawn anew for it."""
    return simulate_block(3, 0, 1500)


def estimate(block: SimulatedBlock, touches: SimulatedTouches) -> TouchOutcomes:
    """Return the outcomes of touches as known at END."""
    end = to_microseconds(END)
    ended = block.events.filter(pc.is_in(block.events["event_type"], pa.array(ENDING_TYPES)))
    lead = pc.index_in(ended["entity_id"], block.leads["entity_id"].combine_chunks()).to_numpy()
    ends = AnswerTimes.from_unordered(lead, column_to_microseconds(ended["event_time"]))
    known = touches.answer < end
    answers = [
        AnswerTimes.from_unordered(touches.lead[rows], touches.answer[rows])
        for rows in (known & touches.replied, known & ~touches.replied)
    ]
    nothing = AnswerTimes(np.zeros(0, np.int64), np.zeros(0, np.int64))
    sequences = build_sequences(
        (touches.lead, touches.time, touches.way),
        LeadAnswers(*answers, ends, nothing),
        duration_to_microseconds(HORIZON),
        duration_to_microseconds(timedelta(days=600)),
        end,
    )
    assert sequences.number.tolist() == touches.number.tolist()
    return TouchOutcomes.from_sequences(sequences, np.arange(block.leads.num_rows), 8)


def test_bands_hold_the_true_chance_where_the_naive_share_does_not(block: SimulatedBlock) -> None:
    held, naive_held, count = 0, 0, 0
    surplus = np.zeros(9)
    for seed in range(DRAWS):
        touches = simulate_outreach(seed, 0, *block)
        outcomes = estimate(block, touches)
        rates = outcomes.estimate_replies(outcomes.number, 9)
        naive = outcomes.estimate_replies(
            np.where(outcomes.find_answered(), outcomes.number, -1), 9
        )
        truth = expect_replies(touches, END, HORIZON)
        assert list(truth) == list(range(1, 9))
        for number, (size, chance) in truth.items():
            assert rates.size[number] == size
            held += rates.low[number] <= chance <= rates.high[number]
            naive_held += naive.low[number] <= chance <= naive.high[number]
            surplus[number] += rates.count[number] - size * chance
            count += 1
    # 90 % bands of 192 cells.
    assert 0.85 <= held / count <= 0.95
    assert naive_held / count < 0.02
    # Surpluses of all draws together are within four standard errors of none.
    variance = DRAWS * np.array([size * p * (1 - p) for size, p in truth.values()])
    assert (np.abs(surplus[1:]) < 4 * np.sqrt(variance)).all()


def test_chance_first_rises_and_then_falls_since_open_leads_have_replied(
    block: SimulatedBlock,
) -> None:
    touches = simulate_outreach(1, 0, *block)
    chance = [float(touches.chance[touches.number == n].mean()) for n in range(1, 9)]
    assert chance[0] < chance[2] > chance[7]
    # An open lead alone has the chances of the law; the mixture lies between both kinds.
    mean = 1 + DEMO_OUTREACH.call_share * (DEMO_OUTREACH.call_factor - 1)
    first = DEMO_OUTREACH.open_share * DEMO_OUTREACH.open_reply[0]
    first += (1 - DEMO_OUTREACH.open_share) * DEMO_OUTREACH.closed_reply
    assert chance[0] == pytest.approx(first * mean, rel=0.05)


def test_nobody_is_touched_after_a_reply_an_opt_out_or_the_end(block: SimulatedBlock) -> None:
    touches = simulate_outreach(2, 0, *block)
    answered = touches.answer < NEVER_US
    last = np.append(np.diff(touches.lead) != 0, True)
    assert last[answered].all()
    assert (np.diff(touches.time)[~last[:-1]] >= 4 * duration_to_microseconds(timedelta(1))).all()
    assert touches.time.max() < to_microseconds(END)


def test_outreach_leaves_every_other_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_company(tmp_path / "with", 200, 7)
    monkeypatch.setattr(OutreachWriter, "add_block", lambda *_: None)
    monkeypatch.setattr(OutreachWriter, "write", lambda *_: None)
    write_company(tmp_path / "without", 200, 7)
    files = {
        name: {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("with", "without")
    }
    assert files["with"].pop(OUTREACH_FILE)
    assert files["with"] == files["without"]


def test_demo_reads_its_outreach_and_counts_it_in_no_feature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    write_company(tmp_path / "data", 1500, 3)
    project = load_project(CONFIG_PATH)
    assert {*project.touches.types, "reply", "unsubscribed"} <= {*project.features.exclude}
    result = compute_touches(project, "2025-07-01")
    touches = simulate_outreach(3, 0, *simulate_block(3, 0, 1500))
    assert result.basis["touches"] == len(touches.lead)
    truth = expect_replies(touches, END, HORIZON)
    cells = {
        row["touch_no"]: row
        for row in result.tables.list_rows("touch_hazard")
        if row["cut"] == "all" and row["touch_no"]
    }
    # The company's last hours are not complete at the as-of.
    assert sum(size for size, _ in truth.values()) - result.basis["at_risk"] < 20
    assert {number: cells[number]["at_risk"] for number in cells}.keys() == truth.keys()
    rows = list_outreach_rows(simulate_block(3, 0, 1500).leads, touches)
    assert len(rows) > len(touches.lead)


def test_oracle_takes_outreach_for_no_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    write_company(tmp_path / "data", 300, 3)
    dataset = read_sources(load_project(CONFIG_PATH))
    is_outreach = pc.is_in(dataset.events["event_type"], value_set=pa.array(OUTREACH_TYPES))
    assert pc.sum(is_outreach).as_py() > 100
    others = replace(dataset, events=dataset.events.filter(pc.invert(is_outreach)))
    spine = pa.table(
        {
            "entity_id": dataset.leads["entity_id"].slice(0, 40),
            "cutoff": pa.array([END] * 40, pa.timestamp("us", "UTC")),
        }
    )
    own, without = (
        compute_oracle(data, spine, "close", timedelta(days=30)) for data in (dataset, others)
    )
    assert np.array_equal(own, without)
