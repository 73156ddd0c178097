"""How the open leads are spread over the grades."""

from __future__ import annotations

import pyarrow.compute as pc

from serve.page.content.charts import AXIS_COUNT, BAR_HEIGHT, GRADE_COLOURS
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table

NAME = "grades"
GRADES = "ABCD"


def build_grades(data: PageData) -> Section:
    """Return the section: leads by grade, for each target."""
    words = data.words
    counts = {
        (row["target"], row["grade"]): row["count_all"]
        for row in data.scores.group_by(["target", "grade"])
        .aggregate([([], "count_all")])
        .to_pylist()
    }
    rows = [
        {"target": target, "grade": grade, "leads": counts.get((target, grade), 0)}
        for target in data.targets
        for grade in GRADES
    ]
    best = pc.sum(pc.equal(data.scores["grade"], "A")).as_py() or 0
    headings = [words.text(NAME, key) for key in ("target", "grade", "leads")]
    table = Table(
        words.text(NAME, "caption"),
        headings,
        [[row["target"], row["grade"], words.number(row["leads"])] for row in rows],
        frozenset({2}),
    )
    chart = Chart(
        "grades",
        words.text(NAME, "caption"),
        words.text(NAME, "summary", best=words.number(best)),
        {
            "mark": "bar",
            "height": BAR_HEIGHT * len(rows),
            "encoding": {
                "y": {"field": "target", "type": "nominal", "title": None},
                "yOffset": {"field": "grade"},
                "x": {"field": "leads", "type": "quantitative", "title": headings[2], **AXIS_COUNT},
                "color": {"field": "grade", "scale": GRADE_COLOURS, "title": headings[1]},
            },
        },
        rows,
        table,
    )
    return Section(
        NAME,
        "leads",
        words.text(NAME, "title"),
        _explain_grades(data),
        [Quote(words.text(NAME, "best"), words.number(best))],
        [chart],
    )


def _explain_grades(data: PageData) -> str:
    """Return what grade A is, and why a lead may have it with a lower score."""
    words = data.words
    kept_for = words.language.duration(data.project.publish.settle)
    sentence = words.text(NAME, "sentence")
    return f"{sentence} {words.text(NAME, 'kept', settle=kept_for)}" if kept_for else sentence
