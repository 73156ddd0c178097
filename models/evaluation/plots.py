"""Pictures of a model, drawn the same to the byte for the same input; each function writes one PNG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.evaluation.metrics import Figure, reliability
from models.evaluation.weighted_curves import BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MODEL, CHANCE, MARK = "#1f5fa8", "#8a8a8a", "#c44e1c"
ORIGIN_PANELS = {
    "ROC AUC": [("roc_auc", MODEL, "challenger")],
    "log loss, nats a row": [("log_loss", MODEL, "challenger")],
    "outcome rate": [("outcome_rate", MARK, "happened"), ("mean_predicted", MODEL, "predicted")],
    "lift at capacity, times": [("lift_at_capacity", MODEL, "challenger")],
}
"""What is drawn of each fold: a panel's axis, and of each line the figure, its colour and its name."""


def plot_reliability(
    directory: Path, label: Any, probability: Any, entity_id: Any, *, title: str = "", seed: int = 0
) -> Path:
    """Write ``reliability.png``: observed rate against prediction with 90 % intervals, above a histogram.

    All arrays have one element a row, as in ``evaluation.evaluate``.
    """
    probability = np.asarray(probability, dtype=float)
    bins = reliability(label, probability, entity_id, seed=seed)
    reach = (
        max([1e-3, *(predicted for predicted, _ in bins), *(rate.high for _, rate in bins)]) * 1.05
    )
    canvas = _canvas(5.5, 6)
    upper, lower = canvas.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
    upper.plot(
        [0, reach], [0, reach], color=CHANCE, linestyle="--", linewidth=1, label="as predicted"
    )
    _draw_bins(upper, bins)
    upper.set(ylabel="observed outcome rate", xlim=(0, reach), ylim=(0, reach))
    upper.set_title(title or "Do predictions come true?", parse_math=False)
    upper.legend(loc="lower right", frameon=False)
    # The few rows beyond the last bin's mean would squeeze all others to the left.
    above = " (last bar: and above)" if (probability > reach).any() else ""
    lower.hist(
        np.minimum(probability, reach),
        bins=np.linspace(0, reach, 41).tolist(),
        color=MODEL,
        alpha=0.7,
    )
    lower.set(xlabel=f"predicted probability{above}", ylabel="rows")
    return _write(canvas, directory / "reliability.png")


def plot_gain(
    directory: Path,
    curve: Sequence[tuple[float, float]],
    point: tuple[float, float],
    *,
    capacity: int | None = None,
    title: str = "",
) -> Path:
    """Write ``gain.png``: the curve and the point at capacity that ``evaluation.gain`` returns."""
    worked, found = point
    canvas = _canvas(6, 4.5)
    axes = canvas.subplots()
    axes.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", linewidth=1, label="at random")
    axes.plot(*zip(*curve, strict=True), color=MODEL, linewidth=2, label="most probable first")
    if np.isfinite(found) and worked > 0:
        name = "top 10 %" if capacity is None else f"capacity of {capacity} at a time"
        text = f"{name}: {worked:.0%} of rows hold\n{found:.0%} of outcomes, {found / worked:.1f} times their share"
        axes.vlines(worked, 0, found, color=MARK, linewidth=1)
        axes.plot([worked], [found], marker="o", color=MARK, linestyle="", label=text)
    axes.set(
        xlabel="share of rows worked", ylabel="share of outcomes found", xlim=(0, 1), ylim=(0, 1.02)
    )
    axes.set_title(title or "What the best leads hold", parse_math=False)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(loc="lower right", frameon=False)
    return _write(canvas, directory / "gain.png")


def plot_importance(
    directory: Path,
    names: Sequence[str],
    values: Sequence[float],
    *,
    unit: str = "mean absolute contribution (log-odds)",
    title: str = "",
    most: int = 20,
) -> Path:
    """Write ``importance.png``: the ``most`` important features, the greatest on top; ties by name."""
    ranked = sorted(zip(names, values, strict=True), key=lambda pair: (-pair[1], pair[0]))[:most]
    canvas = _canvas(8, 1.6 + 0.26 * max(1, len(ranked)))
    axes = canvas.subplots()
    places = list(range(len(ranked)))[::-1]
    axes.barh(places, [value for _, value in ranked], color=MODEL, height=0.7)
    axes.set_yticks(places, labels=[_short(name) for name, _ in ranked], parse_math=False)
    more = f"\nthe first {len(ranked)} of {len(names)} features" if len(names) > len(ranked) else ""
    axes.set(xlabel=unit + more, ylim=(-0.6, max(1, len(ranked)) - 0.4))
    canvas.suptitle(title or "What the model looks at", parse_math=False)
    axes.tick_params(axis="y", length=0)
    return _write(canvas, directory / "importance.png", grid="x")


def plot_distribution(directory: Path, label: Any, probability: Any, *, title: str = "") -> Path:
    """Write ``distribution.png``: how the predictions spread among the rows with the outcome and those without."""
    label, probability = np.asarray(label), np.asarray(probability, dtype=float)
    reach = max(1e-3, float(np.quantile(probability, 0.995))) if len(probability) else 1.0
    edges = np.linspace(0, reach, 41)
    canvas = _canvas(6, 4)
    axes = canvas.subplots()
    for rows, color, name in ((label == 0, CHANCE, "without"), (label == 1, MODEL, "with")):
        held = np.minimum(probability[rows], reach)
        share = np.histogram(held, edges)[0] / max(1, len(held))
        axes.stairs(share, edges, color=color, fill=True, alpha=0.25)
        axes.stairs(
            share,
            edges,
            color=color,
            linewidth=1.5,
            label=f"{name} the outcome: {len(held):,} rows",
        )
    above = " (last bar: and above)" if (probability > reach).any() else ""
    axes.set(
        xlabel=f"predicted probability{above}",
        ylabel="share of these rows",
        xlim=(0, reach),
        ylim=(0, None),
    )
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    axes.set_title(title or "How predictions part the outcomes", parse_math=False)
    axes.legend(loc="upper right", frameon=False)
    return _write(canvas, directory / "distribution.png")


def plot_origins(
    directory: Path, origins: Sequence[tuple[str, Mapping[str, Figure]]], *, title: str = ""
) -> Path:
    """Write ``origins.png``: the main figures of each fold, (name, figures), in order, with 90 % intervals."""
    canvas = _canvas(8, 5.5)
    for axes, (name, lines) in zip(
        canvas.subplots(2, 2, sharex=True).flat, ORIGIN_PANELS.items(), strict=True
    ):
        for number, (key, color, words) in enumerate(lines):
            shift = 0.08 * number - 0.04 * (len(lines) - 1)
            _draw_origins(axes, [figures.get(key) for _, figures in origins], color, words, shift)
        if len(lines) > 1:
            axes.legend(loc="best", frameon=False)
        axes.set(ylabel=name, xlim=(-0.5, max(1, len(origins)) - 0.5))
        axes.set_xticks(range(len(origins)), labels=[name for name, _ in origins], parse_math=False)
        axes.tick_params(axis="x", labelrotation=30 if len(origins) > 4 else 0)
    canvas.supxlabel("fold, by the first day tested")
    canvas.suptitle(title or "Does it hold over time?", parse_math=False)
    return _write(canvas, directory / "origins.png")


def _draw_origins(
    axes: Axes, figures: Sequence[Figure | None], color: str, words: str, shift: float
) -> None:
    known = [
        (at + shift, f)
        for at, f in enumerate(figures)
        if f is not None and np.isfinite([f.value, f.low]).all()
    ]
    at, values = [place for place, _ in known], [f.value for _, f in known]
    axes.vlines(
        at, [f.low for _, f in known], [f.high for _, f in known], color=color, linewidth=1.2
    )
    axes.plot(
        at, values, color=color, marker="o", markersize=5, linewidth=1, linestyle=":", label=words
    )


def _draw_bins(axes: Axes, bins: list[tuple[float, Any]]) -> None:
    predicted = [at for at, _ in bins]
    observed = [rate.value for _, rate in bins]
    low, high = [rate.low for _, rate in bins], [rate.high for _, rate in bins]
    axes.fill_between(predicted, low, high, color=MODEL, alpha=0.15, linewidth=0)
    axes.vlines(predicted, low, high, color=MODEL, linewidth=1.2)
    name = f"observed, 90 % interval, {BINS} bins of equal size"
    axes.plot(predicted, observed, color=MODEL, marker="o", markersize=4, linewidth=1.2, label=name)


def _canvas(width: float, height: float) -> Canvas:
    """Return an empty picture of so many inches, apart from any global plotting state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), dpi=144, layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas


def _write(canvas: Canvas, path: Path, grid: Literal["both", "x"] = "both") -> Path:
    for axes in canvas.axes:
        axes.grid(axis=grid, color="#e6e6e6", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, format="png", metadata={"Software": None})
    return path


def _short(name: str, most: int = 60) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
