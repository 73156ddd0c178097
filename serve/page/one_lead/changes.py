"""Why the score of one lead differs from that of the night before, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from serve.page.content.words import PageWords
from serve.reasons.selection import MIN_CONTRIBUTION

NAME = "one_lead"


def parse_reasons(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the reasons of a row of SCORES."""
    reasons: list[dict[str, Any]] = json.loads(row["reasons"])
    return reasons


def list_changes(words: PageWords, before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what differs between two rows of SCORES of one lead: score, model, reasons."""
    versions = {"before": before["model_version"], "after": now["model_version"]}
    is_same = versions["before"] == versions["after"]
    moved = "stayed" if before["score"] == now["score"] else "moved"
    return [
        words.text(
            NAME,
            moved,
            before=words.number(before["score"]),
            after=words.number(now["score"]),
            day=words.day(before["as_of"]),
            share_before=words.percent(before["probability"]),
            share_after=words.percent(now["probability"]),
        ),
        words.text(NAME, "same_model", version=versions["after"])
        if is_same
        else words.text(NAME, "other_model", **versions),
        *(list(_compare_reasons(words, before, now)) or [words.text(NAME, "same_reasons")]),
    ]


def mark_direction(contribution: float) -> str:
    """Return the arrow of a reason for or against."""
    return "▲" if contribution > 0 else "▼"


def _compare_reasons(
    words: PageWords, before: dict[str, Any], now: dict[str, Any]
) -> Iterator[str]:
    """Yield what differs between the reasons: new ones, changed ones, then those that are gone."""
    # Compared by the feature that stands for a reason; its sentence carries the value.
    earlier = {reason["feature"]: reason for reason in parse_reasons(before)}
    later = {reason["feature"]: reason for reason in parse_reasons(now)}
    for feature, reason in later.items():
        mark, text = mark_direction(reason["contribution"]), reason["sentence"]
        old = earlier.get(feature)
        if old is None:
            yield words.text(NAME, "new_reason", mark=mark, text=text)
            continue
        growth = abs(reason["contribution"]) - abs(old["contribution"])
        # A day more since an event is another sentence, and no cause.
        if abs(reason["contribution"] - old["contribution"]) < MIN_CONTRIBUTION:
            continue
        if old["sentence"] != text:
            yield words.text(NAME, "changed_reason", mark=mark, before=old["sentence"], text=text)
        else:
            key = "stronger_reason" if growth > 0 else "weaker_reason"
            yield words.text(NAME, key, mark=mark, text=text)
    for feature, reason in earlier.items():
        if feature not in later:
            mark = mark_direction(reason["contribution"])
            yield words.text(NAME, "gone_reason", mark=mark, text=reason["sentence"])
