"""A training of many rows, and LightGBM's share of its time, measured in a separate process.

``python -m tests.benchmarks.learning ROWS FEATURES`` prints one line of JSON.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta

import lightgbm
import numpy as np
import pyarrow as pa

from configs.learning import EvaluationConfig
from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.leakage.suspects import ColumnOrigins, find_suspects
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from tests.benchmarks.measure import peak

DAYS, HORIZON = 500, 30
CATEGORIES = 8


class Watch:
    """Adds up the processor time that calls of a function take in their own threads."""

    def __init__(self, function):
        self.function, self.seconds = function, 0.0

    def __call__(self, *args, **kwargs):
        begin = time.thread_time()
        try:
            return self.function(*args, **kwargs)
        finally:
            self.seconds += time.thread_time() - begin


def sample(rows, features):
    """Return a matrix and its LABELS: four rows per entity, gaps and categories included."""
    random = np.random.default_rng(0)
    columns = {f"n{j}": random.normal(size=rows) for j in range(features - CATEGORIES)}
    odds = sum(columns[f"n{j}"] for j in range(5)) / 2 - 2
    columns = {
        name: pa.array(values, mask=random.random(rows) < 0.3 if name.endswith("0") else None)
        for name, values in columns.items()
    }
    names = np.array([f"value {i}" for i in range(30)])
    columns |= {f"c{j}": pa.array(names[random.integers(0, 30, rows)]) for j in range(CATEGORIES)}
    day = np.sort(random.integers(0, DAYS, rows))
    happened = random.random(rows) < 1 / (1 + np.exp(-odds))
    after = day + random.uniform(0, HORIZON, rows)
    mature = day + HORIZON <= DAYS
    outcome = pa.array(
        (after * US_PER_DAY).astype(np.int64), mask=~happened | (after >= DAYS)
    ).cast(INSTANT)
    spine = {
        "entity_id": pa.array([f"lead-{i}" for i in random.integers(0, rows // 4, rows)]),
        "cutoff": pa.array(day * US_PER_DAY).cast(INSTANT),
    }
    label = pa.array(happened.astype(np.int8), mask=~mature)
    labels = pa.table(spine | {"mature": mature, "label": label, "outcome_at": outcome}).cast(
        LABELS
    )
    return pa.table(spine | columns), labels


def main(rows, features):
    matrix, labels = sample(rows, features)
    observed = datetime.fromtimestamp(DAYS * 86_400, UTC)
    settings = TrainingSettings(
        "target", timedelta(days=HORIZON), EvaluationConfig(folds=3, share=0.4), True, observed
    )
    begin = time.process_time()
    find_suspects(
        matrix,
        labels,
        "target",
        ColumnOrigins({name: name for name in matrix.column_names[2:]}, ordered=True),
    )
    audit = time.process_time() - begin
    watch = Watch(lightgbm.train)
    lightgbm.train = watch
    begin, clock = time.process_time(), time.perf_counter()
    trained = train_scorer(matrix, labels, settings)
    return {
        "seconds": time.perf_counter() - clock,
        "processor": time.process_time() - begin,
        "lightgbm": watch.seconds,
        "audit": audit,
        "matrix": matrix.nbytes / 2**30,
        "peak": peak(),
        "learner": trained.learner,
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
