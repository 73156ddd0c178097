"""Columns that seem to know the outcome, and whether the model may use them."""

from __future__ import annotations

from serve.page.content.evaluated import Evaluated, list_absent, list_records
from serve.page.content.parts import Section, Table

NAME = "suspects"


def build_suspects(models: Evaluated) -> Section:
    """Return the section: what the audit of the training found, by target."""
    words, records = models.words, list_records(models)
    headings = [words.text(NAME, key) for key in ("column", "decision", "evidence")]
    tables, notes = [], []
    for record in records:
        if not record.suspects:
            notes.append(words.text(NAME, "none", target=record.target))
            continue
        rows = [
            [
                suspect.column,
                words.text(NAME, "allowed" if suspect.allowed else "left_out"),
                suspect.evidence,
            ]
            for suspect in record.suspects
        ]
        caption = words.text(NAME, "caption", target=record.target)
        tables.append(Table(caption, headings, rows, english=frozenset({2})))
    return Section(
        NAME,
        "team",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        tables=tables,
        notes=[*notes, *list_absent(models)],
    )
