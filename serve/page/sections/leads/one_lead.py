"""Details of one lead, in a dialog that the list opens."""

from __future__ import annotations

from dataclasses import dataclass

from serve.page.content.lead_columns import LISTS
from serve.page.content.page_data import PageData
from serve.page.content.parts import Block
from serve.page.content.shown_leads import list_unselective
from serve.page.one_lead.cards import CardWriter, get_base_value, quote_config
from serve.page.one_lead.charts import STEP_HEIGHT, build_history_spec, build_waterfall_spec

NAME = "one_lead"
PICK = LISTS[0]
# Texts that the script shows.
SCRIPT_WORDS = "one_lead_script"


@dataclass(frozen=True)
class LeadDetails:
    """The data of the dialog, and sentences on which leads have details."""

    block: Block
    notes: list[str]


def build_one_lead(data: PageData) -> LeadDetails:
    """Return the details of the leads that have some."""
    words, cards = data.words, CardWriter.from_data(data).write_cards()
    content = {
        "words": {
            **words.texts[SCRIPT_WORDS],
            "config": quote_config(data),
            "explain": _explain_hidden(data),
            "listed": _describe_lists(data),
            "model": words.text(NAME, "model", version="{version}"),
        },
        "charts": {
            "waterfall": build_waterfall_spec(words, adds_up=True),
            "effects": build_waterfall_spec(words, adds_up=False),
            "step_height": STEP_HEIGHT,
            "history": build_history_spec(words, models=False),
            "model_history": build_history_spec(words, models=True),
        },
        "cards": cards,
    }
    return LeadDetails(Block("lead-cards", content), _build_notes(data, len(cards)))


def _build_notes(data: PageData, shown: int) -> list[str]:
    words, config = data.words, quote_config(data)
    numbers = {"shown": words.number(shown), "all": words.number(data.scores.num_rows)}
    command = _explain_hidden(data) or f"leadscore explain {config} ID"
    notes = [
        words.text(NAME, "detailed_all")
        if shown == data.scores.num_rows
        else words.text(NAME, "detailed", command=command, **numbers)
    ]
    if data.facts is None:
        notes.append(words.text(NAME, "no_facts", config=config))
    without = [name for name in data.targets if get_base_value(data, name) is None]
    return notes + [words.text(NAME, "no_base", target=name) for name in without]


def _describe_lists(data: PageData) -> dict[str, dict[str, list[str]]]:
    """Return a badge and a sentence for the leads of each list, by target."""
    unselective = list_unselective(data.scores)
    return {target: _describe_list(data, target in unselective) for target in data.targets}


def _describe_list(data: PageData, holds_nearly_all: bool) -> dict[str, list[str]]:
    words = data.words
    texts = {
        name: [words.text(NAME, key) for key in (f"listed_{name}", f"listed_{name}_text")]
        for name in LISTS
    }
    if holds_nearly_all:
        texts[PICK][1] = words.text(NAME, "listed_all_text")
    return texts


def _explain_hidden(data: PageData) -> str | None:
    """Return how to explain a lead where the page has no ids; None where a command has the id."""
    if not data.hides_ids:
        return None
    return data.words.text(NAME, "explain_hidden", config=quote_config(data))
