"""What a published score was made from, beside what is there now; and, where they disagree, what differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import Dataset
from features.intake.duplicates import HASHES, total
from features.intake.fingerprint import fingerprint
from features.intake.row_hash import row_hashes, text_hashes
from pipelines.lead.replay import Past, Replay, eligible
from pipelines.version import find_code_version

MAX_NAMED_VALUES = 3
"""Values named of those that differ."""


def collect_evidence(sources: Past, run: dict[str, Any] | None) -> dict[str, dict[str, str | None]]:
    """Return config hash, code version and data fingerprint as the SCORE_RUNS row has them, and as they are now."""
    now = {
        "config_hash": sources.project.config_hash,
        "code_version": find_code_version(),
        "data_fingerprint": sources.whole.fingerprint,
    }
    return {
        name: {"published": run[name] if run else None, "now": text} for name, text in now.items()
    }


def explain_differences(
    sources: Past,
    known: Dataset,
    row: dict[str, Any],
    replay: Replay,
    evidence: dict[str, dict[str, str | None]],
) -> list[str]:
    """Say in words what a score that was not reproduced differs by, and what is known of the cause; else nothing.

    ``known`` is the data before the row's as-of, ``evidence`` what ``collect_evidence`` returned.
    """
    if replay.reproduced:
        return []
    said = [
        f"published was probability {row['probability']:.6f}, score {row['score']}; now it comes out as "
        f"{replay.predicted['probability']:.6f}, score {replay.predicted['score']}"
    ]
    said += _describe_changed_values(row["reasons"], replay)
    target = sources.project.target_config(row["target"])
    if not eligible(known, target, row):
        said.append("by the data as it is now, this lead would not have been scored then")
    causes = [*_compare_fingerprints(known, evidence["data_fingerprint"]), *_compare_versions(evidence)]
    return [
        *said,
        *(causes or ["data, config and version are the same: a library or the machine is another"]),
    ]


def compute_fingerprint(data: Dataset) -> str:
    """Return the fingerprint of a data set as it stands, such as one that was cut in time.

    A Dataset's own stays that of all that was read, whatever is cut.
    """
    events = data.events
    words = [
        text_hashes(events["entity_id"]),
        *(
            events[name].cast(pa.int64()).to_numpy().view(np.uint64)
            for name in ("event_time", "available_at")
        ),
        text_hashes(events["event_type"]),
        text_hashes(events["channel"]),
        pc.fill_null(events["value"], np.nan).to_numpy().view(np.uint64),
    ]
    hashes = np.ascontiguousarray(row_hashes(words).T)
    summed = total(pa.table(list(hashes), schema=HASHES), np.empty(0, np.int64))
    return fingerprint(data.leads, events, summed, data.values)


def _describe_changed_values(published: list[dict[str, Any]], replay: Replay) -> list[str]:
    """Name the values that the published reasons tell and that are others now."""
    now = {one["feature"]: one["value"] for one in replay.features}
    told = [
        f"{reason['feature']} was {_format_value(reason['value'])} and is {_format_value(now[reason['feature']])}"
        for reason in published
        if reason["feature"] in now and now[reason["feature"]] != reason["value"]
    ]
    more = [f"and {len(told) - MAX_NAMED_VALUES} more reasons have other values"] if len(told) > MAX_NAMED_VALUES else []
    return told[:MAX_NAMED_VALUES] + more


def _compare_fingerprints(known: Dataset, fingerprints: dict[str, str | None]) -> list[str]:
    """Say whether the data as known then was read that night; a night that read later rows too cannot tell."""
    then = fingerprints["published"]
    if then is None:
        return ["the ledger does not say which data was read"]
    if then in (fingerprints["now"], compute_fingerprint(known)):
        return []
    return [
        f"the data of that night is not what is there now (fingerprint {then}): rows from before the as-of came later "
        "or were written over, where the night had read nothing from after it"
    ]


def _compare_versions(evidence: dict[str, dict[str, str | None]]) -> list[str]:
    words = {
        "config_hash": "the config has changed",
        "code_version": "leadscore is another version",
    }
    pairs = [(word, evidence[name]["published"], evidence[name]["now"]) for name, word in words.items()]
    return [
        f"{word} ({then} then, {now} now)" for word, then, now in pairs if then not in (None, now)
    ]


def _format_value(value: float | str | None) -> str:
    return "missing" if value is None else f"{value:g}" if isinstance(value, float) else repr(value)
