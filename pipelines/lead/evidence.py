"""Inputs of a published score compared with the current ones, and their differences in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Dataset
from features.fingerprint import compute_fingerprint
from features.tools.duplicates import HASHES, sum_hashes
from features.tools.row_hash import hash_rows, hash_texts
from pipelines.lead.replay import Replay, ReplaySources, is_eligible
from pipelines.version import find_code_version

# Changed values that are named; the others are counted.
MAX_NAMED_VALUES = 3


def collect_evidence(
    sources: ReplaySources, run: dict[str, Any] | None
) -> dict[str, dict[str, str | None]]:
    """Return config hash, code version and data fingerprint, each ``published`` and ``now``.

    ``run`` is the SCORE_RUNS row of the score; None if the ledger has none.
    """
    current = {
        "config_hash": sources.project.config_hash,
        "code_version": find_code_version(),
        "data_fingerprint": sources.dataset.fingerprint,
    }
    return {
        name: {"published": run[name] if run else None, "now": value}
        for name, value in current.items()
    }


def explain_differences(
    sources: ReplaySources,
    available: Dataset,
    row: dict[str, Any],
    replay: Replay,
    evidence: dict[str, dict[str, str | None]],
) -> list[str]:
    """Return in words how a replay differs from the published score, and the likely causes.

    The list is empty if the score was reproduced. ``available`` holds the data available before the
    row's as-of, ``evidence`` the result of ``collect_evidence``.
    """
    if replay.reproduced:
        return []
    differences = [
        f"published: probability {row['probability']:.6f}, score {row['score']}; computed now: "
        f"probability {replay.predicted['probability']:.6f}, score {replay.predicted['score']}"
    ]
    differences += _describe_changed_values(row["reasons"], replay)
    target_config = sources.project.target_config(row["target"])
    if not is_eligible(available, target_config, row):
        differences.append("with the current data, this lead would not have been scored then")
    causes = [
        *_compare_fingerprints(available, evidence["data_fingerprint"]),
        *_compare_versions(evidence),
    ]
    unexplained = ["data, config and version are unchanged: a library or the machine differs"]
    return [*differences, *(causes or unexplained)]


def fingerprint_dataset(dataset: Dataset) -> str:
    """Return the fingerprint of a dataset's rows, such as one that was cut in time.

    ``Dataset.fingerprint`` stays that of all rows read, also after a cut.
    """
    events = dataset.events
    # Columns and order are those of reading, or equal rows would have different fingerprints.
    columns = [
        hash_texts(events["entity_id"]),
        *(
            events[name].cast(pa.int64()).to_numpy().view(np.uint64)
            for name in ("event_time", "available_at")
        ),
        hash_texts(events["event_type"]),
        hash_texts(events["channel"]),
        pc.fill_null(events["value"], np.nan).to_numpy().view(np.uint64),
    ]
    hashes = np.ascontiguousarray(hash_rows(columns).T)
    summed = sum_hashes(pa.table(list(hashes), schema=HASHES), np.empty(0, np.int64))
    return compute_fingerprint(dataset.leads, events, summed, dataset.values)


def _describe_changed_values(published: list[dict[str, Any]], replay: Replay) -> list[str]:
    """Return the values of the published reasons that have changed, in words."""
    current = {feature["feature"]: feature["value"] for feature in replay.features}
    changed = [
        (reason["feature"], reason["value"], current[reason["feature"]])
        for reason in published
        if reason["feature"] in current and current[reason["feature"]] != reason["value"]
    ]
    lines = [
        f"{feature} was {_format_value(before)} and is {_format_value(now)}"
        for feature, before, now in changed[:MAX_NAMED_VALUES]
    ]
    others = len(changed) - len(lines)
    return [*lines, f"and {others} more reasons have other values"] if others else lines


def _compare_fingerprints(available: Dataset, fingerprints: dict[str, str | None]) -> list[str]:
    """Return a difference in words if the night read other data than ``available``, else nothing.

    The comparison is inconclusive if the night had also read rows from after its as-of.
    """
    published = fingerprints["published"]
    if published is None:
        return ["the ledger does not record which data was read"]
    # The night recorded the fingerprint of all rows that it read, which may include rows from after
    # its as-of; so either fingerprint proves that the data is unchanged.
    if published in (fingerprints["now"], fingerprint_dataset(available)):
        return []
    return [
        f"the data has changed since that night (fingerprint {published}): rows from before the "
        "as-of arrived late or were overwritten, unless the night also read rows from after it"
    ]


def _compare_versions(evidence: dict[str, dict[str, str | None]]) -> list[str]:
    """Return the changes of config and code version in words."""
    texts = {
        "config_hash": "the config has changed",
        "code_version": "the version of leadscore has changed",
    }
    pairs = [
        (text, evidence[name]["published"], evidence[name]["now"]) for name, text in texts.items()
    ]
    # An entry that the ledger lacks is no evidence of a change.
    return [
        f"{text} ({then} then, {now} now)" for text, then, now in pairs if then not in (None, now)
    ]


def _format_value(value: float | str | None) -> str:
    """Return a feature value as written in differences."""
    return "missing" if value is None else f"{value:g}" if isinstance(value, float) else repr(value)
