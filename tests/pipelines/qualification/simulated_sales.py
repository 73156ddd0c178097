"""Sales that answers with a known habit: ``python -m`` this module prints the table of the docs.

Each week new leads come and stay for some weeks. On Monday those above the threshold are handed
over, and a few of the others are drawn for the lists of their owners. Sales accepts with a
probability that the simulation knows: it likes partners, and leads whose score is high. Of leads
that it was not given, nothing is known.
"""

import sys
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from configs.night import Capacity
from models.qualification.monthly import FOLLOWED_HANDOVERS, build_qualification_table
from models.qualification.thresholds import HandoverTerms, WeeklyFlow, find_handover_threshold
from serve.scoring.weekly_lists import EXPLORE, add_weekly_list, find_draw_chances
from tests.serve.samples import MONDAY

WEEKS, NEW_LEADS, STAY = 40, 90, 3
TERMS = HandoverTerms(per_week=25, used=0, cost=20.0, value=200.0)
CAPACITY = Capacity(per_week=20, owner="owner", explore=0.25)
NOBODY = pa.schema([("entity_id", pa.string()), ("owner", pa.string()), ("listed", pa.string())])


class Answered(NamedTuple):
    """A company's row of the table, and what the simulation knows of it.

    ``truth`` is the mean probability of an acceptance, over all leads that were above the
    break-even probability on a Monday and not handed over before.
    """

    truth: float
    row: dict


def habit(probability, is_partner):
    """Return the probability that sales accepts a lead."""
    return np.clip(0.05 + 0.7 * probability + 0.25 * is_partner, 0, 1)


def simulate_sales(seed):
    """Return what the table shows of a company whose habit is known."""
    rng = np.random.default_rng(seed)
    pool, handed, truth = _new_leads(rng, 0), [], []
    for week in range(WEEKS):
        pool = np.concatenate([pool[pool["born"] > week - STAY], _new_leads(rng, week + 1)])
        p, accepts = pool["p"], habit(pool["p"], pool["partner"])
        never = np.full(len(pool), -np.inf)
        # All leads came in one week, so that the pace is that of the pool.
        threshold = find_handover_threshold(WeeklyFlow(never, p, 1.0), p, TERMS)
        chance = np.where(p >= threshold.applied, 1.0, _draw(pool, p >= threshold.applied, week))
        truth.append(accepts[p >= threshold.break_even])
        given = ~np.isnan(chance)
        answers = rng.random(len(pool)) < accepts
        handed += zip(p[given], chance[given], answers[given], pool["id"][given], strict=True)
        pool = pool[~given]
    table = build_qualification_table(_follow(handed), {"mql": threshold.break_even}, MONDAY)
    return Answered(float(np.concatenate(truth).mean()), table.to_pylist()[0])


def _new_leads(rng, week):
    kinds = [("id", int), ("born", int), ("p", float), ("partner", bool), ("owner", int)]
    leads = np.empty(NEW_LEADS, kinds)
    leads["id"] = week * NEW_LEADS + np.arange(NEW_LEADS)
    leads["born"] = week
    leads["p"] = rng.beta(1.2, 5, NEW_LEADS)
    leads["partner"] = rng.random(NEW_LEADS) < leads["p"]
    leads["owner"] = rng.integers(0, 2, NEW_LEADS)
    return leads


def _draw(pool, is_mql, week):
    """Return with which probability each lead was drawn for its owner's list, NaN if it was not."""
    scores = pa.table(
        {
            "entity_id": pa.array(pool["id"].astype(str)),
            "owner": pa.array(np.array(["ann", "bob"])[pool["owner"]]),
        }
    )
    order = np.argsort(-pool["p"], kind="stable")
    listed = add_weekly_list(
        scores.take(pa.array(order)), NOBODY.empty_table(), CAPACITY, f"{week}\0", is_mql[order]
    )
    chance = np.empty(len(pool))
    chance[order] = find_draw_chances(listed, NOBODY.empty_table())
    assert np.isnan(chance).sum() == len(pool) - listed["listed"].to_pylist().count(EXPLORE)
    return chance


def _follow(handed):
    p, chance, answers, lead = (np.array(column) for column in zip(*handed, strict=True))
    count = len(p)
    columns = {
        "step": ["mql"] * count,
        "month": ["2025-01"] * count,
        "grade": ["A"] * count,
        "qualified_because": np.where(chance < 1, "explore", "probability"),
        "probability": p,
        "handover_chance": chance,
        "cluster": lead,
        "label": answers.astype(np.int8),
        "touch_hours": pa.nulls(count),
        "is_due": [False] * count,
        "in_time": [False] * count,
        "reason": pa.nulls(count),
    }
    return pa.table(columns).cast(FOLLOWED_HANDOVERS)


def holds(answered, name):
    """Return whether the interval of a rate holds the truth."""
    row = answered.row
    return row[f"{name}_low"] <= answered.truth <= row[f"{name}_high"]


def describe(answered):
    """Return the cells of a company's line."""
    row, cells = answered.row, [f"{answered.truth:.1%}"]
    for name in ("rate", "rate_all"):
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        cells.append(f"{row[name]:.1%} ({low:.1%}–{high:.1%})")
    return [*cells, str(row["handed_over"]), str(row["explored"])]


def main(companies=5):
    """Print the lines of some companies as a Markdown table."""
    lines = [["company", "true", "handed over", "all above break-even", "leads", "drawn"]]
    lines += [["---"] * len(lines[0])]
    lines += [[str(seed), *describe(simulate_sales(seed))] for seed in range(1, companies + 1)]
    sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
