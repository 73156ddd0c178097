"""Result of the leakage audit."""

from __future__ import annotations

from dataclasses import dataclass

from models.leakage.leakage import Suspect

OFFERED, ALLOWED, LEFT_OUT, NO_FEATURE = (
    "offered; training leaves it out",
    "offered; allowed by the config",
    "left out by the config",
    "no feature",
)
"""What becomes of a suspect."""


@dataclass(frozen=True)
class AuditFinding:
    """A suspect, and whether features use its column: one of the four states above."""

    suspect: Suspect
    state: str
