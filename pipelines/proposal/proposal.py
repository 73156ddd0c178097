"""A proposed config: its parts, before they are written as YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pipelines.proposal.findings.attributes import AttributeChoice
from pipelines.proposal.findings.event_logs import LeadsTable, MappedLog
from pipelines.proposal.findings.outcomes import Outcome
from pipelines.proposal.findings.timing import Timing
from pipelines.proposal.reading.source_tables import SourceTable


@dataclass(frozen=True)
class ValueHistory:
    """A source of attributes with a history.

    Attributes:
        table: Its table.
        entity_id: Column of the ids of leads.
        valid_from: Column of the times.
        columns: Wide: the columns with values.
        attribute: Long: the column with the names; empty for a wide one.
        value: Long: the column with the values.
        only: Long: the names to use.
    """

    table: SourceTable
    entity_id: str
    valid_from: str
    columns: tuple[str, ...] = ()
    attribute: str = ""
    value: str = ""
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetProposal:
    """The proposed target.

    Attributes:
        name: Its name.
        outcome: Its outcome.
        timing: Its timing; None for an outcome column.
        ends: Event types that end eligibility.
        mature_after: For an outcome column: age from which a value is final, such as ``30d``.
        evidence: How often the outcome occurs, in words.
    """

    name: str
    outcome: Outcome
    timing: Timing | None
    ends: tuple[str, ...] = ()
    mature_after: str = ""
    evidence: str = ""


@dataclass(frozen=True)
class Proposal:
    """All parts of a proposed config.

    Attributes:
        project: Name of the project.
        timezone: Zone of times without an offset.
        timezone_note: Why this zone, in a few words.
        leads: The table of the leads, if there is one.
        order: Column that stands for time, or ``rows``; empty for none.
        logs: The event logs.
        histories: The histories of attributes.
        attributes: The attributes of the leads.
        missing: Texts of the leads that mean “no value”, by column; under ``*`` those of all.
        target: The target.
        stages: Event types that are stages, in order.
        excluded: Event types that no feature may use.
        unused: The reason of each table that has no role, by its name.
        unused_columns: The reason of each column of a log that has no role, by ``file: column``.
        notes: What the user should know.
    """

    project: str
    timezone: str
    timezone_note: str
    leads: LeadsTable | None
    order: str
    logs: tuple[MappedLog, ...]
    histories: tuple[ValueHistory, ...]
    attributes: AttributeChoice
    missing: dict[str, tuple[str, ...]]
    target: TargetProposal
    stages: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    unused: dict[str, str] = field(default_factory=dict)
    unused_columns: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return tables, target and attributes as plain JSON values."""
        tables = list[dict[str, Any]]()
        if self.leads is not None:
            tables.append(_describe_table(self.leads.table, "leads"))
        own = None if self.leads is None else self.leads.table.name
        logs = {log.table.name: log.table for log in self.logs if log.table.name != own}
        tables += [_describe_table(table, "events") for table in logs.values()]
        tables += [
            _describe_table(history.table, "attributes")
            for history in self.histories
            if history.table.name not in {*logs, own}
        ]
        timing = self.target.timing
        return {
            "tables": tables,
            "unused": self.unused,
            "target": self.target.name,
            "outcome": self.target.outcome.name,
            "outcomes": self.target.outcome.entities,
            "horizon": f"{timing.horizon}d" if timing else None,
            "attributes": list(self.attributes.used),
            "left_out": {**self.attributes.left_out, **self.unused_columns},
            "notes": list(self.notes),
        }


def _describe_table(table: SourceTable, role: str) -> dict[str, Any]:
    return {"name": table.name, "rows": table.rows, "role": role}
