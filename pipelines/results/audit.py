"""Result of the leakage audit."""

from __future__ import annotations

from dataclasses import dataclass

from models.leakage.suspects import Suspect

# States of a suspect: whether features may use its column, and why not.
OFFERED = "offered; training leaves it out"
ALLOWED = "offered; allowed by the config"
LEFT_OUT = "left out by the config"
NO_FEATURE = "no feature"


@dataclass(frozen=True)
class AuditFinding:
    """A column suspected of leakage.

    Attributes:
        suspect: The column and the evidence.
        state: OFFERED, ALLOWED, LEFT_OUT or NO_FEATURE.
    """

    suspect: Suspect
    state: str
