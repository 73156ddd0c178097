"""What becomes of web visitors by landing page, channel and call to action."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.instants import NEVER_US, US_PER_DAY
from models.calibration import compute_wilson_interval
from models.visitors.schemas import CONTACT_DAYS, CUSTOMER_DAYS, WEB_FUNNEL

# Segments of a column that have a row of their own, those of most visitors; the rest is `other`.
MAX_SEGMENTS = 40
ALL, OTHER, MISSING = "all", "other", "missing"


class WebVisitors(NamedTuple):
    """Visitors from an instant on; arrays of one element per visitor, in microseconds since 1970.

    Attributes:
        first: First visit, or first click of a call to action.
        identified: When it was first known whose lead the visitor is; NEVER_US if it is nobody's.
        lead: Row of the lead, -1 for none.
        segments: Segment of each visitor by column; null is missing.
    """

    first: np.ndarray
    identified: np.ndarray
    lead: np.ndarray
    segments: dict[str, pa.ChunkedArray | pa.Array]


class LeadOutcomes(NamedTuple):
    """Outcomes that stand, ordered by (lead, time).

    Attributes:
        lead: Row of the lead.
        time: Time of the outcome in microseconds since 1970.
        value: Its value, NaN without one.
    """

    lead: np.ndarray
    time: np.ndarray
    value: np.ndarray


def select_web_funnel(tables: Mapping[str, pa.Table]) -> pa.Table | None:
    """Return WEB_FUNNEL among a night's tables by name; None without any row."""
    table = tables.get("web_funnel")
    return table.select(WEB_FUNNEL.names) if table is not None and table.num_rows else None


def build_web_funnel(
    visits: pa.Table, lead: np.ndarray, outcomes: LeadOutcomes, as_of: int, observed: int
) -> pa.Table:
    """Return WEB_FUNNEL of VISITS; ``lead`` is the row of each unit's lead, -1 for none.

    Leads that were known before their first visit were never anonymous and do not count. A young
    visitor is not yet a failure: shares are of those followed for the whole span.
    """
    visitors = _take_visitors(visits, lead)
    clicks = _take_clicks(visits, lead, visitors)
    rows = list[dict[str, Any]]()
    for group in (visitors, clicks):
        for column, names in group.segments.items():
            rows += _summarize_column(group, column, names, outcomes, as_of, observed)
    return pa.Table.from_pylist(rows, schema=WEB_FUNNEL)


def _take_visitors(visits: pa.Table, lead: np.ndarray) -> WebVisitors:
    """Return each unit once, with page and channel of its first visit."""
    keys = [("unit", "ascending"), ("first", "ascending"), ("call_to_action", "ascending")]
    order = pc.sort_indices(visits, keys)
    visits, lead = visits.take(order), lead[order.to_numpy()]
    start = _find_starts(visits["unit"])
    known = pc.fill_null(visits["identified"], NEVER_US).to_numpy()
    identified = np.minimum.reduceat(known, start) if len(start) else known
    first = visits["first"].to_numpy()[start]
    keep = identified >= first
    rows = visits.take(pa.array(start[keep]))
    everyone = pa.array(np.full(len(rows), ALL))
    segments = {ALL: everyone, "landing_page": rows["landing_page"], "channel": rows["channel"]}
    if not len(rows):
        segments = {}
    return WebVisitors(first[keep], identified[keep], lead[start][keep], segments)


def _find_starts(units: pa.ChunkedArray) -> np.ndarray:
    """Return the first row of each unit of a sorted column."""
    if not len(units):
        return np.empty(0, np.int64)
    changes = pc.not_equal(units.slice(1), units.slice(0, len(units) - 1)).to_numpy()
    return np.flatnonzero(np.r_[True, changes])


def _take_clicks(visits: pa.Table, lead: np.ndarray, visitors: WebVisitors) -> WebVisitors:
    """Return each unit once for each call to action that it clicked before it was identified."""
    units = pc.unique(visits["unit"])
    code = pc.index_in(visits["unit"], units).to_numpy()
    known = np.full(len(units), NEVER_US)
    np.minimum.at(known, code, pc.fill_null(visits["identified"], NEVER_US).to_numpy())
    start = np.full(len(units), NEVER_US)
    first = visits["first"].to_numpy()
    np.minimum.at(start, code, first)
    anonymous = (known[code] >= first) & (known[code] >= start[code])
    keep = pc.is_valid(visits["call_to_action"]).to_numpy() & anonymous
    names = visits["call_to_action"].filter(pa.array(keep))
    segments = {"call_to_action": names} if len(names) and len(visitors.first) else {}
    return WebVisitors(first[keep], known[code][keep], lead[keep], segments)


def _summarize_column(
    visitors: WebVisitors,
    column: str,
    names: pa.ChunkedArray | pa.Array,
    outcomes: LeadOutcomes,
    as_of: int,
    observed: int,
) -> Iterator[dict[str, Any]]:
    """Yield a row per segment of a column, those of most visitors first."""
    texts = pc.fill_null(names, MISSING)
    if pc.all(pc.equal(texts, MISSING)).as_py():
        return
    counts = sorted(pc.value_counts(texts).to_pylist(), key=lambda c: (-c["counts"], c["values"]))
    own = [count["values"] for count in counts[:MAX_SEGMENTS]]
    rest = pc.invert(pc.is_in(texts, value_set=pa.array(own, pa.string()))).to_numpy(
        zero_copy_only=False
    )
    won, value = _match_outcomes(visitors, outcomes)
    for name in own:
        mask = pc.equal(texts, name).to_numpy(zero_copy_only=False)
        # A page that is called as the rest of the pages shares its row.
        mask = mask | rest if name == OTHER else mask
        yield _summarize_segment(visitors, (column, name), mask, (won, value), as_of, observed)
    if rest.any() and OTHER not in own:
        yield _summarize_segment(visitors, (column, OTHER), rest, (won, value), as_of, observed)


def _match_outcomes(visitors: WebVisitors, outcomes: LeadOutcomes) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each visitor became a customer in the span, and the value of that."""
    keys = np.rec.fromarrays([outcomes.lead, outcomes.time])
    spans = (visitors.first, visitors.first + CUSTOMER_DAYS * US_PER_DAY)
    begin, end = (
        np.searchsorted(keys, np.rec.fromarrays([visitors.lead, edge], dtype=keys.dtype))
        for edge in spans
    )
    total = np.append(0.0, np.cumsum(np.nan_to_num(outcomes.value)))
    return (end > begin) & (visitors.lead >= 0), total[end] - total[begin]


def _summarize_segment(
    visitors: WebVisitors,
    segment: tuple[str, str],
    mask: np.ndarray,
    customers: tuple[np.ndarray, np.ndarray],
    as_of: int,
    observed: int,
) -> dict[str, Any]:
    """Return a row of WEB_FUNNEL."""
    first, identified = visitors.first[mask], visitors.identified[mask]
    won, value = (column[mask] for column in customers)
    is_contact = identified < NEVER_US
    days = (identified[is_contact] - first[is_contact]) / US_PER_DAY
    mature = first + CONTACT_DAYS * US_PER_DAY <= as_of
    soon = is_contact & (identified - first < CONTACT_DAYS * US_PER_DAY)
    followed = first + CUSTOMER_DAYS * US_PER_DAY <= observed
    size, share = int(mature.sum()), float(soon[mature].mean()) if mature.any() else None
    low, high = (
        compute_wilson_interval(np.array([share]), np.array([size])) if size else ([None], [None])
    )
    return {
        "segment_by": segment[0],
        "segment": segment[1],
        "visitors": len(first),
        "contacts": int(is_contact.sum()),
        "never_identified": float(1 - is_contact.mean()),
        "mature": size,
        "contacts_30d": share,
        "contacts_30d_low": low[0],
        "contacts_30d_high": high[0],
        "days_to_contact": float(np.median(days)) if len(days) else None,
        "followed": int(followed.sum()),
        "customers_mature": int((won & followed).sum()),
        "value": float(value[won & followed].sum()) if np.isfinite(value).any() else None,
    }
