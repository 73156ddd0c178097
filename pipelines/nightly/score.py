"""Score all targets of one as-of with their champions, and check the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from features.score_tables import ACCOUNT_SCORES, SCORES
from features.tools.parallel import run_in_background
from features.wording.wording import load_wording
from models.accounts import WithinAccountDependence
from models.grades import GradeHysteresis
from models.scorer import Scorer
from pipelines.buying_group.roles import NightRoles, compute_night_roles, make_group_rules
from pipelines.forecast.night import NightForecast, compute_night_forecast
from pipelines.funnel.night import NightFunnel, add_funnel_columns, compute_night_funnel
from pipelines.nightly.publish_checks import check_scores
from pipelines.runner import read_clock
from pipelines.training_data import Snapshot
from serve.checks.checks import CheckResult
from serve.checks.score_checks import check_any_scored
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
from serve.scoring.trends import ScoreHistory, add_score_history, append_columns
from serve.scoring.weekly_lists import Week, add_weekly_list, make_draw_seed
from serve.store.store import Store


@dataclass(frozen=True)
class ScoredTargets:
    """Scores that a run is about to publish.

    Attributes:
        scores: SCORES of all targets.
        accounts: ACCOUNT_SCORES of all targets; no rows where accounts are not published.
        checks: Results of the checks of these scores.
        funnel: The funnel of the same data.
        forecast: The forecast of the same data.
        roles: Which roles of an account's people go with the outcome, from the same data.
    """

    scores: pa.Table
    accounts: pa.Table
    checks: list[CheckResult]
    funnel: NightFunnel
    forecast: NightForecast
    roles: NightRoles


def score_targets(
    snapshot: Snapshot,
    run: Run,
    scorers: Mapping[str, Scorer],
    store: Store,
    past_checks: pa.Table,
    log: Callable[[str], None],
) -> ScoredTargets:
    """Score the targets that have a scorer, by name, and check them against the past checks."""
    # Funnel and forecast need none of the models, and the history of a lead is built once for both.
    with run_in_background(_compute_company, snapshot) as computing:
        roles = compute_night_roles(snapshot, sorted(scorers))
        frames, accounts, checks = _score_each_target(
            snapshot, run, scorers, store, past_checks, log, roles
        )
    funnel, forecast = computing.result()
    for name, reason in (("funnel", funnel.reason), ("forecast", forecast.reason)):
        if reason:
            log(f"no {name}: {reason}")
    parts = (("funnel", funnel), ("forecast", forecast), ("comparison of roles", roles))
    for name, part in parts:
        if part.problem:
            log(f"warn: no {name} is published: {part.problem}")
    frames = {
        target: add_funnel_columns(frame, snapshot.dataset, funnel)
        for target, frame in frames.items()
    }
    return _stamp_tables(frames, accounts, checks, (funnel, forecast, roles), run.run_id)


def _compute_company(snapshot: Snapshot) -> tuple[NightFunnel, NightForecast]:
    funnel = compute_night_funnel(snapshot)
    return funnel, compute_night_forecast(snapshot, funnel.valued)


def _score_each_target(
    snapshot: Snapshot,
    run: Run,
    scorers: Mapping[str, Scorer],
    store: Store,
    past_checks: pa.Table,
    log: Callable[[str], None],
    roles: NightRoles,
) -> tuple[dict[str, pa.Table], list[pa.Table], list[CheckResult]]:
    """Return by target the scores without the funnel's columns, the accounts, and the checks."""
    frames, accounts, checks = dict[str, pa.Table](), list[pa.Table](), list[CheckResult]()
    # In the order of names, so that a repeated night gives the same rows in the same order.
    for target, scorer in sorted(scorers.items()):
        log(f"{target}: scoring with version {run.models[target]}")
        _log_if_trained_later(snapshot, target, scorer, log)
        request = _create_request(snapshot, target, str(run.models[target]))
        matrix = build_scoring_matrix(snapshot.dataset, scorer, request)
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
            frame = add_history_columns(snapshot, target, frame, history, store)
            checks += check_scores(
                snapshot, target, scorer, matrix, frame, past_checks, history.previous
            )
        frames[target] = append_columns(frame, reasons.result())
    return frames, accounts, checks


def add_history_columns(
    snapshot: Snapshot, target: str, frame: pa.Table, history: ScoreHistory, store: Store
) -> pa.Table:
    """Add to a target's scores the columns that follow from earlier runs.

    These are trend and steady grade, the week's list, and the date of the next review, which
    needs the grade and so comes last.
    """
    project, publication, as_of = snapshot.project, snapshot.project.publish, snapshot.as_of
    # The order matters: the review date depends on the grade, which depends on the history.
    hysteresis = GradeHysteresis(publication.steady, publication.settle)
    frame = add_score_history(frame, history, as_of, hysteresis)
    week = Week.containing(as_of, project.zone)
    already_listed = store.listed_leads(project.project, target, week.start, as_of)
    # The draw depends on target and week alone, so a night that is scored again gives the same
    # list.
    seed = make_draw_seed(project.project, target, week)
    frame = add_weekly_list(frame, already_listed, project.capacity_config, seed)
    return add_review_dates(frame, history.previous, as_of, publication.review, project.zone)


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
    frames: Mapping[str, pa.Table],
    accounts: list[pa.Table],
    checks: list[CheckResult],
    company: tuple[NightFunnel, NightForecast, NightRoles],
    run_id: str,
) -> ScoredTargets:
    # Read once, so that all rows of a run have the same instant.
    scored_at = read_clock()
    scores = [stamp_run_columns(frame, SCORES, run_id, scored_at) for frame in frames.values()]
    account_scores = [
        stamp_run_columns(rows, ACCOUNT_SCORES, run_id, scored_at) for rows in accounts
    ]
    return ScoredTargets(
        pa.concat_tables(scores),
        pa.concat_tables([ACCOUNT_SCORES.empty_table(), *account_scores]),
        [*check_any_scored(dict(frames)), *checks],
        *company,
    )
