"""What the scores promised against what happened, by month, grade and model version.

All numbers are those of the newest report of outcomes. A page of an earlier night shows it too and
says that these outcomes became known later: to learn how a night turned out is why it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow.compute as pc

from features.tools.json_values import format_json
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords

NAME = "promised"
# How often a deployed pipeline compares outcomes.
COMPARED_EVERY = timedelta(days=1)
Part = Mapping[str, Any]


@dataclass(frozen=True)
class _Compared:
    """Expected and actual outcomes of a part, and the 90 % range of the actual number."""

    expected: float
    actual: int
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """Return the key of the verdict; a difference within the range is as promised."""
        if self.low is not None and self.expected < self.low:
            return "more"
        return "fewer" if self.high is not None and self.expected > self.high else "as_promised"


def build_promised(data: PageData) -> Section:
    """Return the section; without mature scores it says when the first will be known."""
    words = data.words
    reported = (data.outcomes or {}).get("targets", {})
    targets = {name: reported[name] for name in data.targets if name in reported}
    measured = {name: months for name in targets if (months := _list_measured(targets[name]))}
    latest = {
        name: (months[-1], targets[name]["months"][months[-1]]) for name, months in measured.items()
    }
    sentence = " ".join(_write_sentence(words, name, *part) for name, part in latest.items())
    overdue = [
        words.text(NAME, "overdue", target=name, day=words.day(day))
        for name in data.targets
        if name not in latest and (day := _find_overdue_day(data, name, targets.get(name)))
    ]
    missing = " ".join(overdue) or words.text(NAME, "none")
    tables = [
        *([_build_grade_table(words, targets)] if latest else []),
        *([_build_version_table(words, targets)] if targets else []),
    ]
    return Section(
        NAME,
        "trust",
        words.text(NAME, "title"),
        " ".join([words.text(NAME, "sentence"), sentence, *overdue]) if sentence else missing,
        [_build_quote(words, name, *part) for name, part in latest.items()],
        [
            _build_chart(words, name, targets[name]["months"], months)
            for name, months in measured.items()
        ],
        tables,
        [*_list_notes(data, targets)],
    )


def _list_measured(target: Part) -> list[str]:
    """Return the months with mature scores, ascending."""
    return sorted(name for name, part in target.get("months", {}).items() if part["used"])


def _compare_part(part: Part) -> _Compared:
    """Return the numbers of a part; the range is that of the ratio, as numbers of outcomes."""
    ratio, expected = part["metrics"]["actual_to_expected"], part["expected"]
    low, high = (None if ratio[end] is None else ratio[end] * expected for end in ("low", "high"))
    return _Compared(expected, part["actual"], low, high)


def _name_month(words: PageWords, month: str) -> str:
    year, number = month.split("-")
    return words.text(NAME, f"month_{number}", year=year)


def _write_sentence(words: PageWords, target: str, month: str, part: Part) -> str:
    """Return the sentence about one month of a target."""
    numbers = _compare_part(part)
    values = {
        "target": target,
        "month": _name_month(words, month),
        "expected": words.number(numbers.expected),
        "actual": words.number(numbers.actual),
        "range": _write_range(words, numbers),
        "verdict": words.text(NAME, numbers.verdict),
    }
    if part["used"] == part["leads"]:
        return words.count(NAME, "told_leads", part["leads"], **values)
    leads = words.number(part["leads"])
    return words.count(NAME, "told_scores", part["used"], leads=leads, **values)


def _write_range(words: PageWords, numbers: _Compared) -> str:
    if numbers.low is None or numbers.high is None:
        return ""
    low, high = words.number(numbers.low), words.number(numbers.high)
    return words.text(NAME, "range", low=low, high=high)


def _build_quote(words: PageWords, target: str, month: str, part: Part) -> Quote:
    compared = _compare_part(part)
    numbers = {key: words.number(getattr(compared, key)) for key in ("actual", "expected")}
    value = words.text(NAME, "quote_value", **numbers)
    hint = ""
    if compared.low is not None and compared.high is not None:
        low, high = words.number(compared.low), words.number(compared.high)
        hint = words.text(NAME, "quote_hint", low=low, high=high)
    label = words.text(NAME, "quote", target=target, month=_name_month(words, month))
    return Quote(label, value, hint)


def _build_chart(
    words: PageWords, target: str, parts: Mapping[str, Part], months: list[str]
) -> Chart:
    """Return the chart of a target: promised and actual outcomes of each month with mature rows."""
    compared = {month: _compare_part(parts[month]) for month in months}
    rows = [{"month": month, **vars(numbers)} for month, numbers in compared.items()]
    kept = sum(numbers.verdict == "as_promised" for numbers in compared.values())
    caption = words.text(NAME, "caption", target=target)
    table = _build_month_table(words, caption, parts)
    numbers = {"kept": words.number(kept), "months": words.number(len(months))}
    summary = words.text(NAME, "summary", target=target, **numbers)
    return Chart(f"promised-{target}", caption, summary, _build_spec(words), rows, table)


def _build_month_table(words: PageWords, caption: str, parts: Mapping[str, Part]) -> Table:
    """Return the months as texts; one without mature rows has its row too."""
    keys = ("month", "scores", "promised", "came", "low", "high", "waiting")
    rows = [
        [_name_month(words, month), *_write_part(words, part)]
        for month, part in sorted(parts.items())
    ]
    headings = [words.text(NAME, key) for key in keys]
    return Table(caption, headings, rows, frozenset(range(1, len(keys))))


def _write_part(words: PageWords, part: Part) -> list[str]:
    """Return the cells of a part: used, expected, actual, low, high and immature."""
    cells = ["–"] * 4
    if part["used"]:
        numbers = _compare_part(part)
        ends = (numbers.low, numbers.high)
        cells = [
            words.number(numbers.expected, 1),
            words.number(numbers.actual),
            *("–" if end is None else words.number(end, 1) for end in ends),
        ]
    return [words.number(part["used"]), *cells, words.number(part.get("immature", 0))]


def _build_spec(words: PageWords) -> dict[str, Any]:
    """Return the specification: by month a range, a dot in it, and a dash for the promise."""
    title = words.text(NAME, "number")
    kinds = ["expected", "actual"]
    names = format_json(
        {"expected": words.text(NAME, "promised"), "actual": words.text(NAME, "came")}
    )
    kind = {"field": "kind", "title": None, "legend": {"labelExpr": f"({names})[datum.label]"}}
    colours = {"domain": kinds, "range": ["var(--ink)", "var(--series-1)"]}
    # Points are filled, so a dash is a flat rectangle.
    shapes = {"domain": kinds, "range": ["M-2,-0.25H2V0.25H-2Z", "circle"]}
    return {
        "height": 200,
        "encoding": {
            "x": {"field": "month", "type": "ordinal", "title": None, "axis": {"labelAngle": 0}}
        },
        "layer": [
            {
                "mark": {
                    "type": "rule",
                    "strokeWidth": 6,
                    "opacity": 0.4,
                    "color": "var(--series-1)",
                },
                "encoding": {
                    "y": {"field": "low", "type": "quantitative", "title": title},
                    "y2": {"field": "high"},
                },
            },
            {
                "transform": [{"fold": kinds, "as": ["kind", "value"]}],
                "mark": {"type": "point", "size": 120, "opacity": 1},
                "encoding": {
                    "y": {"field": "value", "type": "quantitative", "title": title},
                    "color": {**kind, "scale": colours},
                    "shape": {**kind, "scale": shapes},
                },
            },
        ],
    }


def _divide_by_used(part: Part, key: str) -> float | None:
    return part[key] / part["used"] if part["used"] else None


def _build_grade_table(words: PageWords, targets: Mapping[str, Part]) -> Table:
    headings = ["target", "grade", "scores", "share_promised", "share_came"]
    return Table(
        words.text(NAME, "caption_grades"),
        [words.text(NAME, key) for key in headings],
        [
            [
                name,
                grade,
                words.number(part["used"]),
                words.percent(_divide_by_used(part, "expected")),
                words.percent(_divide_by_used(part, "actual")),
            ]
            for name, target in targets.items()
            for grade, part in target["grades"].items()
        ],
        frozenset({2, 3, 4}),
    )


def _build_version_table(words: PageWords, targets: Mapping[str, Part]) -> Table:
    """Return one row per target and model version; one without mature rows has its row too."""
    headings = ["target", "version", "scores", "promised", "came", "low", "high", "waiting"]
    rows = [
        [name, version, *_write_part(words, part)]
        for name, target in targets.items()
        for version, part in target["versions"].items()
    ]
    return Table(
        words.text(NAME, "caption_versions"),
        [words.text(NAME, key) for key in headings],
        rows,
        frozenset(range(2, len(headings))),
    )


def _list_notes(data: PageData, targets: Mapping[str, Part]) -> Iterator[str]:
    """Yield what limits the numbers, and what is missing."""
    words = data.words
    if targets:
        yield from _date_report(data, targets)
        yield words.text(NAME, "rule")
    for name in data.targets:
        if name not in targets:
            yield from [words.text(NAME, "absent", target=name)] if targets else []
            if not _find_overdue_day(data, name, None):
                yield _write_first_day(data, name)
        else:
            yield from _describe_target(words, name, targets[name])
    if len(targets) < len(data.targets) or not any(map(_list_measured, targets.values())):
        yield words.text(NAME, "bring")


def _date_report(data: PageData, targets: Mapping[str, Part]) -> Iterator[str]:
    """Yield the report's own as-of; the newest night's page is older than it by some hours only."""
    words = data.words
    if known := _find_report_as_of(targets):
        newest = pc.max(data.published_runs["as_of"]).as_py()
        is_past = newest is not None and data.as_of < newest and data.as_of < known
        yield words.text(NAME, "later" if is_past else "known", moment=words.zoned_moment(known))


def _describe_target(words: PageWords, name: str, target: Part) -> Iterator[str]:
    if "months" not in target:
        yield words.text(NAME, "older")
    for order in target["grade_order"]:
        if order["reversed"]:
            chance = words.text(NAME, "certain" if order["certain"] else "chance")
            grades = {key: order[key] for key in ("better", "worse")}
            yield words.text(NAME, "order", target=name, chance=chance, **grades)
    if young := target["rows"]["immature"]:
        first = target["first_mature"]
        day = words.day(datetime.fromisoformat(first)) if first else ""
        known = words.text(NAME, "next", day=day) if first else ""
        yield words.count(NAME, "young", young, target=name, next=known)


def _find_first_day(data: PageData, target: str) -> datetime | None:
    """Return when the scores of a target's first night can be known; None without a horizon."""
    horizon = data.project.targets[target].horizon
    own = data.published_runs.filter(pc.field("target") == target)
    first: datetime = pc.min(own["as_of"]).as_py() or data.as_of
    return first + horizon if horizon else None


def _find_overdue_day(data: PageData, target: str, reported: Part | None) -> datetime | None:
    """Return since when outcomes of a target could be compared; None if they cannot be yet.

    ``reported`` is the target in the report of outcomes, which has compared none so far. None also
    where `leadscore outcomes` has run since.
    """
    day, latest = _find_first_day(data, target), data.as_of
    if reported is not None:
        # An older report has no months, and the notes say so.
        first = reported["first_mature"] if "months" in reported else None
        day = datetime.fromisoformat(first) if first else None
        # The outcomes of a day are compared after its page was built.
        latest -= COMPARED_EVERY
    ran = _find_report_as_of((data.outcomes or {}).get("targets", {}))
    has_run = ran is not None and day is not None and day <= ran
    return day if day is not None and day <= latest and not has_run else None


def _find_report_as_of(targets: Mapping[str, Part]) -> datetime | None:
    texts = [target["as_of"] for target in targets.values() if target["as_of"]]
    return max(map(datetime.fromisoformat, texts), default=None)


def _write_first_day(data: PageData, target: str) -> str:
    """Return when the first outcome of a target can be known."""
    words, horizon = data.words, data.project.targets[target].horizon
    day = _find_first_day(data, target)
    if horizon is None or day is None:
        return words.text(NAME, "first_unknown", target=target)
    return words.text(
        NAME,
        "first",
        target=target,
        day=words.day(day),
        horizon=words.language.duration(horizon),
    )
