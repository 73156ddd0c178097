"""How a wiring is driven: directly, or as a Prefect flow. The wiring and its results are the same to the bit."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

Step = TypeVar("Step", bound=Callable)


def _discard_line(_: str) -> None:
    """Say nothing."""


def read_clock() -> datetime:
    """Return the machine's time: only for when a run started and ended, never for what it computes."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Runner:
    """``name`` and ``flow_run_id`` stand in the ledger; ``wrap`` makes a task of a step; ``note`` says one line."""

    name: str = "direct"
    flow_run_id: str | None = None
    wrap: Callable[[Callable], Callable] | None = None
    log: Callable[[str], None] = _discard_line

    @property
    def tags(self) -> dict[str, str | None]:
        """What is written beside each result, so that it can be found in Prefect."""
        return {"driver": self.name, "prefect.flow_run_id": self.flow_run_id}

    def step(self, function: Step) -> Step:
        """Return the function as this driver runs it."""
        return self.wrap(function) if self.wrap else function  # type: ignore[return-value]


def is_prefect_configured() -> bool:
    """Say whether a Prefect API is configured, by the environment or the active profile, without importing Prefect."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return bool(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL"))
