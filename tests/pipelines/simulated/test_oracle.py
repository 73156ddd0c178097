"""The oracle against dense matrix exponentials, Monte Carlo and outcomes of the demo company."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.linalg import expm

from configs.errors import DataError
from configs.schema import load_project
from features.contracts import EVENTS, INSTANT, LEADS, SPINE, Dataset, filter_available_before
from features.labels import compute_labels
from features.spine import build_training_spine
from features.tools.instants import to_microseconds
from pipelines.simulated import company, simulate
from pipelines.simulated.company import CHANGE_AT, END, LATE_DELAY, MARKS, OUTCOMES, CompanyLaw
from pipelines.simulated.marks import simulate_marks
from pipelines.simulated.oracle import compute_oracle

CLOCK = company.build_demo_clock()
MONTH = timedelta(days=30)
KINDS = [*((m.event_type, m.channel) for m in MARKS), *((name, None) for name in OUTCOMES)]
PLAIN = {"industry": "manufacturing", "employees": 120.0, "country": "FR", "source": "organic"}


def tau(moment: datetime) -> float:
    return float(CLOCK.to_business_days(np.array([to_microseconds(moment)]))[0])


def dataset_of(block: simulate.SimulatedBlock) -> Dataset:
    leads = block.leads.drop_columns(["email", "billing_contact", "owner"])
    return Dataset(leads, block.events.select(EVENTS.names), (), "")


def spine_of(ids: list[str], cutoff: datetime) -> pa.Table:
    return pa.table([pa.array(ids), pa.array([cutoff] * len(ids), INSTANT)], schema=SPINE)


def random_law(rng: np.random.Generator) -> CompanyLaw:
    """Return a law in which every event is possible in every state."""
    share = rng.uniform(0.1, 1, (len(company.SOURCES), 4))
    return CompanyLaw(
        z_rate=rng.uniform(0.02, 0.1, 2),
        x_rate=rng.uniform(0.005, 0.05, (2, 4, 4)) * (1 - np.eye(4)),
        mark_rate=rng.uniform(0.001, 0.06, (2, 2, 4, len(MARKS))),
        late=np.array([m.late for m in MARKS]),
        exit_rate=rng.uniform(0.001, 0.02, (2, 2, 2, 4)),
        entry=share / share.sum(axis=1, keepdims=True),
    )


class Reference:
    """The same probability by dense matrices over (Z, X of each lead) and all leads' future."""

    def __init__(
        self, law: CompanyLaw, leads: pd.DataFrame, events: pd.DataFrame, fits: np.ndarray
    ) -> None:
        self.law, self.leads, self.events, self.fits = law, leads, events, fits
        self.states = list(product(range(2), *[range(4)] * len(leads)))
        self.phase = [-1] * len(leads)
        still = np.array([[s[1:] == (0,) * len(leads) for s in self.states]], float)[0]
        stationary = law.z_rate[::-1] / law.z_rate.sum()
        self.p = still * np.array([stationary[s[0]] for s in self.states])

    def generator(self, moving: list[int]) -> np.ndarray:
        q = np.zeros((len(self.states),) * 2)
        for (i, a), (j, b) in product(enumerate(self.states), repeat=2):
            different = [k for k in range(len(a)) if a[k] != b[k]]
            if different == [0]:
                q[i, j] = self.law.z_rate[a[0]]
            elif len(different) == 1 and different[0] - 1 in moving:
                q[i, j] = self.law.x_rate[a[0], a[different[0]], b[different[0]]]
        return q - np.diag(q.sum(axis=1))

    def visible(self, lead: int, state: tuple[int, ...], regime: int, share: np.ndarray) -> float:
        z, x, phase = state[0], state[1 + lead], self.phase[lead]
        exits = self.law.exit_rate[phase, :, z, x] @ np.array([self.fits[lead], 1.0])
        return float(self.law.mark_rate[regime, phase, x] @ share + exits)

    def wait(self, start: float, end: float, recent: bool) -> None:
        active = [i for i, phase in enumerate(self.phase) if phase in (0, 1)]
        share = 1 - self.law.late if recent else np.ones(len(MARKS))
        regime = int(start >= tau(CHANGE_AT))
        seen = [sum(self.visible(i, s, regime, share) for i in active) for s in self.states]
        self.p = self.p @ expm((self.generator(active) - np.diag(seen)) * (end - start))
        self.p /= self.p.sum()

    def arrive(self, lead: int) -> None:
        entry = self.law.entry[self.leads["entry"].iloc[lead]]
        spread = np.zeros_like(self.p)
        for i, s in enumerate(self.states):
            base = self.states.index((*s[: 1 + lead], 0, *s[2 + lead :]))
            spread[i] = self.p[base] * entry[s[1 + lead]]
        self.p, self.phase[lead] = spread, 0

    def observe(self, lead: int, kind: int, regime: int) -> None:
        phase = self.phase[lead]
        for i, s in enumerate(self.states):
            if kind < len(MARKS):
                self.p[i] *= self.law.mark_rate[regime, phase, s[1 + lead], kind]
            else:
                self.p[i] *= self.law.exit_rate[phase, (kind - len(MARKS)) % 2, s[0], s[1 + lead]]
        self.p /= self.p.sum()
        if kind >= len(MARKS):
            self.phase[lead] = 1 if OUTCOMES[kind - len(MARKS)] == "opportunity" else 2

    def advance_to(self, cutoff: datetime) -> None:
        steps = [(a, 0, i, None) for i, a in enumerate(self.leads["created_at"]) if a < cutoff]
        known = self.events[self.events["available_at"] < cutoff]
        steps += [
            (e.event_time, 1, e.lead, e.kind) for e in known.itertuples() if e.event_time < cutoff
        ]
        steps += [
            (m, 2, None, None) for m in (CHANGE_AT, cutoff - LATE_DELAY, cutoff) if m <= cutoff
        ]
        steps = [
            (pd.Timestamp(company.START), 2, None, None),
            *sorted(steps, key=lambda s: (s[0], s[1])),
        ]
        for (before, *_), (time, step, lead, kind) in pairwise(steps):
            if time > before:
                self.wait(tau(before), tau(time), recent=before >= cutoff - LATE_DELAY)
            if step == 0:
                self.arrive(lead)
            elif step == 1:
                self.observe(lead, kind, int(time >= CHANGE_AT))

    def chance(self, lead: int, days: float, goal: int) -> float:
        """Return the chance; blocks are lead phase, opportunity phase and goal reached."""
        n, size = self.phase[lead], len(self.states)
        q = self.generator([i for i, phase in enumerate(self.phase) if phase >= 0])
        matrix = np.zeros((3 * size + 1,) * 2)
        for phase in (0, 1):
            out = [
                self.law.exit_rate[phase, :, s[0], s[1 + lead]] * [self.fits[lead], 1.0]
                for s in self.states
            ]
            on, off = np.array(out).T
            from_block, to_block = (
                slice(phase * size, (phase + 1) * size),
                (2 if phase == goal else 1) * size,
            )
            matrix[from_block, from_block] = q - np.diag(on + off)
            matrix[from_block, to_block : to_block + size] += np.diag(on)
            matrix[from_block, -1] = off
        start = np.zeros(3 * size + 1)
        start[n * size : (n + 1) * size] = self.p
        return float((start @ expm(matrix * days))[2 * size : 3 * size].sum())


def reference(
    law: CompanyLaw, data: Dataset, ids: list[str], row: str, cutoff: datetime, goal: int
) -> float:
    mine = data.leads.filter(pc.is_in(data.leads["entity_id"], pa.array(ids))).sort_by("created_at")
    leads = mine.to_pandas().assign(entry=company.find_entry_rows(mine))
    events = data.events.to_pandas()
    events = events[events["entity_id"].isin(ids)]
    events["lead"] = [list(leads["entity_id"]).index(i) for i in events["entity_id"]]
    pairs = zip(events["event_type"], events["channel"].astype(object), strict=True)
    events["kind"] = [KINDS.index((t, None if pd.isna(c) else c)) for t, c in pairs]
    judge = Reference(law, leads, events, company.compute_fit(mine))
    judge.advance_to(cutoff)
    days = tau(cutoff + MONTH) - tau(cutoff)
    return judge.chance(list(leads["entity_id"]).index(row), days, goal)


@pytest.mark.parametrize("goal, target", [(0, "propensity"), (1, "close")])
def test_oracle_equals_dense_matrix_exponentials(goal: int, target: str) -> None:
    """Pairs of leads; the change of behaviour and late rows lie in the last two days."""
    law, cutoff = random_law(np.random.default_rng(5)), datetime(2024, 11, 2, 9, tzinfo=UTC)
    data = dataset_of(simulate.simulate_block(2, 0, 300, law))
    leads, events = data.leads.to_pandas(), filter_available_before(data.events, cutoff).to_pandas()
    over = set(events.loc[events["event_type"].isin(OUTCOMES[1:]), "entity_id"])
    opened = set(events.loc[events["event_type"] == "opportunity", "entity_id"])
    open_ = leads[(leads["created_at"] < cutoff) & ~leads["entity_id"].isin(over)]
    asked = open_[open_["entity_id"].isin(opened) == (goal == 1)]
    pairs = [group for _, group in leads.groupby("account_id") if len(group) == 2]
    rows = [
        (list(pair["entity_id"]), row)
        for pair in pairs
        for row in pair["entity_id"]
        if row in set(asked["entity_id"])
    ]
    assert len(rows) >= 5
    for ids, row in rows[:5]:
        exact = reference(law, data, ids, row, cutoff, goal)
        assert compute_oracle(data, spine_of([row], cutoff), target, MONTH, law)[
            0
        ] == pytest.approx(exact, rel=1e-9)


def test_oracle_equals_monte_carlo_after_a_shared_history() -> None:
    """Monte Carlo by rejection: two leads an account, no event of either is available."""
    rng, cutoff, count = np.random.default_rng(11), datetime(2024, 11, 5, tzinfo=UTC), 40_000
    law = random_law(rng)
    law = law._replace(
        mark_rate=law.mark_rate / 16, late=np.full(len(MARKS), 0.8), exit_rate=law.exit_rate * 2
    )
    born = [to_microseconds(datetime(2024, 10, day, tzinfo=UTC)) for day in (10, 28)]
    arrival = np.tile(CLOCK.to_business_days(np.array(born)), count)
    account, entry = np.repeat(np.arange(count), 2), np.zeros(2 * count, np.int64)
    done = simulate_marks(rng, law, CLOCK, account, arrival, np.ones(2 * count), entry)
    happened = CLOCK.to_instants(done.tau)
    known = happened + done.late * (LATE_DELAY // timedelta(microseconds=1))
    quiet = np.ones(count, bool)
    quiet[account[done.lead[known < to_microseconds(cutoff)]]] = False
    within = (
        (done.kind == len(MARKS))
        & (happened >= to_microseconds(cutoff))
        & (happened < to_microseconds(cutoff + MONTH))
    )
    opens = np.zeros(2 * count, bool)
    opens[done.lead[within]] = True
    columns = [["a", "b"], ["A", "A"], pa.array(born, INSTANT), pa.array(born, INSTANT)]
    leads = pa.Table.from_arrays([pa.array(c) for c in columns], schema=LEADS)
    for name, value in PLAIN.items():
        leads = leads.append_column(name, pa.array([value, value]))
    data = Dataset(leads, EVENTS.empty_table(), (), "")
    exact = compute_oracle(data, spine_of(["a", "b"], cutoff), "propensity", MONTH, law)
    assert quiet.sum() > 4_000
    for lead in (0, 1):
        share = opens[lead::2][quiet].mean()
        assert abs(share - exact[lead]) < 4 * np.sqrt(exact[lead] * (1 - exact[lead]) / quiet.sum())


@pytest.fixture(scope="module")
def demo() -> Dataset:
    return dataset_of(simulate.simulate_block(3, 0, 1500))


@pytest.mark.parametrize("target", ["propensity", "close"])
def test_oracle_is_calibrated_in_each_group_of_rows(demo: Dataset, target: str) -> None:
    config = load_project(Path(__file__).parents[3] / "configs" / "demo.yaml").targets[target]
    config = config.model_copy(
        update={"cutoffs": config.cutoffs.model_copy(update={"every": timedelta(days=28)})}
    )
    spine = build_training_spine(demo, config, END)
    marked = compute_labels(demo, spine, config, END)
    frame = marked.to_pandas().assign(p=compute_oracle(demo, spine, target, MONTH))
    frame = frame[frame["mature"]].astype({"label": float})
    assert frame["label"].mean() > 0.03
    frame["account"] = (
        demo.leads.to_pandas()
        .set_index("entity_id")["account_id"]
        .reindex(frame["entity_id"])
        .values
    )
    frame["account"] = frame["account"].fillna(frame["entity_id"])
    frame["late"] = frame["cutoff"] >= CHANGE_AT
    frame["bin"] = pd.qcut(frame["p"], 4, labels=False)
    for key in ("mature", "late", "bin"):
        for _, part in frame.groupby(key):
            excess = (part["label"] - part["p"]).groupby(part["account"]).sum()
            assert abs(excess.sum()) < 4 * np.sqrt((excess**2).sum())


def test_oracle_ignores_rows_not_available_at_the_cutoff(demo: Dataset) -> None:
    rng, cutoff = np.random.default_rng(1), datetime(2024, 12, 3, tzinfo=UTC)
    leads, events = demo.leads.to_pandas(), demo.events.to_pandas()
    spine = spine_of(list(leads.loc[leads["created_at"] < cutoff, "entity_id"][:300]), cutoff)
    future, unborn = events["available_at"] >= cutoff, leads["created_at"] >= cutoff
    assert (future & (events["event_time"] < cutoff)).any()
    mixed = rng.permutation(np.flatnonzero(future))
    columns = ["entity_id", "event_type", "channel", "value"]
    events.loc[future, columns] = events.loc[events.index[mixed], columns].to_numpy()
    events.loc[future, "event_time"] -= pd.to_timedelta(rng.integers(0, 20, future.sum()), unit="D")
    leads.loc[unborn, "source"] = rng.permutation(leads.loc[unborn, "source"])
    leads.loc[unborn, "employees"] = 7.0
    garbled = Dataset(
        pa.Table.from_pandas(leads, demo.leads.schema, preserve_index=False),
        pa.Table.from_pandas(events, EVENTS, preserve_index=False),
        (),
        "",
    )
    for target in ("propensity", "close"):
        before = compute_oracle(demo, spine, target, MONTH)
        assert np.array_equal(before, compute_oracle(garbled, spine, target, MONTH))
        assert np.array_equal(before, compute_oracle(demo.cut_at(cutoff), spine, target, MONTH))
        assert before.max() > 0.1


def one_lead(*marks: tuple[datetime, str, str | None]) -> Dataset:
    born = pa.array([datetime(2024, 3, 1, tzinfo=UTC)], INSTANT)
    leads = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array([None], pa.string()), born, born], schema=LEADS
    )
    for name, value in PLAIN.items():
        leads = leads.append_column(name, pa.array([value]))
    rows = [("a", at, at, kind, channel, None) for at, kind, channel in marks]
    events = [dict(zip(EVENTS.names, row, strict=True)) for row in rows]
    return Dataset(leads, pa.Table.from_pylist(events, EVENTS), (), "")


def test_event_at_the_cutoff_is_excluded_and_just_before_is_included() -> None:
    cutoff = datetime(2024, 4, 1, tzinfo=UTC)
    chance = [
        compute_oracle(one_lead(*marks), spine_of(["a"], cutoff), "propensity", MONTH)[0]
        for marks in (
            (),
            ((cutoff, "pricing_view", "web"),),
            ((cutoff - timedelta.resolution, "pricing_view", "web"),),
        )
    ]
    assert chance[0] == chance[1] < chance[2] / 2


def test_oracle_keeps_the_order_of_the_spine(demo: Dataset) -> None:
    ids = demo.leads["entity_id"].to_pylist()[:40]
    spine = pa.concat_tables([spine_of(ids, END), spine_of(ids[::-1], END + timedelta(days=9))])
    turned = spine.take(np.arange(spine.num_rows)[::-1])
    ahead = compute_oracle(demo, spine, "propensity", MONTH)
    assert np.array_equal(ahead, compute_oracle(demo, turned, "propensity", MONTH)[::-1])


def test_finished_lead_has_probability_zero() -> None:
    cutoff, day = datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 3, 9, tzinfo=UTC)
    data = one_lead((day, "disqualified", None))
    assert compute_oracle(data, spine_of(["a"], cutoff), "close", MONTH)[0] == 0
    opened = one_lead((day, "opportunity", None))
    assert compute_oracle(opened, spine_of(["a"], cutoff), "propensity", MONTH)[0] == 0
    assert compute_oracle(opened, spine_of(["a"], cutoff), "close", MONTH)[0] > 0


@pytest.mark.parametrize(
    "marks, ids, target, words",
    [
        ((), ["a"], "churn", "unknown target"),
        ((), ["b"], "close", "not in the leads table"),
        (
            ((datetime(2024, 3, 9, tzinfo=UTC), "sneeze", None),),
            ["a"],
            "close",
            "unknown event type",
        ),
        (((datetime(2024, 3, 9, tzinfo=UTC), "won", None),), ["a"], "close", "probability zero"),
        (((datetime(2024, 2, 9, tzinfo=UTC), "mql", None),), ["a"], "close", "probability zero"),
    ],
)
def test_oracle_rejects_data_of_another_company(
    marks: tuple, ids: list[str], target: str, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        compute_oracle(
            one_lead(*marks), spine_of(ids, datetime(2024, 4, 1, tzinfo=UTC)), target, MONTH
        )


def test_oracle_rejects_a_lead_created_after_the_cutoff() -> None:
    with pytest.raises(DataError, match="created at or after the cutoff"):
        compute_oracle(
            one_lead(), spine_of(["a"], datetime(2024, 3, 1, tzinfo=UTC)), "close", MONTH
        )
