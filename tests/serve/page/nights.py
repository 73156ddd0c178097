"""Several made-up nights of scores, and the list of leads as the page's script reads it."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import numpy as np

from tests.serve.samples import a_run, publish, some_scores

FIRST_NIGHT = datetime(2025, 6, 30, 4, 30, tzinfo=UTC)
SENTENCES = ["opened a mail", "no call for 12 days", "3 visits", "industry is software", "Ünïcode"]
OWNERS = ["Ann", "Bob", None]
DTYPES = {
    "Uint8Array": "u1",
    "Int8Array": "i1",
    "Uint16Array": "<u2",
    "Uint32Array": "<u4",
    "Int32Array": "<i4",
    "Float32Array": "<f4",
    "Float64Array": "<f8",
}


def random_columns(n, seed):
    """Return random columns of SCORES for n rows."""
    rng = np.random.default_rng(seed)

    def pick(values, share_of_null=0.0):
        drawn = [values[i] for i in rng.integers(0, len(values), n)]
        return [None if rng.random() < share_of_null else value for value in drawn]

    return {
        "grade": pick("ABCD"),
        "previous_grade": pick("ABCD", 0.2),
        "trend": pick(range(-40, 41), 0.2),
        "trend_7d": pick(range(-40, 41), 0.5),
        "trend_30d": pick(range(-40, 41), 0.5),
        "falling_since": pick([FIRST_NIGHT], 0.8),
        "listed": pick(["pick", "explore"], 0.5),
        "owner": pick(OWNERS),
        "evidence": pick(["enough", "too little"]),
        "review_at": pick([FIRST_NIGHT + timedelta(days=day) for day in range(-2, 9)], 0.1),
        "reasons": [random_reasons(rng) for _ in range(n)],
    }


def random_reasons(rng):
    """Return the JSON of up to three reasons for, then up to three against, as published."""
    features = rng.permutation(len(SENTENCES))[: rng.integers(0, 6)]
    reasons = [
        {
            "feature": f"f{feature}",
            "value": 1.0,
            "contribution": round(float(rng.choice([-1, 1]) * rng.uniform(0.05, 1)), 6),
            "sentence": f"{SENTENCES[feature]} ({rng.integers(0, 3)})",
        }
        for feature in features
    ]
    reasons.sort(key=lambda reason: -abs(reason["contribution"]))
    sides = [[r for r in reasons if r["contribution"] * sign > 0][:3] for sign in (1, -1)]
    return json.dumps([*sides[0], *sides[1]])


def publish_nights(store, project, nights=3, leads=40):
    """Publish nights of random scores; the last one by a new model. Return the last run."""
    for night in range(nights):
        as_of = FIRST_NIGHT + timedelta(days=night)
        run = a_run(f"r{night}", as_of, tuple(project.targets))
        last = night == nights - 1
        run = dataclasses.replace(run, models=dict.fromkeys(run.models, "8" if last else "7"))
        # Leads come and go.
        ids = [f"L{number:03}" for number in range(3 * night, 3 * night + leads)]
        n = len(ids) * len(run.models)
        publish(store, run, some_scores(run, ids, night, **random_columns(n, night)))
    return run


def read_list(section):
    """Return the header and the arrays of the block of leads, by an independent reader."""
    block = next(block for block in section.blocks if block.name == "leads")
    length = int.from_bytes(block.content[:8], "little")
    header = json.loads(block.content[8 : 8 + length])
    arrays = {}
    for name, (kind, offset, count) in header["arrays"].items():
        assert (8 + length + offset) % np.dtype(DTYPES[kind]).itemsize == 0
        arrays[name] = np.frombuffer(block.content, DTYPES[kind], count, 8 + length + offset)
    return header, arrays
