"""The checks of the night in plain words, and the drift of the last nights with its limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from serve.checks.source_counts import COUNT_CHECKS
from serve.page.content.charts import AXIS_DAY
from serve.page.content.page_data import PageData
from serve.page.content.parts import Chart, Quote, Section, Table
from serve.page.content.words import PageWords

NAME = "checks"
Result = Mapping[str, Any]
VERDICTS = ("stop", "warn", "none", "pass")
# Values of these must not fall below their limits, those of all others must not exceed them.
FLOORS = frozenset({"rows", "new_rows", "suppressed", "leads"})
# How an observed value is written: a text of the page, and decimals; a share without a text.
COUNT, SHARE, DAYS, INDEX = (None, 0), ("share", 1), ("days", 0), (None, 2)
UNITS: dict[str, tuple[str | None, int]] = {
    **dict.fromkeys(FLOORS, COUNT),
    **dict.fromkeys(("freshness", "model_age"), DAYS),
    **dict.fromkeys(("drift", "score_drift"), INDEX),
    **dict.fromkeys(("history", "gone_leads", "moved", "missing"), SHARE),
    **dict.fromkeys(("gone_types", "new_types", "gone_categories", "new_categories"), SHARE),
    "mean": ("factor", 2),
    "changed": ("points", 1),
}
# Drift by night: the scores first, since a reader acts on these.
DRIFTS = {"score_drift": "axis_index", "mean": "axis_factor", "drift": "axis_index"}
# The values that mean no difference beyond chance.
CALM_VALUES = {"score_drift": 0, "mean": 1, "drift": 0}
# Checks that compare a number, so a reason without a number says that they were not made.
COMPARING = frozenset({*UNITS, "time_of_day"})


def build_checks(data: PageData) -> Section:
    """Return the section: findings, all checks of the night, and the drift by night."""
    words = data.words
    results = [row for row in data.checks.to_pylist() if row["check"] not in COUNT_CHECKS]
    current = [row for row in results if row["as_of"] == data.as_of]
    title, sentence = words.text(NAME, "title"), words.text(NAME, "sentence")
    charts = [chart for check in DRIFTS if (chart := _build_chart(words, check, results))]
    nights = [*_build_night_table(words, results)]
    if not current:
        calm = [*_describe_calm(words, results)]
        return Section(NAME, "team", title, words.text(NAME, "none"), (), charts, nights, calm)
    by_check = _group_results(words, current)
    verdicts = {check: _judge_check(rows) for check, rows in by_check.items()}
    alerts = [row for row in current if row["verdict"] != "pass"]
    return Section(
        NAME,
        "team",
        title,
        f"{sentence} {_summarize_verdicts(words, verdicts)}",
        [*_build_quotes(words, data, verdicts)],
        charts,
        [_build_check_table(words, by_check, verdicts), *nights],
        [*_list_notes(words, current, results)],
        opening=[_build_alert_table(words, alerts)] if alerts else [],
    )


def _group_results(words: PageWords, results: list[Result]) -> dict[str, list[Result]]:
    """Return the results by check: by verdict, the worst first, then as the texts name them."""
    groups: dict[str, list[Result]] = {}
    for row in results:
        groups.setdefault(row["check"], []).append(row)
    order = [key.removeprefix("name_") for key in words.texts[NAME] if key.startswith("name_")]
    known = {check: place for place, check in enumerate(order)}
    return dict(
        sorted(
            groups.items(),
            key=lambda group: (
                VERDICTS.index(_judge_check(group[1])),
                known.get(group[0], len(known)),
            ),
        )
    )


def _judge_check(results: list[Result]) -> str:
    """Return the worst verdict of a check; none where a reason is all that it has."""
    verdicts = {row["verdict"] for row in results}
    if verdicts != {"pass"}:
        return "stop" if "stop" in verdicts else "warn"
    # A check whose limits come from earlier nights, or from the training, has none without these.
    is_compared = any(_has_limit(row) or row["message"] is None for row in results)
    return "pass" if is_compared or results[0]["check"] not in COMPARING else "none"


def _has_limit(row: Result) -> bool:
    return row["warn"] is not None or row["stop"] is not None


def _summarize_verdicts(words: PageWords, verdicts: Mapping[str, str]) -> str:
    alerts_count = sum(verdict in ("stop", "warn") for verdict in verdicts.values())
    made = sum(verdict != "none" for verdict in verdicts.values())
    if alerts_count:
        return words.count(NAME, "some_warn", alerts_count, all=words.number(made))
    return words.count(NAME, "all_well", made)


def _build_quotes(words: PageWords, data: PageData, verdicts: Mapping[str, str]) -> Iterator[Quote]:
    passed = sum(verdict == "pass" for verdict in verdicts.values())
    missed = sum(verdict == "none" for verdict in verdicts.values())
    numbers = {"passed": words.number(passed), "all": words.number(len(verdicts) - missed)}
    yield Quote(
        words.text(NAME, "quote_passed"),
        words.text(NAME, "quote_passed_value", **numbers),
        words.count(NAME, "not_made", missed) if missed else "",
    )
    nights = set(data.checks["as_of"].to_pylist())
    alerts = data.checks.filter(pc.field("verdict") != "pass")
    calm = len(nights) - pc.count_distinct(alerts["as_of"]).as_py()
    numbers = {"calm": words.number(calm), "nights": words.number(len(nights))}
    yield Quote(words.text(NAME, "quote_nights"), words.text(NAME, "quote_nights_value", **numbers))


def _name_check(words: PageWords, check: str) -> str:
    """Return the plain name of a check; one of a later version keeps its own."""
    name = f"name_{check}"
    return words.text(NAME, name) if name in words.texts[NAME] else check


def name_place(row: Result) -> str:
    """Return the target and the subject of a check, as far as it has them."""
    return " · ".join(part for part in (row["target"], row["subject"]) if part)


def _build_alert_table(words: PageWords, alerts: list[Result]) -> Table:
    """Return the findings, with the messages of the table as they are stored."""
    ranked = sorted(alerts, key=lambda row: VERDICTS.index(row["verdict"]))
    return Table(
        words.text(NAME, "caption_alerts"),
        [words.text(NAME, key) for key in ("check", "verdict", "where", "finding")],
        [
            [
                _name_check(words, row["check"]),
                words.text(NAME, f"verdict_{row['verdict']}"),
                name_place(row),
                row["message"] or "",
            ]
            for row in ranked
        ],
        english=frozenset({3}),
    )


def _build_check_table(
    words: PageWords, by_check: Mapping[str, list[Result]], verdicts: Mapping[str, str]
) -> Table:
    """Return one row per check, with the value that is nearest to its limits or beyond them."""
    rows = []
    for check, results in by_check.items():
        nearest = min(results, key=lambda row: _rank_result(check, row))
        watch = f"watch_{check}"
        rows.append(
            [
                _name_check(words, check),
                words.text(NAME, f"verdict_{verdicts[check]}"),
                _write_observed(words, check, nearest),
                _write_limits(words, check, nearest),
                words.text(NAME, watch) if watch in words.texts[NAME] else "",
            ]
        )
    headings = ("check", "verdict", "observed", "limit", "watches")
    return Table(
        words.text(NAME, "caption_checks"),
        [words.text(NAME, key) for key in headings],
        rows,
        folded=True,
    )


def _build_night_table(words: PageWords, results: list[Result]) -> Iterator[Table]:
    """Yield the nights with a warning or a stop, newest first, and the checks that gave it."""
    nights: dict[datetime, list[Result]] = {}
    for row in results:
        if row["verdict"] != "pass":
            nights.setdefault(row["as_of"], []).append(row)
    rows = [
        [words.day(as_of), _list_warned(words, alerts)]
        for as_of, alerts in sorted(nights.items(), reverse=True)
    ]
    if rows:
        headings = [words.text(NAME, key) for key in ("night", "warned")]
        yield Table(words.text(NAME, "caption_nights"), headings, rows, folded=True)


def _list_warned(words: PageWords, alerts: list[Result]) -> str:
    """Return the checks of a night's findings, each with its places."""
    texts = []
    for check, rows in _group_results(words, alerts).items():
        places = ", ".join(sorted(filter(None, map(name_place, rows))))
        texts.append(_name_check(words, check) + (f" ({places})" if places else ""))
    return "; ".join(texts)


def _rank_result(check: str, row: Result) -> tuple[int, float]:
    """Return a sort key: worse verdicts first, then values that come nearer to their limit."""
    observed, limit = row["observed"], row["warn"] if row["warn"] is not None else row["stop"]
    if observed is None or limit is None:
        return VERDICTS.index(row["verdict"]), float("inf")
    room = observed - limit if check in FLOORS else limit - observed
    return VERDICTS.index(row["verdict"]), room / max(abs(limit), 1e-9)


def _write_value(words: PageWords, check: str, value: float) -> str:
    unit, digits = UNITS[check]
    if unit == "days":
        return words.language.days(value)
    if unit == "share":
        # Whole per cent, such as limits, need no decimal.
        return words.percent(value, 0 if round(100 * value, 6) % 1 == 0 else digits)
    number = words.number(value, digits)
    return number if unit is None else words.text(NAME, unit, number=number)


def _write_observed(words: PageWords, check: str, row: Result) -> str:
    if check in UNITS and row["observed"] is None and _has_limit(row):
        return words.text(NAME, "no_subject")
    if check not in UNITS or row["observed"] is None:
        return "–"
    observed, place = _write_value(words, check, row["observed"]), name_place(row)
    return words.text(NAME, "at", observed=observed, where=place) if place else observed


def _write_limits(words: PageWords, check: str, row: Result) -> str:
    side = "below" if check in FLOORS else "above"
    limits = [
        words.text(NAME, f"{kind}_{side}", limit=_write_value(words, check, row[kind]))
        for kind in ("warn", "stop")
        if check in UNITS and row[kind] is not None
    ]
    return ", ".join(limits) or "–"


def _select_drift(check: str, results: list[Result]) -> list[Result]:
    """Return one result per night and target: the summary, which has the largest value."""
    return [
        row
        for row in results
        if row["check"] == check and not row["subject"] and row["observed"] is not None
    ]


def _build_chart(words: PageWords, check: str, results: list[Result]) -> Chart | None:
    """Return the chart of one kind of drift by night with its limits.

    None without a value, and where all values mean no difference: a sentence says that better.
    """
    values = sorted(_select_drift(check, results), key=lambda row: (row["target"], row["as_of"]))
    if not values or _is_calm(check, values):
        return None
    caption = words.text(NAME, f"caption_{check}")
    newest = max(values, key=lambda row: row["as_of"])["as_of"]
    latest = max(row["observed"] for row in values if row["as_of"] == newest)
    above = {
        row["as_of"] for row in values if row["warn"] is not None and row["observed"] > row["warn"]
    }
    summary = words.text(
        NAME,
        "summary",
        value=_write_value(words, check, latest),
        above=words.number(len(above)),
        nights=words.number(len({row["as_of"] for row in values})),
    )
    rows = [
        {
            "night": words.wall_time(row["as_of"]),
            **{key: row[key] for key in ("target", "observed", "warn", "stop")},
        }
        for row in values
    ]
    spec = _build_spec(words, DRIFTS[check], _list_limits(words, values))
    return Chart(
        f"checks-{check}", caption, summary, spec, rows, _build_value_table(words, check, values)
    )


def _is_calm(check: str, values: list[Result]) -> bool:
    """Return whether all values, as they are written, mean no difference beyond chance."""
    digits = UNITS[check][1]
    return all(round(row["observed"] - CALM_VALUES[check], digits) == 0 for row in values)


def _describe_calm(words: PageWords, results: list[Result]) -> Iterator[str]:
    """Yield a sentence for each kind of drift that no night has any of."""
    for check in DRIFTS:
        values = _select_drift(check, results)
        if values and _is_calm(check, values):
            nights = len({row["as_of"] for row in values})
            yield words.count(NAME, f"calm_{check}", nights)


def _list_limits(words: PageWords, values: list[Result]) -> list[tuple[float, str]]:
    """Return the newest limits of a kind of drift with their names.

    The limit of a stop is left out where it lies so high that nothing else could be seen.
    """
    newest = max(values, key=lambda row: row["as_of"])
    top = 2 * max(row["observed"] for row in values)
    limits = [(newest["warn"], "warn"), (newest["stop"], "stop")]
    return [
        (limit, words.text(NAME, kind))
        for limit, kind in limits
        if limit is not None and (kind == "warn" or limit <= top)
    ]


def _build_spec(words: PageWords, axis: str, limits: list[tuple[float, str]]) -> dict[str, Any]:
    """Return the specification: a line per target, and a dashed line with its name per limit."""
    y = {"type": "quantitative", "title": words.text(NAME, axis)}
    x = {"field": "night", **AXIS_DAY}
    at = {"x": x, "y": {"field": "observed", **y}}
    target = {"field": "target", "title": None}
    # Shapes besides colours; a line has no shape, so the points are a layer of their own.
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "line", "color": "var(--soft)"}, "encoding": {**at, "detail": target}},
        {
            "mark": {"type": "point", "opacity": 1},
            "encoding": {**at, "color": target, "shape": target},
        },
    ]
    for limit, label in limits:
        height = {"y": {"datum": limit, **y}}
        dashes = {"type": "rule", "strokeDash": [6, 4], "color": "var(--ink)"}
        name = {"type": "text", "align": "right", "baseline": "bottom", "dy": -3}
        name |= {"text": label, "color": "var(--ink)"}
        # Data of one row of their own, or they would be drawn for every night.
        once: dict[str, Any] = {"data": {"values": [{}]}}
        layers.append({**once, "mark": dashes, "encoding": height})
        layers.append({**once, "mark": name, "encoding": {**height, "x": {"value": "width"}}})
    return {"height": 180, "layer": layers}


def _build_value_table(words: PageWords, check: str, values: list[Result]) -> Table:
    """Return the values of a chart as texts, newest first."""
    rows = [
        [
            words.day(row["as_of"]),
            row["target"],
            *(
                "–" if row[key] is None else _write_value(words, check, row[key])
                for key in ("observed", "warn", "stop")
            ),
        ]
        for row in sorted(values, key=lambda row: row["as_of"], reverse=True)
    ]
    headings = [words.text(NAME, key) for key in ("night", "target", "value", "warn", "stop")]
    return Table(words.text(NAME, f"caption_{check}"), headings, rows, frozenset({2, 3, 4}))


def _list_notes(words: PageWords, current: list[Result], results: list[Result]) -> Iterator[str]:
    yield from _describe_calm(words, results)
    drift = _select_drift("drift", results)
    if not drift:
        yield words.text(NAME, "undrawn")
    else:
        yield words.text(NAME, "index")
        if _select_drift("mean", results):
            yield words.text(NAME, "index_mean")
        if len({row["as_of"] for row in drift}) == 1:
            yield words.text(NAME, "few")
    if any(row["check"] == "reading" for row in current):
        yield words.text(NAME, "reading_hint")
