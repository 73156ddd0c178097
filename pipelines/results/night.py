"""Results of a scoring run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from configs.errors import LeadscoreError
from features.suppressed import Suppression
from features.tools.instants import format_iso
from serve.checks.checks import CheckResult
from serve.crm.delivery import DeliveryResult
from serve.export.export import StagedExport
from serve.export.page_file import CurrentExport


@dataclass(frozen=True, kw_only=True)
class PublishedScores:
    """One published as-of.

    Attributes:
        run_id: Id of the run in the ledger.
        as_of: The as-of, in UTC.
        rows: Number of rows by target.
        scores: SCORES of all targets.
        staged_export: The CRM's file, written in the background; None where it was not staged.
            Its failure is raised when the result is taken.
        accounts: Number of account rows.
        tables: Number of rows of each further table, by name.
        table_problems: Why a group of tables is missing, where it failed, by group.
        checks: Results that warned.
        suppressed: Leads that were left out.
    """

    run_id: str
    as_of: datetime
    rows: dict[str, int]
    scores: pa.Table
    staged_export: Future[StagedExport | None]
    accounts: int
    tables: Mapping[str, int]
    table_problems: Mapping[str, str]
    checks: tuple[CheckResult, ...]
    suppressed: Suppression

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "run_id": self.run_id,
            "status": "published",
            "as_of": format_iso(self.as_of),
            "rows": sum(self.rows.values()),
            "targets": dict(self.rows),
            "accounts": self.accounts,
            "tables": dict(self.tables),
            "table_problems": dict(self.table_problems),
            "suppressed": self.suppressed.to_json(),
            "checks": [check.to_json() for check in self.checks],
        }


@dataclass(frozen=True, kw_only=True)
class NightResult:
    """A published as-of, exported and delivered.

    Attributes:
        published: The published scores.
        export: The CRM's file and its page.
        exported_as_of: The as-of of that file, in UTC: the newest published one, which may be
            later than that of this run.
        deliveries: Deliveries to the configured CRMs.
    """

    published: PublishedScores
    export: CurrentExport
    exported_as_of: datetime
    deliveries: tuple[DeliveryResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; without deliveries the key is left out."""
        payload = {**self.published.to_json(), **self.export.to_json()}
        if self.deliveries:
            payload["deliveries"] = [delivery.to_json() for delivery in self.deliveries]
        return payload


@dataclass(frozen=True)
class BackfilledNight:
    """One backfilled as-of.

    Attributes:
        as_of: The as-of, in UTC.
        published: The published scores; None if it failed.
        error: The failure; None if it was published.
    """

    as_of: datetime
    published: PublishedScores | None = None
    error: LeadscoreError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        if self.published:
            return self.published.to_json()
        return {
            "as_of": format_iso(self.as_of),
            "status": "not published",
            "error": str(self.error),
        }
