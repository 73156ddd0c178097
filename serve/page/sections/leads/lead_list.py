"""The list of leads: search, filter, sort, and open one."""

from __future__ import annotations

from typing import Any

from serve.page.content.lead_columns import GRADES, LISTS, pack_leads
from serve.page.content.page_data import PageData
from serve.page.content.parts import Block, Section
from serve.page.content.shown_leads import choose_shown_rows
from serve.page.sections.leads.grades import count_grades, explain_grades
from serve.page.sections.leads.one_lead import build_one_lead

NAME = "lead_list"
# Texts that the script shows.
SCRIPT_WORDS = "lead_list_script"


def build_lead_list(data: PageData) -> Section:
    """Return the section with the leads of the as-of, and why some of many are left out.

    Pressing a lead opens its details.
    """
    words, details = data.words, build_one_lead(data)
    rows = choose_shown_rows(data.scores)
    notes = [words.text(NAME, "changes_note"), explain_grades(data), *details.notes]
    if len(rows) < data.scores.num_rows:
        numbers = {"shown": words.number(len(rows)), "all": words.number(data.scores.num_rows)}
        notes.insert(0, words.text(NAME, "left_out", **numbers))
    texts: dict[str, Any] = {
        "words": dict(words.texts[SCRIPT_WORDS]),
        "numbers": dict(words.language.numbers),
        "units": words.list_units(),
        "grades": GRADES,
        "lists": LISTS,
    }
    return Section(
        NAME,
        "leads",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        tables=[count_grades(data)],
        notes=notes,
        template="lead_list.html.j2",
        blocks=[Block("leads", pack_leads(data, rows, texts)), details.block],
    )
