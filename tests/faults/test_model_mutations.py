"""Stored models whose hash fits but whose content does not: refused by name, or harmless."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.learners.amount_model import AmountModel
from models.scorer import Scorer
from tests.faults.conftest import is_full_attack
from tests.faults.trained_models import write_company
from tests.models import samples
from tests.pipelines import tiny

MUTATIONS = 2_000 if is_full_attack() else 150
DIED, HUNG = "process died", "hang"
HARMLESS = {"refused", "scored"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a small company, with a stored model of every kind."""
    folder = tmp_path_factory.mktemp("mutations")
    with pytest.MonkeyPatch.context() as patch:
        scorer = write_company(folder, patch)
        # The models only need the form of the features, not their meaning.
        x = draw_rows(scorer)
        y = (np.random.default_rng(0).random(len(x)) < 0.2).astype(float)
        models = samples.fitted_kinds(x, y, scorer.encoding.categorical)
        amounts = AmountModel(1.0, models["lightgbm"], 60, 100.0)
        for name, model in models.items():
            full = replace(scorer, model=model, timing=models["hazard"], amount_model=amounts)
            full.save(folder / "templates" / name)
    return folder


def draw_rows(scorer: Scorer) -> np.ndarray:
    """Return encoded rows (rows, features) with codes of the categories and gaps."""
    random = np.random.default_rng(0)
    columns = [
        random.integers(0, len(feature.categories), 600)
        if feature.categories
        else random.poisson(2, 600)
        for feature in scorer.encoding.features
    ]
    x = np.column_stack(columns).astype(float)
    x[random.random(x.shape) < 0.1] = np.nan
    return x


def judge_mutations(folder: Path, count: int) -> list[tuple[str, str, str, str]]:
    """Return number, outcome, kind and detail of each mutation."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("LEADSCORE_WORKSPACE", None)
    results, first = [], 0
    while first < count:
        command = [sys.executable, "-W", "ignore", "-m", "tests.faults.mutated_models"]
        done = subprocess.run(
            [*command, str(folder), tiny.END, str(first), str(count)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        ready, *lines = done.stdout.splitlines() or [""]
        assert ready == "ready", done.stderr
        results += [tuple(line.split("\t")) for line in lines]
        first = int(results[-1][0]) + 1 if lines else first
        if first < count:
            outcome = HUNG if done.returncode == -14 else DIED
            results.append(
                (str(first), outcome, "", f"exit {done.returncode} {done.stderr[-500:]}")
            )
            first += 1
    return results


def test_mutated_models_are_refused_or_harmless(folder, record_attack):
    results = judge_mutations(folder, MUTATIONS)
    outcomes = Counter(outcome for _, outcome, _, _ in results)
    record_attack("a stored model mutated, its hash fitting", outcomes)
    failed = [result for result in results if result[1] not in HARMLESS]
    assert not failed, "\n".join(" ".join(result) for result in failed[:10])
    assert len(results) == MUTATIONS
    assert min(outcomes["refused"], outcomes["scored"]) > MUTATIONS / 50
