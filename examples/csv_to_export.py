"""From two CSV files to the export that a CRM reads.

usage: python examples/csv_to_export.py FOLDER

FOLDER holds ``leads.csv`` and ``events.csv``; sample files are written where there are none.
"""

from __future__ import annotations

import csv
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path

import leadscore

CONFIG = """\
project: example
timezone: Europe/Berlin
workspace: workspace
sources:
  leads:
    path: leads.csv
    entity_id: lead_id
    created_at: created_at
    attributes: [country]
  events:
    - path: events.csv
      entity_id: lead_id
      event_time: happened_at
      event_type: event
targets:
  buy:
    population: {after: created, max_age: 90d}
    outcome: bought
    horizon: 21d
    cutoffs: {every: 14d}
features: {windows: [7d, 30d], half_lives: [14d]}
evaluation: {folds: 1}
capacity: 20
"""
AS_OF = "2025-01-01"


def main(folder: Path) -> None:
    """Train on the files of a folder, score the open leads, and write the export."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "leads.csv").exists():
        write_sample(folder)
    config = folder / "company.yaml"
    config.write_text(CONFIG, encoding="utf-8")

    project = leadscore.load(config, log=print)
    for result in project.train(as_of=AS_OF):
        auc = result.metrics["roc_auc"]
        print(f"{result.target}: ROC AUC {auc.value:.3f} ({auc.low:.3f}–{auc.high:.3f})")
        if result.error:
            raise result.error  # the gate refused: the message says why, and how to go on

    scores = project.score(as_of=AS_OF, publish=True)
    print(f"{scores.num_rows} leads scored")
    print(f"export: {folder}/workspace/exports/current/scores.csv")


def write_sample(folder: Path) -> None:
    """Write 900 leads of a year; keen ones visit more often and buy more often."""
    rng = random.Random(1)
    leads, events = [], []
    for number in range(900):
        lead, keen = f"L{number:04}", rng.random() < 0.3
        created = datetime(2024, 1, 1) + timedelta(days=rng.uniform(0, 365))  # noqa: DTZ001
        leads.append([lead, created.isoformat(" "), rng.choice(["DE", "FR"])])
        moment = created
        for _ in range(40):
            moment += timedelta(days=rng.expovariate(1 / (4 if keen else 25)))
            if moment >= min(datetime(2025, 1, 1), created + timedelta(days=120)):  # noqa: DTZ001
                break
            events.append([lead, moment.isoformat(" "), rng.choice(["visit", "visit", "call"])])
            if rng.random() < (0.12 if keen else 0.01):
                events.append([lead, (moment + timedelta(hours=1)).isoformat(" "), "bought"])
                break
    write_csv(folder / "leads.csv", ["lead_id", "created_at", "country"], leads)
    write_csv(folder / "events.csv", ["lead_id", "happened_at", "event"], events)


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write a CSV file with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
