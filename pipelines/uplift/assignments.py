"""Randomised assignments of a snapshot with their outcomes, one row per lead and draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.targets import ColumnOutcome, Target
from features.contracts import INSTANT, SPINE, Dataset
from features.eligibility import OpenSpans, find_eligible_spans, find_entries
from features.labels import compute_labels
from features.tools.instants import column_to_microseconds
from features.tools.row_hash import hash_texts
from pipelines.training_data import Snapshot


@dataclass(frozen=True)
class Assignments:
    """Leads that were in the target's population when an arm was drawn for them.

    Attributes:
        spine: SPINE: the lead, and the time of the draw as cutoff. A lead may have several rows.
        treated: Whether outreach was drawn, bool (rows,).
        propensity: How likely that was, float64 (rows,).
        channel: Channel of the outreach, "" where there is none; text (rows,).
        label: 1 if the outcome happened within the horizon, else 0; NaN where it is not over.
        cluster: Hash of the account, or of the lead without one, uint64 (rows,).
        not_eligible: Draws for leads outside the population, which are left out.
    """

    spine: pa.Table
    treated: np.ndarray
    propensity: np.ndarray
    channel: np.ndarray
    label: np.ndarray
    cluster: np.ndarray
    not_eligible: int

    def __len__(self) -> int:
        return len(self.treated)

    def take(self, mask: np.ndarray) -> Self:
        """Return the rows of a mask."""
        names = ("treated", "propensity", "channel", "label", "cluster")
        columns = {name: getattr(self, name)[mask] for name in names}
        return replace(self, spine=self.spine.filter(pa.array(mask)), **columns)


def collect_experiments(snapshot: Snapshot, target: Target) -> Assignments:
    """Return the assignments of ``sources.experiments`` that were known before the as-of.

    Features look back from the draw and the outcome counts from it, so that nothing that followed
    an outreach decides who counts as treated. A lead that had the outcome before is not eligible.
    """
    return build_assignments(snapshot, target, snapshot.dataset.experiments)


def build_assignments(snapshot: Snapshot, target: Target, drawn: pa.Table) -> Assignments:
    """Return rows of EXPERIMENTS with their labels, those of eligible leads."""
    dataset = snapshot.dataset
    cutoff = column_to_microseconds(drawn["assigned_at"])
    # Without times an assignment has the time of its lead's row, which must be visible.
    cutoff = cutoff if dataset.timed else cutoff + 1
    lead = dataset.find_final_leads(drawn["entity_id"])
    eligible = _find_eligible(dataset, target, lead, cutoff)
    rows = np.flatnonzero(eligible)
    # The order of a spine: by cutoff, then by entity; leads are ordered by their ids.
    rows = rows[np.lexsort((lead[rows], cutoff[rows]))]
    drawn, lead, cutoff = drawn.take(pa.array(rows)), lead[rows], cutoff[rows]
    ids = dataset.leads["entity_id"].take(pa.array(lead)).combine_chunks()
    spine = pa.table([ids, pa.array(cutoff).cast(INSTANT)], schema=SPINE)
    labels = compute_labels(dataset, spine, target, snapshot.observed)["label"]
    clusters = dataset.find_clusters(spine["entity_id"])
    if isinstance(clusters, pa.Array):
        clusters = pa.chunked_array([clusters])
    return Assignments(
        spine,
        drawn["treated"].to_numpy(),
        drawn["propensity"].to_numpy(),
        np.array(pc.fill_null(drawn["channel"], "").to_pylist(), object),
        pc.fill_null(labels.cast(pa.float64()), np.nan).to_numpy(),
        hash_texts(clusters)[:, 0],
        int((~eligible).sum()),
    )


def _find_eligible(
    dataset: Dataset, target: Target, lead: np.ndarray, cutoff: np.ndarray
) -> np.ndarray:
    """Return whether each lead was in the target's population at its cutoff."""
    known = lead >= 0
    if isinstance(target.outcome, ColumnOutcome):
        available = column_to_microseconds(dataset.leads["available_at"])
        known[known] = available[lead[known]] < cutoff[known]
        return known
    spans = find_eligible_spans(dataset, target, find_entries(dataset, target.population))
    known &= select_in_spans(spans, lead, cutoff)
    return known


def select_in_spans(spans: OpenSpans, lead: np.ndarray, cutoff: np.ndarray) -> np.ndarray:
    """Return whether each cutoff lies in a span of its lead."""
    first, end = (np.searchsorted(spans.lead, lead, side) for side in ("left", "right"))
    inside = np.zeros(len(lead), bool)
    # Leads have few spans: one, and one more for each time that they were opened again.
    for place in range(int((end - first).max(initial=0))):
        rows = np.flatnonzero(first + place < end)
        span = first[rows] + place
        inside[rows] |= (spans.start[span] < cutoff[rows]) & (cutoff[rows] <= spans.end[span])
    return inside
