"""Contributions and reasons of many rows, measured in a separate process.

``python -m tests.benchmarks.explaining ROWS FEATURES`` prints one line of JSON.
"""

import json
import sys
import time

import lightgbm
import numpy as np
import pyarrow as pa

from features.definitions.semantics import Meaning
from features.wording.wording import load_english
from models.encoding import Encoding
from models.learners.blend import Blend
from models.learners.fit_input import FitInput
from models.learners.hazard import FollowUp, Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from serve.reasons.reasons import ReasonWriter, write_reasons
from tests.benchmarks.measure import peak

HORIZON = 30.0
# Training rows of the models: enough for trees as large as those of the largest tables.
LEARNT = 50_000
# Rows that LightGBM itself explains, which is slow.
SAMPLE = 500
SHARES = (0.4, 0.4, 0.2)
KEYS = {
    "count": "count",
    "days": "age",
    "number": "attribute",
    "amount": "total",
    "share": "share",
    "category": "attribute",
}
UNITS = tuple(KEYS)


def sample(rows, features):
    """Return a matrix with one column per unit in turn, every third with gaps, and its meanings."""
    random = np.random.default_rng(0)
    draw = {
        "count": lambda: random.poisson(random.uniform(0.2, 5), rows).astype(float),
        "days": lambda: random.exponential(40, rows),
        "number": lambda: random.normal(size=rows),
        "amount": lambda: np.round(np.exp(random.normal(6, 2, rows))),
        "share": lambda: random.integers(0, 21, rows) / 20,
        "category": lambda: np.array([f"value {i}" for i in range(30)])[
            random.integers(0, 30, rows)
        ],
    }
    columns, meanings = {}, {}
    for j in range(features):
        unit, name = UNITS[j % len(UNITS)], f"feature_{j}"
        columns[name] = pa.array(
            draw[unit](), mask=random.random(rows) < 0.2 if j % 3 == 0 else None
        )
        meanings[name] = Meaning(
            f"group {j // 4}", KEYS[unit], unit, subject=f"type:{j}", name=name
        )
    return pa.table(columns), meanings


def models(x, categorical):
    """Return LightGBM, and a blend of it with a hazard and a linear model, trained on some rows."""
    random, x = np.random.default_rng(1), x[:LEARNT]
    odds = (
        np.nan_to_num((x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0))[:, :12].sum(axis=1) / 3
        - 1
    )
    wait = random.exponential(2 * HORIZON / np.exp(odds))
    happened = wait < HORIZON
    lesson = FitInput(x, categorical, 1)
    trees = LightGbm.fit_trees(lesson, happened.astype(float), {"num_leaves": 31})
    hazard = Hazard.fit_follow_up(
        FitInput(x, categorical, 1, parameters={"num_leaves": 31}),
        FollowUp(np.minimum(wait, HORIZON), happened),
        HORIZON,
    )
    return {
        "LightGBM": trees,
        "blend": Blend((trees, hazard, Logistic.fit(lesson, happened.astype(int))), SHARES),
    }


def timed(call):
    """Return what a call gives, and its seconds by the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - clock, time.process_time() - processor


def main(rows, features):
    matrix, meanings = sample(rows, features)
    encoding = Encoding.fit(matrix, matrix.column_names)
    x = encoding.encode(matrix)
    found = {}
    for name, model in models(x, encoding.categorical).items():
        model.contributions(x[:SAMPLE])
        parts, clock, processor = timed(lambda model=model: model.contributions(x))
        found[name] = {"seconds": clock, "processor": processor}
        if name == "LightGBM":
            booster = lightgbm.Booster(model_str=model.text)
            own, _, slow = timed(
                lambda b=booster: b.predict(x[:SAMPLE], pred_contrib=True, num_threads=1)
            )
            found["its own"] = slow / SAMPLE * rows
            found["apart"] = float(np.abs(own - parts[:SAMPLE]).max())
    texts, clock, _ = timed(
        lambda: write_reasons(
            parts, matrix.select(encoding.names), ReasonWriter(meanings, load_english())
        )
    )
    return {**found, "wording": clock, "texts": len(texts), "peak": peak()}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
