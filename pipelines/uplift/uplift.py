"""Computes the uplift of a project: the effect of outreach, and who is worth it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError, GateRefused
from configs.schema import Project
from configs.targets import ColumnOutcome, Target
from configs.uplift.uplift import Uplift
from features.build import build_features
from features.contracts import SPINE
from features.definitions.catalog import build_catalog
from features.sources import list_carried_columns
from features.spine import build_scoring_spine
from models.encoding import Encoding
from models.evaluation.gate import GateVerdict
from models.evaluation.metrics import Estimate
from models.uplift.cross_validation import JudgedRows, judge_rankings
from models.uplift.effect_estimates import make_top_weights, weigh_qini
from models.uplift.gate import judge_rows, judge_uplift
from models.uplift.randomised_rows import RandomisedRows
from models.uplift.ranked_leads import build_policy, predict_leads
from models.uplift.result import UPLIFT_SCHEMAS, UpliftResult, UpliftTables
from models.uplift.schemas import UPLIFT, UPLIFT_BASIS
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from pipelines.uplift.assignments import Assignments, collect_experiments
from serve.scoring.weekly_lists import total_weekly_capacity

LogLine = Callable[[str], None]
DAY = timedelta(days=1)
# Leads that get outreach where the config gives neither uplift.top nor a capacity.
DEFAULT_SHARE = 0.1
TOP_SHARE = 0.3


def compute_uplift(
    project: Project, as_of: str | None, log: LogLine = discard_line
) -> UpliftResult:
    """Return the uplift as known at an as-of, by default at the end of the data.

    Raises DataError where nothing was assigned at random, or no assignment is mature.
    """
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    return build_uplift(snapshot)


def build_uplift(snapshot: Snapshot) -> UpliftResult:
    """Return the uplift of a company's data; raises as ``compute_uplift``."""
    name, target = find_target(snapshot.project)
    drawn = _require_randomised(snapshot, target)
    settled = drawn.take(np.isfinite(drawn.label))
    leads = build_scoring_spine(snapshot.dataset, target, snapshot.as_of)
    rows, x = _build_rows(snapshot, settled, leads)
    verdict = judge_rows(rows)
    if not verdict.passed:
        return _make_result(snapshot, verdict, _build_basis(snapshot, name, drawn, rows, None))
    judged = judge_rankings(rows)
    verdict = judge_uplift(judged)
    basis = _build_basis(snapshot, name, drawn, rows, judged)
    if not verdict.passed:
        return _make_result(snapshot, verdict, basis)
    ranked = _build_lead_rows(snapshot, leads, judged, x)
    # Where no lead is open, as after a single campaign, the policy is that of those in it.
    count = leads.num_rows or len(rows)
    policy = build_policy(judged, count, _find_top(snapshot, count))
    return _make_result(snapshot, verdict, basis, {"uplift": ranked, "uplift_policy": policy})


def describe_refusal(project: Project, result: UpliftResult) -> GateRefused | None:
    """Return the refusal with the sentence of each failed test; None where all passed."""
    failed = [test.sentence for test in result.verdict.tests if not test.passed]
    if not failed:
        return None
    return GateRefused(
        "the ranking by uplift is not published",
        where=f"{project.path}: uplift",
        found="; ".join(failed),
        fix="go on drawing at random, for more leads; until then use the ranking by score",
    )


def find_target(project: Project) -> tuple[str, Target]:
    """Return the target whose outcome counts; raise ConfigError for an unknown one."""
    config = project.uplift or Uplift()
    name = config.target or next(iter(project.targets))
    return name, project.target_config(name)


def _require_randomised(snapshot: Snapshot, target: Target) -> Assignments:
    """Return the assignments; raise DataError where there is none, or none that is mature."""
    project = snapshot.project
    if not project.sources.experiments:
        raise DataError(
            "nothing was assigned at random, so no effect can be known",
            where=f"{project.path}: sources.experiments",
            found="no experiment; leads that sales chose differ from the others in other ways too",
            fix="draw at random who gets outreach, record it, and add sources.experiments with "
            "entity_id, assigned_at and arm. Nothing is published",
        )
    drawn = collect_experiments(snapshot, target)
    if not np.isfinite(drawn.label).any():
        raise DataError(
            "no outcome of an experiment is known yet",
            where=f"{project.path}: sources.experiments",
            found=f"{snapshot.dataset.experiments.num_rows:,} assignments known, {len(drawn):,} of "
            "leads in the target's population, 0 mature",
            fix="wait until the horizon of the target is over, or use a later --as-of",
        )
    return drawn


def _build_rows(
    snapshot: Snapshot, settled: Assignments, leads: pa.Table
) -> tuple[RandomisedRows, np.ndarray]:
    """Return the randomised rows, and the features of the leads of the as-of."""
    dataset = snapshot.dataset
    catalog = build_catalog(snapshot.project, dataset, list_carried_columns(snapshot.project))
    # One row per lead and time, also where several arms were drawn at the same time.
    spine = settled.spine.group_by(SPINE.names, use_threads=False).aggregate([])
    spine = spine.sort_by([("cutoff", "ascending"), ("entity_id", "ascending")]).cast(SPINE)
    matrix = build_features(dataset, spine, catalog)
    names = [feature.name for feature in catalog.features]
    encoding = Encoding.fit(matrix, names)
    place = _find_rows(settled.spine, spine)
    rows = RandomisedRows(
        encoding.encode(matrix)[place],
        encoding.categorical,
        settled.treated,
        settled.propensity,
        settled.label,
        settled.cluster,
    )
    return rows, encoding.encode(build_features(dataset, leads, catalog))


def _find_rows(rows: pa.Table, spine: pa.Table) -> np.ndarray:
    """Return the place in ``spine`` of each row."""
    keys = [
        pc.binary_join_element_wise(
            table["cutoff"].cast(pa.int64()).cast(pa.string()), table["entity_id"], "\x1f"
        )
        for table in (rows, spine)
    ]
    place: np.ndarray = pc.index_in(keys[0], value_set=keys[1].combine_chunks()).to_numpy()
    return place


def _find_top(snapshot: Snapshot, leads: int) -> int:
    """Return how many leads get outreach."""
    project = snapshot.project
    config = project.uplift or Uplift()
    capacity = total_weekly_capacity(snapshot.dataset, project.capacity_config)
    top = config.top or capacity or max(round(DEFAULT_SHARE * leads), 1)
    return min(top, leads)


def _build_lead_rows(
    snapshot: Snapshot, leads: pa.Table, judged: JudgedRows, x: np.ndarray
) -> pa.Table:
    """Return UPLIFT, the highest uplift first; of leads with equal ones by their ids."""
    if not leads.num_rows:
        return UPLIFT.empty_table()
    columns = predict_leads(judged, x)
    dataset = snapshot.dataset
    place = pa.array(dataset.find_leads(leads["entity_id"]))
    table = pa.table(
        {
            "entity_id": leads["entity_id"],
            "account_id": dataset.leads["account_id"].take(place),
            **{name: pa.array(values) for name, values in columns.items()},
        }
    )
    table = table.sort_by([("uplift", "descending"), ("entity_id", "ascending")])
    rank = pa.array(np.arange(1, table.num_rows + 1))
    return table.append_column("rank", rank).select(UPLIFT.names).cast(UPLIFT)


def _build_basis(
    snapshot: Snapshot,
    name: str,
    drawn: Assignments,
    rows: RandomisedRows,
    judged: JudgedRows | None,
) -> pa.Table:
    """Return UPLIFT_BASIS, one row; without ``judged`` its estimates are missing."""
    target = snapshot.project.target_config(name)
    times = drawn.spine["cutoff"] if snapshot.dataset.timed else pa.nulls(len(drawn))
    row = {
        "target": name,
        "outcome": _name_outcome(target),
        "horizon_days": target.horizon / DAY if target.horizon else None,
        "source": "experiments",
        "channels": ", ".join(sorted({*drawn.channel} - {""})),
        "treated": int(rows.treated.sum()),
        "control": int((~rows.treated).sum()),
        "immature": len(drawn) - len(rows),
        "not_eligible": drawn.not_eligible,
        "rate_without": float(rows.outcome[~rows.treated].mean())
        if (~rows.treated).any()
        else None,
        "first_assigned": pc.min(times).as_py(),
        "last_assigned": pc.max(times).as_py(),
        **(_list_figures(judged) if judged else {}),
    }
    return pa.Table.from_pylist([row], schema=UPLIFT_BASIS)


def _list_figures(judged: JudgedRows) -> dict[str, float]:
    top = make_top_weights(TOP_SHARE)
    estimates = {
        "effect": judged.estimate_effect(),
        "qini": judged.estimate_by_uplift(weigh_qini),
        "uplift_at_30": judged.estimate_by_uplift(top),
    }
    figures = {
        "qini_response": judged.estimate_by_response(weigh_qini).value,
        "response_at_30": judged.estimate_by_response(top).value,
    }
    for name, estimate in estimates.items():
        figures |= _spread_estimate(name, estimate)
    return figures


def _spread_estimate(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _name_outcome(target: Target) -> str:
    if isinstance(target.outcome, ColumnOutcome):
        return target.outcome.column
    return ", ".join(target.outcome_types)


def _make_result(
    snapshot: Snapshot,
    verdict: GateVerdict,
    basis: pa.Table,
    tables: dict[str, pa.Table] | None = None,
) -> UpliftResult:
    every = {"uplift_basis": basis, **(tables or {})}
    named = {name: every.get(name, rows.empty_table()) for name, rows in UPLIFT_SCHEMAS.items()}
    return UpliftResult(snapshot.as_of, verdict, UpliftTables(named))
