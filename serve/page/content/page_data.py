"""Everything that the page shows, read once and handed to its sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.contracts import EVENTS
from features.score_tables import SCORES
from models.channels.result import ChannelTables
from models.customers.result import CustomerTables
from models.evaluation.record import EvaluationRecord
from models.fit.result import FitTables
from models.forecast.result import ForecastResult
from models.funnel.result import FunnelTables
from models.registry.records import RegisteredVersion
from models.touches.result import TouchTables
from serve.page.content.detailed_leads import choose_detailed_leads
from serve.page.content.words import PageWords
from serve.run import Run

# Latest events of leads: columns of EVENTS.
TIMELINE = pa.schema(
    [EVENTS.field(n) for n in ("entity_id", "event_time", "event_type", "channel", "value")]
)


@dataclass(frozen=True)
class LeadFacts:
    """Facts on single leads that only the source data has, as known before the as-of.

    Attributes:
        timeline: TIMELINE of each lead's latest events; those of a lead lie together, newest first.
        events: Number of events by entity; an entity that the data does not hold is absent.
        unknown: Names of the attributes without a value, by entity.
    """

    timeline: pa.Table
    events: Mapping[str, int]
    unknown: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class PageData:
    """Contents of the scores database and of the models, as a page shows them.

    Attributes:
        project: Config of the company.
        run: Run that published the as-of.
        scores: SCORES of the as-of, sorted by target and rank, without suppressed leads. The
            columns run_id and scored_at are missing, here and in ``past``: the page of the same
            scores is the same file.
        past: SCORES at the last earlier as-ofs of the leads that are shown in detail, sorted by
            target, entity and as-of.
        previous: ``target``, ``entity_id``, ``reasons`` and ``model_version`` of the leads at the
            last earlier as-of of their target.
        runs: SCORE_RUNS of earlier as-ofs, and of the page's run, whose times are its as-of.
        checks: SCORE_CHECKS of the as-of's run and of earlier nights.
        evaluations: Evaluation of the model version that scored each target, by target; absent
            where it was trained by an earlier version of leadscore, or its files are gone.
        refusals: Evaluations of the newest versions that the gate refused, by target and version.
        versions: Registered versions of each target, by target, newest first.
        outcomes: Content of the newest ``reports/outcomes.json``; None if there is none.
        facts: Facts that only the source data has; None if it was not read.
        funnel: The funnel of the as-of, without suppressed leads; None if none was published.
        forecast: The forecast of the as-of, without suppressed leads; None if none was published.
        qualification: Tables of the as-of by name, among them QUALIFICATION and THRESHOLDS if they
            were published.
        fit: The fit of the accounts at the as-of, without suppressed leads; None if none was
            published.
        customers: Customers at the as-of, without suppressed leads; None if none were published.
        channels: Cost and credit of channels at the as-of; None if none were published.
        touches: Next touches at the as-of; None if none were published.
        accounts: ACCOUNT_SCORES of the as-of without those of suppressed people, and without run_id
            and scored_at; None if there are none.
        roles: BUYING_ROLES of the as-of; None if titles are not mapped.
        visitors: WEB_FUNNEL of the as-of; None without web visitors.
        words: Texts of the page.
        hides_ids: Whether ids of leads are personal. Names by target and rank stand in place of
            the ids then, in all tables, so a section shows them as they are.
    """

    project: Project
    run: Run
    scores: pa.Table
    runs: pa.Table
    checks: pa.Table
    words: PageWords
    past: pa.Table = field(default_factory=SCORES.empty_table)
    previous: pa.Table = field(default_factory=SCORES.empty_table)
    evaluations: Mapping[str, EvaluationRecord] = field(default_factory=dict)
    refusals: Mapping[str, Mapping[str, EvaluationRecord]] = field(default_factory=dict)
    versions: Mapping[str, Sequence[RegisteredVersion]] = field(default_factory=dict)
    outcomes: Mapping[str, Any] | None = None
    facts: LeadFacts | None = None
    funnel: FunnelTables | None = None
    forecast: ForecastResult | None = None
    qualification: Mapping[str, pa.Table] | None = None
    fit: FitTables | None = None
    customers: CustomerTables | None = None
    channels: ChannelTables | None = None
    touches: TouchTables | None = None
    accounts: pa.Table | None = None
    roles: pa.Table | None = None
    visitors: pa.Table | None = None
    hides_ids: bool = False

    @property
    def as_of(self) -> datetime:
        """Return the as-of of the page."""
        return self.run.as_of

    @cached_property
    def detailed(self) -> pa.Table:
        """Return the rows of ``scores`` that are shown in detail, in the same order."""
        return choose_detailed_leads(self.scores)

    @property
    def targets(self) -> list[str]:
        """Return the scored targets, in the order of the config."""
        return [name for name in self.project.targets if self.run.models.get(name)]

    @property
    def published_runs(self) -> pa.Table:
        """Return the rows of ``runs`` that have published."""
        return self.runs.filter(pc.field("status") == "published")
