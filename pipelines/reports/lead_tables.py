"""One lead as a person sees it in the terminal: scores, reasons, what stands behind them, and history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape

from models.grades import GRADE_BY_SCORE
from pipelines.reports.terminal import render_table

if TYPE_CHECKING:  # a command pays only for what it runs
    from datetime import datetime, tzinfo

    from pipelines.lead.change import ScoreChange
    from pipelines.lead.explain import Explanation
    from pipelines.lead.replay import Replay
    from pipelines.lead.trace import Trace

MAX_FEATURES = 15
"""Features shown, unless all are asked for."""

CAUSE_LABELS = {
    "lead": "the lead did something",
    "others": "others did something",
    "time": "time passed",
    "model": "the model",
    "data": "rows of before, the config or the version changed",
}


def render_explanation(
    found: Explanation, zone: tzinfo, most: int | None = MAX_FEATURES
) -> list[RenderableType]:
    """Return one entity's scores with all reasons and what stands behind them, and their history.

    Nights are told in the time zone ``zone``; ``most`` features are shown, None for all.
    """
    parts: list[RenderableType] = [escape(line) for line in _suppressed(found, zone)]
    for row in found.newest:
        behind = found.traces.get(row["target"])
        parts += [_head(found, row), _reasons(row, behind)]
        parts += _behind(behind, zone, most) if behind else []
    history = [["target", "as of", "probability", "score", "grade", "model version"]]
    for row in found.history:
        when, chance = row["as_of"].isoformat(), f"{row['probability']:.3f}"
        history.append(
            [row["target"], when, chance, str(row["score"]), row["grade"], row["model_version"]]
        )
    return [*parts, render_table(history)] if found.history else parts


def _suppressed(found: Explanation, zone: tzinfo) -> list[str]:
    """Say why an entity is not scored, since which night, and by which run."""
    lines = []
    for one in found.suppressions:
        first, last = (
            one[name].astimezone(zone).isoformat() for name in ("first_as_of", "last_as_of")
        )
        lines.append(
            f"{found.entity} is suppressed by {one['reason']}: no score since the night of {first} (run "
            f"{one['first_run_id']}), last left out on that of {last} (run {one['last_run_id']})"
        )
    return lines


def _head(found: Explanation, row: dict[str, Any]) -> str:
    chance = (
        f"{row['probability']:.3f} ({row['probability_low']:.3f} to {row['probability_high']:.3f})"
    )
    head = (
        f"{found.entity} · {row['target']} as of {row['as_of'].isoformat()}: probability {chance}"
    )
    verdict = f"score {row['score']}, grade {row['grade']}{_kept(row)}, evidence {row['evidence']}"
    when = (
        f"\n{found.outcome_timing[row['target']]}" if row["target"] in found.outcome_timing else ""
    )
    return escape(f"{head}\n{verdict}, model version {row['model_version']}{when}")


def _kept(row: dict[str, Any]) -> str:
    """Say of a grade that its score alone would not give that it was kept."""
    plain, since = GRADE_BY_SCORE[row["score"]], row["falling_since"]
    low = f", which is too low since {since.date().isoformat()}" if since else ""
    return (
        f" (kept from the night before: the score alone gives {plain}{low})"
        if row["grade"] != plain
        else ""
    )


def _reasons(row: dict[str, Any], behind: Trace | None) -> RenderableType:
    """Return the reasons as published; of a lead that was published without, those of its replay."""
    told = row["reasons"] or (behind.replay.reasons if behind and behind.replay else [])
    rows = [[f"{one['contribution']:+.2f}", one["sentence"], one["feature"]] for one in told]
    return render_table([["log-odds", "reason", "feature"], *rows])


def _behind(behind: Trace, zone: tzinfo, most: int | None) -> list[RenderableType]:
    """Return why the score changed, whether it is reproduced, its features, and what cannot be told any more."""
    lines = ["first scored on this night"] if behind.first else []
    lines += describe_change(behind.change, zone) if behind.change else []
    if behind.replay:
        lines += [
            "replayed: reproduced to the bit"
            if behind.replay.reproduced
            else "replayed: not reproduced"
        ]
    lines += [f"  {line}" for line in behind.differences] + [
        f"missing: {line}" for line in behind.missing
    ]
    told: list[RenderableType] = [escape("\n".join(lines))]
    return [*told, *(_features(behind.replay, most) if behind.replay else [])]


def describe_change(found: ScoreChange, zone: tzinfo) -> list[str]:
    """Return in two sentences, points and probability, what moved a score since the one before it."""
    causes = [name for name in CAUSE_LABELS if _tells(found, name)]
    points = ", ".join(
        f"{_signed(found.effects[name].points)} {_cause(found, name)}" for name in causes
    )
    shares = ", ".join(f"{_moved(found.effects[name].probability)} {name}" for name in causes)
    (first, last), (low, high) = found.score, found.probability
    told = [f"{first} → {last} since {_day(found.since, zone)}: {points}"]
    told.append(f"probability {low:.3f} → {high:.3f}: {shares}")
    if found.unscored_nights:
        nights = f"{found.unscored_nights} night{'s' * (found.unscored_nights > 1)}"
        told.append(f"in between, {nights} did not score this lead")
    if not found.cutoff_moved:
        told.append("its features look back from one and the same instant, whatever the night")
    return told


def _tells(found: ScoreChange, name: str) -> bool:
    """Say whether a cause is told: others only where they did something, the data only where it moved the score."""
    moved = found.effects[name].points != 0 or found.effects[name].probability != 0
    return (
        moved
        or name in ("lead", "time", "model")
        or (name == "others" and bool(found.new_information.account_events))
    )


def _cause(found: ScoreChange, name: str) -> str:
    what = CAUSE_LABELS[name]
    if name == "model":
        first, last = found.model_version
        return f"{what} (version {first} to {last})" if first != last else what
    if name == "lead":
        told = [*_counts(found.new_information.events), *_late(found), *_attributes(found)]
        return f"{what} ({', '.join(told)})" if told else what
    if name == "others" and found.new_information.account_events:
        return f"others at its account did something ({', '.join(_counts(found.new_information.account_events))})"
    return what


def _counts(counts: dict[str, int]) -> list[str]:
    return [f"{number} {name}" for name, number in counts.items()]


def _late(found: ScoreChange) -> list[str]:
    number = sum(found.new_information.late_events.values())
    return [f"of which {number} had happened before and came late"] if number else []


def _attributes(found: ScoreChange) -> list[str]:
    def text(value: str | None) -> str:
        return "missing" if value is None else value

    return [
        f"{one['attribute']} from {text(one['before'])} to {text(one['after'])}"
        for one in found.new_information.changed_attributes
    ]


def _features(found: Replay, most: int | None) -> list[RenderableType]:
    rows = [["log-odds", "points", "feature", "value", "what it says"]]
    for one in found.features[:most]:
        numbers = f"{one['contribution']:+.3f}", f"{one['points']:+.1f}"
        rows.append([*numbers, one["feature"], _value(one["value"]), one["sentence"]])
    rest = found.features[len(rows) - 1 :]
    if rest:
        told = f"{len(rest)} more features"
        rows.append(
            [f"{sum(one['contribution'] for one in rest):+.3f}", "", told, "", "--all shows them"]
        )
    rows.append([f"{found.base:+.3f}", "", "base value", "", "where every lead starts"])
    chance = f"the log-odds of probability {found.predicted['probability']:.3f}"
    rows.append([f"{found.total:+.3f}", "", "sum", "", chance])
    return [render_table(rows)]


def _value(value: float | str | None) -> str:
    return "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else value


def _signed(points: int) -> str:
    return f"{points:+d}" if points else "0"


def _moved(probability: float) -> str:
    return f"{probability:+.3f}" if round(probability, 3) else "0"


def _day(moment: datetime, zone: tzinfo) -> str:
    """Return a night's date in a zone, with its time where that is not midnight."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    return (
        local.date().isoformat()
        if local == local.replace(hour=0, minute=0, second=0, microsecond=0)
        else str(local)
    )
