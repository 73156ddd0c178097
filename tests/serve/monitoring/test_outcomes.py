"""Outcomes of published scores, against plain Python and SQL on the same raw rows."""

import itertools
import math
import random
import sqlite3
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from configs.targets import ColumnOutcome, Cutoffs, Target
from features.times.data_end import find_data_end
from models.evaluation.metrics import Estimate
from serve.monitoring import outcomes
from serve.monitoring.expectations import (
    ModelAge,
    compare_with_expectations,
    estimate_difference,
    read_expectations,
    recommend_retraining,
)
from serve.monitoring.outcomes import (
    FOLLOWED,
    GONE,
    LATE_START,
    NOT_KEPT,
    NOT_LAST_OF_WEEK,
    OLDER,
    REHEARSED,
    OutcomeData,
    VersionRecord,
    follow_lists,
    follow_scores,
    list_published_nights,
)
from serve.monitoring.realised import ALL_ROWS, build_masks, measure_outcomes
from serve.store.store import Store
from tests.features.logs import of
from tests.serve.samples import LATER, a_run, some_scores

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2025, 3, 3, 23, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GRID = Target(outcome="won", horizon="10d", cutoffs=Cutoffs(every="7d"), amount="size")
ONCE = Target(outcome="won", horizon="10d", cutoffs=Cutoffs(delay="1h"))
FILLED = Target(outcome=ColumnOutcome(column="fate", equals="yes"))


def company(leads=40, days=80, seed=2):
    """Return leads present at START; some win on a random day, known up to two days later."""
    chance = random.Random(seed)
    rows, events = [], []
    for number in range(leads):
        name, born = f"L{number:03}", START - DAY * chance.randint(1, 9)
        size = None if number % 9 == 0 else float(chance.randint(1, 9))
        rows.append(
            {
                "entity_id": name,
                "account_id": None,
                "created_at": born,
                "available_at": born,
                "size": size,
            }
        )
        for kind in ("won", "visit", "visit"):
            at = START + timedelta(days=chance.uniform(0, 3 * days if kind == "won" else days))
            told = at + timedelta(days=chance.choice([0, 0, 2]))
            events.append(event(name, at, kind, told))
    end = START + DAY * days
    events.append(event("L001", end - timedelta(hours=1), "visit"))
    return rows, [e for e in events if e["available_at"] < end]


def event(name, at, kind="won", known=None):
    return {
        "entity_id": name,
        "event_time": at,
        "available_at": known or at,
        "event_type": kind,
        "channel": None,
        "value": None,
    }


def publish(store, as_of, ids, version="1", run_id=None, finished=LATER, **columns):
    run = replace(
        a_run(run_id or f"{as_of.isoformat()} {version}", as_of, (), "p"), models={"t": version}
    )
    store.start(run)
    store.publish(
        some_scores(run, ids, **({"cutoff": [as_of] * len(ids)} | columns)), run.run_id, finished
    )


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "scores.db")
    made.path = tmp_path / "scores.db"
    return made


@pytest.fixture
def nightly(store):
    """Publish 70 nights of 40 leads and an unknown one; the model changes on day 33."""
    rows, events = company()
    sizes = {row["entity_id"]: row["size"] for row in rows}
    chance = np.random.default_rng(5)
    for number in range(70):
        ids = [row["entity_id"] for row in rows if chance.random() < 0.9] + ["ghost"]
        p = chance.random(len(ids)).round(2) * 0.3
        worth = [
            None if sizes.get(name) is None else float(x) * sizes[name]
            for name, x in zip(ids, p, strict=True)
        ]
        grades = [chance.choice(["A", "B", "C", "D"]) for _ in ids]
        publish(
            store,
            START + DAY * number,
            ids,
            "1" if number < 33 else "2",
            probability=p,
            grade=grades,
            expected_value=worth,
        )
    return rows, events


def followed(store, target, rows, events, upto=None, terms=None, lag=timedelta(0)):
    """Follow the scores published as of ``upto``, with the data available then."""
    upto = upto or START + DAY * 80
    dataset = of(rows, events).cut_at(upto)
    nights = list_published_nights(store.runs("p"), "t", upto, BERLIN)
    return dataset, follow_scores(
        store,
        ("p", "t"),
        target,
        nights,
        OutcomeData(dataset, (find_data_end(dataset.cut_at(upto), ZoneInfo("UTC")) or upto) - lag),
        terms or {},
    )


def by_hand(store, rows, events, observed, horizon=10 * DAY):
    """Read the table by SQL and label by loops: yield (week, row, state, label)."""
    with sqlite3.connect(store.path) as db:
        db.row_factory = sqlite3.Row
        scored = [dict(row) for row in db.execute("select * from scores where target = 't'")]
    for row in scored:
        row["at"] = datetime.fromisoformat(row["as_of"])
        year, week, _ = row["at"].astimezone(BERLIN).isocalendar()
        row["week"] = f"{year}-W{week:02d}"
        row["month"] = f"{row['at'].astimezone(BERLIN):%Y-%m}"
    last = {}
    for row in scored:
        last[row["week"]] = max(row["at"], last.get(row["week"], row["at"]))
    won = defaultdict(list)
    for e in events:
        if e["event_type"] == "won":
            won[e["entity_id"]].append(e["event_time"])
    there = {row["entity_id"] for row in rows}
    for row in scored:
        if row["at"] == last[row["week"]]:
            happened = any(row["at"] <= at < row["at"] + horizon for at in won[row["entity_id"]])
            known = row["at"] + horizon <= observed
            state = "immature" if not known else "used" if row["entity_id"] in there else "unknown"
            yield row["week"], row, state, int(happened)


def lists_by_hand(store, rows, events, observed, rehearsed, horizon=10 * DAY):
    """Read the lists by SQL: yield (week, lead, list, label) of each first night."""
    seen, there = set(), {row["entity_id"] for row in rows}
    with sqlite3.connect(store.path) as db:
        listed = db.execute(
            "select as_of, entity_id, listed from scores where listed is not null order by as_of"
        )
        for text, name, kind in listed.fetchall():
            at = datetime.fromisoformat(text)
            week = "{}-W{:02d}".format(*at.astimezone(BERLIN).isocalendar()[:2])
            if at in rehearsed or (week, name) in seen:
                continue
            seen.add((week, name))
            happened = any(
                e["entity_id"] == name and at <= e["event_time"] < at + horizon for e in events
            )
            if name in there:
                yield week, name, kind, int(happened) if at + horizon <= observed else None


@pytest.mark.parametrize("seed", range(2))
def test_list_is_followed_from_the_first_night_of_each_lead(store, seed):
    """Leads with the outcome are no longer scored, so the last night of their week lacks them."""
    rows, events = company(seed=seed)
    rng, won = random.Random(seed), [e for e in events if e["event_type"] == "won"]
    for number in range(70):
        at = START + DAY * number
        gone = {e["entity_id"] for e in won if e["event_time"] < at}
        ids = [
            row["entity_id"] for row in rows if row["entity_id"] not in gone and rng.random() < 0.9
        ] + ["ghost"]
        publish(
            store,
            at,
            ids,
            "1" if number < 50 else "2",
            listed=[rng.choice([None, "pick", "explore"]) for _ in ids],
        )
    today = START + 74 * DAY
    dataset = of(rows, events).cut_at(today)
    terms = {"2": VersionRecord(trained_as_of=START + 53 * DAY)}
    observed = find_data_end(dataset.cut_at(today), ZoneInfo("UTC")) or today
    nights = list_published_nights(store.runs("p"), "t", today, BERLIN)
    found = follow_lists(store, ("p", "t"), GRID, nights, OutcomeData(dataset, observed), terms)
    known = [e for e in won if e["available_at"] < today]
    hand = list(
        lists_by_hand(store, rows, known, observed, {START + DAY * n for n in (50, 51, 52)})
    )
    names = ("week", "entity_id", "listed", "label")
    assert sorted(
        zip(*(found[name].to_pylist() for name in names), strict=True), key=str
    ) == sorted(hand, key=str)
    assert {label for *_, label in hand} == {0, 1, None}


def test_lead_scored_once_is_followed_once(store):
    rows, events = [lead("a"), lead("b")], [event("b", START + DAY * n, "visit") for n in range(60)]
    for number in range(20):
        publish(store, START + DAY * number, ["a", "b"], cutoff=[START] * 2, listed=["pick", None])
    nights = list_published_nights(store.runs("p"), "t", START + 60 * DAY, BERLIN)
    observed = OutcomeData(of(rows, events), START + 50 * DAY)
    found = follow_lists(store, ("p", "t"), ONCE, nights, observed, {})
    assert found.select(["entity_id", "label"]).to_pylist() == [{"entity_id": "a", "label": 0}]


def auc(rows):
    """Count right pairs of one version by two loops."""
    right = pairs = 0.0
    for (one, first), (other, second) in itertools.product(rows, rows):
        if first == 1 and second == 0 and one["model_version"] == other["model_version"]:
            pairs += 1
            right += (one["probability"] > other["probability"]) + (
                one["probability"] == other["probability"]
            ) / 2
    return right / pairs


def test_outcome_counts_and_metrics_match_sql_and_loops(store, nightly):
    rows, events = nightly
    today = START + 74 * DAY
    dataset, found = followed(store, GRID, rows, events, today)
    known = [e for e in events if e["available_at"] < today]
    hand = list(by_hand(store, rows, known, max(e["available_at"] for e in known)))
    states = Counter(state for *_, state, _ in hand)
    assert found.rows.num_rows == states["used"] > 200
    assert found.immature.total() == states["immature"] > 50
    assert found.unknown.total() == states["unknown"] > 3 and found.unknown_reasons == {
        GONE: states["unknown"]
    }
    assert (
        sum(found.excluded_nights.values())
        == found.excluded_nights[NOT_LAST_OF_WEEK]
        == 70 - len({week for week, *_ in hand})
    )
    for counted, state in ((found.immature, "immature"), (found.unknown, "unknown")):
        assert counted == Counter(
            (week, row["month"], row["model_version"]) for week, row, s, _ in hand if s == state
        )
    lead = dataset.find_leads(found.rows["entity_id"])
    amount = dataset.leads["size"].to_numpy()[lead]
    parts = measure_outcomes(found.rows, lead, build_masks(found.rows, None, (), "2"), amount, 7)
    used = [(week, row, label) for week, row, state, label in hand if state == "used"]
    kinds = {
        "week": lambda w, _: w,
        "month": lambda _, r: r["month"],
        "grade": lambda _, r: r["grade"],
        "version": lambda _, r: r["model_version"],
    }
    assert {kind for kind, _ in parts} == {"all", "recent", *kinds}
    for (kind, name), part in parts.items():
        mine = [
            (r, y)
            for w, r, y in used
            if kind in ("all",) or (kind in kinds and kinds[kind](w, r) == name)
        ]
        if kind == "recent":
            weeks = sorted({w for w, r, _ in used if r["model_version"] == "2"})[-4:]
            mine = [(r, y) for w, r, y in used if r["model_version"] == "2" and w in weeks]
        check_part(part, mine, {row["entity_id"]: row["size"] for row in rows})
    check_capacity(parts[ALL_ROWS], used, 7)


def check_part(part, mine, sizes):
    assert (part.part.rows, part.part.outcomes) == (len(mine), sum(y for _, y in mine))
    assert part.expected == pytest.approx(sum(r["probability"] for r, _ in mine))
    assert part.leads_with_outcome == len({r["entity_id"] for r, y in mine if y})
    assert part.ratio.value == pytest.approx(part.part.outcomes / part.expected)
    assert part.ratio.low <= part.ratio.value <= part.ratio.high
    priced = [(r, y) for r, y in mine if sizes[r["entity_id"]] is not None]
    assert part.value.rows == len(priced)
    assert part.value.expected == pytest.approx(sum(r["expected_value"] for r, _ in priced))
    assert part.value.actual == pytest.approx(sum(sizes[r["entity_id"]] for r, y in priced if y))
    if "roc_auc" in part.part.estimates:
        assert part.part.estimates["roc_auc"].value == pytest.approx(auc(mine))
        loss = -sum(
            math.log(max(r["probability"] if y else 1 - r["probability"], 1e-9)) for r, y in mine
        ) / len(mine)
        assert part.part.estimates["log_loss"].value == pytest.approx(loss)


def check_capacity(part, used, capacity):
    """Of rows that tie for the last place each is worked in part."""
    worked = hits = 0.0
    for week in {w for w, _, _ in used}:
        mine = sorted(((r["probability"], y) for w, r, y in used if w == week), reverse=True)
        bar = mine[capacity - 1][0]
        above, ties = [y for p, y in mine if p > bar], [y for p, y in mine if p == bar]
        worked += capacity
        hits += sum(above) + sum(ties) * (capacity - len(above)) / len(ties)
    rate = sum(y for *_, y in used) / len(used)
    assert part.metrics["precision_at_capacity"].value == pytest.approx(hits / worked)
    assert part.metrics["lift_at_capacity"].value == pytest.approx(hits / worked / rate)


def test_learned_amount_ranks_by_published_expected_value():
    """The value of an outcome is known only if it came: ranking by it would find them all."""
    rng, n = np.random.default_rng(8), 300
    label, expected = (rng.random(n) < 0.3).astype(np.int8), rng.random(n) * 100
    amount = np.where(label == 1, rng.random(n) * 900, 0.0)
    amount[np.flatnonzero(label)[:5]] = np.nan
    columns = {
        "entity_id": [f"{i:03}" for i in range(n)],
        "cutoff": [START] * n,
        "as_of": [START] * n,
    }
    columns |= {
        "probability": rng.random(n),
        "grade": ["A"] * n,
        "expected_value": expected,
        "model_version": ["1"] * n,
    }
    rows = pa.table(
        columns | {"week": ["2025-W09"] * n, "month": ["2025-03"] * n, "label": label},
        schema=FOLLOWED,
    )
    part = measure_outcomes(
        rows, np.arange(n), {ALL_ROWS: np.ones(n, bool)}, amount, 40, amount_is_learned=True
    )[ALL_ROWS]
    best, known = np.argsort(-expected)[:40], np.nan_to_num(amount)
    captured = part.part.estimates["value_captured_at_capacity"].value
    assert captured == pytest.approx(known[best].sum() / known.sum()) and captured < 0.4
    assert part.value.rows == n - 5 and part.value.actual == pytest.approx(known.sum())
    assert part.value.expected == pytest.approx(expected[~np.isnan(amount)].sum())


def test_late_outcome_is_immature_then_counted(store):
    """Outcomes are complete only after six days: until then the row is immature, not a failure."""
    rows, events = [lead("a"), lead("b")], [event("b", START + DAY * n, "visit") for n in range(40)]
    events.append(event("a", START + 9 * DAY, "won", START + 14 * DAY))
    publish(store, START, ["a", "b"])
    lag = 6 * DAY
    _, before = followed(store, GRID, rows, events, START + 13 * DAY, lag=lag)
    assert (before.rows.num_rows, before.immature.total()) == (0, 2)
    assert before.first_mature == START + 10 * DAY
    _, after = followed(store, GRID, rows, events, START + 20 * DAY, lag=lag)
    assert dict(
        zip(after.rows["entity_id"].to_pylist(), after.rows["label"].to_pylist(), strict=True)
    ) == {
        "a": 1,
        "b": 0,
    }
    assert after.immature.total() == 0 and after.first_mature is None


def lead(name, **more):
    return {
        "entity_id": name,
        "account_id": None,
        "created_at": START - DAY,
        "available_at": START - DAY,
        **more,
    }


def alive(days=40):
    return [event("a", START + DAY * n, "visit") for n in range(days)]


def test_week_is_local_and_its_last_published_night_counts(store):
    """Sunday 23:30 in UTC is Monday in Berlin."""
    sunday = datetime(2025, 3, 9, 22, 30, tzinfo=UTC)
    publish(store, sunday, ["a"], run_id="first")
    publish(store, sunday, ["a", "b"], "2", run_id="again", finished=LATER + DAY)
    publish(store, sunday + timedelta(hours=1), ["a"])
    nights = list_published_nights(store.runs("p"), "t", LATER, BERLIN)
    assert [(n.week, n.rows, n.version) for n in nights] == [
        ("2025-W10", 2, "2"),
        ("2025-W11", 1, "1"),
    ]
    assert list_published_nights(store.runs("p"), "t", sunday, BERLIN) == nights[:1]
    store.start(a_run("torn", sunday + DAY, ("t",), "p"))
    store.finish("torn", "refused", "no", LATER)
    assert list_published_nights(store.runs("p"), "t", LATER, BERLIN) == nights


def test_night_of_a_model_trained_later_is_a_rehearsal(store):
    publish(store, START, ["a"], "1")
    publish(store, START + DAY, ["a"], "2")
    terms = {
        "2": VersionRecord(trained_as_of=START + 2 * DAY),
        "1": VersionRecord(trained_as_of=START),
    }
    _, found = followed(store, GRID, [lead("a")], alive(), terms=terms)
    assert found.rows["model_version"].to_pylist() == ["1"] and found.excluded_nights == {
        REHEARSED: 1
    }


def test_version_is_labelled_by_its_own_horizon(store):
    events = [*alive(), event("a", START + 15 * DAY)]
    publish(store, START, ["a"], "1")
    publish(store, START + 7 * DAY, ["a"], "2")
    _, found = followed(
        store, GRID, [lead("a")], events, terms={"1": VersionRecord(horizon=16 * DAY)}
    )
    assert dict(
        zip(found.rows["model_version"].to_pylist(), found.rows["label"].to_pylist(), strict=True)
    ) == {
        "1": 1,
        "2": 1,
    }
    _, shorter = followed(
        store, GRID, [lead("a")], events, terms={"1": VersionRecord(horizon=15 * DAY)}
    )
    assert sorted(shorter.rows["label"].to_pylist()) == [0, 1]


def test_nights_no_longer_stored_are_counted(store):
    publish(store, START, ["a"])
    publish(store, START + 7 * DAY, ["a"])
    with sqlite3.connect(store.path) as db:
        db.execute("delete from scores where as_of = (select min(as_of) from scores)")
    _, found = followed(store, GRID, [lead("a")], alive())
    assert found.rows.num_rows == 1 and found.excluded_nights == {NOT_KEPT: 1}


def test_oldest_weeks_are_left_out_of_too_many_rows(store, monkeypatch):
    monkeypatch.setattr(outcomes, "MAX_FOLLOWED_ROWS", 5)
    for week in range(4):
        publish(store, START + 7 * DAY * week, ["a", "b"])
    _, found = followed(store, GRID, [lead("a"), lead("b")], alive(50))
    assert found.excluded_nights == {OLDER: 2} and set(found.rows["week"].to_pylist()) == {
        "2025-W12",
        "2025-W13",
    }


def test_lead_scored_after_entry_counts_on_its_first_night(store):
    mine, late = START - timedelta(hours=3), START - 8 * DAY
    for night in range(3):
        names, cutoffs = ["a", "b"], [mine, late]
        chances = [0.5 - night / 10] * 2
        publish(store, START + DAY * night, names, cutoff=cutoffs, probability=chances)
    rows, events = (
        [lead("a"), lead("b")],
        [*alive(), event("a", mine + 10 * DAY - timedelta(hours=1))],
    )
    _, found = followed(store, ONCE, rows, events)
    assert found.rows.select(["entity_id", "as_of", "probability", "label"]).to_pylist() == [
        {"entity_id": "a", "as_of": START, "probability": 0.5, "label": 1}
    ]
    assert found.unknown_reasons == {LATE_START: 1} and found.excluded_nights == {}
    _, young = followed(store, ONCE, rows, events, START + 5 * DAY)
    assert young.immature.total() == 1 and young.first_mature == mine + 10 * DAY


def test_outcome_column_is_known_once_filled(store):
    rows = [lead("a", fate="yes"), lead("b", fate="no"), lead("c", fate=None)]
    table = of([{k: v for k, v in row.items() if k != "fate"} for row in rows], [])
    dataset = type(table)(
        table.leads.append_column("fate", pa.array([row["fate"] for row in rows])),
        table.events,
        (),
        "f",
        timed=False,
    )
    for night in range(2):
        publish(store, START + DAY * night, ["a", "b", "c", "d"])
    nights = list_published_nights(store.runs("p"), "t", LATER, BERLIN)
    found = follow_scores(store, ("p", "t"), FILLED, nights, OutcomeData(dataset, START), {})
    assert dict(
        zip(found.rows["entity_id"].to_pylist(), found.rows["label"].to_pylist(), strict=True)
    ) == {
        "a": 1,
        "b": 0,
    }
    assert (
        found.immature.total() == 1
        and found.unknown_reasons == {GONE: 1}
        and found.first_mature is None
    )


def test_follow_scores_without_published_nights_is_empty(store):
    _, found = followed(store, GRID, [lead("a")], alive())
    assert found.rows.num_rows == 0 and not found.immature and found.first_mature is None


def some_part(label, p, leads=None):
    """Return the realised outcomes of rows of one version and week."""
    n = len(label)
    table = pa.table(
        {
            "label": pa.array(label, pa.int8()),
            "probability": np.asarray(p, float),
            "expected_value": pa.nulls(n, pa.float64()),
            "model_version": pa.array(["1"] * n),
            "week": pa.array(["w"] * n),
        }
    )
    return measure_outcomes(
        table, np.arange(n) if leads is None else leads, {ALL_ROWS: np.ones(n, bool)}, None, None
    )[ALL_ROWS]


def test_zero_outcomes_are_evidence():
    """A feed that fell silent must not pass as too little data."""
    from scipy.stats import poisson

    part = some_part(np.zeros(400), np.full(400, 0.1))
    assert part.part.too_small and part.ratio.value == part.ratio.low == 0
    assert poisson.cdf(0, part.ratio.high * 40) == pytest.approx(0.05)
    good = {"actual_to_expected": Estimate(1.0, 0.9, 1.1, 1000)}
    assert [c.is_off for c in compare_with_expectations(part, good)] == [True]
    repeated = some_part(np.zeros(400), np.full(400, 0.1), np.arange(400) // 40)
    assert repeated.ratio.high == pytest.approx(40 * part.ratio.high)
    assert not compare_with_expectations(repeated, good)[0].is_off


def test_few_outcomes_are_compared_by_ratio_alone():
    from scipy.stats import poisson

    label = np.zeros(300)
    label[:12] = 1
    part = some_part(label, np.full(300, 0.05))
    assert poisson.sf(11, part.ratio.low * 15) == pytest.approx(0.05)
    assert poisson.cdf(12, part.ratio.high * 15) == pytest.approx(0.05)
    promise = {
        name: Estimate(0.5, 0.4, 0.6, 100) for name in ("roc_auc", "log_loss", "actual_to_expected")
    }
    assert [c.metric for c in compare_with_expectations(part, promise)] == ["actual_to_expected"]


def drawn(rng, leads, shift=0.0, weight=1.0, each=1):
    """Draw leads with log-odds shifted and scaled by ``weight``, ``each`` rows per lead."""
    true = rng.normal(-1.0, 1.0, leads)
    label = rng.random(leads) < 1 / (1 + np.exp(-true))
    p = 1 / (1 + np.exp(-(shift + weight * true)))
    return some_part(np.repeat(label, each), np.repeat(p, each), np.repeat(np.arange(leads), each))


def kept(part):
    """Return the metrics of a part as stored by a training and read again."""
    return read_expectations(
        {name: figure.to_json() for name, figure in part.part.estimates.items()}
    )


@pytest.mark.parametrize("leads", [50, 300])
def test_model_as_expected_rarely_alarms(leads):
    """Each of the four metrics errs in about one of a hundred cases, for few leads too."""
    rng = np.random.default_rng(leads)
    promise = kept(drawn(rng, 3000))
    alarms = [
        any(c.is_off for c in compare_with_expectations(drawn(rng, leads), promise))
        for _ in range(12)
    ]
    assert sum(alarms) <= 1


def test_model_worse_than_expected_is_off():
    rng = np.random.default_rng(1)
    promise = kept(drawn(rng, 3000))
    off = {
        c.metric: c.is_off for c in compare_with_expectations(drawn(rng, 2000, shift=0.8), promise)
    }
    assert off["actual_to_expected"] and off["log_loss"] and not off["roc_auc"]
    off = {
        c.metric: c.is_off for c in compare_with_expectations(drawn(rng, 2000, weight=2.0), promise)
    }
    assert off["calibration_slope"] and not off["roc_auc"]
    noise = some_part((rng.random(2000) < 0.3).astype(int), rng.random(2000))
    assert {c.metric: c.is_off for c in compare_with_expectations(noise, promise)}["roc_auc"]


def test_difference_interval_combines_both_intervals():
    """Zou & Donner's limits; if they exclude 0, the two 90 % intervals do not overlap."""
    exact = estimate_difference(Estimate(0.8, 0.75, 0.84, 1), Estimate(0.9, 0.88, 0.93, 1))
    wider = 2.5758 / 1.6449
    assert exact.low == pytest.approx(-0.1 - wider * math.hypot(0.05, 0.03))
    assert exact.high == pytest.approx(-0.1 + wider * math.hypot(0.04, 0.02))
    rng = np.random.default_rng(0)
    for _ in range(300):
        one, other = (sorted(rng.normal(size=3)) for _ in range(2))
        a, b = (Estimate(x[1], x[0], x[2], 1) for x in (one, other))
        found = estimate_difference(a, b)
        if found.low > 0 or found.high < 0:
            assert a.low > b.high or a.high < b.low


def test_model_better_than_expected_is_not_off():
    good = Estimate(0.95, 0.94, 0.96, 1)
    part = some_part([0, 1] * 200, [0.1, 0.9] * 200)
    found = {
        c.metric: c
        for c in compare_with_expectations(
            part, {"roc_auc": Estimate(0.8, 0.79, 0.81, 1), "log_loss": good}
        )
    }
    assert found["roc_auc"].difference.low > 0 and not found["roc_auc"].is_off
    assert found["log_loss"].difference.high < 0 and not found["log_loss"].is_off


def test_gate_bounds_replace_missing_expectations():
    rng = np.random.default_rng(4)
    found = compare_with_expectations(drawn(rng, 2000, shift=1.5), {})
    assert [c.metric for c in found] == ["calibration_slope", "actual_to_expected"] and not any(
        c.is_recorded for c in found
    )
    assert found[1].is_off and "the gate requires 1.000 (0.800 to 1.250)" in found[1].sentence


def test_recommendation_states_reasons_in_numbers():
    rng = np.random.default_rng(3)
    promise = kept(drawn(rng, 3000))
    fine, broken = (
        compare_with_expectations(drawn(rng, 2000), promise),
        compare_with_expectations(drawn(rng, 2000, shift=1.0), promise),
    )
    assert recommend_retraining(None, [], [], None).reasons == ("there is no champion",)
    assert not recommend_retraining("1", fine, fine, None).retrain
    said = recommend_retraining("1", broken, broken, None).reasons
    assert (
        len(said) == 1
        and "version 1: actual to expected outcomes is 0.6" in said[0]
        and said[0].endswith(" at training")
    )
    said = recommend_retraining("1", fine, broken, None).reasons
    assert len(said) == 1 and "in its latest weeks" in said[0]
    old = ModelAge(61 * DAY, 60 * DAY, 1000, 100)
    said = recommend_retraining("1", fine, fine, old).reasons
    assert "61 days ago" in said[0] and "100 rows have matured since, 1,000 before" in said[0]
    assert not recommend_retraining("1", fine, fine, ModelAge(61 * DAY, 60 * DAY, 1000, 99)).retrain
    assert not recommend_retraining(
        "1", fine, fine, ModelAge(60 * DAY, 60 * DAY, 1000, 999)
    ).retrain


def test_small_certain_difference_is_a_warning_alone():
    """With a million rows any difference is certain; 5 % more outcomes matter little."""
    from serve.monitoring.expectations import Comparison

    promise, found = Estimate(1.0, 0.99, 1.01, 10**6), Estimate(1.05, 1.04, 1.06, 10**6)
    each = Comparison(
        "actual_to_expected", promise, found, estimate_difference(found, promise), True
    )
    assert (
        each.is_off
        and not each.is_relevant
        and not recommend_retraining("1", [each], [each], None).retrain
    )


def test_filled_outcome_column_waits_for_the_age_of_maturity(store):
    outcome = ColumnOutcome(column="fate", equals="yes", mature_after="7d")
    rows = [lead("a", fate="yes"), lead("b", fate="yes"), lead("c", fate="no"), lead("d", fate="")]
    ages = {"a": 9, "b": 3, "c": 1, "d": 9}
    rows = [row | {"created_at": START - DAY * ages[row["entity_id"]]} for row in rows]
    table = of([{k: v for k, v in row.items() if k != "fate"} for row in rows], [])
    fates = pa.array([row["fate"] or None for row in rows])
    dataset = replace(table, leads=table.leads.append_column("fate", fates))
    publish(store, START, list(ages))
    nights = list_published_nights(store.runs("p"), "t", LATER, BERLIN)
    data, target = OutcomeData(dataset, START), Target(outcome=outcome)
    found = follow_scores(store, ("p", "t"), target, nights, data, {})
    assert found.rows["entity_id"].to_pylist() == ["a"] and found.immature.total() == 3
    # The first to become known is b: d is older, but its column is empty.
    assert found.first_mature == START + 4 * DAY
