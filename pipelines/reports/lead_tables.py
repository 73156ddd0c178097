"""The scores, reasons and history of one lead as tables and lines of text.

The first row of a table holds the headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.grades import GRADE_BY_SCORE

if TYPE_CHECKING:  # a command pays only for the imports that it runs
    from datetime import datetime, tzinfo

    from pipelines.lead.change import ScoreChange
    from pipelines.lead.explain import Explanation
    from pipelines.lead.replay import Replay
    from pipelines.lead.trace import Trace

# Features shown by default: the strongest ones fit one screen.
MAX_FEATURES = 15

# Causes of a change of score, in their order in a report.
CAUSE_LABELS = {
    "lead": "the lead did something",
    "others": "others did something",
    "time": "time passed",
    "model": "the model",
    "data": "earlier rows, the config or the version changed",
}


def build_history_table(explanation: Explanation) -> list[list[str]]:
    """Return one row per published score of the entity."""
    rows = [
        [
            row["target"],
            row["as_of"].isoformat(),
            f"{row['probability']:.3f}",
            str(row["score"]),
            row["grade"],
            row["model_version"],
        ]
        for row in explanation.history
    ]
    return [["target", "as of", "probability", "score", "grade", "model version"], *rows]


def describe_suppressions(explanation: Explanation, zone: tzinfo) -> list[str]:
    """Return why an entity is not scored, since which night, and by which run."""
    return [
        f"{explanation.entity} is suppressed by {row['reason']}: no score since the night of "
        f"{row['first_as_of'].astimezone(zone).isoformat()} (run {row['first_run_id']}), "
        f"last left out on {row['last_as_of'].astimezone(zone).isoformat()} "
        f"(run {row['last_run_id']})"
        for row in explanation.suppressions
    ]


def describe_scores(explanation: Explanation, row: dict[str, Any]) -> str:
    """Return the published probability, score, grade and model version in two lines.

    Further lines say when the outcome is to be expected, and the place in the funnel, where known.
    """
    target, as_of = row["target"], row["as_of"].isoformat()
    interval = f"{row['probability_low']:.3f} to {row['probability_high']:.3f}"
    head = f"{explanation.entity} · {target} as of {as_of}"
    lines = [
        f"{head}: probability {row['probability']:.3f} ({interval})",
        f"score {row['score']}, grade {row['grade']}{_describe_kept_grade(row)}, "
        f"evidence {row['evidence']}, model version {row['model_version']}",
    ]
    if target in explanation.outcome_timing:
        lines.append(explanation.outcome_timing[target])
    if row["stage"] is not None:
        lines.append(_describe_stage(row))
    return "\n".join(lines)


def _describe_stage(row: dict[str, Any]) -> str:
    """Return the lead's place in the funnel."""
    if row["stage_age"] is None:
        return f"closed: {row['stage']}"
    text = f"stage {row['stage']} for {row['stage_age']:.1f} days"
    text += ", stuck: 80 % of those that move on did so sooner" if row["stuck"] else ""
    if row["expected_close_p50"] is None:
        return text
    early, half, late = (row[f"expected_close_p{share}"].date() for share in (20, 50, 80))
    text += f"; if it is won, then by {half} (half of such leads; 20 % by {early}, 80 % by {late})"
    return text + (", overdue" if row["overdue"] else "")


def _describe_kept_grade(row: dict[str, Any]) -> str:
    """Return a note on a grade that was kept although the score alone gives another one."""
    grade, since = GRADE_BY_SCORE[row["score"]], row["falling_since"]
    if row["grade"] == grade:
        return ""
    low = f", which is too low since {since.date().isoformat()}" if since else ""
    return f" (kept from the night before: the score alone gives {grade}{low})"


def build_reason_table(row: dict[str, Any], trace: Trace | None) -> list[list[str]]:
    """Return the published reasons; for a lead published without reasons, those of its replay."""
    # Only a share of the leads is published with reasons, which take longest to compute.
    reasons = row["reasons"] or (trace.replay.reasons if trace and trace.replay else [])
    rows = [
        [f"{reason['contribution']:+.2f}", reason["sentence"], reason["feature"]]
        for reason in reasons
    ]
    return [["log-odds", "reason", "feature"], *rows]


def describe_trace(trace: Trace, zone: tzinfo) -> list[str]:
    """Return why the score changed, whether it was reproduced, and what is no longer available."""
    lines = ["first scored on this night"] if trace.first else []
    lines += describe_change(trace.change, zone) if trace.change else []
    if trace.replay:
        state = "reproduced to the bit" if trace.replay.reproduced else "not reproduced"
        lines.append(f"replayed: {state}")
    lines += [f"  {line}" for line in trace.differences]
    lines += trace.standing
    return lines + [f"missing: {line}" for line in trace.missing]


def describe_change(change: ScoreChange, zone: tzinfo) -> list[str]:
    """Return the causes of a change of score in two sentences: in points and in probability."""
    causes = [cause for cause in CAUSE_LABELS if _is_shown(change, cause)]
    points = ", ".join(
        f"{_format_points(change.effects[cause].points)} {_describe_cause(change, cause)}"
        for cause in causes
    )
    shares = ", ".join(
        f"{_format_probability_change(change.effects[cause].probability)} {cause}"
        for cause in causes
    )
    (first, last), (low, high) = change.score, change.probability
    lines = [f"{first} → {last} since {_format_night(change.since, zone)}: {points}"]
    lines.append(f"probability {low:.3f} → {high:.3f}: {shares}")
    if change.unscored_nights:
        nights = f"{change.unscored_nights} night{'s' * (change.unscored_nights > 1)}"
        lines.append(f"in between, {nights} did not score this lead")
    if not change.cutoff_moved:
        lines.append("the features have one fixed cutoff, the same on each night")
    return lines


def _is_shown(change: ScoreChange, cause: str) -> bool:
    """Return whether a cause is part of the report.

    Others are shown only if they did something, the data only if it moved the score.
    """
    effect = change.effects[cause]
    moved = effect.points != 0 or effect.probability != 0
    peers_acted = cause == "others" and bool(change.new_information.account_events)
    return moved or cause in ("lead", "time", "model") or peers_acted


def _describe_cause(change: ScoreChange, cause: str) -> str:
    label, new = CAUSE_LABELS[cause], change.new_information
    if cause == "model":
        first, last = change.model_version
        return f"{label} (version {first} to {last})" if first != last else label
    if cause == "lead":
        details = [
            *_format_counts(new.events),
            *_format_late_events(new.late_events),
            *_format_attribute_changes(new.changed_attributes),
        ]
        return f"{label} ({', '.join(details)})" if details else label
    if cause == "others" and new.account_events:
        return (
            f"others at its account did something ({', '.join(_format_counts(new.account_events))})"
        )
    return label


def _format_counts(counts: dict[str, int]) -> list[str]:
    return [f"{number} {name}" for name, number in counts.items()]


def _format_late_events(late_events: dict[str, int]) -> list[str]:
    number = sum(late_events.values())
    return [f"of which {number} had occurred before and arrived late"] if number else []


def _format_attribute_changes(changes: list[dict[str, Any]]) -> list[str]:
    def format_side(value: str | None) -> str:
        return "missing" if value is None else value

    return [
        f"{change['attribute']} from {format_side(change['before'])} "
        f"to {format_side(change['after'])}"
        for change in changes
    ]


def build_contribution_table(replay: Replay, max_features: int | None) -> list[list[str]]:
    """Return one row per feature, strongest first, and rows that add up to the log-odds.

    ``max_features`` is the number of features shown, None for all; the others are one row.
    """
    rows = [["log-odds", "points", "feature", "value", "meaning"]]
    for feature in replay.features[:max_features]:
        numbers = f"{feature['contribution']:+.3f}", f"{feature['points']:+.1f}"
        value = _format_value(feature["value"])
        rows.append([*numbers, feature["feature"], value, feature["sentence"]])
    rest = replay.features[len(rows) - 1 :]
    if rest:
        total = sum(feature["contribution"] for feature in rest)
        rows.append([f"{total:+.3f}", "", f"{len(rest)} more features", "", "--all shows them"])
    probability = f"the log-odds of probability {replay.predicted['probability']:.3f}"
    rows.append([f"{replay.base:+.3f}", "", "base value", "", "the start value of each lead"])
    return [*rows, [f"{replay.total:+.3f}", "", "sum", "", probability]]


def _format_value(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "missing" if value is None else value


def _format_points(points: int) -> str:
    return f"{points:+d}" if points else "0"


def _format_probability_change(probability: float) -> str:
    # A change below the digits shown is written as 0, not as +0.000 or -0.000.
    return f"{probability:+.3f}" if round(probability, 3) else "0"


def _format_night(moment: datetime, zone: tzinfo) -> str:
    """Return the date of a night in a zone, with its time where that is not midnight."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date().isoformat() if local == midnight else str(local)
