"""Touches of a company, against plain loops over its rows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from pipelines.cli import app
from pipelines.runner import read_clock
from pipelines.touches.touches import compute_touches
from pipelines.training_data import load_snapshot
from tests.models.touches.plain import follow_leads
from tests.pipelines.touches import company

NOW = datetime.fromisoformat(company.AS_OF).replace(tzinfo=UTC)
DAY = 24 * 3_600_000_000
NOW_US = (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
# Outcomes are complete six hours before the as-of: the last event of the data lies then.
OBSERVED = NOW - timedelta(hours=6)
OBSERVED_US = NOW_US - DAY // 4
QUIET, GAP = 40 * DAY, 3 * DAY
VALUE, HARM = (company.CONFIG["touches"][name] for name in ("reply_value", "opt_out_harm"))
Rows = dict[str, company.Rows]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return the rows of a company of 500 leads."""
    return company.draw_rows(500)


@pytest.fixture
def compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return a function that writes a company and returns the tables of its touches."""

    def run(rows: Rows, as_of: str = company.AS_OF, **changes: Any) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
        project = load_project(company.write(tmp_path, rows, **changes))
        return compute_touches(project, as_of).to_json()

    return run


def set_touches(**keys: Any) -> dict[str, Any]:
    return {**company.CONFIG["touches"], **keys}


def follow(rows: Rows) -> list[dict[str, Any]]:
    return follow_leads(company.list_known(rows, NOW), 14 * DAY, QUIET, OBSERVED_US)


def test_hazard_equals_plain_loops(rows: Rows, compute: Callable[..., dict[str, Any]]) -> None:
    result = compute(rows)
    project = load_project(Path("nurtured.yaml"))
    assert load_snapshot(project, company.AS_OF, read_clock()).observed == OBSERVED
    sizes, replies, opt_outs = Counter[Any](), Counter[Any](), Counter[Any]()
    touches = [row for row in follow(rows) if row["at_risk"] and row["mature"]]
    for row in touches:
        via = ("email", "outreach_call")[row["channel"]]
        number = min(row["number"], 5)
        cells = [("all", "all", 0), ("all", "all", number)]
        cells += [("channel", via, 0), ("channel", via, number)]
        cells += [("gap", name_gap(row["gap"]), 0)] if row["gap"] is not None else []
        for cell in cells:
            sizes[cell] += 1
            replies[cell] += row["replied"]
            opt_outs[cell] += row["opted_out"]
    found = {(row["cut"], row["value"], row["touch_no"]): row for row in result["hazard"]}
    assert found.keys() == sizes.keys()
    assert len(found) > 15
    for cell, row in found.items():
        counts = (row["at_risk"], row["replies"], row["opt_outs"])
        assert counts == (sizes[cell], replies[cell], opt_outs[cell]), cell
        rate = replies[cell] / sizes[cell] if sizes[cell] >= 20 else None
        assert row["hazard"] == rate
        assert rate is None or row["hazard_low"] < rate < row["hazard_high"]
    basis = result["basis"]
    assert basis["at_risk"] == len(touches)
    assert basis["at_risk"] + basis["immature"] + basis["not_at_risk"] == basis["touches"]
    answers = [row["number"] for row in touches if row["replied"]]
    assert basis["mean_touches"] == pytest.approx(sum(answers) / len(answers))


def name_gap(gap: int) -> str:
    days = gap / DAY
    names = ((3, "under 3 d"), (7, "3 to 7 d"), (14, "7 to 14 d"), (30, "14 to 30 d"))
    return next((name for limit, name in names if days < limit), "30 d or more")


def test_naive_share_is_that_of_sequences_with_a_reply(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    result = compute(rows)
    touches = [row for row in follow(rows) if row["at_risk"] and row["mature"]]
    answered = {row["sequence"] for row in touches if row["replied"]}
    cells = defaultdict[int, list[bool]](list)
    for row in touches:
        if row["sequence"] in answered:
            cells[min(row["number"], 5)].append(row["replied"])
    for row in result["hazard"]:
        if row["cut"] == "all" and row["touch_no"] and row["naive"] is not None:
            own = cells[row["touch_no"]]
            assert row["naive"] == pytest.approx(sum(own) / len(own))
            assert row["naive"] > row["hazard"]


def test_next_touches_equal_plain_loops(rows: Rows, compute: Callable[..., dict[str, Any]]) -> None:
    result = compute(rows)
    names = [row["id"] for row in rows["leads"]]
    events = company.list_known(rows, NOW)
    best = choose_by_hand(result["hazard"])
    expected = {}
    for lead in range(len(names)):
        own = [event for event in events if event[0] == lead]
        opted_out = any(kind == "opt_out" for _, _, kind, _ in own)
        if rows["leads"][lead]["born"] >= NOW:
            continue
        if any(kind == "end" for _, _, kind, _ in own) and not opted_out:
            continue
        expected[names[lead]] = place_lead(own, opted_out, best)
    found = {
        row["entity_id"]: (row["state"], row["touch_no"], row["channel"])
        for row in result["next_touch"]
    }
    assert found == expected
    states = Counter(state for state, _, _ in expected.values())
    assert set(states) == {"due", "waiting", "replied", "stopped", "opted_out"}
    basis = result["basis"]
    assert {name: basis[name] for name in states} == states


def choose_by_hand(rows: list[dict[str, Any]]) -> dict[int, tuple[str, float]]:
    """Return the channel and the net value of the best touch of each number."""
    own = {(row["value"], row["touch_no"]): row for row in rows if row["cut"] == "channel"}
    best = dict[int, tuple[str, float]]()
    for number in range(1, 6):
        nets = dict[str, float]()
        for channel, cost in company.CONFIG["touches"]["cost"].items():
            counts = [
                (row["at_risk"], row["replies"])
                for (name, n), row in own.items()
                if name == channel and n == number
            ]
            start = number
            while sum(size for size, _ in counts) < 20:
                counts = [
                    (row["at_risk"], row["replies"])
                    for (name, n), row in own.items()
                    if name == channel and n >= start
                ]
                start -= 1
            share = sum(count for _, count in counts) / sum(size for size, _ in counts)
            harm = own[(channel, 0)]["opt_outs"] / own[(channel, 0)]["at_risk"]
            nets[channel] = share * VALUE - cost - harm * HARM
        channel = max(nets, key=lambda name: nets[name])
        best[number] = (channel, nets[channel])
    return best


def place_lead(
    own: list[tuple[int, int, str, int]], opted_out: bool, best: dict[int, tuple[str, float]]
) -> tuple[str, int | None, str | None]:
    """Return the state, the number and the channel of a lead's next touch."""
    if opted_out:
        return "opted_out", None, None
    if any(kind == "reply" and at > NOW_US - QUIET for _, at, kind, _ in own):
        return "replied", None, None
    added = follow_leads(
        [(0, *event[1:]) for event in [*own, (0, NOW_US, "touch", 0)]], 14 * DAY, QUIET, NOW_US
    )
    number = min(added[-1]["number"], 5)
    channel, net = best[number]
    if net < 0:
        return "stopped", None, None
    last = max((at for _, at, kind, _ in own if kind == "touch"), default=0)
    return ("waiting" if last + GAP > NOW_US else "due"), number, channel


def test_due_times_keep_the_gap_and_opt_outs_hold_for_ever(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    result = compute(rows)
    for row in result["next_touch"]:
        due = row["due"] and datetime.fromisoformat(row["due"])
        last = row["last_touch"] and datetime.fromisoformat(row["last_touch"])
        if row["state"] in ("due", "waiting"):
            assert due >= NOW
            assert last is None or due >= last + timedelta(days=3)
            assert row["evidence"] == "descriptive"
        else:
            assert (due, row["channel"], row["p_reply_14d"], row["evidence"]) == (None,) * 3 + ("",)
        until = {"waiting": row["due"], "opted_out": "2999-12-31T00:00:00+00:00"}
        assert row["do_not_contact_until"] == until.get(row["state"])
        assert row["why"]
    order = [(row["state"], row["due"], row["net_value"]) for row in result["next_touch"]]
    due = [-net for state, _, net in order if state == "due"]
    assert due == sorted(due)
    assert [state for state, _, _ in order] == sorted(
        (state for state, _, _ in order),
        key=["due", "waiting", "replied", "stopped", "opted_out"].index,
    )


def test_events_after_the_as_of_change_nothing(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    known = {**rows, "events": [row for row in rows["events"] if row["loaded"] < NOW]}
    assert len(known["events"]) < len(rows["events"])
    assert compute(known) == compute(rows)


def test_touches_without_a_value_of_a_reply_never_stop(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    result = compute(rows, touches=set_touches(reply_value=None))
    assert result["basis"]["stopped"] == 0
    assert "no stop rule" in result["basis"]["limits"]
    assert all(row["net_value"] is None for row in result["next_touch"])


def test_channel_without_a_cost_is_not_proposed_and_is_named(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    result = compute(rows, touches=set_touches(cost={"outreach_call": 0}))
    assert {row["channel"] for row in result["next_touch"]} == {"outreach_call", None}
    assert "names no cost: email" in result["basis"]["limits"]


def test_few_touches_give_no_chance_and_say_so(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    result = compute(rows, touches=set_touches(min_at_risk=10_000))
    assert all(row["p_reply_14d"] is None for row in result["next_touch"])
    assert all(row["hazard"] is None for row in result["hazard"])
    due = [row for row in result["next_touch"] if row["state"] == "due"]
    assert due and {row["why"] for row in due} == {
        "too few touches were followed to give a chance of a reply"
    }


def test_outbound_types_are_touches_by_default(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    keys = {"types": []}
    result = compute(
        rows, touches=set_touches(**keys), features={"outbound": list(company.TOUCHES)}
    )
    assert result == compute(rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"touches": None}, "the config says nothing of touches"),
        ({"touches": set_touches(types=["letter"])}, "this event type never occurs"),
        ({"touches": set_touches(replies=["letter"])}, "this event type never occurs"),
        ({"touches": set_touches(replies=["email_sent"])}, "is a reply, an opt-out or an end"),
        ({"touches": set_touches(opt_outs=["answer"])}, "is a reply already"),
        ({"touches": set_touches(min_gap="1m")}, "must be at least 1h"),
    ],
)
def test_mistakes_in_the_config_are_named(
    rows: Rows,
    compute: Callable[..., dict[str, Any]],
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=message):
        compute(rows, **changes)


def test_company_without_a_touch_is_refused(
    rows: Rows, compute: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(DataError, match="no lead was touched"):
        compute(rows, touches=set_touches(types=[]))


def test_command_prints_both_forms_and_writes_tables(
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = company.write(tmp_path, rows)
    arguments = ["touches", str(path), "--as-of", company.AS_OF]
    app([*arguments, "--json"], standalone_mode=False)
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"next_touch", "hazard", "basis"}
    app([*arguments, "--out", str(tmp_path / "tables")], standalone_mode=False)
    text = capsys.readouterr().out
    assert "chance of a reply" in text and "naive" in text and "descriptive" in text
    files = sorted({file.stem for file in (tmp_path / "tables").iterdir()})
    assert files == ["next_touch", "touch_basis", "touch_hazard"]
