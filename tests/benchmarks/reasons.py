"""Consistency of the reasons of sampled leads, and their agreement with the model.

``python -m tests.benchmarks.reasons CONFIG TARGET [LEADS]`` uses the champion of the workspace, or
trains one if there is none; for the demo config it simulates the company first. It prints one line
of JSON:

- ``repeated`` and ``contradictory``: pairs of reasons of one lead that repeat or contradict each
other, by independent rules (``tests.benchmarks.sense``);

- ``removable``: reasons that name something in the log, events or an attribute. ``agree`` is the
share of them where removing it moves the score as the reason says: down for a reason in favour of
the lead, up for one against it, and further in the same direction for a reason that says too little
(``few``). ``otherwise`` counts the rest by feature. Reasons that are not removable name an event
that did not happen, or time that passed.
"""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from configs.schema import load_project
from features.build import build_features
from features.spine import build_scoring_spine
from features.wording.wording import Wording
from models.encoding import sample_evenly
from models.registry.registry import Registry
from models.scorer import Scorer
from pipelines.runner import Runner, read_clock
from pipelines.simulated.simulate import write_company
from pipelines.training.train import train_targets
from pipelines.training_data import load_snapshot
from serve.reasons.reasons import ReasonWriter, write_reasons
from tests.benchmarks.removal import Without, log_odds, removable
from tests.benchmarks.sense import contradictory, repeated

LEADS = 200
# Leads whose values replace a removed attribute.
DRAWN = 20
# Leads of the simulated company.
COMPANY = 5_000


def champion(project, target):
    """Return the target's scorer, trained if there is none yet."""
    if project.project == "demo" and not (project.workspace_path / "data").exists():
        write_company(project.workspace_path / "data", leads=COMPANY)
    registry = Registry(project.workspace_path, project.project)
    if registry.champion(target) is None:
        train_targets(project, None, [target], Runner())
    return Scorer.load(registry.scorer_directory(registry.champion(target)))


def sample(project, now, target, leads):
    """Return a spine of some of the leads that a night would score."""
    spine = build_scoring_spine(now.dataset, project.target_config(target), now.as_of)
    rows = np.random.default_rng(0).choice(
        spine.num_rows, min(leads, spine.num_rows), replace=False
    )
    return spine.take(pa.array(np.sort(rows)))


def told(scorer, dataset, spine, language="en"):
    """Return the reasons of each row of a spine."""
    matrix = build_features(dataset, spine, scorer.catalog.select(scorer.encoding.names))
    teller = ReasonWriter.from_scorer(scorer, Wording.load(language))
    texts = write_reasons(scorer.explain(matrix), matrix.select(scorer.encoding.names), teller)
    return [json.loads(text) for text in texts]


def moves(scorer, dataset, spine, found):
    """Return each removable reason with the change of log-odds by its removal, and its side."""
    features = {feature.name: feature for feature in scorer.catalog.features}
    rows = list(
        zip(spine["entity_id"].to_pylist(), spine["cutoff"].to_pylist(), found, strict=True)
    )
    asked, said = [Without(entity, cutoff) for entity, cutoff, _ in rows], []
    for place, (entity, cutoff, lead) in enumerate(rows):
        for one in lead:
            feature, few = (
                features[one["feature"]],
                "only " in one["sentence"] or " fewer " in one["sentence"],
            )
            if removable(
                feature, one["value"], " for " in one["sentence"] or "already" in one["sentence"]
            ):
                without, first = Without(entity, cutoff, feature, one["value"]), len(asked)
                asked += [
                    replace(without, instead=value) for value in _others(dataset, feature)
                ] or [without]
                side = np.sign(one["contribution"]) * (1 if few else -1)
                said.append((one, side, few, place, slice(first, len(asked))))
    after = log_odds(scorer, dataset, asked)
    return [
        (one, side, few, after[where].mean() - after[place])
        for one, side, few, place, where in said
    ]


def _others(dataset, feature):
    """Return values of an attribute that some leads have, evenly chosen; none if no attribute."""
    if feature.scope != "lead" or feature.subject not in dataset.leads.column_names:
        return []
    return (
        dataset.leads[feature.subject]
        .take(pa.array(sample_evenly(dataset.leads.num_rows, DRAWN)))
        .to_pylist()
    )


def main(config, target, leads=LEADS):
    project = load_project(Path(config))
    scorer, now = champion(project, target), load_snapshot(project, None, read_clock())
    spine = sample(project, now, target, int(leads))
    found = told(scorer, now.dataset, spine)
    features = {feature.name: feature for feature in scorer.catalog.features}
    moved = moves(scorer, now.dataset, spine, found)
    agree = [bool(np.sign(move) == side) for _, side, _, move in moved]
    few = [right for (_, _, few, _), right in zip(moved, agree, strict=True) if few]
    named = [features[one["feature"]].aggregate for one, *_ in moved]
    return {
        "leads": len(found),
        "reasons": sum(map(len, found)),
        "repeated": sum(len(list(repeated(lead, features))) for lead in found),
        "contradictory": sum(len(list(contradictory(lead, features))) for lead in found),
        "removable": len(moved),
        "agree": round(float(np.mean(agree)), 4),
        "few": {"named": len(few), "agree": sum(few)},
        "otherwise": Counter(name for name, right in zip(named, agree, strict=True) if not right),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
