"""Results of nights as tables of texts; the first row of a table holds the headers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

if TYPE_CHECKING:
    from pipelines.nightly.crm_delivery import AcknowledgementResult
    from pipelines.results.dry_run import DryRun
    from pipelines.results.night import BackfilledNight, PublishedScores
    from serve.crm.delivery import DeliveryResult

# As many as one screen shows; the export holds all leads.
MAX_RANK = 10


def build_top_leads_table(published: PublishedScores, shows_ids: bool = True) -> list[list[str]]:
    """Return the best leads of each target, each with its strongest reason."""
    headers = ["target", "rank", "entity", "probability (90 % interval)", "score", "grade"]
    rows = [
        [
            row["target"],
            str(row["rank"]),
            row["entity_id"] if shows_ids else "",
            format_probability(row),
            str(row["score"]),
            row["grade"],
            *(select_reasons(row, 1) or [""]),
        ]
        for target in published.rows
        for row in select_top_leads(published, target, MAX_RANK)
    ]
    return [[*headers, "strongest reason"], *rows]


def select_top_leads(published: PublishedScores, target: str, count: int) -> list[dict[str, Any]]:
    """Return the rows of SCORES of the ``count`` best leads of a target, in the table's order."""
    best = (pc.field("target") == target) & (pc.field("rank") <= count)
    return published.scores.filter(best).to_pylist()


def select_reasons(row: dict[str, Any], count: int) -> list[str]:
    """Return the sentences of a lead's strongest reasons that raise its score, strongest first."""
    reasons = sorted(json.loads(row["reasons"]), key=lambda reason: -reason["contribution"])
    # A reason against a lead would not explain why it is among the best.
    return [reason["sentence"] for reason in reasons[:count] if reason["contribution"] > 0]


def format_probability(row: dict[str, Any]) -> str:
    """Return the probability of a row of SCORES with its 90 % interval."""
    low, high = row["probability_low"], row["probability_high"]
    return f"{row['probability']:.3f} ({low:.3f} to {high:.3f})"


def build_count_table(published: PublishedScores) -> list[list[str]]:
    """Return one row per target: the number of its published rows."""
    return [["target", "rows"], *([name, f"{rows:,}"] for name, rows in published.rows.items())]


def build_backfill_table(nights: list[BackfilledNight]) -> list[list[str]]:
    """Return one row per backfilled night."""
    headers = ["as of", "status", "rows", "model versions", "warnings"]
    return [headers, *(_build_backfill_row(night) for night in nights)]


def _build_backfill_row(night: BackfilledNight) -> list[str]:
    published = night.published
    if published is None:
        return [night.as_of.isoformat(), "not published", "", "", ""]
    models = published.scores.group_by(["target", "model_version"]).aggregate([])
    versions = ", ".join(
        f"{row['target']} {row['model_version']}" for row in models.sort_by("target").to_pylist()
    )
    rows, warnings = f"{published.scores.num_rows:,}", str(len(published.checks) or "")
    return [published.as_of.isoformat(), "published", rows, versions, warnings]


def build_delivery_table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return one row per delivery of the ledger, the newest last.

    A delivery whose files are gone is called removed. Rows count as failed that the CRM did not
    load; before it acknowledges the delivery their number is blank. The id of a delivery begins
    with its as-of.
    """
    counts = ["no.", "leads", "cleared", "refused", "files", "failed"]
    headers = ["export", "status", "kind", *counts, "delivery", "base", "made at (UTC)"]
    return [headers, *(_build_delivery_row(row) for row in rows)]


def _build_delivery_row(row: dict[str, Any]) -> list[str]:
    delivered = row["status"] == "delivered"
    status = "removed" if delivered and not row["kept"] else row["status"]
    names = ("sequence", "rows", "cleared", "refused", "parts")
    unloaded = None if row["failed"] is None else row["failed"] + row["unprocessed"]
    counts = (*(row[name] for name in names), unloaded)
    return [
        row["name"],
        status,
        row["kind"],
        *("" if count is None else f"{count:,}" for count in counts),
        row["delivery"] if delivered else (row["message"] or "").partition("\n")[0],
        row["base"] or "",
        f"{row['made_at'].astimezone(UTC):%Y-%m-%d %H:%M}",
    ]


def describe_delivery(delivery: DeliveryResult) -> str:
    """Return in one line what a delivery holds and where it lies."""
    manifest = delivery.manifest
    content = f"{manifest['kind']}, {manifest['rows']:,} leads, {manifest['cleared']:,} cleared"
    change = "" if delivery.is_new else "nothing new since "
    return f"{manifest['name']}: {change}{content}: {delivery.folder}"


def describe_acknowledgement(result: AcknowledgementResult) -> list[str]:
    """Return one line for each results file, and one for all that was recorded."""
    lines = []
    for file in result.files:
        counts = ", ".join(
            f"{count:,} {word}"
            for word, count in [*file.counts.items(), ("repeated", file.repeated)]
            if count
        )
        delivery = file.delivery
        where = f"{delivery.manifest['name']} {delivery.id}" if delivery else "no row"
        line = f"{file.path}: {file.form}, {where}"
        line += f": {counts}" if counts else ""
        if file.unknown:
            line += f"; {file.unknown:,} of {file.rows:,} rows were not in that delivery, dropped"
        lines.append(line)
    return [
        *lines,
        f"{result.changed:,} results are new or changed; "
        f"{result.unloaded:,} leads are not loaded yet",
    ]


def build_unloaded_table(leads: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return one row per lead that a CRM did not load."""
    headers = ["export", "lead", "status", "failures", "since", "last error"]
    rows = [
        [
            lead["name"],
            lead["entity_id"],
            lead["status"],
            str(lead["failures"]),
            lead["first_delivery"],
            lead["message"] or "",
        ]
        for lead in leads
    ]
    return [headers, *rows]


def build_dry_run_table(result: DryRun) -> list[list[str]]:
    """Return one row per target: leads to publish, and differences to the published ones."""
    rows = [["target", "leads", "published", "new", "gone", "grade changes"]]
    for target, leads in result.rows.items():
        change = result.changes[target]
        moves = ", ".join(f"{old}→{new} {n:,}" for (old, new), n in change.grades.items())
        counts = (leads, change.published, change.new, change.gone)
        rows.append([target, *(f"{count:,}" for count in counts), moves or "none"])
    return rows
