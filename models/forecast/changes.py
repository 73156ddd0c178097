"""Why the expected total of a period differs from that of a week before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from features.paths.visits import OPEN
from models.forecast.schemas import CHANGES
from models.funnel.history import FunnelHistory


@dataclass(frozen=True)
class ExpectedTotal:
    """Expected total of a period as known at an as-of; arrays have one element per lead.

    Attributes:
        chances: Chance of a win by the period's end; 0 where the lead is not open.
        stage: Stage of the open deal, -1 where the lead is not open.
        amount: What a win is worth; ones where wins are counted.
        won: What the lead's wins of the period so far are worth.
        from_new: What deals that are not created yet add.
    """

    chances: np.ndarray
    stage: np.ndarray
    amount: np.ndarray
    won: np.ndarray
    from_new: float

    @property
    def total(self) -> float:
        """The expected total."""
        return float(self.won.sum()) + self._add_expected()

    def find_ratio(self, total: float) -> float:
        """Return by what the wins to come must be multiplied to give a total; 1 without any."""
        expected = self._add_expected()
        return (total - float(self.won.sum())) / expected if expected > 0 else 1.0

    def scale_by(self, ratio: float) -> Self:
        """Return the total with the wins to come multiplied by a ratio."""
        return replace(self, chances=self.chances * ratio, from_new=self.from_new * ratio)

    def _add_expected(self) -> float:
        return float(self.chances @ self.amount + self.from_new)


def list_change_rows(
    unit: str, before: ExpectedTotal, after: ExpectedTotal, history: FunnelHistory
) -> pa.Table:
    """Return CHANGES of one unit; ``history`` is that of the later as-of.

    Leads of the earlier one have the same places; what was unknown then has stage -1.
    """
    was_open, is_open = before.stage >= 0, after.stage >= 0
    old, new = before.chances * before.amount, after.chances * after.amount
    last = _find_last_exits(history)
    # A win of the days before the period adds nothing to it, and is one all the same.
    has_won = was_open & ((after.won > before.won) | (~is_open & (last == history.states.won)))
    both = was_open & is_open & ~has_won
    is_lost = was_open & ~is_open & ~has_won & (last > history.states.won)
    moved = before.amount * (after.chances - before.chances)
    forward = both & (after.stage > before.stage)
    fresh = ~was_open & (is_open | (after.won > before.won))
    steps = [
        ("won", has_won, after.won - before.won - old + np.where(is_open, new, 0.0)),
        ("lost", is_lost, -old),
        ("advanced", forward, moved),
        ("slipped", both & ~forward, moved),
        ("revalued", both & (before.amount != after.amount), _find_revaluation(before, after)),
        ("new", fresh, new + after.won - before.won),
    ]
    rows = [_make_row(unit, "before", before.total, int(was_open.sum()))]
    rows += [
        _make_row(unit, name, values[own].sum(), int(own.sum())) for name, own, values in steps
    ]
    rows.append(_make_row(unit, "to_come", after.from_new - before.from_new, None))
    total = sum(row["value"] for row in rows)
    # What is left comes from rows of the data that arrived late or changed.
    rows.append(_make_row(unit, "assumptions", after.total - total, None))
    rows.append(_make_row(unit, "after", after.total, int(is_open.sum())))
    return pa.Table.from_pylist(rows, schema=CHANGES)


def _find_revaluation(before: ExpectedTotal, after: ExpectedTotal) -> np.ndarray:
    return (after.amount - before.amount) * after.chances


def _find_last_exits(history: FunnelHistory) -> np.ndarray:
    """Return how the last spell of each lead ended, OPEN if it did not."""
    spells = history.paths.spells
    last = np.full(len(history.created), OPEN)
    last[spells.lead] = spells.exit
    return last


def _make_row(unit: str, step: str, value: float, deals: int | None) -> dict[str, Any]:
    return {"unit": unit, "step": step, "value": float(value), "deals": deals}
