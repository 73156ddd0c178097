"""The card of each lead that is shown in detail, as JSON values that the page's script shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from features.definitions.feature import CHANNEL_PREFIX, TYPE_PREFIX
from features.wording.wording import Wording, load_wording
from serve.page.content.lead_columns import LITTLE_EVIDENCE
from serve.page.content.page_data import LeadFacts, PageData
from serve.page.content.target_names import describe_outcome, name_outcomes
from serve.page.content.words import PageWords
from serve.page.one_lead.changes import list_changes, mark_direction, parse_reasons
from serve.page.one_lead.figures import build_figures, build_interval
from serve.page.one_lead.history import PastNights
from serve.page.one_lead.waterfall import Step, build_waterfall, to_share

NAME = "one_lead"
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class CardWriter:
    """Writes the cards of a page's leads.

    Attributes:
        data: Contents of the page.
        wording: The project's own words for events, channels and attributes.
    """

    data: PageData
    wording: Wording

    @classmethod
    def from_data(cls, data: PageData) -> CardWriter:
        """Return the writer of a page."""
        return cls(data, load_wording(data.project))

    def write_cards(self) -> list[dict[str, Any]]:
        """Return the card of each lead that is shown in detail, in the order of the scores."""
        before = self._past.find_last()
        return [
            self._write_card(row, before.get((row["target"], row["entity_id"])))
            for row in self.data.detailed.to_pylist()
        ]

    def _write_card(self, row: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
        words, entity = self.data.words, row["entity_id"]
        outcome = self._outcomes[row["target"]]
        figures = build_figures(self.data, row, outcome, self._scored[row["target"]])
        nothing = [words.text(NAME, "was_not_scored")]
        return {
            "target": row["target"],
            "entity": entity,
            "subtitle": words.text(NAME, "subtitle", target=self._targets[row["target"]]),
            "listed": row["listed"],
            "figures": [[figure.label, figure.value, figure.hint] for figure in figures],
            "interval": dict(vars(build_interval(self.data, row, outcome))),
            "steps": self._write_steps(row),
            "nights": self._past.list_nights(self.data, row) if before else [],
            "history": self._describe_history(row),
            "change": list_changes(words, before, row) if before else nothing,
            "events": self._events.get(entity, []),
            "events_note": self._describe_events(entity),
            "unknown": self._describe_unknown(row),
        }

    @cached_property
    def _outcomes(self) -> dict[str, str]:
        targets = self.data.project.targets
        return {name: describe_outcome(self.data, self.wording, name) for name in targets}

    @cached_property
    def _targets(self) -> dict[str, str]:
        return name_outcomes(self.data)

    @cached_property
    def _scored(self) -> dict[str, int]:
        counts = self.data.scores.group_by("target").aggregate([([], "count_all")]).to_pylist()
        return {row["target"]: row["count_all"] for row in counts}

    @cached_property
    def _events(self) -> Mapping[str, list[list[str]]]:
        facts = self.data.facts
        rows = facts.timeline.to_pylist() if facts else []
        return {
            key[0]: [self._write_event(event) for event in events]
            for key, events in _group_rows(rows, ("entity_id",)).items()
        }

    def _write_event(self, event: dict[str, Any]) -> list[str]:
        words, value, channel = self.data.words, event["value"], event["channel"]
        return [
            words.moment(event["event_time"]),
            self.wording.name(event["event_type"], TYPE_PREFIX),
            self.wording.name(channel, CHANNEL_PREFIX) if channel else "",
            "" if value is None else words.number(value, 0 if value == round(value) else 2),
        ]

    def _write_steps(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        base = get_base_value(self.data, row["target"])
        steps = build_waterfall(parse_reasons(row), base, row["probability"])
        adds_up = bool(steps) and steps[0].kind == "typical"
        return [
            {
                "step": number,
                "kind": step.kind,
                "start": step.start,
                "end": step.end,
                "label": _name_step(self.data.words, step),
                "sentence": _describe_step(self.data.words, step, adds_up=adds_up),
            }
            for number, step in enumerate(steps)
        ]

    @cached_property
    def _past(self) -> PastNights:
        return PastNights.from_data(self.data)

    def _describe_history(self, row: dict[str, Any]) -> str:
        words = self.data.words
        place = self._past.places.get((row["target"], row["entity_id"]))
        if place is None:
            return words.text(NAME, "history_first")
        first, last = place
        return words.text(
            NAME,
            "history_summary",
            nights=words.number(last - first + 2),
            first=words.day(self.data.past["as_of"][first].as_py()),
            last=words.day(row["as_of"]),
            before=words.percent(self.data.past["probability"][first].as_py()),
            after=words.percent(row["probability"]),
        )

    def _describe_events(self, entity: str) -> str:
        words, facts = self.data.words, self.data.facts
        if facts is None:
            return words.text(NAME, "events_unread", config=quote_config(self.data))
        if entity not in facts.events:
            return words.text(NAME, "events_gone")
        count, shown = facts.events[entity], len(self._events.get(entity, []))
        key = "events_none" if not count else "events_all" if count == shown else "events_some"
        numbers = {"all": words.number(count), "shown": words.number(shown)}
        return words.text(NAME, key, moment=words.moment(self.data.as_of), **numbers)

    def _describe_unknown(self, row: dict[str, Any]) -> list[str]:
        words, facts, entity = self.data.words, self.data.facts, row["entity_id"]
        account = [words.text(NAME, "unknown_account")] if self._lacks_account(row) else []
        if facts is None or entity not in facts.events:
            key = "unknown_unread" if facts is None else "events_gone"
            little = [words.text(NAME, "unknown_little")] if is_little(row) else []
            return [words.text(NAME, key), *little, *account]
        missing = [*self._describe_missing(facts, row), *account]
        if facts.unknown[entity]:
            return missing
        # What is missing comes first, so that nobody reads that all is known.
        key = "unknown_only" if missing else "unknown_nothing"
        return [*missing, words.text(NAME, key)]

    def _describe_missing(self, facts: LeadFacts, row: dict[str, Any]) -> Iterator[str]:
        words, count = self.data.words, facts.events[row["entity_id"]]
        names = ", ".join(self.wording.name(name) for name in facts.unknown[row["entity_id"]])
        if names:
            yield words.text(NAME, "unknown_attributes", names=names)
        if not count:
            yield words.text(NAME, "unknown_events")
        elif is_little(row):
            yield words.text(NAME, "unknown_few", count=words.number(count))

    def _lacks_account(self, row: dict[str, Any]) -> bool:
        """Return whether the lead has no account although the sources have accounts."""
        return self._has_accounts and row["account_id"] is None

    @cached_property
    def _has_accounts(self) -> bool:
        account = self.data.scores["account_id"]
        return account.null_count < len(account)


def is_little(row: dict[str, Any]) -> bool:
    """Return whether too little is known of a lead for its score to mean something."""
    return bool(row["evidence"] == LITTLE_EVIDENCE)


def quote_config(data: PageData) -> str:
    """Return the name of the config's file as a shell takes it.

    A name alone: where it lies on this machine is nobody's business.
    """
    return shlex.quote(Path(data.project.path).name)


def get_base_value(data: PageData, target: str) -> float | None:
    """Return the log-odds of a typical lead of a target; None where no model has them stored."""
    evaluation = data.evaluations.get(target)
    return evaluation.base_value if evaluation else None


def _name_step(words: PageWords, step: Step) -> str:
    if step.kind in ("typical", "lead"):
        return words.text(NAME, step.kind, share=words.percent(to_share(step.end)))
    effect = step.end - step.start
    if step.kind == "rest":
        return f"{mark_direction(effect)} {words.text(NAME, 'rest')}"
    return f"{mark_direction(effect)} {step.text}"


def _describe_step(words: PageWords, step: Step, *, adds_up: bool) -> str:
    """Return a step as a sentence, for those who do not see the chart."""
    label = _name_step(words, step)
    if step.kind in ("typical", "lead"):
        return label
    if not adds_up:
        key = "step_raises" if step.kind == "for" else "step_lowers"
        return words.text(NAME, key, text=label)
    before, after = (words.percent(to_share(end)) for end in (step.start, step.end))
    return words.text(NAME, "step_to", text=label, before=before, after=after)


def _group_rows(rows: Rows, key: tuple[str, ...]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in key), []).append(row)
    return groups
