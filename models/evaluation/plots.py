"""Plots of a model; each function writes one PNG file, with the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.evaluation.metrics import Estimate, compute_reliability
from models.evaluation.weighted_curves import BIN_COUNT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MODEL_COLOR, CHANCE_COLOR, MARK_COLOR = "#1f5fa8", "#8a8a8a", "#c44e1c"
# By axis label of a panel: metric, color and legend of each line.
ORIGIN_PANELS = {
    "ROC AUC": [("roc_auc", MODEL_COLOR, "challenger")],
    "log loss, nats a row": [("log_loss", MODEL_COLOR, "challenger")],
    "outcome rate": [
        ("outcome_rate", MARK_COLOR, "happened"),
        ("mean_predicted", MODEL_COLOR, "predicted"),
    ],
    "lift at capacity, times": [("lift_at_capacity", MODEL_COLOR, "challenger")],
}


def plot_reliability(
    directory: Path, label: Any, probability: Any, cluster: Any, *, title: str = "", seed: int = 0
) -> Path:
    """Write ``reliability.png``: observed rate by prediction, with 90 % intervals and a histogram.

    Arrays have one element per row, as in ``evaluate_rows``.
    """
    probability = np.asarray(probability, dtype=float)
    bins = compute_reliability(label, probability, cluster, seed=seed)
    # At least 1e-3, since an axis of no length cannot be drawn where all values are 0.
    reach = (
        max([1e-3, *(predicted for predicted, _ in bins), *(rate.high for _, rate in bins)]) * 1.05
    )
    canvas = _make_canvas(5.5, 6)
    upper, lower = canvas.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
    upper.plot(
        [0, reach],
        [0, reach],
        color=CHANCE_COLOR,
        linestyle="--",
        linewidth=1,
        label="as predicted",
    )
    _draw_bins(upper, bins)
    upper.set(ylabel="observed outcome rate", xlim=(0, reach), ylim=(0, reach))
    # Titles and names may contain a $, which matplotlib would read as the start of a formula.
    upper.set_title(title or "Do predictions come true?", parse_math=False)
    upper.legend(loc="lower right", frameon=False)
    # The few rows beyond the last bin's mean would squeeze all others to the left, so the last bar
    # holds them too.
    above = " (last bar: and above)" if (probability > reach).any() else ""
    lower.hist(
        np.minimum(probability, reach),
        bins=np.linspace(0, reach, 41).tolist(),
        color=MODEL_COLOR,
        alpha=0.7,
    )
    lower.set(xlabel=f"predicted probability{above}", ylabel="rows")
    return _write_png(canvas, directory / "reliability.png")


def plot_gain(
    directory: Path,
    curve: Sequence[tuple[float, float]],
    point: tuple[float, float],
    *,
    capacity: int | None = None,
    title: str = "",
) -> Path:
    """Write ``gain.png``: the curve and the point at capacity from ``compute_gain_curve``."""
    worked, captured = point
    canvas = _make_canvas(6, 4.5)
    axes = canvas.subplots()
    axes.plot([0, 1], [0, 1], color=CHANCE_COLOR, linestyle="--", linewidth=1, label="at random")
    axes.plot(
        *zip(*curve, strict=True), color=MODEL_COLOR, linewidth=2, label="most probable first"
    )
    if np.isfinite(captured) and worked > 0:
        label = "top 10 %" if capacity is None else f"capacity of {capacity} at a time"
        text = (
            f"{label}: {worked:.0%} of rows hold\n"
            f"{captured:.0%} of outcomes, {captured / worked:.1f} times their share"
        )
        axes.vlines(worked, 0, captured, color=MARK_COLOR, linewidth=1)
        axes.plot([worked], [captured], marker="o", color=MARK_COLOR, linestyle="", label=text)
    axes.set(
        xlabel="share of rows worked", ylabel="share of outcomes found", xlim=(0, 1), ylim=(0, 1.02)
    )
    axes.set_title(title or "What the best leads hold", parse_math=False)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(loc="lower right", frameon=False)
    return _write_png(canvas, directory / "gain.png")


def plot_importance(
    directory: Path,
    names: Sequence[str],
    values: Sequence[float],
    *,
    unit: str = "mean absolute contribution (log-odds)",
    title: str = "",
    max_features: int = 20,
) -> Path:
    """Write ``importance.png``: the most important features, the largest on top; ties by name."""
    ranked = sorted(zip(names, values, strict=True), key=lambda pair: (-pair[1], pair[0]))[
        :max_features
    ]
    canvas = _make_canvas(8, 1.6 + 0.26 * max(1, len(ranked)))
    axes = canvas.subplots()
    places = list(range(len(ranked)))[::-1]
    axes.barh(places, [value for _, value in ranked], color=MODEL_COLOR, height=0.7)
    axes.set_yticks(places, labels=[_shorten_name(name) for name, _ in ranked], parse_math=False)
    more = f"\nthe first {len(ranked)} of {len(names)} features" if len(names) > len(ranked) else ""
    axes.set(xlabel=unit + more, ylim=(-0.6, max(1, len(ranked)) - 0.4))
    canvas.suptitle(title or "What the model looks at", parse_math=False)
    axes.tick_params(axis="y", length=0)
    return _write_png(canvas, directory / "importance.png", grid="x")


def plot_distribution(directory: Path, label: Any, probability: Any, *, title: str = "") -> Path:
    """Write ``distribution.png``: predictions of rows with the outcome and of those without."""
    label, probability = np.asarray(label), np.asarray(probability, dtype=float)
    # The highest half percent would squeeze the rest; the last bar holds it.
    reach = max(1e-3, float(np.quantile(probability, 0.995))) if len(probability) else 1.0
    edges = np.linspace(0, reach, 41)
    canvas = _make_canvas(6, 4)
    axes = canvas.subplots()
    for rows, color, name in (
        (label == 0, CHANCE_COLOR, "without"),
        (label == 1, MODEL_COLOR, "with"),
    ):
        clipped = np.minimum(probability[rows], reach)
        share = np.histogram(clipped, edges)[0] / max(1, len(clipped))
        axes.stairs(share, edges, color=color, fill=True, alpha=0.25)
        axes.stairs(
            share,
            edges,
            color=color,
            linewidth=1.5,
            label=f"{name} the outcome: {len(clipped):,} rows",
        )
    above = " (last bar: and above)" if (probability > reach).any() else ""
    axes.set(
        xlabel=f"predicted probability{above}",
        ylabel="share of these rows",
        xlim=(0, reach),
        ylim=(0, None),
    )
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    axes.set_title(title or "How predictions separate the outcomes", parse_math=False)
    axes.legend(loc="upper right", frameon=False)
    return _write_png(canvas, directory / "distribution.png")


def plot_origins(
    directory: Path, origins: Sequence[tuple[str, Mapping[str, Estimate]]], *, title: str = ""
) -> Path:
    """Write ``origins.png``: the main metrics of each fold, with 90 % intervals.

    ``origins`` has (name, metrics) of each fold, in order.
    """
    canvas = _make_canvas(8, 5.5)
    for axes, (name, lines) in zip(
        canvas.subplots(2, 2, sharex=True).flat, ORIGIN_PANELS.items(), strict=True
    ):
        for number, (key, color, legend) in enumerate(lines):
            shift = 0.08 * number - 0.04 * (len(lines) - 1)
            _draw_origins(axes, [metrics.get(key) for _, metrics in origins], color, legend, shift)
        if len(lines) > 1:
            axes.legend(loc="best", frameon=False)
        axes.set(ylabel=name, xlim=(-0.5, max(1, len(origins)) - 0.5))
        axes.set_xticks(range(len(origins)), labels=[name for name, _ in origins], parse_math=False)
        axes.tick_params(axis="x", labelrotation=30 if len(origins) > 4 else 0)
    canvas.supxlabel("fold, by the first day tested")
    canvas.suptitle(title or "Does it hold over time?", parse_math=False)
    return _write_png(canvas, directory / "origins.png")


def _draw_origins(
    axes: Axes, estimates: Sequence[Estimate | None], color: str, legend: str, shift: float
) -> None:
    """Draw a line of estimates with their intervals; undefined ones are left out."""
    points = [
        (place + shift, estimate)
        for place, estimate in enumerate(estimates)
        if estimate is not None and np.isfinite([estimate.value, estimate.low]).all()
    ]
    x, values = [place for place, _ in points], [estimate.value for _, estimate in points]
    low, high = [e.low for _, e in points], [e.high for _, e in points]
    axes.vlines(x, low, high, color=color, linewidth=1.2)
    axes.plot(
        x, values, color=color, marker="o", markersize=5, linewidth=1, linestyle=":", label=legend
    )


def _draw_bins(axes: Axes, bins: list[tuple[float, Any]]) -> None:
    predicted = [mean for mean, _ in bins]
    observed = [rate.value for _, rate in bins]
    low, high = [rate.low for _, rate in bins], [rate.high for _, rate in bins]
    axes.fill_between(predicted, low, high, color=MODEL_COLOR, alpha=0.15, linewidth=0)
    axes.vlines(predicted, low, high, color=MODEL_COLOR, linewidth=1.2)
    name = f"observed, 90 % interval, {BIN_COUNT} bins of equal size"
    axes.plot(
        predicted, observed, color=MODEL_COLOR, marker="o", markersize=4, linewidth=1.2, label=name
    )


def _make_canvas(width: float, height: float) -> Canvas:
    """Return an empty canvas of this size in inches.

    It is made without pyplot, whose global state would be shared with the caller.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), dpi=144, layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas


def _write_png(canvas: Canvas, path: Path, grid: Literal["both", "x"] = "both") -> Path:
    for axes in canvas.axes:
        axes.grid(axis=grid, color="#e6e6e6", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Matplotlib would write its version into the file; the same input must give the same bytes.
    canvas.savefig(path, format="png", metadata={"Software": None})
    return path


def _shorten_name(name: str, most: int = 60) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
