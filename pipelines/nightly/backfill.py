"""Backfill of missed as-ofs, in order, each with the data and the model of its own day."""

from __future__ import annotations

from datetime import datetime, timedelta

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from features.contracts import Dataset
from features.tools.parallel import run_in_background
from models.evaluation.gate import GATE_TAG, PASSED
from models.registry.records import RegisteredVersion
from models.registry.registry import Registry
from pipelines.as_of import require_as_of_reached
from pipelines.nightly.after_publish import deliver_all_exports
from pipelines.nightly.context import NightContext, open_night_context
from pipelines.nightly.crm_delivery import plan_exports
from pipelines.nightly.export import export_newest_scores
from pipelines.nightly.publish import publish_night
from pipelines.nightly.recovery import finish_killed_runs
from pipelines.results.night import BackfilledNight
from pipelines.runner import Runner, read_clock
from pipelines.training_data import cut_snapshot, read_dataset


def backfill_nights(
    project: Project, first: str, last: str, runner: Runner
) -> list[BackfilledNight]:
    """Score and publish one as-of a day from ``first`` to ``last``, both included.

    Each as-of is at the local time of ``first``. It uses the data known before it and the model in
    use at that time: the newest that had been trained by then and passed the gate. A night that
    fails does not keep the others from being published. The sources are read once, and the CRM's
    file is written at the end, for the newest as-of. Raises ConfigError for data without times and
    for an interval that ends before it begins, and what reading raises.
    """
    # Mistakes in the config are found before the sources are read.
    plan_exports(project)
    instants = _list_as_ofs(project, first, last)
    with open_night_context(project, runner) as context:
        finish_killed_runs(context)
        runner.log("reading the sources")
        clock = read_clock()
        dataset = runner.run(read_dataset, project, clock)
        nights = [_backfill_night(context, dataset, as_of, clock) for as_of in instants]
        # The CRM's file is that of the newest night, so it is written once, after all of them.
        if any(night.published for night in nights):
            export, exported_as_of = runner.run(export_newest_scores, context, "csv")
            runner.log(f"export: {export.file}, as of {exported_as_of.isoformat()}")
            deliver_all_exports(context)
        return nights


def find_champion_at(registry: Registry, target: str, as_of: datetime) -> RegisteredVersion | None:
    """Return the newest version that was trained by ``as_of`` and passed the gate, or None."""
    # The registry returns the newest version first. A refused version was never in use.
    for version in registry.versions(target):
        trained_as_of = datetime.fromisoformat(version.tags["as_of"])
        if trained_as_of <= as_of and version.tags.get(GATE_TAG) == PASSED:
            return version
    return None


def _backfill_night(
    context: NightContext, dataset: Dataset, as_of: datetime, clock: datetime
) -> BackfilledNight:
    """Publish one as-of; a failure is logged and returned, not raised."""
    project, log = context.project, context.runner.log
    log(f"night of {as_of.isoformat()}")
    try:
        # Before the attempt, so that the ledger has no row of a night to come.
        require_as_of_reached(project, as_of, clock)
        champions = {
            target: find_champion_at(context.registry, target, as_of) for target in project.targets
        }
        # The data is cut while the models are loaded.
        with run_in_background(cut_snapshot, project, dataset, as_of.isoformat(), clock) as cutting:
            return BackfilledNight(as_of, publish_night(context, as_of, champions, cutting))
    except LeadscoreError as error:
        log(str(error))
        return BackfilledNight(as_of, error=error)


def _list_as_ofs(project: Project, first: str, last: str) -> list[datetime]:
    """Return the as-ofs in UTC, one a local day: a day has 23 or 25 hours where clocks change."""
    if not project.timed:
        raise ConfigError(
            "this data has no times", where="--until", fix="score it once, with --as-of"
        )
    begin, end = (project.parse_instant(text).astimezone(project.zone) for text in (first, last))
    count = (end.date() - begin.date()).days + 1
    local_times = [begin.replace(tzinfo=None) + timedelta(days=day) for day in range(count)]
    instants = [instant for instant in map(project.to_utc, local_times) if instant <= end]
    if not instants:
        raise ConfigError(
            "the interval ends before it begins",
            where="--until",
            found=f"{last} before {first}",
            fix="swap the two",
        )
    return instants
