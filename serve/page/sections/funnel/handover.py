"""Hand-overs to sales: whether sales accepts the leads, touches them in time, and wins them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from models.qualification.schemas import ALL
from models.qualification.states import REASONS
from serve.page.content.page_data import PageData
from serve.page.content.parts import Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import GROUP, UNKNOWN, Row

NAME = "handover"
MQL_KEY = "mql"
TABLES = ("qualification", "thresholds")
MONTH_COLUMNS = ("month", "handed_over", "mature", "rate", "rate_all", "in_time", "hours", "back")
BAND_COLUMNS = ("band", "handed_over", "mature", "rate")
TEXT_COLUMNS = frozenset({"month", "band", "step", "limit"})
LIMIT_COLUMNS = ("step", "threshold", "limit", "break_even", "per_week", "expected", "open")


def build_handover(data: PageData) -> Section | None:
    """Return the section; None where the config hands no leads over.

    Where the night has no such tables, it says so.
    """
    if data.project.qualification is None:
        return None
    words, tables = data.words, data.qualification or {}
    title = words.text(NAME, "title")
    if not {*TABLES} <= {*tables}:
        return Section(NAME, GROUP, title, words.text(NAME, "missing"))
    rows, limits = (tables[name].to_pylist() for name in TABLES)
    totals = {row["step"]: row for row in rows if row["month"] == row["band"] == ALL}
    return Section(
        NAME,
        GROUP,
        title,
        " ".join(_write_sentences(words, totals, limits)),
        [*_quote_limits(words, limits), *_quote_touch(words, totals)],
        tables=[*_list_tables(words, rows, limits)],
        notes=[*_list_notes(words, rows, totals)],
    )


def _write_sentences(
    words: PageWords, totals: Mapping[str, Row], limits: Sequence[Row]
) -> Iterator[str]:
    for limit in limits:
        step, total = limit["step"], totals.get(limit["step"])
        if total is None or not total["mature"]:
            key = f"{step}_young" if total else f"{step}_none"
            count = words.number(total["handed_over"]) if total else ""
            yield words.text(NAME, key, count=count)
            continue
        counts = {key: words.number(total[key]) for key in ("outcomes", "mature")}
        yield words.text(NAME, f"{step}_rate", rate=_write_rate(words, total, "rate"), **counts)
        if total["rate_all"] is not None and total["explored"]:
            yield words.text(NAME, f"{step}_all", rate=_write_rate(words, total, "rate_all"))


def _quote_limits(words: PageWords, limits: Sequence[Row]) -> Iterator[Quote]:
    for limit in limits:
        label = words.text(NAME, f"{limit['step']}_threshold")
        hint = words.text(NAME, f"by_{limit['limit']}")
        yield Quote(label, words.percent(limit["threshold"]), hint)


def _quote_touch(words: PageWords, totals: Mapping[str, Row]) -> Iterator[Quote]:
    total = totals.get(MQL_KEY)
    if total and total["due"]:
        counts = {key: words.number(total[key]) for key in ("in_time", "due")}
        value = _write_rate(words, total, "in_time_share")
        yield Quote(words.text(NAME, "touch"), value, words.text(NAME, "touch_hint", **counts))


def _list_tables(words: PageWords, rows: Sequence[Row], limits: Sequence[Row]) -> Iterator[Table]:
    cells = [_write_limit(words, limit) for limit in limits]
    yield _build_table(words, "limits", LIMIT_COLUMNS, cells)
    for step in (limit["step"] for limit in limits):
        own = [row for row in rows if row["step"] == step]
        # The rate of all leads needs drawn leads, which the first step alone has.
        columns = [name for name in MONTH_COLUMNS if name != "rate_all" or step == MQL_KEY]
        months = [_write_handover(words, row) for row in own if row["band"] == ALL]
        bands = [row for row in own if row["month"] == ALL and row["band"] != ALL]
        if months:
            yield _build_table(words, f"{step}_months", columns, months)
        if bands:
            cells = [_write_handover(words, row) for row in bands]
            yield _build_table(words, f"{step}_bands", BAND_COLUMNS, cells)


def _build_table(
    words: PageWords, caption: str, columns: Sequence[str], cells: Sequence[Mapping[str, str]]
) -> Table:
    return Table(
        words.text(NAME, caption),
        [words.text(NAME, name) for name in columns],
        [[row[name] for name in columns] for row in cells],
        frozenset(place for place, name in enumerate(columns) if name not in TEXT_COLUMNS),
    )


def _write_limit(words: PageWords, limit: Row) -> dict[str, str]:
    return {
        "step": words.text(NAME, f"{limit['step']}_name"),
        "threshold": words.percent(limit["threshold"]),
        "limit": words.text(NAME, f"by_{limit['limit']}"),
        "break_even": words.percent(limit["break_even"]),
        "per_week": words.number(limit["per_week"]),
        "expected": words.number(limit["expected_per_week"], 1),
        "open": words.number(limit["open"]),
    }


def _write_handover(words: PageWords, row: Row) -> dict[str, str]:
    hours = row["touch_hours_50"]
    return {
        "month": words.text(NAME, "all") if row["month"] == ALL else row["month"],
        "band": row["band"],
        "handed_over": words.number(row["handed_over"]),
        "mature": words.number(row["mature"]),
        "rate": _write_rate(words, row, "rate"),
        "rate_all": _write_rate(words, row, "rate_all"),
        "in_time": _write_rate(words, row, "in_time_share"),
        "hours": UNKNOWN if hours is None else words.number(hours, 1),
        "back": words.number(sum(row[reason] for reason in REASONS)),
    }


def _write_rate(words: PageWords, row: Row, name: str) -> str:
    if row[name] is None:
        return UNKNOWN
    low, high = (words.percent(row[f"{name}_{end}"], 0) for end in ("low", "high"))
    return words.text(NAME, "interval", rate=words.percent(row[name], 0), low=low, high=high)


def _list_notes(words: PageWords, rows: Sequence[Row], totals: Mapping[str, Row]) -> Iterator[str]:
    young = sum(row["handed_over"] - row["mature"] for row in totals.values())
    if young:
        yield words.count(NAME, "immature", young)
    if any(row["rate_all"] is not None and row["explored"] for row in rows):
        yield words.text(NAME, "weighted")
    yield words.text(NAME, "apart")
