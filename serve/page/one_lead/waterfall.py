"""How a lead comes to its probability: from a typical lead over each published reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Any, Literal

Kind = Literal["typical", "for", "against", "rest", "lead"]


@dataclass(frozen=True)
class Step:
    """One bar of a waterfall, in log-odds.

    Attributes:
        kind: ``typical`` and ``lead`` are the ends, which begin at zero effect.
        text: Sentence of a reason; empty for the other kinds.
        start: Where the bar begins.
        end: Where the bar ends; the next bar begins there.
    """

    kind: Kind
    text: str
    start: float
    end: float


def build_waterfall(
    reasons: Sequence[dict[str, Any]], base: float | None, probability: float
) -> list[Step]:
    """Return the steps from the base value over the reasons and the rest to the probability.

    The rest is what the published reasons leave, so the last step ends at the probability. Without
    a base value, or for a probability of 0 or 1, the steps are those of the reasons alone, and each
    begins at 0.
    """
    total = log(probability / (1 - probability)) if 0 < probability < 1 else None
    if base is None or total is None:
        return [_make_reason(reason, 0.0) for reason in reasons]
    steps, at = [Step("typical", "", base, base)], base
    for reason in reasons:
        steps.append(_make_reason(reason, at))
        at = steps[-1].end
    return [*steps, Step("rest", "", at, total), Step("lead", "", total, total)]


def to_share(log_odds: float) -> float:
    """Return log-odds as a probability."""
    # Both forms are exact; each would overflow where the other is used.
    if log_odds < 0:
        return exp(log_odds) / (1 + exp(log_odds))
    return 1 / (1 + exp(-log_odds))


def _make_reason(reason: dict[str, Any], start: float) -> Step:
    contribution = reason["contribution"]
    size = contribution if isfinite(contribution) else 0.0
    return Step("for" if size > 0 else "against", reason["sentence"], start, start + size)
