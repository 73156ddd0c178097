"""Results of a scoring run."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from configs.errors import LeadscoreError
from features.suppressed import Suppression
from serve.checks.checks import CheckResult
from serve.crm.delivery import DeliveryResult
from serve.export.export import StagedExport


@dataclass(frozen=True, kw_only=True)
class PublishedScores:
    """One published as-of: its ledger id, rows by target, the scores, rows of accounts, who was left out, and what
    warned.
    """

    run_id: str
    as_of: datetime
    rows: dict[str, int]
    scores: pa.Table
    staged_export: Future[StagedExport] | None = None
    accounts: int = 0
    checks: tuple[CheckResult, ...] = ()
    suppressed: Suppression = field(default_factory=Suppression)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        head = {"run_id": self.run_id, "status": "published", "as_of": self.as_of.isoformat()}
        body = {"rows": sum(self.rows.values()), "targets": self.rows, "accounts": self.accounts}
        told = {
            "suppressed": self.suppressed.to_json(),
            "checks": [one.to_json() for one in self.checks],
        }
        return {**head, **body, **told}


@dataclass(frozen=True, kw_only=True)
class NightResult(PublishedScores):
    """A published as-of, the CRM's file, which holds the newest one, that of ``exported_as_of``, and what was delivered."""

    export: Path
    exported_as_of: datetime
    deliveries: tuple[DeliveryResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        plain = {**super().to_json(), "export": str(self.export)}
        return (
            plain | {"deliveries": [one.to_json() for one in self.deliveries]}
            if self.deliveries
            else plain
        )


@dataclass(frozen=True)
class BackfilledNight:
    """What became of one night: what it published, or the error that kept it from that."""

    as_of: datetime
    published: PublishedScores | None = None
    error: LeadscoreError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        if self.published:
            return self.published.to_json()
        return {
            "as_of": self.as_of.isoformat(),
            "status": "not published",
            "error": str(self.error),
        }
