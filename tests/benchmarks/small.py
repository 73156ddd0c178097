"""Learners of simulated companies with few leads, compared with the true probabilities.

``python -m tests.benchmarks.small LEADS COMPANIES`` prints one JSON object: by target and learner
the share of the knowable log-loss gain, for each company. A learner is fitted on all mature rows
of a company of LEADS leads, and tested on the leads of one other, larger company of the same law,
whose rows are the same for all learners and sizes.
"""

import json
import sys
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.schema import load_project
from features.build import build_features
from features.contracts import EVENTS, INSTANT, LEADS, SPINE, Dataset
from features.definitions.catalog import build_catalog
from features.labels import compute_labels
from features.sources import list_carried_columns
from features.spine import build_training_spine
from models.calibration import to_probability
from models.clusters import CLUSTER
from models.evaluation.metrics import compute_skill
from models.training.fit import fit_models
from models.training.settings import TrainingSettings
from models.training.training_rows import AvailableRows, TrainingTable
from pipelines.simulated.company import CHANGE_AT, END
from pipelines.simulated.oracle import compute_oracle
from pipelines.simulated.simulate import simulate_block
from tests.benchmarks.measure import ROOT

PROJECT = load_project(ROOT / "configs" / "demo.yaml")
# Seeds of the tested company and of the first small one. No default effect of the logistic
# regression was learned from either.
TESTED_SEED, FIRST_SEED = 9, 1000
TESTED_LEADS = 2_000
FITTED = ("logistic", "lightgbm", "naive_bayes", "base_rate")
# Trees and logistic regression with equal shares.
LEARNERS = (*FITTED, "half and half")


@dataclass(frozen=True)
class TestedRows:
    """Rows of the tested company after the change of its behaviour, with their true chances."""

    table: TrainingTable
    truth: np.ndarray


def simulate(seed, leads):
    """Return a company's data, with the attributes that its project reads."""
    block = simulate_block(seed, 0, leads)
    names = [*LEADS.names, *PROJECT.sources.leads.attributes]
    return Dataset(block.leads.select(names), block.events.select(EVENTS.names), (), "simulated")


def build_table(dataset, target):
    """Return all rows of a target as known at the end of the company."""
    config = PROJECT.target_config(target)
    spine = build_training_spine(dataset, config, END)
    catalog = build_catalog(PROJECT, dataset, list_carried_columns(PROJECT))
    labels = compute_labels(dataset, spine, config, END)
    labels = labels.append_column(CLUSTER, dataset.find_clusters(spine["entity_id"]))
    return TrainingTable.from_tables(build_features(dataset, spine, catalog), labels)


def build_tested_rows(target):
    dataset = simulate(TESTED_SEED, TESTED_LEADS)
    table = build_table(dataset, target)
    late = table.cutoff >= pa.scalar(CHANGE_AT, INSTANT).cast(pa.int64()).as_py()
    table = table.take(np.flatnonzero(late & (table.label >= 0)))
    spine = table.matrix.select(SPINE.names).take(pa.array(table.row_number))
    horizon = PROJECT.target_config(target).horizon
    return TestedRows(table, compute_oracle(dataset, spine, target, horizon))


def measure_skills(dataset, target, tested):
    """Return the skill of each learner; the reference is the best constant on the tested rows."""
    config = PROJECT.target_config(target)
    table = build_table(dataset, target)
    settings = TrainingSettings(target, config.horizon, PROJECT.evaluation)
    available = AvailableRows.from_cutoff(table, table.mature_rows, None, 0)
    margins = fit_models(available, FITTED, settings).predict_margins(tested.table)
    margins["half and half"] = (margins["logistic"] + margins["lightgbm"]) / 2
    label = tested.table.label
    return {
        name: compute_skill(label, to_probability(margins[name]), label.mean(), tested.truth)
        for name in LEARNERS
    }


def main(leads, companies):
    """Return {target: {learner: [skill of each company]}}."""
    found = {target: {name: [] for name in LEARNERS} for target in PROJECT.targets}
    tested = {target: build_tested_rows(target) for target in PROJECT.targets}
    for seed in range(FIRST_SEED, FIRST_SEED + companies):
        dataset = simulate(seed, leads)
        for target, skills in found.items():
            for name, skill in measure_skills(dataset, target, tested[target]).items():
                skills[name].append(skill)
    return found


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
