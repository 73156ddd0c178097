"""Nights that were missed, one after the other, each as it would have been."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from configs.errors import ConfigError, LeadscoreError
from configs.schema import Project
from models.evaluation.gate import GATE_TAG, PASSED
from models.registry.registry import RegisteredVersion, Registry
from pipelines.nightly.crm_delivery import plan_exports
from pipelines.nightly.export import export_newest_scores
from pipelines.nightly.score import (
    NightContext,
    deliver_all_exports,
    open_night_context,
    publish_night,
)
from pipelines.results.night import BackfilledNight
from pipelines.runner import Runner
from pipelines.training_data import cut_snapshot, read_dataset


def backfill_nights(project: Project, first: str, last: str, driver: Runner) -> list[BackfilledNight]:
    """Score and publish each day's as-of from ``first`` to ``last``, both included, at the local time of ``first``.

    Each night sees what was known before it and is scored by the model that was in use: the newest that had been
    trained by then and passed the gate. A night that cannot be published does not keep the others from it. The sources
    are read once, and the CRM's file, of the newest as-of, is written at the end. Raises ConfigError for data without
    times and for an interval that ends before it begins, and what reading raises.
    """
    plan_exports(project)
    nights = _list_as_ofs(project, first, last)
    with open_night_context(project, driver) as desk:
        driver.log("reading the sources")
        whole = driver.step(read_dataset)(project)
        done = []
        for as_of in nights:
            driver.log(f"night of {as_of.isoformat()}")
            try:
                champions = {
                    target: find_champion_at(desk.registry, target, as_of) for target in project.targets
                }
                read = _reader(desk, whole, as_of)
                done.append(BackfilledNight(as_of, publish_night(desk, as_of, champions, read)))
            except LeadscoreError as error:
                driver.log(str(error))
                done.append(BackfilledNight(as_of, error=error))
        if any(night.published for night in done):
            path, exported = driver.step(export_newest_scores)(desk.store, project, "csv")
            driver.log(f"export: {path}, as of {exported.isoformat()}")
            deliver_all_exports(desk)
        return done


def find_champion_at(registry: Registry, target: str, as_of: datetime) -> RegisteredVersion | None:
    """Return the newest version that had been trained by an instant and passed the gate; None if there was none."""
    for version in registry.versions(target):
        trained = datetime.fromisoformat(version.tags["as_of"])
        if trained <= as_of and version.tags.get(GATE_TAG) == PASSED:
            return version
    return None


def _reader(desk: NightContext, whole: Any, as_of: datetime) -> Any:
    return lambda: desk.driver.step(cut_snapshot)(desk.project, whole, as_of.isoformat())


def _list_as_ofs(project: Project, first: str, last: str) -> list[datetime]:
    """Return the instants of the nights in UTC; days are those of the config's zone, whatever their length."""
    if not project.timed:
        raise ConfigError(
            "this data has no times", where="--until", fix="score it once, with --as-of"
        )
    begin, end = (project.parse_instant(text).astimezone(project.zone) for text in (first, last))
    count = (end.date() - begin.date()).days + 1
    wall = [begin.replace(tzinfo=None) + timedelta(days=day) for day in range(count)]
    nights = [night for night in map(project.to_utc, wall) if night <= end]
    if not nights:
        raise ConfigError(
            "the interval ends before it begins",
            where="--until",
            found=f"{last} before {first}",
            fix="swap the two",
        )
    return nights
