"""The nightly run: read, score, check, publish, export and deliver one as-of."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import asdict
from datetime import datetime

from configs.errors import ConfigError
from configs.schema import Project
from features.tools.parallel import run_in_background
from models.registry import champion_cache
from pipelines.as_of import parse_as_of
from pipelines.nightly.after_publish import finish_night
from pipelines.nightly.context import NightContext, open_night_context
from pipelines.nightly.crm_delivery import plan_exports
from pipelines.nightly.publish import publish_night
from pipelines.nightly.publish_checks import warn_registry_unreachable
from pipelines.nightly.recovery import finish_killed_runs
from pipelines.results.night import NightResult
from pipelines.results.run_cost import CostMeter
from pipelines.runner import Runner, read_clock
from pipelines.state.required import stop_lost_champions
from pipelines.training_data import Snapshot, load_snapshot
from serve.checks.checks import CheckResult
from serve.export.export import require_export_format


def score_night(
    project: Project, as_of: str | None, runner: Runner, form: str = "csv"
) -> NightResult:
    """Score every target that has a champion, publish and export; return the published scores.

    The same as-of again replaces its rows by equal rows. An as-of older than the newest published
    one goes into the table, but the CRM's file stays the newest. Raises NotFitToPublish where no
    target has a champion or a check refuses, and what reading raises; the ledger then says refused
    or failed, and nothing is published. Without an as-of the data must be read to know it, so an
    attempt that cannot read them has no ledger row.
    """
    clock, meter = read_clock(), CostMeter()
    moment = require_valid_request(project, as_of, clock, form)
    with open_night_context(project, runner) as context:
        finish_killed_runs(context)
        # The registry takes seconds to answer, so the sources are read in parallel.
        with run_in_background(load_snapshot, project, as_of, clock) as reading:
            result = _publish_and_finish(context, moment, reading, form)
            context.store.record_cost(result.published.run_id, asdict(meter.read_cost()))
            return result


def require_valid_request(
    project: Project, as_of: str | None, clock: datetime, form: str
) -> datetime | None:
    """Return the as-of of a night, None for that of the data.

    Raises ConfigError for mistakes in the command and the config, before anything is read.
    """
    require_export_format(form)
    plan_exports(project)
    moment = parse_as_of(project, as_of, clock)
    if not project.timed and moment is None:
        raise ConfigError(
            "this data has no times", where="--as-of", fix="give the as-of of these scores"
        )
    return moment


def find_champions(context: NightContext) -> tuple[champion_cache.Champions, list[CheckResult]]:
    """Return the champions of a night, and the results of the checks on them."""
    champions = champion_cache.read_champions(context.registry, list(context.project.targets))
    checks = stop_lost_champions(context.project, context.store, champions)
    if champions.unreachable:
        checks.append(warn_registry_unreachable(champions.unreachable))
    return champions, checks


def _publish_and_finish(
    context: NightContext, as_of: datetime | None, reading: Future[Snapshot], form: str
) -> NightResult:
    context.runner.log("reading the sources")
    champions, checks = find_champions(context)
    as_of = as_of or reading.result().as_of
    published = publish_night(context, as_of, champions.versions, reading, checks, form)
    return finish_night(context, published, form)
