"""The run that publishes a project's scores: its rows in the run ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Run:
    """One attempt to publish the scores of one project and as-of; one ledger row per target.

    Attributes:
        run_id: Unique id of the run.
        project: Name of the project.
        as_of: As-of of the scores, an aware instant.
        models: Version of the registered model per target, None where there is none.
        code_version: Version of leadscore that ran.
        config_hash: Hash of the config.
        started_at: Start of the run by the machine's clock, an aware instant.
        data_fingerprint: Fingerprint of the source data; None while it is not read yet.
        driver: How the run was started, such as ``direct``.
        flow_run_id: Id of the orchestrator's flow run, if there is one.
    """

    run_id: str
    project: str
    as_of: datetime
    models: Mapping[str, str | None]
    code_version: str
    config_hash: str
    started_at: datetime
    data_fingerprint: str | None = None
    driver: str = "direct"
    flow_run_id: str | None = None
