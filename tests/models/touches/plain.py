"""Touches by plain loops over the events of each lead, as an oracle."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

Event = tuple[int, int, str, int]
KINDS = ("touch", "reply", "opt_out", "end", "reopen")


def follow_leads(
    events: list[Event], horizon: int, quiet_after: int, observed: int
) -> list[dict[str, Any]]:
    """Return a dict for each touch, by lead and time.

    An event is lead, time, kind of KINDS, and channel of a touch.
    """
    rows = list[dict[str, Any]]()
    for lead in sorted({event[0] for event in events}):
        own = [event for event in events if event[0] == lead]
        rows += _follow_lead(lead, own, horizon, quiet_after, observed)
    return rows


def _follow_lead(
    lead: int, own: list[Event], horizon: int, quiet_after: int, observed: int
) -> list[dict[str, Any]]:
    times = {kind: sorted(at for _, at, name, _ in own if name == kind) for kind in KINDS}
    touches = sorted({at for at in times["touch"]})
    rows, count = list[dict[str, Any]](), Counter[int]()
    for place, at in enumerate(touches):
        replies = [time for time in times["reply"] if time < at]
        history = sorted(
            [(time, "reopen") for time in times["reopen"] if time < at]
            + [(time, "~end") for time in times["end"] if time < at]
        )
        silent = not replies or at - replies[-1] >= quiet_after
        reachable = not any(time < at for time in times["opt_out"])
        # At one instant the end sorts last, and counts.
        reachable &= not history or history[-1][1] == "reopen" or not _has_end(history)
        count[len(replies)] += silent and reachable
        window = at + horizon
        if place + 1 < len(touches):
            window = min(window, touches[place + 1])
        stops = [time for time in times["opt_out"] + times["end"] if time >= at]
        answers = [time for time in times["reply"] if at <= time < window]
        rows.append(
            {
                "lead": lead,
                "time": at,
                "channel": min(via for _, time, kind, via in own if kind == "touch" and time == at),
                "sequence": (lead, len(replies)),
                "at_risk": silent and reachable,
                "number": count[len(replies)],
                "gap": at - touches[place - 1] if place else None,
                "replied": any(time <= min(stops, default=time) for time in answers),
                "opted_out": any(at <= time < window for time in times["opt_out"]),
                "mature": at + horizon <= observed,
            }
        )
    return rows


def _has_end(history: list[tuple[int, str]]) -> bool:
    return any(kind == "~end" for _, kind in history)


def count_by_number(rows: list[dict[str, Any]]) -> dict[int, tuple[int, int]]:
    """Return touches at risk and replies by touch number, of mature touches."""
    cells = defaultdict[int, list[int]](lambda: [0, 0])
    for row in rows:
        if row["at_risk"] and row["mature"]:
            cells[row["number"]][0] += 1
            cells[row["number"]][1] += row["replied"]
    return {number: (size, count) for number, (size, count) in sorted(cells.items())}
