"""The ideal customer profile, the classes of fit, and the grid of fit and engagement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from features.wording.language import humanize_name
from models.fit.classes import CLASSES
from models.fit.grid import LEVELS
from models.fit.result import FitTables
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import UNKNOWN, Row, write_amount, write_range

NAME = "fit_profile"
GROUP: Final = "leads"


def build_fit_profile(data: PageData) -> Section | None:
    """Return the section; None without a fit, as before the first night that has one."""
    if data.fit is None:
        return None
    words, basis = data.words, data.fit.fit_basis.to_pylist()[0]
    profile = data.fit.fit_profile.to_pylist()
    title = words.text(NAME, "title")
    facts = _describe_basis(words, basis)
    notes = [facts, *_explain_attributes(words, basis)]
    limits = [*_list_limits(words, basis)]
    if not profile:
        sentence = words.text(NAME, "no_profile")
        return Section(NAME, GROUP, title, sentence, tables=limits, notes=notes)
    tables = [_list_rows(words, profile), _list_classes(words, data.fit), *_draw_grid(words, data)]
    tables += limits
    return Section(
        NAME,
        GROUP,
        title,
        _describe_classes(words, data.fit),
        tables=tables,
        notes=[words.text(NAME, "lift_note"), *_explain_grid(words, data.fit), *notes],
    )


def _describe_classes(words: PageWords, tables: FitTables) -> str:
    """Return what accounts of the best class bring, beside the mean of all."""
    basis = tables.fit_basis.to_pylist()[0]
    best = tables.fit_classes.to_pylist()[0]
    if not best["accounts"]:
        return words.text(NAME, "no_classes")
    key, shown, every = (
        "by_rate",
        words.percent(best["win_rate"]),
        words.percent(basis["customers"] / basis["accounts"]),
    )
    if basis["value_per_account"] is not None:
        key = "by_amount"
        shown, every = (
            words.amount(value) for value in (best["value_per_account"], basis["value_per_account"])
        )
    return words.text(NAME, key, share=words.percent(best["share"], 0), best=shown, all=every)


def _describe_basis(words: PageWords, basis: Row) -> str:
    key = "basis" if basis["horizon_days"] else "basis_without_times"
    days = words.language.days(basis["horizon_days"]) if basis["horizon_days"] else ""
    return words.text(
        NAME,
        key,
        accounts=words.number(basis["accounts"]),
        customers=words.number(basis["customers"]),
        share=words.percent(basis["customers"] / basis["accounts"]),
        days=days,
        young=words.number(basis["young"]),
    )


def _explain_attributes(words: PageWords, basis: Row) -> Iterator[str]:
    """Yield which attributes have no history."""
    if basis["undated"]:
        yield words.text(NAME, "undated", names=basis["undated"])


def _list_limits(words: PageWords, basis: Row) -> Iterator[Table]:
    """Yield the attributes that were refused, and the limits of the profile, both in English."""
    for key in ("refused", "limits"):
        if basis[key]:
            rows = [[line] for line in basis[key].splitlines()]
            heading = words.text(NAME, "evidence")
            caption = words.text(NAME, key)
            yield Table(caption, [heading], rows, english=frozenset({0}), folded=True)


def _explain_grid(words: PageWords, tables: FitTables) -> Iterator[str]:
    if tables.fit_grid.num_rows:
        busy = tables.fit_grid["activities_from"][0].as_py()
        yield words.text(NAME, "grid_note", busy=words.number(busy))


def _list_rows(words: PageWords, rows: list[Row]) -> Table:
    has_values = any(row["value_per_customer"] is not None for row in rows)
    keys = ["attribute", "value", "share", "accounts", "customers", "win_rate", "lift"]
    keys += [*["value_per_customer"] * has_values, "stability"]
    cells = [
        [
            humanize_name(row["attribute"]),
            row["value"],
            words.percent(row["share"], 0),
            words.number(row["accounts"]),
            words.number(row["customers"]),
            words.percent(row["win_rate"]),
            write_range(words, row, "lift", _write_factor),
            *[write_amount(words, row["value_per_customer"])] * has_values,
            words.percent(row["stability"], 0),
        ]
        for row in rows
    ]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset(range(2, len(keys)))
    caption = words.text(NAME, "profile_caption")
    return Table(caption, headings, cells, numeric, compact=True, extra=frozenset({2, 3, 4}))


def _write_factor(words: PageWords, value: Any) -> str:
    return words.number(value, 2)


def _list_classes(words: PageWords, tables: FitTables) -> Table:
    rows = tables.fit_classes.to_pylist()
    has_values = any(row["value_per_account"] is not None for row in rows)
    keys = ["fit_class", "accounts", "share", "customers", "win_rate"]
    keys += [*["value_per_account"] * has_values, "open_accounts", "white_space"]
    cells = [
        [
            row["fit_class"],
            words.number(row["accounts"]),
            words.percent(row["share"], 0),
            words.number(row["customers"]),
            write_range(words, row, "win_rate"),
            *[write_amount(words, row["value_per_account"])] * has_values,
            words.number(row["open_accounts"]),
            words.number(row["white_space"]),
        ]
        for row in rows
    ]
    headings = [words.text(NAME, key) for key in keys]
    return Table(
        words.text(NAME, "classes_caption"), headings, cells, frozenset(range(1, len(keys)))
    )


def _draw_grid(words: PageWords, data: PageData) -> Iterator[Table]:
    """Yield the grid: a row per class, and per engagement the win rate, amount and open accounts.

    There is none without times.
    """
    listed = data.fit.fit_grid.to_pylist() if data.fit else []
    if not listed:
        return
    cells = {row["cell"]: row for row in listed}
    rows = [
        [name, *(_describe_cell(words, cells[f"{name}{level}"]) for level in LEVELS)]
        for name in CLASSES
    ]
    headings = [words.text(NAME, key) for key in ("fit_class", "busy", "active", "none")]
    yield Table(words.text(NAME, "grid_caption"), headings, rows)


def _describe_cell(words: PageWords, row: Row) -> str:
    rate = UNKNOWN if not row["accounts"] else write_range(words, row, "win_rate")
    amount = row["value_per_account"]
    key = "cell" if amount is None else "cell_amount"
    return words.text(
        NAME,
        key,
        rate=rate,
        amount=write_amount(words, amount),
        customers=words.number(row["customers"]),
        accounts=words.number(row["accounts"]),
        open=words.number(row["open_accounts"]),
    )
