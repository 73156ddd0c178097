"""The section that stands for the funnel where there is none."""

from __future__ import annotations

from serve.page.content.page_data import PageData
from serve.page.content.parts import Section
from serve.page.one_lead.cards import quote_config
from serve.page.sections.funnel.texts import GROUP, get_tables

NAME = "funnel_missing"


def build_missing(data: PageData) -> Section | None:
    """Return the section: why there is no funnel, and what brings it; None where there is one."""
    if get_tables(data) is not None:
        return None
    words, config = data.words, quote_config(data)
    day = data.as_of.isoformat()
    sentence = words.text(NAME, _find_cause(data), config=config, as_of=day)
    return Section(NAME, GROUP, words.text(NAME, "title"), sentence)


def _find_cause(data: PageData) -> str:
    if data.funnel is not None:
        return "no_leads"
    if not data.project.publish.funnel:
        return "switched_off"
    if not any(target.outcome_types for target in data.project.targets.values()):
        return "no_outcome"
    return "not_published"
