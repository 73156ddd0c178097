"""Score all targets of one as-of with their champions, and check the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from features.score_tables import ACCOUNT_SCORES, SCORES
from features.tools.parallel import run_in_background
from features.wording.wording import load_wording
from models.accounts import WithinAccountDependence
from models.grades import GradeHysteresis
from models.qualification.states import STATES
from models.scorer import Scorer, ScoreScale
from pipelines.buying_group.roles import NightRoles, compute_night_roles, make_group_rules
from pipelines.channels.night import NightChannels, compute_night_channels
from pipelines.customers.night import NightCustomers, compute_night_customers
from pipelines.fit.night import NightFit, compute_night_fit
from pipelines.forecast.night import NightForecast, compute_night_forecast
from pipelines.funnel.night import NightFunnel, add_funnel_columns, compute_night_funnel
from pipelines.funnel.visitor_night import NightVisitors, compute_night_visitors
from pipelines.nightly.publish_checks import check_scores
from pipelines.qualification.handover import MQL_STEP, StepNight, find_step
from pipelines.qualification.night import NightQualification, compute_night_qualification
from pipelines.runner import read_clock
from pipelines.touches.night import NightTouches, compute_night_touches
from pipelines.training_data import Snapshot
from pipelines.uplift.night import NightUplift, compute_night_uplift
from serve.checks.checks import CheckResult
from serve.checks.score_checks import check_any_scored
from serve.night_part import NightPart
from serve.run import Run
from serve.scoring.accounts import score_accounts
from serve.scoring.review_dates import add_review_dates
from serve.scoring.scoring import (
    ScoringRequest,
    build_scoring_matrix,
    explain_rows,
    score_matrix,
    stamp_run_columns,
)
from serve.scoring.segment_use import describe_segment_use
from serve.scoring.trends import ScoreHistory, add_score_history, append_columns
from serve.scoring.weekly_lists import Week, add_weekly_list, make_draw_seed
from serve.store.store import Store

# The tables of the company as a whole.
Company = tuple[
    NightFunnel,
    NightForecast,
    NightFit,
    NightCustomers,
    NightVisitors,
    NightChannels,
    NightTouches,
    NightUplift,
]
# What the log names the parts of a night beside its scores, in the order of ScoredTargets.
PARTS = (
    "funnel",
    "forecast",
    "fit",
    "customers",
    "web funnel",
    "channels",
    "next touches",
    "uplift",
    "qualification",
    "comparison of roles",
)


@dataclass(frozen=True)
class ScoredTargets:
    """Scores that a run is about to publish.

    Attributes:
        scores: SCORES of all targets.
        accounts: ACCOUNT_SCORES of all targets; no rows where accounts are not published.
        checks: Results of the checks of these scores.
        funnel: The funnel of the same data.
        forecast: The forecast of the same data.
        fit: The ideal customer profile of the same data, and the fit of its accounts.
        customers: Customers after the win, from the same data.
        visitors: The web funnel of the same data.
        channels: Cost and credit of channels, from the same data.
        touches: Next touches of leads, from the same data.
        uplift: What outreach adds, and to which leads, from the same data.
        qualification: The hand-overs of the same scores.
        roles: Which roles of an account's people go with the outcome, from the same data.
    """

    scores: pa.Table
    accounts: pa.Table
    checks: list[CheckResult]
    funnel: NightFunnel
    forecast: NightForecast
    fit: NightFit
    customers: NightCustomers
    visitors: NightVisitors
    channels: NightChannels
    touches: NightTouches
    uplift: NightUplift
    qualification: NightQualification
    roles: NightRoles


class _TargetScores(NamedTuple):
    """Scores of a night without the columns of the funnel.

    Attributes:
        frames: Scores by target.
        accounts: Account scores of each target.
        checks: Results of the checks of these scores.
        handovers: Hand-overs of the targets that are a step of the qualification.
    """

    frames: dict[str, pa.Table]
    accounts: list[pa.Table]
    checks: list[CheckResult]
    handovers: list[StepNight]


def score_targets(
    snapshot: Snapshot,
    run: Run,
    scorers: Mapping[str, Scorer],
    store: Store,
    past_checks: pa.Table,
    log: Callable[[str], None],
) -> ScoredTargets:
    """Score the targets that have a scorer, by name, and check them against the past checks."""
    # The tables of the company need none of the models, and the history of a lead is built once.
    with run_in_background(_compute_company, snapshot) as computing:
        roles = compute_night_roles(snapshot, sorted(scorers))
        scored = _score_each_target(snapshot, run, scorers, store, past_checks, log, roles)
        qualification = compute_night_qualification(snapshot, scored.handovers)
    company = (*computing.result(), qualification, roles)
    funnel = company[0]
    parts: dict[str, NightFunnel | NightPart[Any]] = dict(zip(PARTS, company, strict=True))
    for name, part in parts.items():
        if part.reason:
            log(f"no {name}: {part.reason}")
        if part.problem:
            log(f"warn: no {name} is published: {part.problem}")
    frames = {
        target: add_funnel_columns(frame, snapshot.dataset, funnel)
        for target, frame in scored.frames.items()
    }
    return _stamp_tables(scored._replace(frames=frames), company, run.run_id)


def _compute_company(snapshot: Snapshot) -> Company:
    funnel = compute_night_funnel(snapshot)
    forecast = compute_night_forecast(snapshot, funnel.valued)
    fit = compute_night_fit(snapshot, funnel.valued)
    customers, visitors = compute_night_customers(snapshot), compute_night_visitors(snapshot)
    channels = compute_night_channels(snapshot, customers)
    touches, uplift = compute_night_touches(snapshot), compute_night_uplift(snapshot)
    return funnel, forecast, fit, customers, visitors, channels, touches, uplift


def _score_each_target(
    snapshot: Snapshot,
    run: Run,
    scorers: Mapping[str, Scorer],
    store: Store,
    past_checks: pa.Table,
    log: Callable[[str], None],
    roles: NightRoles,
) -> _TargetScores:
    """Return the scores of all targets, without the columns of the funnel."""
    frames, accounts, checks = dict[str, pa.Table](), list[pa.Table](), list[CheckResult]()
    handovers = list[StepNight]()
    # In the order of names, so that a repeated night gives the same rows in the same order.
    for target, scorer in sorted(scorers.items()):
        log(f"{target}: scoring with version {run.models[target]}")
        _log_if_trained_later(snapshot, target, scorer, log)
        request = _create_request(snapshot, target, str(run.models[target]))
        matrix = build_scoring_matrix(snapshot.dataset, scorer, request)
        if use := describe_segment_use(scorer, matrix):
            log(f"{target}: {use}")
        frame = score_matrix(snapshot.dataset, scorer, request, matrix)
        # Reasons take longest; accounts, history and checks need none of them.
        with run_in_background(
            explain_rows, snapshot.dataset, scorer, request, matrix, frame
        ) as reasons:
            if snapshot.project.publish.accounts:
                dependence = WithinAccountDependence.from_json(scorer.metadata.within_account)
                rules = make_group_rules(snapshot, target, roles)
                accounts.append(score_accounts(snapshot.dataset, frame, dependence, rules))
            history = ScoreHistory.load(store, run.project, target, snapshot.as_of)
            frame, handover = add_history_columns(
                snapshot, target, frame, history, store, scorer.scale
            )
            handovers += [handover] if handover else []
            checks += check_scores(
                snapshot, target, scorer, matrix, frame, past_checks, history.previous
            )
        frames[target] = append_columns(frame, reasons.result())
    return _TargetScores(frames, accounts, checks, handovers)


def add_history_columns(
    snapshot: Snapshot,
    target: str,
    frame: pa.Table,
    history: ScoreHistory,
    store: Store,
    scale: ScoreScale,
) -> tuple[pa.Table, StepNight | None]:
    """Add to a target's scores the columns that follow from earlier runs.

    These are trend and steady grade, the hand-over, the week's list, and the date of the next
    review, which needs the grade and so comes last. The second result are the hand-overs, None
    where the target is no step of the qualification.
    """
    project, publication, as_of = snapshot.project, snapshot.project.publish, snapshot.as_of
    # The order matters: the review date depends on the grade, which depends on the history.
    hysteresis = GradeHysteresis(publication.steady, publication.settle)
    frame = add_score_history(frame, history, as_of, hysteresis)
    frame, night = _add_list_and_handover(snapshot, target, frame, store, scale)
    frame = add_review_dates(frame, history.previous, as_of, publication.review, project.zone)
    return frame, night


def _add_list_and_handover(
    snapshot: Snapshot, target: str, frame: pa.Table, store: Store, scale: ScoreScale
) -> tuple[pa.Table, StepNight | None]:
    project, as_of = snapshot.project, snapshot.as_of
    week = Week.containing(as_of, project.zone)
    already_listed = store.listed_leads(project.project, target, week.start, as_of)
    # The draw depends on target and week alone, so a night that is scored again gives the same
    # list.
    seed = make_draw_seed(project.project, target, week)
    step = find_step(snapshot, target)
    night = StepNight.begin(snapshot, step, frame, scale, store) if step else None
    is_mql = night is not None and night.step.key == MQL_STEP
    # Sales works the leads that were handed over; of the others a few are drawn.
    pickable = night.handed if night and is_mql else None
    frame = add_weekly_list(frame, already_listed, project.capacity_config, seed, pickable)
    if night is None:
        missing = {f.name: pa.nulls(len(frame), f.type) for f in STATES}
        return append_columns(frame, missing), None
    night = night.explore(frame, already_listed, as_of) if is_mql else night
    return night.finish(snapshot, frame)


def _create_request(snapshot: Snapshot, target: str, version: str) -> ScoringRequest:
    project = snapshot.project
    return ScoringRequest(
        project.target_config(target),
        snapshot.as_of,
        {"project": project.project, "target": target, "model_version": version},
        project.publish.reasons,
        project.capacity_config,
        load_wording(project),
    )


def _log_if_trained_later(
    snapshot: Snapshot, target: str, scorer: Scorer, log: Callable[[str], None]
) -> None:
    trained_as_of = snapshot.project.parse_instant(scorer.metadata.trained_as_of)
    # Such a model may have seen the outcomes; `leadscore outcomes` leaves the night out.
    if trained_as_of > snapshot.as_of:
        log(
            f"{target}: the model was trained as of {trained_as_of.isoformat()}, after this as-of: "
            "the scores are a rehearsal, not a forecast"
        )


def _stamp_tables(
    scored: _TargetScores,
    company: tuple[*Company, NightQualification, NightRoles],
    run_id: str,
) -> ScoredTargets:
    # Read once, so that all rows of a run have the same instant.
    scored_at = read_clock()
    scores = [
        stamp_run_columns(frame, SCORES, run_id, scored_at) for frame in scored.frames.values()
    ]
    account_scores = [
        stamp_run_columns(rows, ACCOUNT_SCORES, run_id, scored_at) for rows in scored.accounts
    ]
    return ScoredTargets(
        pa.concat_tables(scores),
        pa.concat_tables([ACCOUNT_SCORES.empty_table(), *account_scores]),
        [*check_any_scored(scored.frames), *scored.checks],
        *company,
    )
