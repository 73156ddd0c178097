"""Reads the contents of a page from the scores database, the models and the reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError, LeadscoreError, StateError
from configs.loading.workspace_place import OUTCOMES_FILE, REPORT_FOLDER
from configs.schema import Project
from features.contracts import INSTANT, Dataset
from features.score_tables import SCORE_RUNS, SCORES
from models.buying_roles import select_role_effects
from models.channels.result import ChannelTables
from models.customers.result import CustomerTables
from models.evaluation.gate import GATE_TAG, REFUSED
from models.evaluation.record import EvaluationRecord, read_evaluation
from models.fit.result import FitTables
from models.forecast.result import ForecastResult
from models.funnel.result import FunnelTables
from models.registry.artifact_paths import is_local
from models.registry.records import RegisteredVersion
from models.registry.registry import Registry
from models.touches.result import TouchTables
from models.visitors.web_funnel import select_web_funnel
from pipelines.page.lead_facts import collect_lead_facts
from pipelines.workspace import find_registry
from serve.export.export import sort_scores
from serve.export.page_file import PageBuilder
from serve.page.content.detailed_leads import PAST_NIGHTS, list_detailed_entities
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.content.page_data import LeadFacts, PageData
from serve.page.content.shown_leads import choose_compared_leads, choose_shown_rows
from serve.page.content.words import PageWords
from serve.run import Run
from serve.store.store import Store

# Returns the facts on some leads, by their ids; None where the sources cannot be read.
FactFinder = Callable[[Sequence[str]], LeadFacts | None]
# Earlier nights whose checks are shown, as the checks themselves look back.
CHECK_NIGHTS = 28
# Refused versions of a target whose failed tests are shown: reading one hashes its files.
READ_REFUSALS = 5
# What the list of leads compares with.
PREVIOUS_COLUMNS = ("target", "entity_id", "reasons", "model_version")
# What each target of the report of outcomes has, by every version that wrote one.
OUTCOME_KEYS = {"as_of", "rows", "grades", "versions", "grade_order", "first_mature"}
# Columns that differ each time a night is scored; the page of the same scores is the same file.
OWN_TO_RUN = ("run_id", "scored_at")


def gather_page_data(
    project: Project,
    store: Store,
    run: Run,
    find_facts: FactFinder | None = None,
    scores: pa.Table | None = None,
    checks: pa.Table | None = None,
    registry: Registry | None = None,
    tables: Mapping[str, pa.Table] | None = None,
    accounts: pa.Table | None = None,
) -> PageData:
    """Return the contents of the page of a run.

    ``scores`` are SCORES of its as-of without suppressed leads, ``checks`` SCORE_CHECKS of the run.
    A run that is about to publish has both in hand; what is not given is read. The contents
    are the same before the run has published and after it. ``find_facts`` returns the facts on the
    leads that are shown in detail; None leaves them out. ``registry`` is one that is open; None
    opens that of the workspace. ``tables`` are NIGHT_TABLES of the as-of by name and ``accounts``
    its ACCOUNT_SCORES, both without suppressed leads; None if there are none.
    """
    tables = tables or {}
    if scores is None:
        scores = store.scores(project.project, run.as_of)
    run = _complete_models(run, scores)
    scores = select_page_scores(project, scores)
    detailed = list_detailed_entities(scores)
    past = store.past_scores(project.project, detailed, run.as_of, PAST_NIGHTS)
    past_checks = store.past_checks(project.project, run.as_of, CHECK_NIGHTS)
    own_checks = store.run_checks(run.run_id) if checks is None else checks
    data = PageData(
        project=project,
        run=run,
        scores=scores.drop_columns([*OWN_TO_RUN]),
        past=past.drop_columns([*OWN_TO_RUN]),
        runs=_complete_ledger(store.runs(project.project), run, scores),
        checks=pa.concat_tables([past_checks, _sort_checks(own_checks)]),
        words=PageWords.load(project.publish.language, project.zone, project.goals.currency),
        outcomes=read_outcomes(project),
        previous=read_previous(project, store, run, scores),
        facts=find_facts(detailed) if find_facts else None,
        accounts=select_page_accounts(accounts),
        **_select_night_tables(tables, run.as_of),
        **_read_models_if_possible(project, run, registry),
    )
    return hide_personal_ids(data)


def _select_night_tables(tables: Mapping[str, pa.Table], as_of: datetime) -> dict[str, Any]:
    """Return the fields of PageData that come from NIGHT_TABLES by name."""
    return {
        "funnel": FunnelTables.from_tables(tables),
        "forecast": ForecastResult.from_tables(tables, as_of),
        "qualification": tables,
        "fit": FitTables.from_tables(tables),
        "customers": CustomerTables.from_tables(tables),
        "channels": ChannelTables.from_tables(tables),
        "touches": TouchTables.from_tables(tables),
        "roles": select_role_effects(tables),
        "visitors": select_web_funnel(tables),
    }


def make_page_builder(
    project: Project,
    store: Store,
    run: Run,
    scores: pa.Table,
    checks: pa.Table | None = None,
    dataset: Dataset | None = None,
    registry: Registry | None = None,
    tables: Mapping[str, pa.Table] | None = None,
    accounts: pa.Table | None = None,
) -> PageBuilder | None:
    """Return a function that builds the page of a run; None where the config wants no page.

    The arguments are those of ``gather_page_data``; without the ``dataset`` of the run the page
    shows no events of single leads.
    """
    if not project.publish.page:
        return None

    def build() -> bytes:
        # Imported here, so that a broken library of the page keeps no scores back.
        from serve.page.build import build_page

        def find_facts(entities: Sequence[str]) -> LeadFacts | None:
            return collect_lead_facts(project, dataset, entities, run.as_of) if dataset else None

        return build_page(
            gather_page_data(
                project,
                store,
                run,
                find_facts,
                scores,
                checks,
                registry,
                tables,
                accounts,
            )
        )

    return build


def select_page_accounts(accounts: pa.Table | None) -> pa.Table | None:
    """Return ACCOUNT_SCORES without the columns of the run; None without any row."""
    if accounts is None or not accounts.num_rows:
        return None
    return accounts.drop_columns([*OWN_TO_RUN])


def select_page_scores(project: Project, scores: pa.Table) -> pa.Table:
    """Return the SCORES that a page shows, sorted: those of the targets that the config has.

    An older night may have scored a target that was renamed or removed since.
    """
    # Only then: to filter a million rows copies all their texts.
    if set(scores["target"].unique().to_pylist()) - set(project.targets):
        targets = pa.array(list(project.targets), pa.string())
        scores = scores.filter(pc.is_in(scores["target"], value_set=targets))
    return sort_scores(scores)


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
    path = project.workspace_path / REPORT_FOLDER / OUTCOMES_FILE
    if not path.is_file():
        return None
    content: Any = None
    # A ValueError is of a JSON text or of UTF-8, a RecursionError of lists in lists.
    with suppress(ValueError, RecursionError):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not _is_outcomes_report(content):
        raise StateError(
            # With the remedy: a manifest and a night's log have no other part of the error.
            "the report of outcomes is damaged, and `leadscore outcomes` writes it again",
            where=str(path),
            fix=f"run `leadscore outcomes {project.path}`, or remove it",
        )
    report: Mapping[str, Any] = content
    return report


def _is_outcomes_report(content: Any) -> bool:
    """Return whether a JSON value has the form of the report of outcomes, of any version."""
    targets = content.get("targets") if isinstance(content, dict) else None
    return isinstance(targets, dict) and all(
        isinstance(target, dict) and target.keys() >= OUTCOME_KEYS for target in targets.values()
    )


def _read_models_if_possible(
    project: Project, run: Run, registry: Registry | None
) -> dict[str, Any]:
    """Return what ``read_models`` returns; nothing where the registry cannot be read.

    A night goes on without its registry, and so does its page.
    """
    try:
        return read_models(registry or find_registry(project), run)
    except LeadscoreError:
        return {}


def read_models(registry: Registry | None, run: Run) -> dict[str, Any]:
    """Return ``evaluations``, ``refusals`` and ``versions`` of a page's data.

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
    refusals = {target: _read_refusals(registry, listed) for target, listed in versions.items()}
    return {"evaluations": evaluations, "refusals": refusals, "versions": versions}


def _read_refusals(
    registry: Registry, versions: Sequence[RegisteredVersion]
) -> dict[str, EvaluationRecord]:
    """Return the evaluations of the newest refused versions whose files need no download."""
    refused = [
        version
        for version in versions
        if version.tags.get(GATE_TAG) == REFUSED and is_local(version.artifacts)
    ]
    newest = sorted(refused, key=lambda version: version.number, reverse=True)[:READ_REFUSALS]
    records = {str(version.number): _read_record(registry, version) for version in newest}
    return {number: record for number, record in records.items() if record}


def _read_record(registry: Registry, version: RegisteredVersion) -> EvaluationRecord | None:
    try:
        return read_evaluation(registry.scorer_directory(version))
    except DataError:
        return None


def _complete_models(run: Run, scores: pa.Table) -> Run:
    """Return the run with the model of each target that the as-of has scores of.

    An as-of that was scored again for some targets keeps the scores of the others.
    """
    used = scores.group_by(["target", "model_version"]).aggregate([]).to_pylist()
    versions = {row["target"]: row["model_version"] for row in used}
    return replace(run, models={**run.models, **versions})


def _sort_checks(checks: pa.Table) -> pa.Table:
    """Return the checks of a run in an order that does not depend on the database."""
    return checks.sort_by([(name, "ascending") for name in ("target", "check", "subject")])


def _complete_ledger(runs: pa.Table, run: Run, scores: pa.Table) -> pa.Table:
    """Return the runs of earlier as-ofs, and the page's own run as a published one.

    Of the page's own as-of only that run counts, and its times are those of no clock: the page is
    built before the ledger has them.
    """
    earlier = runs.filter(pc.field("as_of") < pa.scalar(run.as_of, INSTANT))
    counts = scores.group_by("target").aggregate([([], "count_all")]).to_pylist()
    rows = {row["target"]: row["count_all"] for row in counts}
    values = {name: value for name, value in vars(run).items() if name in SCORE_RUNS.names}
    values |= {"status": "published", "started_at": run.as_of, "finished_at": run.as_of}
    values |= {"driver": "direct", "flow_run_id": None}
    own = [
        values | {"target": target, "model_version": version, "rows": rows.get(target, 0)}
        for target, version in run.models.items()
    ]
    return pa.concat_tables([earlier, pa.Table.from_pylist(own, schema=SCORE_RUNS)])
