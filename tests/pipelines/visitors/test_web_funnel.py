"""The web funnel, against a count by hand from the rows, with owners by SQL."""

import math
import random
from collections import defaultdict
from datetime import timedelta
from statistics import median

import pytest

from features.intake.visitors import web_visits
from features.sources import read_sources
from models.visitors.schemas import WEB_FUNNEL
from pipelines.training_data import Snapshot
from pipelines.visitors.web_funnel import compute_web_funnel
from tests.features.company import LEAD, csv_text, project, write
from tests.features.visitors.histories import SPAN, START, draw_histories, hours_to_us, to_rows
from tests.features.visitors.oracle import find_owners
from tests.features.visitors.test_availability import LINK_COLUMNS, LINK_KEYS, VISIT_COLUMNS

LEADS, HOUR = 12, 3_600_000_000
EVENT = {"visitor_id": "cookie", "event_time": "at", "known_at": "known", "event_id": "id"}
EVENT |= {"event_type": {"constant": "view"}, "channel": "via"}
EVENT |= {"landing_page": "page", "call_to_action": "button"}
# Three days and nine for 30 and 90 of the table, in histories of ten days.
SPANS = {"CONTACT_DAYS": 3, "CUSTOMER_DAYS": 6}


def company(folder, seed):
    """Write a company; return its config, links, visits, rows of these, and the wins."""
    rng = random.Random(seed)
    links, visits = draw_histories(seed, 40, LEADS)
    rows = to_rows(visits, VISIT_COLUMNS)
    for row in rows:
        row["page"] = rng.choice(["home", "prices", "other", ""])
        row["via"] = rng.choice(["search", "ads"])
        row["button"] = rng.choice(["", "", "demo", "call"])
    wins = [
        (f"lead{n}", START + timedelta(hours=rng.randrange(SPAN)), rng.randrange(1, 9))
        for n in range(LEADS)
        for _ in range(rng.randrange(3))
    ]
    born = "".join(f"lead{n},2024-02-01\n" for n in range(LEADS))
    won = "".join(f"{lead},{at.isoformat()},won,{value}\n" for lead, at, value in wins)
    crm = {"path": write(folder / "c.csv", "lead,at,what,sum\n" + won), "entity_id": "lead"}
    config = project(
        {"path": write(folder / "l.csv", "id,born\n" + born), **LEAD},
        [
            {"path": write(folder / "v.csv", csv_text(rows)), **EVENT},
            {**crm, "event_time": "at", "event_type": "what", "value": "sum"},
        ],
        identities={
            "path": write(
                folder / "i.csv", csv_text(to_rows(links, LINK_COLUMNS), [*LINK_COLUMNS.values()])
            ),
            **LINK_KEYS,
        },
        max_quarantine=1,
        earliest="2024-01-01",
        latest="2025-01-01",
    )
    return config, links, visits, {row["id"]: row for row in rows}, wins


def list_owned_rows(links, visits, as_of):
    """Yield each row known by then, with its lead, or None, and since when that is known."""
    columns = [links["known"], links["revoked"].drop_null(), visits["known"]]
    instants = {t for column in columns for t in column.to_pylist() if t <= as_of} | {as_of}
    owners = {t: find_owners(links, visits, t, 2) for t in instants}
    for row in visits.to_pylist():
        if max(row["time"], row["known"]) < as_of:
            lead, since = owners[as_of].get(row["id"]), math.inf
            lead = lead if lead and int(lead[4:]) < LEADS else None
            if lead:
                # Known from the last instant on at which it was not yet the lead's.
                others = [t for t, owned in owners.items() if owned.get(row["id"]) != lead]
                since = max(row["known"], *others)
            yield row, lead, since


def count_by_hand(links, visits, texts, wins, as_of):
    """Return rows of the table by segment."""
    units, clicks = defaultdict(list), defaultdict(list)
    for row, lead, since in list_owned_rows(links, visits, as_of):
        unit = lead or f"visitor {row['visitor']}"
        units[unit].append((row["time"], since, texts[row["id"]]))
        if texts[row["id"]]["button"]:
            clicks[unit, texts[row["id"]]["button"]].append(row["time"])
    segments = defaultdict(list)
    for unit, rows in units.items():
        first, known = min(row[0] for row in rows), min(row[1] for row in rows)
        if known < first:
            continue
        entries = [row[2] for row in rows if row[0] == first]
        segments["all", "all"].append((first, known, unit, 1))
        for column, key in (("landing_page", "page"), ("channel", "via")):
            # Of several events at the first instant any may be the one: not compared.
            names = sorted({entry[key] or "missing" for entry in entries})
            for name in names:
                segments[column, name].append((first, known, unit, len(names)))
        for (owner, button), times in clicks.items():
            if owner == unit and min(times) <= known:
                segments["call_to_action", button].append((min(times), known, unit, 1))
    return {key: summarize(rows, wins, as_of) for key, rows in segments.items()}


def summarize(rows, wins, as_of):
    day = 24 * HOUR
    known = [row for row in rows if row[1] < math.inf]
    mature = [r for r in rows if r[0] + SPANS["CONTACT_DAYS"] * day <= as_of]
    followed = [r for r in rows if r[0] + SPANS["CUSTOMER_DAYS"] * day <= as_of]
    start = int(hours_to_us(0))
    won = [
        [
            value
            for lead, at, value in wins
            if lead == row[2]
            and row[0]
            <= start + (at - START) // timedelta(microseconds=1)
            < min(row[0] + SPANS["CUSTOMER_DAYS"] * day, as_of)
        ]
        for row in followed
    ]
    return {
        "ambiguous": any(row[3] > 1 for row in rows),
        "visitors": len(rows),
        "contacts": len(known),
        "mature": len(mature),
        "soon": sum(r[1] - r[0] < SPANS["CONTACT_DAYS"] * day for r in mature),
        "days": median((r[1] - r[0]) / day for r in known) if known else None,
        "followed": len(followed),
        "customers_mature": sum(bool(values) for values in won),
        "value": sum(map(sum, won)),
    }


@pytest.mark.parametrize(("seed", "hours"), [(1, 241), (2, 241), (3, 130), (4, 500), (5, 60)])
def test_table_agrees_with_a_count_by_hand(tmp_path, monkeypatch, seed, hours):
    for name, days in SPANS.items():
        monkeypatch.setattr(f"models.visitors.web_funnel.{name}", days)
    # Reduced after nearly every piece, too.
    monkeypatch.setattr(web_visits, "MAX_BUFFERED_ROWS", 1)
    config, links, visits, texts, wins = company(tmp_path, seed)
    as_of = START + timedelta(hours=hours)
    data = read_sources(config).cut_at(as_of)
    table = compute_web_funnel(Snapshot(config, data, as_of, as_of, as_of), "win")
    assert table.schema == WEB_FUNNEL
    rows = {(row["segment_by"], row["segment"]): row for row in table.to_pylist()}
    wanted = count_by_hand(links, visits, texts, wins, int(hours_to_us(hours)))
    compared = 0
    for key, row in rows.items():
        right = wanted[key]
        if right["ambiguous"]:
            continue
        for name in ("visitors", "contacts", "mature", "followed", "customers_mature", "value"):
            assert row[name] == right[name], (key, name)
        assert row["never_identified"] == pytest.approx(1 - right["contacts"] / right["visitors"])
        assert row["days_to_contact"] == (right["days"] and pytest.approx(right["days"]))
        if right["mature"]:
            assert row["contacts_30d"] == pytest.approx(right["soon"] / right["mature"])
            assert 0 <= row["contacts_30d_low"] <= row["contacts_30d"] <= row["contacts_30d_high"]
        else:
            assert row["contacts_30d"] is None
        compared += 1
    assert {key for key, right in wanted.items() if not right["ambiguous"]} <= rows.keys()
    assert compared >= 3


def test_company_without_visitors_has_no_rows(tmp_path):
    path = write(tmp_path / "e.csv", "lead,at,what\nA,2024-01-02,won\n")
    events = {"path": path, "entity_id": "lead", "event_time": "at", "event_type": "what"}
    config = project(
        {"path": write(tmp_path / "l.csv", "id,born\nA,2024-01-01\n"), **LEAD}, [events]
    )
    data = read_sources(config)
    snapshot = Snapshot(config, data, START, START, START)
    assert compute_web_funnel(snapshot, "win").equals(WEB_FUNNEL.empty_table())
