"""What the model looks at: the weight of each group of features, and the strongest ones."""

from __future__ import annotations

from collections import defaultdict

from models.evaluation.record import EvaluationRecord
from serve.page.content.charts import AXIS_SHARE, BAR_HEIGHT
from serve.page.content.evaluated import Evaluated, list_absent, list_records
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords

NAME = "importance"
# Features that are listed by name; the groups count all.
LISTED_FEATURES = 12


def build_importance(models: Evaluated) -> Section:
    """Return the section: importance by group and by feature, for each target."""
    words = models.words
    records = [record for record in list_records(models) if record.importance]
    return Section(
        NAME,
        "team",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        [_quote_first(words, record) for record in records],
        [_draw_groups(words, record) for record in records],
        [_list_features(words, record) for record in records],
        list_absent(models),
    )


def measure_groups(record: EvaluationRecord) -> dict[str, float]:
    """Return the share of each group in the sum of all importances, the largest first."""
    weights = defaultdict[str, float](float)
    for part in record.importance:
        weights[part.group] += part.mean_absolute_log_odds
    total = sum(weights.values())
    # Equal shares are ordered by name, so that the same record gives the same page.
    ordered = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return {group: weight / total for group, weight in ordered}


def _quote_first(words: PageWords, record: EvaluationRecord) -> Quote:
    group, share = next(iter(measure_groups(record).items()))
    label = words.text(NAME, "first", target=record.target, group=words.text(NAME, group))
    return Quote(label, words.percent(share, 0))


def _draw_groups(words: PageWords, record: EvaluationRecord) -> Chart:
    shares = {words.text(NAME, key): share for key, share in measure_groups(record).items()}
    first = next(iter(shares))
    rows = [
        {"group": group, "share": share, "place": place}
        for place, (group, share) in enumerate(shares.items())
    ]
    headings = [words.text(NAME, "group"), words.text(NAME, "share")]
    spec = {
        "height": BAR_HEIGHT * len(rows),
        "mark": "bar",
        "encoding": {
            "y": {"field": "group", "type": "nominal", "title": None, "sort": {"field": "place"}},
            "x": {"field": "share", "type": "quantitative", "title": headings[1], **AXIS_SHARE},
        },
    }
    caption = words.text(NAME, "caption", target=record.target)
    cells = [[group, words.percent(share)] for group, share in shares.items()]
    table = Table(caption, headings, cells, frozenset({1}))
    share = words.percent(shares[first], 0)
    summary = words.text(NAME, "summary", target=record.target, group=first, share=share)
    return Chart(f"{NAME}-{record.target}", caption, summary, spec, rows, table)


def _list_features(words: PageWords, record: EvaluationRecord) -> Table:
    headings = [words.text(NAME, key) for key in ("feature", "group", "log_odds")]
    rows = [
        [part.meaning, words.text(NAME, part.group), words.number(part.mean_absolute_log_odds, 3)]
        for part in record.importance[:LISTED_FEATURES]
    ]
    caption = words.text(
        NAME,
        "features",
        target=record.target,
        shown=words.number(len(rows)),
    )
    return Table(caption, headings, rows, frozenset({2}))
