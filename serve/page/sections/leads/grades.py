"""How the open leads are spread over the grades."""

from __future__ import annotations

from serve.page.content.page_data import PageData
from serve.page.content.parts import Table
from serve.page.content.target_names import name_outcomes

NAME = "grades"
GRADES = "ABCD"


def count_grades(data: PageData) -> Table:
    """Return the number of leads of each grade, by target, as a table that is opened."""
    words, outcomes = data.words, name_outcomes(data)
    counts = {
        (row["target"], row["grade"]): row["count_all"]
        for row in data.scores.group_by(["target", "grade"])
        .aggregate([([], "count_all")])
        .to_pylist()
    }
    headings = [words.text(NAME, "target"), *GRADES]
    rows = [
        [
            outcomes[target],
            *(words.number(counts.get((target, grade), 0)) for grade in GRADES),
        ]
        for target in data.targets
    ]
    numeric = frozenset(range(1, len(headings)))
    return Table(words.text(NAME, "caption"), headings, rows, numeric, folded=True)


def explain_grades(data: PageData) -> str:
    """Return what grade A is, and why a lead may have it with a lower score."""
    words = data.words
    kept_for = words.language.duration(data.project.publish.settle)
    sentence = words.text(NAME, "sentence")
    return f"{sentence} {words.text(NAME, 'kept', settle=kept_for)}" if kept_for else sentence
