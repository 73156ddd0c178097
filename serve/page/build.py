"""Builds the page of a night from its data: the sections in their order, and the frame."""

from __future__ import annotations

from collections.abc import Callable

from serve.page.content.page_data import PageData
from serve.page.content.parts import Section
from serve.page.render import render_page
from serve.page.sections.grades import build_grades
from serve.page.sections.lead_list import build_lead_list

# A section returns None where the data has nothing to say about it.
SECTIONS: tuple[Callable[[PageData], Section | None], ...] = (
    build_lead_list,
    build_grades,
)


def build_page(data: PageData) -> bytes:
    """Return the page of a night as one HTML file, UTF-8."""
    sections = [section for build in SECTIONS if (section := build(data)) is not None]
    words = data.words
    facts = {
        words.text("frame", "as_of"): words.moment(data.as_of),
        words.text("frame", "scores"): words.number(data.scores.num_rows),
    }
    title = words.text("frame", "title", project=data.project.project)
    return render_page(title, facts, sections, words)
