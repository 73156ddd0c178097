"""Reads the contents of a page from the scores database, the models and the reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from configs.errors import DataError
from configs.schema import Project
from features.score_tables import SCORES
from features.tools.instants import MICROSECOND
from models.evaluation.record import EvaluationRecord, read_evaluation
from models.registry.records import RegisteredVersion
from models.registry.registry import Registry
from pipelines.monitoring.monitor import REPORT_FOLDER, REPORT_NAME
from pipelines.workspace import find_registry
from serve.page.content.detailed_leads import PAST_NIGHTS, list_detailed_entities
from serve.page.content.page_data import LeadFacts, PageData
from serve.page.content.shown_leads import choose_compared_leads, choose_shown_rows
from serve.page.content.words import PageWords
from serve.run import Run
from serve.store.store import Store

# Earlier nights whose checks are shown, as the checks themselves look back.
CHECK_NIGHTS = 28
# What the list of leads compares with.
PREVIOUS_COLUMNS = ("target", "entity_id", "reasons", "model_version")


def gather_page_data(
    project: Project, store: Store, run: Run, facts: LeadFacts | None = None
) -> PageData:
    """Return the contents of the page of a published run.

    ``facts`` are those of the leads that ``list_detailed_entities`` names; None leaves them out.
    """
    scores = store.scores(project.project, run.as_of)
    detailed = list_detailed_entities(scores)
    return PageData(
        project=project,
        run=run,
        scores=scores,
        past=store.past_scores(project.project, detailed, run.as_of, PAST_NIGHTS),
        runs=store.runs(project.project),
        # Later than the as-of by a microsecond, since the checks of its own run belong to the page.
        checks=store.past_checks(project.project, run.as_of + MICROSECOND, CHECK_NIGHTS + 1),
        words=PageWords.load(project.publish.language, project.zone),
        outcomes=read_outcomes(project),
        previous=read_previous(project, store, run, scores),
        facts=facts,
        **read_models(find_registry(project), run),
    )


def read_previous(project: Project, store: Store, run: Run, scores: pa.Table) -> pa.Table:
    """Return the rows of the night before that the list of leads compares with.

    They have PREVIOUS_COLUMNS, and are of the last earlier as-of of each target.
    """
    compared = choose_compared_leads(scores, choose_shown_rows(scores))
    tables = [
        store.previous_scores(
            project.project, target, run.as_of, columns=PREVIOUS_COLUMNS, entity_ids=ids
        )
        for target, ids in compared.items()
    ]
    return pa.concat_tables([SCORES.empty_table().select(PREVIOUS_COLUMNS), *tables])


def read_outcomes(project: Project) -> Mapping[str, Any] | None:
    """Return the content of the newest report of outcomes; None if there is none."""
    path = project.workspace_path / REPORT_FOLDER / f"{REPORT_NAME}.json"
    if not path.is_file():
        return None
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def read_models(registry: Registry | None, run: Run) -> dict[str, Any]:
    """Return ``evaluations`` and ``versions`` of a page's data.

    A version whose files are gone or damaged has no evaluation, and the page says so.
    """
    if registry is None:
        return {}
    evaluations = dict[str, EvaluationRecord]()
    versions = {target: registry.versions(target) for target in run.models}
    for target, number in run.models.items():
        for version in versions[target]:
            if str(version.number) == number and (record := _read_record(registry, version)):
                evaluations[target] = record
    return {"evaluations": evaluations, "versions": versions}


def _read_record(registry: Registry, version: RegisteredVersion) -> EvaluationRecord | None:
    try:
        return read_evaluation(registry.scorer_directory(version))
    except DataError:
        return None
