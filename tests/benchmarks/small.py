"""Models of simulated companies with few leads, compared with the true probabilities.

``python -m tests.benchmarks.small LEADS COMPANIES WHOLE`` prints one JSON object: by target, for
each company, the share of the knowable log-loss gain of each model. A learner is fitted on all
mature rows of a company of LEADS leads, and tested on the leads of one other, larger company of the
same law, whose rows are the same for all models and sizes. The challenger is what a whole training
of the first WHOLE companies chooses, fits and calibrates; it is published if it passes the gate.
"""

import json
import sys
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.errors import DataError
from configs.schema import load_project
from features.build import build_features
from features.contracts import EVENTS, INSTANT, LEADS, SPINE, Dataset
from features.definitions.catalog import build_catalog
from features.labels import compute_labels
from features.sources import list_carried_columns
from features.spine import build_training_spine
from models.calibration import to_probability
from models.clusters import CLUSTER
from models.evaluation.gate import judge_challenger
from models.evaluation.metrics import compute_skill
from models.training.fit import fit_models
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from models.training.training_rows import AvailableRows, TrainingTable
from pipelines.simulated.company import CHANGE_AT, END
from pipelines.simulated.oracle import compute_oracle
from pipelines.simulated.simulate import simulate_block
from tests.benchmarks.measure import ROOT

PROJECT = load_project(ROOT / "configs" / "demo.yaml")
# Seeds of the tested company and of the first small one. The prior of the logistic regression was
# chosen on neither.
TESTED_SEED, FIRST_SEED = 9, 1000
TESTED_LEADS = 2_000
LEARNERS = ("logistic", "lightgbm", "naive_bayes", "base_rate")
CHALLENGER, PUBLISHED = "challenger", "published"
MODELS = (*LEARNERS, CHALLENGER, PUBLISHED)


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


def build_rows(dataset, target):
    """Return features and labels of all rows of a target as known at the end of the company."""
    config = PROJECT.target_config(target)
    spine = build_training_spine(dataset, config, END)
    catalog = build_catalog(PROJECT, dataset, list_carried_columns(PROJECT))
    labels = compute_labels(dataset, spine, config, END)
    labels = labels.append_column(CLUSTER, dataset.find_clusters(spine["entity_id"]))
    return build_features(dataset, spine, catalog), labels


def build_tested_rows(target):
    dataset = simulate(TESTED_SEED, TESTED_LEADS)
    table = TrainingTable.from_tables(*build_rows(dataset, target))
    late = table.cutoff >= pa.scalar(CHANGE_AT, INSTANT).cast(pa.int64()).as_py()
    table = table.take(np.flatnonzero(late & (table.label >= 0)))
    spine = table.matrix.select(SPINE.names).take(pa.array(table.row_number))
    horizon = PROJECT.target_config(target).horizon
    return TestedRows(table, compute_oracle(dataset, spine, target, horizon))


def train_challenger(matrix, labels, settings):
    """Return the challenger, None where none can be trained, and whether it passes the gate."""
    try:
        result = train_scorer(matrix, labels, settings)
    except DataError:
        return None, False
    return result.scorer, judge_challenger(result.out_of_time).passed


def predict_tested(matrix, labels, settings, tested, whole):
    """Return the probabilities of the tested rows by model; those that there are not are absent."""
    table = TrainingTable.from_tables(matrix, labels)
    available = AvailableRows.from_cutoff(table, table.mature_rows, None, 0)
    margins = fit_models(available, LEARNERS, settings).predict_margins(tested.table)
    chances = {name: to_probability(margin) for name, margin in margins.items()}
    scorer, passed = train_challenger(matrix, labels, settings) if whole else (None, False)
    if scorer is not None:
        rows = tested.table.matrix.take(pa.array(tested.table.row_number))
        chances[CHALLENGER] = scorer.predict(rows)["probability"].to_numpy()
    if passed:
        chances[PUBLISHED] = chances[CHALLENGER]
    return chances


def measure_skills(dataset, target, tested, whole):
    """Return the skill of each model; the reference is the best constant on the tested rows.

    The challenger is trained if ``whole``. The skill of PUBLISHED is that of the challenger if it
    passes the gate. A model that there is not has no skill.
    """
    config = PROJECT.target_config(target)
    settings = TrainingSettings(target, config.horizon, PROJECT.evaluation, observed_through=END)
    chances = predict_tested(*build_rows(dataset, target), settings, tested, whole)
    label = tested.table.label
    return {
        name: compute_skill(label, chance, label.mean(), tested.truth)
        for name, chance in chances.items()
    }


def main(leads, companies, whole):
    """Return {target: [{model: skill} of each company]}; the first ``whole`` have a challenger."""
    tested = {target: build_tested_rows(target) for target in PROJECT.targets}
    found = {target: [] for target in PROJECT.targets}
    for place in range(companies):
        dataset = simulate(FIRST_SEED + place, leads)
        for target, skills in found.items():
            skills.append(measure_skills(dataset, target, tested[target], place < whole))
    return found


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
