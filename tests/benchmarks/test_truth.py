"""Models against the known truth: the demo company and its oracle, row by row."""

import os
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from features.tools.instants import NEVER_US, US_PER_DAY
from models.calibration import to_probability
from models.evaluation.metrics import compute_skill, evaluate_rows
from models.learners.lightgbm import LightGbm
from models.training.fit import fit_models
from models.training.train import train_scorer
from models.training.training_rows import AvailableRows, TrainingTable
from pipelines import demo
from pipelines.runner import read_clock
from pipelines.simulated.oracle import compute_oracle
from pipelines.training.train import build_settings
from pipelines.training_data import build_training_rows, load_snapshot
from tests.benchmarks.machine import memory

LEADS, SEED = 20_000, int(os.environ.get("LEADSCORE_BENCH_SEED", "7"))
# Days of the cohorts that are evaluated separately: at least half of their rows are immature.
LATE = timedelta(days=60)
HORIZON = 30 * US_PER_DAY


@dataclass(frozen=True)
class Against:
    """Rows of one target with label and the oracle's probability."""

    truth: np.ndarray
    label: np.ndarray
    entity_id: np.ndarray
    fold: np.ndarray

    def figures(self, chance):
        found = evaluate_rows(self.label, chance, self.entity_id, stratum=self.fold)
        best = evaluate_rows(
            self.label, self.truth, self.entity_id, stratum=self.fold, replicates=1
        )
        return found, found["roc_auc"].value / best["roc_auc"].value


@pytest.fixture(scope="session")
def company(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADSCORE_WORKSPACE", str(tmp_path_factory.mktemp("company")))
        project = demo.create_company(LEADS, SEED, lambda line: None)
        yield load_snapshot(project, None, read_clock())


@pytest.mark.parametrize("name", ["propensity", "close"])
def test_models_against_the_truth(company, report, name):
    title = f"The demo company against its oracle: {LEADS:,} leads, seed {SEED}; {memory():.0f} GiB"
    project = company.project
    rows = build_training_rows(company, name)
    settings = build_settings(company, name, lambda line: None)
    trained = train_scorer(rows.matrix, rows.labels, settings)
    table, horizon = trained.out_of_time, project.target_config(name).horizon
    truth = compute_oracle(company.dataset, table, name, horizon)
    label, chance, base = (
        table[column].to_numpy() for column in ("label", "probability", "base_rate")
    )
    against = Against(truth, label, table["entity_id"].to_numpy(), table["fold"].to_numpy())
    found, share = against.figures(chance)
    low, high = trained.scorer.band.interval(chance)
    say = lambda row, cell: report.add(title, row, name, cell)  # noqa: E731 - one line of the table
    say("chosen", trained.learner)
    say("skill, share of the oracle's", f"{compute_skill(label, chance, base, truth):.1%}")
    for other in ("lightgbm", "hazard", "logistic", "blend", "naive_bayes"):
        say(
            f"skill of {other}", f"{compute_skill(label, table[other].to_numpy(), base, truth):.1%}"
        )
    say("ROC AUC, share of the oracle's", f"{share:.1%}")
    slope = found["calibration_slope"]
    say("calibration slope", f"{slope.value:.3f} ({slope.low:.3f}–{slope.high:.3f})")
    say(
        "90 % interval holds the truth, tested rows",
        f"{np.mean((low <= truth) & (truth <= high)):.1%}",
    )
    young = _young(company, name, rows, trained.scorer, settings)
    for row, cell in young.items():
        say(f"last {LATE.days} days: {row}", cell)
    assert set(table.column_names) >= {"hazard", "naive_bayes"}


def _young(company, name, rows, scorer, settings):
    """Compare the mean prediction of the last cohorts with the truth, by use of immature rows."""
    whole = TrainingTable.from_tables(rows.matrix, rows.labels)
    late = whole.take(
        np.flatnonzero(whole.cutoff >= whole.cutoff.max() - LATE // timedelta(microseconds=1))
    )
    matrix = rows.matrix.take(late.row_number)
    truth = compute_oracle(
        company.dataset, matrix, name, company.project.target_config(name).horizon
    )
    said = scorer.predict(matrix)
    low, high = said["probability_low"].to_numpy(), said["probability_high"].to_numpy()
    called = np.where(
        whole.label >= 0,
        whole.label,
        (whole.outcome_at < whole.cutoff + HORIZON) & (whole.outcome_at < NEVER_US),
    )
    naive = TrainingTable(
        whole.matrix,
        whole.row_number,
        whole.entity_id,
        whole.cluster,
        whole.cutoff,
        called.astype(np.int64),
        whole.outcome_at,
    )
    means = {
        "the scorer's mean / truth": said["probability"].to_numpy(),
        "hazard": to_probability(scorer.timing.margin(scorer.encoding.encode(matrix))),
        "mature rows only": _lightgbm(
            AvailableRows.from_cutoff(whole, whole.mature_rows, None, 0), late, settings
        ),
        "immature called negative": _lightgbm(
            AvailableRows.from_cutoff(naive, naive.mature_rows, None, 0), late, settings
        ),
    }
    found = {"rows": f"{len(truth):,}", "share immature": f"{np.mean(late.label < 0):.0%}"}
    found |= {row: f"{chance.mean() / truth.mean():.3f}" for row, chance in means.items()}
    return found | {"interval holds the truth": f"{np.mean((low <= truth) & (truth <= high)):.1%}"}


def _lightgbm(known, asked, settings):
    return to_probability(
        fit_models(known, {LightGbm.name}, settings).predict_margins(asked)[LightGbm.name]
    )
