"""Made-up contents of pages."""

import base64
import dataclasses
import gzip
import re

import yaml

from configs.schema import load_project
from features.score_tables import SCORE_CHECKS, SCORE_RUNS
from serve.page.content.page_data import PageData
from serve.page.content.words import PageWords
from tests.serve.samples import a_run, publish

CONFIG = {
    "project": "acme",
    "timezone": "UTC",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "created",
            "attributes": ["industry"],
        },
        "events": [
            {"path": "events.csv", "entity_id": "id", "event_time": "at", "event_type": "type"}
        ],
    },
    "targets": {
        name: {"outcome": name, "horizon": "30d", "cutoffs": {"every": "7d"}}
        for name in ("close", "opportunity")
    },
}


def make_project(folder, **keys):
    """Return a project whose config lies in the folder, with keys added or replaced."""
    path = folder / "acme.yaml"
    path.write_text(yaml.safe_dump(CONFIG | keys), "utf-8")
    return load_project(path)


def make_data(project, scores=None, run=None, language="en", **fields):
    """Return the contents of a page with these scores, and empty tables where none are given."""
    run = run or a_run(targets=tuple(project.targets))
    empty = {"runs": SCORE_RUNS.empty_table(), "checks": SCORE_CHECKS.empty_table()}
    given = {"scores": scores, **empty, **fields}
    words = PageWords.load(language, project.zone, project.goals.currency)
    return PageData(project=project, run=run, words=words, **given)


def publish_and_read(store, project, run, scores, **fields):
    """Publish scores and return the contents of their page, read back from the store."""
    publish(store, run, scores)
    data = make_data(project, store.scores(project.project, run.as_of), run, **fields)
    return dataclasses.replace(data, runs=store.runs(project.project))


def read_texts(page):
    """Return all that a page says: its HTML without the scripts, and its data blocks."""
    blocks = re.findall(r'<script type="application/octet-stream"[^>]*>([^<]*)</script>', page)
    frame = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return "\n".join([frame, *(gzip.decompress(base64.b64decode(b)).decode() for b in blocks)])
