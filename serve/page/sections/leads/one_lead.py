"""Details of one lead, in a dialog that the list opens."""

from __future__ import annotations

from serve.page.content.lead_columns import LISTS
from serve.page.content.page_data import PageData
from serve.page.content.parts import Block, Section
from serve.page.one_lead.cards import CardWriter, get_base_value, quote_config
from serve.page.one_lead.charts import STEP_HEIGHT, build_history_spec, build_waterfall_spec

NAME = "one_lead"
# Texts that the script shows.
SCRIPT_WORDS = "one_lead_script"


def build_one_lead(data: PageData) -> Section:
    """Return the section: which leads have details, and the details themselves."""
    words, cards = data.words, CardWriter.from_data(data).write_cards()
    content = {
        "words": {
            **words.texts[SCRIPT_WORDS],
            "config": quote_config(data),
            "explain": _explain_hidden(data),
            "listed": {name: _describe_list(data, name) for name in LISTS},
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
    return Section(
        NAME,
        "leads",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        notes=_build_notes(data, len(cards)),
        template="one_lead.html.j2",
        blocks=[Block("lead-cards", content)],
    )


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


def _describe_list(data: PageData, name: str) -> list[str]:
    """Return a badge and a sentence for the leads of a list."""
    return [data.words.text(NAME, key) for key in (f"listed_{name}", f"listed_{name}_text")]


def _explain_hidden(data: PageData) -> str | None:
    """Return how to explain a lead where the page has no ids; None where a command has the id."""
    if not data.hides_ids:
        return None
    return data.words.text(NAME, "explain_hidden", config=quote_config(data))
