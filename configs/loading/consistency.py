"""Checks that the sections of a config agree with each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Protocol

from pydantic_core import PydanticCustomError

from configs.accounts.buying_group import BuyingGroup
from configs.channels.channels import Channels
from configs.feature_options import Features
from configs.goals.goals import Goals
from configs.learning import Audit, EvaluationConfig, FitOptions, Learning
from configs.loading.validation_errors import PERSONAL_COLUMN
from configs.night import Capacity, Publish
from configs.privacy import Privacy
from configs.qualification.handovers import Qualification, check_qualification
from configs.source_rows import SourceRows
from configs.sources import Sources
from configs.targets import ColumnOutcome, Target
from configs.uplift.experiment_rows import check_experiments


class Sections(Protocol):
    """The sections of a config that are compared, as the config's model has them."""

    @property
    def sources(self) -> Sources:
        """The section `sources`."""

    @property
    def targets(self) -> Mapping[str, Target]:
        """The section `targets`."""

    @property
    def accounts(self) -> BuyingGroup:
        """The section `accounts`."""

    @property
    def features(self) -> Features:
        """The section `features`."""

    @property
    def learning(self) -> Learning:
        """The section `learning`."""

    @property
    def evaluation(self) -> EvaluationConfig:
        """The section `evaluation`."""

    @property
    def audit(self) -> Audit:
        """The section `audit`."""

    @property
    def privacy(self) -> Privacy:
        """The section `privacy`."""

    @property
    def publish(self) -> Publish:
        """The section `publish`."""

    @property
    def goals(self) -> Goals:
        """The section `goals`."""

    @property
    def fit(self) -> FitOptions:
        """The section `fit`."""

    @property
    def channels(self) -> Channels | None:
        """The section `channels`."""

    @property
    def qualification(self) -> Qualification | None:
        """The section `qualification`."""

    @property
    def timed(self) -> bool:
        """Whether the data has times."""

    @property
    def capacity_config(self) -> Capacity | None:
        """The capacity in its long form."""


# Keys of a source whose column holds values; id columns may be personal, their values stay ids.
VALUE_KEYS = (
    "created_at",
    "known_at",
    "order",
    "event_time",
    "event_type",
    "channel",
    "value",
    "valid_from",
    "valid_to",
    "attribute",
    "date",
    "cost",
    "currency",
    "assigned_at",
    "arm",
    "propensity",
)


def check_consistency(project: Sections) -> None:
    """Raise ValueError or PydanticCustomError where two sections contradict each other."""
    for check in (
        _check_outcomes_against_sources,
        _check_roles_against_sources,
        _check_half_life_against_sources,
        _check_segment_by,
        _check_personal_columns,
        _check_retention_covers_horizons,
        _check_capacity,
        _check_qualification,
    ):
        check(project)


def _check_outcomes_against_sources(project: Sections) -> None:
    """Refuse what the sources have not: columns of leads, times, values."""
    if project.sources.leads is None and any(
        isinstance(t.outcome, ColumnOutcome) for t in project.targets.values()
    ):
        raise ValueError("an outcome column requires sources.leads")
    if not project.timed and any(t.outcome_types for t in project.targets.values()):
        raise ValueError("an outcome event requires times: give sources.leads.created_at")
    for name, target in project.targets.items():
        outcome = target.outcome
        if isinstance(outcome, ColumnOutcome) and outcome.mature_after and not project.timed:
            raise ValueError(
                f"targets.{name}.outcome.mature_after requires times: give sources.leads.created_at"
            )
    if not any(source.value for source in project.sources.events):
        for name in (name for name, target in project.targets.items() if target.learns_amount):
            raise ValueError(
                f"targets.{name}.amount is the outcome's value: give value in sources.events"
            )
    if not project.timed and project.sources.attributes:
        raise ValueError("an attribute history requires times: give sources.leads.created_at")
    if not project.timed and project.sources.costs:
        raise ValueError("sources.costs requires times: give sources.leads.created_at")
    leads = project.sources.leads
    has_id = leads is None or leads.entity_id is not None
    check_experiments(project.sources.experiments, has_id, project.timed)
    if project.goals.unit == "amount" and not any(t.amount for t in project.targets.values()):
        raise ValueError("goals.unit is amount: give targets.NAME.amount, or set unit: wins")


def _check_roles_against_sources(project: Sections) -> None:
    """Refuse roles without the columns that they need."""
    leads = project.sources.leads
    if not project.accounts.roles:
        return
    if project.features.role:
        raise ValueError("features.role and accounts.roles both name roles: remove one of them")
    for key in ("account_id", "created_at", "known_at"):
        if leads is None or getattr(leads, key) is None:
            why = (
                ", since a person counts from when it was known: contacts are added as a deal "
                "advances. Name the column of created_at only if its times are those of entry"
                if key == "known_at"
                else ""
            )
            raise ValueError(f"accounts.roles requires sources.leads.{key}{why}")


def _check_half_life_against_sources(project: Sections) -> None:
    """Refuse a half-life without an order of the rows."""
    half_life, leads = project.learning.recency_half_life, project.sources.leads
    if half_life is None or project.timed or leads is None:
        return
    if leads.order is None:
        raise ValueError("learning.recency_half_life requires times, or order in sources.leads")
    if isinstance(half_life, timedelta):
        raise ValueError(
            "learning.recency_half_life as a duration requires times: give a share of the "
            "rows, such as 0.1"
        )


def _check_segment_by(project: Sections) -> None:
    """Refuse models by segment that could not be compared."""
    column = project.learning.segment_by
    if column is None:
        return
    if project.evaluation.folds < 2:
        raise ValueError(
            "learning.segment_by requires evaluation.folds of at least 2: models are chosen in "
            "the test windows before the last"
        )
    if column in project.features.exclude:
        raise ValueError(
            f"learning.segment_by: {column!r} is in features.exclude; models by segment are "
            "compared with a model that has the segment as a feature, so remove it there"
        )


def _check_personal_columns(project: Sections) -> None:
    """Refuse keys that need a column which privacy hides."""
    if project.privacy.suppress_where and project.sources.leads is None:
        raise ValueError(
            "privacy.suppress_where requires sources.leads; without it, list ids in "
            "privacy.suppress"
        )
    _refuse_personal_columns(project)


def _check_retention_covers_horizons(project: Sections) -> None:
    """Refuse to delete scores before their outcomes are known."""
    keep = project.publish.keep
    waits = [target.maturity for target in project.targets.values() if target.maturity]
    if keep is not None and waits and keep <= max(waits):
        raise ValueError(
            "publish.keep must be longer than every horizon and every outcome.mature_after; "
            "otherwise scores are deleted before their outcomes are known"
        )


def _check_capacity(project: Sections) -> None:
    """Refuse a capacity whose owners or weeks are not kept."""
    if project.capacity_config and project.capacity_config.owner and project.sources.leads is None:
        raise ValueError("capacity.owner requires sources.leads with that column")
    if (
        project.capacity_config
        and project.publish.keep is not None
        and project.publish.keep < timedelta(days=7)
    ):
        raise ValueError(
            "publish.keep must be at least 7d; otherwise a weekly list is deleted before its "
            "week "
            "ends"
        )


def _check_qualification(project: Sections) -> None:
    """Refuse hand-overs that do not fit the targets."""
    if project.qualification is not None:
        check_qualification(project.qualification, project.targets, project.features.outbound)


def _refuse_personal_columns(project: Sections) -> None:
    """Raise PydanticCustomError if a key needs a column that ``privacy.personal`` hides.

    The columns of ids are exempt.
    """
    for key, column in _iter_named_columns(project):
        if column in project.privacy.personal:
            text = (
                f"privacy.personal hides the column {column!r}, which {key} requires: name another "
                "column there, or remove it from privacy.personal"
            )
            # Not a ValueError: only a custom error carries the key to `to_config_error`.
            raise PydanticCustomError(PERSONAL_COLUMN, "{text}", {"text": text, "key": key})


def _iter_named_columns(project: Sections) -> Iterator[tuple[str, str]]:
    """Yield key and column for each key whose column's values are used or shown."""
    sources = project.sources
    sections: dict[str, SourceRows] = {"sources.leads": sources.leads} if sources.leads else {}
    sections |= {f"sources.events[{i}]": source for i, source in enumerate(sources.events)}
    sections |= {f"sources.attributes[{i}]": source for i, source in enumerate(sources.attributes)}
    sections |= {f"sources.costs[{i}]": source for i, source in enumerate(sources.costs)}
    sections |= {
        f"sources.experiments[{i}]": source for i, source in enumerate(sources.experiments)
    }
    for where, source in sections.items():
        columns = ((key, getattr(source, key, None)) for key in VALUE_KEYS)
        yield from (
            (f"{where}.{key}", column) for key, column in columns if isinstance(column, str)
        )
    for name, target in project.targets.items():
        if isinstance(target.outcome, ColumnOutcome):
            yield f"targets.{name}.outcome", target.outcome.column
        if isinstance(target.amount, str):
            yield f"targets.{name}.amount", target.amount
    if project.capacity_config and project.capacity_config.owner:
        yield "capacity.owner", project.capacity_config.owner
    yield from (("publish.funnel_by", column) for column in project.publish.funnel_by)
    yield from (("fit.attributes", column) for column in project.fit.attributes)
    if project.channels and project.channels.attribute:
        yield "channels.attribute", project.channels.attribute
    if project.goals.by:
        yield "goals.by", project.goals.by
    yield from (("evaluation.segments", column) for column in project.evaluation.segments)
    if project.learning.segment_by:
        yield "learning.segment_by", project.learning.segment_by
    yield from (("audit.allow", column) for column in project.audit.allow)
    if project.features.role:
        yield "features.role", project.features.role
