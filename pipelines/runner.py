"""How the steps of a pipeline are run: directly, or as tasks of a Prefect flow.

The results are the same to the bit either way.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from configs.addresses.parser import AddressError
from configs.addresses.web import parse_web_address
from configs.errors import ConfigError

PREFECT_VARIABLE = "PREFECT_API_URL"
# The name of the flow; deployments and its runs in Prefect have it.
TRAIN_FLOW = "leadscore-train"

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def read_clock() -> datetime:
    """Return the machine's time in UTC.

    It is only for when a run started and ended, and never enters what the run computes.
    """
    return datetime.now(UTC)


def discard_line(_: str) -> None:
    """Drop a progress line."""


@dataclass(frozen=True)
class Runner:
    """Runs the steps of a pipeline and logs its progress.

    Attributes:
        name: Name in the ledger, “direct” or “prefect”.
        flow_run_id: Id of the Prefect flow run, None without one.
        wrap: Makes a Prefect task of a step; None runs the step itself.
        log: Logs one line of progress.
    """

    name: str = "direct"
    flow_run_id: str | None = None
    wrap: Callable[[Callable], Callable] | None = None
    log: Callable[[str], None] = discard_line

    @property
    def tags(self) -> dict[str, str | None]:
        """Tags that are stored with a result, so that its run can be found in Prefect."""
        # A tag is enough to link MLflow to Prefect; outside of a flow there is no id (MLflow 3.17).
        return {"driver": self.name, "prefect.flow_run_id": self.flow_run_id}

    def run(
        self,
        step: Callable[Parameters, Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Run one step and return what it returns; raise what it raises."""
        wrapped = self.wrap(step) if self.wrap else step
        return wrapped(*arguments, **named)


def is_prefect_configured() -> bool:
    """Return whether the environment or the active profile names a Prefect API.

    Raise ConfigError for an address that is not one of a web server.
    """
    address = _find_prefect_address()
    if not address:
        return False
    try:
        parse_web_address(address)
    except AddressError as error:
        raise ConfigError(error.what, where=PREFECT_VARIABLE, fix=error.fix) from None
    return True


def _find_prefect_address() -> str:
    """Return the address of the Prefect API, or "".

    The profile is read without Prefect, which takes seconds to import.
    """
    # The environment comes before the profile, as in Prefect itself.
    if address := os.environ.get(PREFECT_VARIABLE):
        return address
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return ""
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return str(profiles.get("profiles", {}).get(active, {}).get(PREFECT_VARIABLE) or "")
