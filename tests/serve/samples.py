"""Hand-made score tables for the tests of serve."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pyarrow as pa

from features.score_tables import ACCOUNT_SCORES, SCORE_CHECKS, SCORES
from serve.night_tables import NIGHT_TABLES, stamp_night_tables
from serve.run import Run

MONDAY = datetime(2025, 7, 7, 4, 30, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
TUESDAY = MONDAY + DAY
LATER = datetime(2025, 8, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_run(run_id="r1", as_of=MONDAY, targets=("close",), project="acme", **more):
    common = {
        "code_version": "0.1.0",
        "config_hash": "c0ffee",
        "data_fingerprint": "f00d",
        "started_at": LATER,
    }
    return Run(run_id, project, as_of, dict.fromkeys(targets, "7"), **(common | more))


def a_reason(contribution, sentence):
    return {"feature": "f", "value": 1.0, "contribution": contribution, "sentence": sentence}


def some_scores(run, ids=("a", "b", "c"), seed=0, **columns):
    """Return one SCORES row per target of the run and id, with replaced columns where given."""
    generator = np.random.default_rng(seed)
    n = len(ids) * len(run.models)
    p = np.sort(generator.random(n))[::-1]
    rank = (
        np.concatenate([np.arange(1, len(ids) + 1)] * len(run.models))
        if n
        else np.array([], dtype=int)
    )
    values = {
        "project": [run.project] * n,
        "target": [target for target in run.models for _ in ids],
        "entity_id": list(ids) * len(run.models),
        "account_id": [None if i % 3 == 0 else f"acc{i}" for i in range(n)],
        "as_of": [run.as_of] * n,
        "cutoff": [run.as_of - timedelta(hours=i) for i in range(n)],
        "probability": p,
        "probability_low": p / 2,
        "probability_high": (1 + p) / 2,
        "score": (1 + 99 * p).astype(int),
        "grade": ["A"] * n,
        "rank": rank,
        "percentile": p * 100,
        "expected_value": [None if i % 2 else i * 1000.5 for i in range(n)],
        "outcome_days_50": [None if i % 2 else 3.25 + i for i in range(n)],
        "outcome_days_80": [None if i % 2 else 7.5 + i for i in range(n)],
        "stage": ["offer" if i % 2 else None for i in range(n)],
        "stage_age": [2.5 * i if i % 2 else None for i in range(n)],
        "stuck": [i % 4 == 1 if i % 2 else None for i in range(n)],
        **{
            f"expected_close_p{share}": [
                run.as_of + share * (i % 999) * DAY if i % 2 else None for i in range(n)
            ]
            for share in (20, 50, 80)
        },
        "overdue": [i % 4 == 3 if i % 2 else None for i in range(n)],
        "reasons": [json.dumps([a_reason(0.5, "opened a mail"), a_reason(-0.2, "no call")])] * n,
        "evidence": ["enough"] * n,
        "model_version": [version for version in run.models.values() for _ in ids],
        "run_id": [run.run_id] * n,
        "scored_at": [LATER] * n,
    }
    missing = {field.name: [None] * n for field in SCORES if field.nullable}
    return pa.table(missing | values | columns, schema=SCORES)


def some_checks(run, verdict="pass"):
    """Return one SCORE_CHECKS row of a source and one per target of the run, in store order."""
    targets = sorted(["", *run.models])
    n = len(targets)
    values = {
        "run_id": [run.run_id] * n,
        "project": [run.project] * n,
        "target": targets,
        "as_of": [run.as_of] * n,
        "check": ["freshness"] + ["rows"] * (n - 1),
        "subject": ["events"] + [""] * (n - 1),
        "observed": [None, *(i / 3 for i in range(1, n))],
        "warn": [1.5] * n,
        "stop": [None] * n,
        "verdict": [verdict] * n,
        "message": [None, *(f"“{t}” is 'so'" for t in targets[1:])],
    }
    return pa.table(values, schema=SCORE_CHECKS)


def some_accounts(run, ids=("Acme", "Beta")):
    """Return one ACCOUNT_SCORES row per target of the run and account."""
    n = len(ids)
    values = {
        "account_id": list(ids),
        "probability": [1 / (i + 2) for i in range(n)],
        "rank": list(range(1, n + 1)),
        "expected_value": [None if i % 2 else 10.5 * i for i in range(n)],
        "entities": [i + 1 for i in range(n)],
        "main_contact": [f"e{i}" for i in range(n)],
        "main_probability": [1 / (i + 3) for i in range(n)],
        "people": [i + 2 for i in range(n)],
        "active_people": [None if i % 2 else 1 for i in range(n)],
    }
    same = {"project": run.project, "as_of": run.as_of, "run_id": run.run_id, "scored_at": LATER}
    rows = [
        same
        | {"target": target, "model_version": version}
        | {name: column[i] for name, column in values.items()}
        for target, version in sorted(run.models.items())
        for i in range(n)
    ]
    return pa.Table.from_pylist(rows, schema=ACCOUNT_SCORES)


def some_tables(run, ids=("c", "a", "b"), seed=0):
    """Return rows of all NIGHT_TABLES as a run stores them; the order is not that of the keys."""
    generator = np.random.default_rng(seed)

    def fill(field):
        if field.type == pa.string():
            return list(ids)
        if field.type == pa.int64():
            return list(range(len(ids)))
        if field.type == pa.float64():
            return [None if field.nullable and i == 1 else generator.random() for i in range(3)]
        if field.type == pa.bool_():
            return [i == 0 for i in range(len(ids))]
        return [run.as_of] * len(ids)

    computed = {
        table.name: pa.table([fill(field) for field in table.rows], schema=table.rows)
        for table in NIGHT_TABLES
    }
    return stamp_night_tables(computed, run)


def publish(store, run, scores=None, checks=None, accounts=None, tables=None):
    """Start a run and publish its scores."""
    store.start(run)
    scores = some_scores(run) if scores is None else scores
    store.publish(scores, run.run_id, LATER, checks=checks, accounts=accounts, tables=tables)


def ask(url, query):
    """Run a query with the database's own driver, independently of the store."""
    kind = sqlite3 if url.startswith("sqlite") else psycopg
    with closing(kind.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchall()


def do(url, *statements):
    """Run statements with the database's own driver, independently of the store."""
    kind = sqlite3 if url.startswith("sqlite") else psycopg
    with closing(kind.connect(url.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def clean(url):
    """Empty a PostgreSQL database and return its URL."""
    do(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return url
