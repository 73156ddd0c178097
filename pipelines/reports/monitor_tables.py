"""What a person is told of realised outcomes: the same tables in the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape

from pipelines.reports.metric_tables import format_estimate, render_markdown_table
from pipelines.reports.terminal import render_table
from serve.monitoring.expectations import METRIC_NAMES

if TYPE_CHECKING:
    from configs.schema import Project
    from pipelines.results.monitoring import MonitorResult
    from serve.monitoring.realised import RealisedOutcomes, RealisedValue

SLICE_KINDS = ("week", "grade", "stage", "list", "version")
RANKED_KINDS = ("week", "version")
"""The parts that hold leads of all grades: of others no ranking at capacity is told."""


def render_monitor_result(project: Project, found: MonitorResult) -> RenderableType:
    """Return what became of one target's published scores."""
    tables = [part for rows in build_monitor_tables(found) for part in ("", render_table(rows))]
    head = f"\n{project.project} · {found.target}: {describe_counts(found)}"
    return Group(
        escape(head), *tables, "", *(escape(line) for line in describe_recommendation(found))
    )


def render_monitor_markdown(project: Project, found: list[MonitorResult]) -> str:
    """Return what became of all targets' published scores as Markdown."""
    lines = [f"# {project.project}: published scores against realised outcomes"]
    for each in found:
        lines += ["", f"## {each.target}", "", describe_counts(each)]
        for rows in build_monitor_tables(each):
            lines += ["", *render_markdown_table(rows)]
        lines += ["", *(f"- {line}" for line in describe_recommendation(each))]
    return "\n".join(lines)


def build_monitor_tables(found: MonitorResult) -> list[list[list[str]]]:
    """Return the tables, each rows of texts with the heads first: by week, grade, stage, version; and the promise."""
    tables = [
        _build_slice_rows(found, kind)
        for kind in SLICE_KINDS
        if found.parts_by_name(kind) or (kind in RANKED_KINDS and found.count_immature(kind))
    ]
    return [*tables, *([_build_promise_table(found)] if found.versions else [])]


def describe_counts(found: MonitorResult) -> str:
    counts, nights = found.counts, found.followed.excluded_nights
    rows = (
        f"{counts['published']:,} published rows count: {counts['used']:,} with a known outcome, "
    )
    rows += f"{counts['immature']:,} immature, {counts['unknown']:,} unknown"
    why = "; ".join(
        f"{rows:,}: {reason}" for reason, rows in sorted(found.followed.unknown_reasons.items())
    )
    left = "; ".join(f"{number:,}: {reason}" for reason, number in sorted(nights.items()))
    text = f"{rows}{f' ({why})' if why else ''}."
    text += (
        f" Outcomes are complete through {found.observed.isoformat()}." if found.observed else ""
    )
    return text + (f" Nights left out: {left}." if left else "")


def _build_slice_rows(found: MonitorResult, kind: str) -> list[list[str]]:
    """Return the parts of one kind; a week or version that only waits has a row too."""
    parts, waiting = (
        found.parts_by_name(kind),
        found.count_immature(kind) if kind in RANKED_KINDS else None,
    )
    valued = any(part.value for part in parts.values())
    heads = [kind if kind != "version" else "model version", "used"]
    heads += [] if waiting is None else ["immature"]
    heads += [
        "expected",
        "actual",
        "actual / expected (90 %)",
        "ROC AUC",
        "log loss",
        "cal. error",
        "slope",
    ]
    heads += ["precision", "lift"] if kind in RANKED_KINDS else []
    heads += ["value expected", "actual", "ratio (90 %)"] if valued else []
    rows = [heads]
    for name in (
        sorted({*parts, *(waiting or ())})
        if kind == "week"
        else [*parts, *_list_waiting_only(parts, waiting)]
    ):
        part = parts.get(name)
        immature = [] if waiting is None else [f"{waiting[name]:,}"]
        rows.append(
            [
                name,
                f"{part.part.rows:,}" if part else "0",
                *immature,
                *(_format_slice(part, kind) if part else []),
            ]
        )
        rows[-1] += _format_value(part.value) if part and valued else []
    return rows


def _list_waiting_only(
    parts: dict[str, RealisedOutcomes], waiting: dict[str, int] | None
) -> list[str]:
    return sorted(name for name in waiting or () if name not in parts)


def _format_slice(part: RealisedOutcomes, kind: str) -> list[str]:
    names = ["roc_auc", "log_loss", "calibration_error", "calibration_slope"]
    names += ["precision_at_capacity", "lift_at_capacity"] if kind in RANKED_KINDS else []
    counts = [f"{part.expected:,.1f}", f"{part.part.outcomes:,}", format_estimate(part.ratio)]
    return counts + [
        format_estimate(part.part.estimates.get(name)).partition(" ")[0] for name in names
    ]


def _format_value(value: RealisedValue | None) -> list[str]:
    if value is None:
        return ["–", "–", "–"]
    return [f"{value.expected:,.0f}", f"{value.actual:,.0f}", format_estimate(value.ratio)]


def _build_promise_table(found: MonitorResult) -> list[list[str]]:
    rows = [
        ["model version", "figure", "realised (90 %)", "promised (90 %)", "difference (99 %)", ""]
    ]
    for version, compared in found.versions.items():
        for each in compared:
            promise = (
                format_estimate(each.expected)
                if each.is_recorded
                else f"none kept; the gate: {format_estimate(each.expected)}"
            )
            verdict = "off" if each.is_off else "kept"
            figures = [format_estimate(each.realised), promise, format_estimate(each.difference)]
            rows.append([version, METRIC_NAMES[each.metric], *figures, verdict])
    return rows


def describe_recommendation(found: MonitorResult) -> Iterator[str]:
    first = found.followed.first_mature
    if not found.counts["published"]:
        yield "nothing that counts was published"
    elif not found.counts["used"]:
        yield "no outcome is known yet" + (
            f": the first will be when outcomes are complete through {first.isoformat()}"
            if first
            else ""
        )
    yield from (f"version {version}: no promise kept" for version in found.without_expectations)
    yield from (f"warning: {line}" for line in found.warnings)
    if found.recommendation.retrain:
        yield from (f"train again: {reason}" for reason in found.recommendation.reasons)
    else:
        yield f"no need to train again (champion: version {found.champion})"
