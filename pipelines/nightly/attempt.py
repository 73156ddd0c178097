"""One attempt at a night in the run ledger: how it begins, its checks, and how it ends."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from configs.addresses.redaction import redact_text
from configs.errors import NotFitToPublish
from models.registry.records import RegisteredVersion
from pipelines.nightly.context import NightContext
from pipelines.runner import Runner, read_clock
from pipelines.version import find_code_version
from serve.checks.checks import CheckResult, build_check_table, raise_on_stop, select_alerts
from serve.run import Run
from serve.store.store import Store


def create_run(
    context: NightContext, as_of: datetime, champions: Mapping[str, RegisteredVersion | None]
) -> Run:
    """Return the ledger entry of a new attempt, with the version that scores each target."""
    project, runner = context.project, context.runner
    models = {target: str(version.number) for target, version in champions.items() if version}
    return Run(
        run_id=uuid.uuid4().hex,
        project=project.project,
        as_of=as_of,
        # An attempt without any champion still gets a row for each target.
        models=models or dict.fromkeys(project.targets),
        code_version=find_code_version(),
        config_hash=project.config_hash,
        started_at=read_clock(),
        driver=runner.name,
        flow_run_id=runner.flow_run_id,
    )


@contextmanager
def record_attempt(store: Store, run: Run) -> Iterator[list[CheckResult]]:
    """Write the attempt into the ledger, and how it ended if it does not publish.

    Yield the list that collects its check results. A refused attempt keeps its checks.
    """
    store.start(run)
    checks = list[CheckResult]()
    try:
        yield checks
    except NotFitToPublish as refusal:
        table = build_check_table(checks, run.run_id, run.project, run.as_of)
        store.finish(run.run_id, "refused", str(refusal), read_clock(), table)
        raise
    # BaseException: a signal or an exit ends an attempt too, and the ledger must say so.
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        message = "stopped by a signal" if stopped else str(error) or type(error).__name__
        store.finish(run.run_id, "failed", redact_text(message), read_clock())
        raise


def record_and_enforce(
    checks: list[CheckResult], results: Sequence[CheckResult], runner: Runner
) -> None:
    """Record check results, log warnings, and raise NotFitToPublish on a stop."""
    checks += results
    for alert in select_alerts(results):
        runner.log(str(alert))
    raise_on_stop(results)
