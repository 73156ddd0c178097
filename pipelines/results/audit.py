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


@dataclass(frozen=True)
class TargetAudit:
    """The audit of one target.

    Attributes:
        findings: The suspected columns by name.
        limits: One sentence for each thing that the audit could not see.
    """

    findings: tuple[AuditFinding, ...]
    limits: tuple[str, ...] = ()

    @property
    def suspects_in_use(self) -> tuple[Suspect, ...]:
        """Return the suspects that features would use: left out by training, or allowed."""
        return tuple(f.suspect for f in self.findings if f.state in (OFFERED, ALLOWED))
