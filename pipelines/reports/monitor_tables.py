"""Realised outcomes of published scores as tables and lines of text.

The first row of a table holds the headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.qualification.text_tables import tabulate_handovers
from pipelines.reports.metric_tables import format_estimate, format_value
from serve.monitoring.expectations import METRIC_NAMES

if TYPE_CHECKING:
    from pipelines.results.monitoring import MonitorResult
    from serve.monitoring.realised import RealisedOutcomes, RealisedValue

SLICE_KINDS = ("week", "month", "grade", "stage", "list", "version")
# Only these slices hold leads of all grades, so that metrics at capacity mean something.
RANKED_KINDS = ("week", "month", "version")
METRIC_HEADERS = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "calibration_error": "cal. error",
    "calibration_slope": "slope",
}
CAPACITY_HEADERS = {"precision_at_capacity": "precision", "lift_at_capacity": "lift"}
VALUE_HEADERS = ("value expected", "actual", "ratio (90 %)")


def build_monitor_tables(result: MonitorResult) -> list[list[list[str]]]:
    """Return a table for each kind of slice, and one of realised against expected metrics."""
    tables = [
        _build_slice_table(result, kind)
        for kind in SLICE_KINDS
        if result.parts_by_name(kind) or (kind in RANKED_KINDS and result.count_immature(kind))
    ]
    tables += tabulate_handovers(result.handovers)
    return [*tables, *([_build_expectation_table(result)] if result.versions else [])]


def describe_counts(result: MonitorResult) -> str:
    """Return in one line how many published rows are used, immature and unknown, and why."""
    counts, nights = result.counts, result.followed.excluded_nights
    text = (
        f"{counts['published']:,} published rows count: "
        f"{counts['used']:,} with a known outcome, {counts['immature']:,} immature, "
        f"{counts['unknown']:,} unknown"
    )
    reasons = "; ".join(
        f"{rows:,}: {reason}" for reason, rows in sorted(result.followed.unknown_reasons.items())
    )
    text += f" ({reasons})." if reasons else "."
    if result.observed:
        text += f" Outcomes are complete through {result.observed.isoformat()}."
    excluded = "; ".join(f"{number:,}: {reason}" for reason, number in sorted(nights.items()))
    return text + (f" Nights left out: {excluded}." if excluded else "")


def describe_recommendation(result: MonitorResult) -> Iterator[str]:
    """Yield the warnings of the monitor, and whether to train again with the reasons."""
    first = result.followed.first_mature
    if not result.counts["published"]:
        yield "no published rows count"
    elif not result.counts["used"]:
        when = (
            f": the first is known once outcomes are complete through {first.isoformat()}"
            if first
            else ""
        )
        yield f"no outcome is known yet{when}"
    for version in result.without_expectations:
        yield f"version {version}: no expected metrics are recorded"
    yield from (f"warning: {line}" for line in result.warnings)
    if result.recommendation.retrain:
        yield from (f"train again: {reason}" for reason in result.recommendation.reasons)
    else:
        doubts = result.recommendation.doubts
        yield from (f"watch: {sentence}" for sentence in doubts)
        yet = " yet" if doubts else ""
        yield f"no need to train again{yet} (champion: version {result.champion})"


def _build_slice_table(result: MonitorResult, kind: str) -> list[list[str]]:
    """Return one row per slice; a week, month or version with immature rows only has a row too."""
    slices = result.parts_by_name(kind)
    immature = result.count_immature(kind) if kind in RANKED_KINDS else None
    has_value = any(part.value for part in slices.values())
    headers = ["model version" if kind == "version" else kind, "used"]
    # Immature rows have a column of their own, since they never count as negative.
    headers += [] if immature is None else ["immature"]
    headers += ["expected", "actual", "actual / expected (90 %)", *METRIC_HEADERS.values()]
    headers += CAPACITY_HEADERS.values() if kind in RANKED_KINDS else []
    headers += VALUE_HEADERS if has_value else []
    order = _describe_order(result) if kind == "grade" else {}
    headers += ["order"] if order else []
    rows = [headers]
    for name in _order_names(slices, immature, kind):
        part = slices.get(name)
        row = [name, f"{part.part.rows:,}" if part else "0"]
        row += [] if immature is None else [f"{immature[name]:,}"]
        row += _format_realised(part, kind) if part else []
        row += _format_realised_value(part.value) if part and has_value else []
        row += [order.get(name, "")] if order else []
        rows.append(row)
    return rows


def _describe_order(result: MonitorResult) -> dict[str, str]:
    """Return by grade that it does worse than the next; empty if all grades are in order."""
    return {
        order.better.grade: f"worse than {order.worse.grade}: {order.chance}"
        for order in result.grade_order
        if order.is_reversed
    }


def _order_names(
    slices: dict[str, RealisedOutcomes], immature: dict[str, int] | None, kind: str
) -> list[str]:
    """Return the names of slices: periods by date, others as measured with immature ones last."""
    if kind in ("week", "month"):
        return sorted({*slices, *(immature or ())})
    return [*slices, *sorted(name for name in immature or () if name not in slices)]


def _format_realised(part: RealisedOutcomes, kind: str) -> list[str]:
    names = [*METRIC_HEADERS, *(CAPACITY_HEADERS if kind in RANKED_KINDS else ())]
    counts = [f"{part.expected:,.1f}", f"{part.part.outcomes:,}", format_estimate(part.ratio)]
    return counts + [format_value(part.part.estimates.get(name)) for name in names]


def _format_realised_value(value: RealisedValue | None) -> list[str]:
    if value is None:
        return ["–", "–", "–"]
    return [f"{value.expected:,.0f}", f"{value.actual:,.0f}", format_estimate(value.ratio)]


def _build_expectation_table(result: MonitorResult) -> list[list[str]]:
    """Return one row per model version and metric: realised and expected value, and difference."""
    headers = ["model version", "metric", "realised (90 %)", "expected (90 %)"]
    rows = [[*headers, "difference (99 %)", ""]]
    for version, comparisons in result.versions.items():
        for comparison in comparisons:
            expected = format_estimate(comparison.expected)
            rows.append(
                [
                    version,
                    METRIC_NAMES[comparison.metric],
                    format_estimate(comparison.realised),
                    expected if comparison.is_recorded else f"not recorded; the gate: {expected}",
                    format_estimate(comparison.difference),
                    "off" if comparison.is_off else "met",
                ]
            )
    return rows
