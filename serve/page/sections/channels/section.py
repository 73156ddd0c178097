"""What channels cost, what the customers whom they touched first bring, and what is not tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.channels.result import ChannelTables
from serve.page.content.page_data import PageData
from serve.page.content.parts import Quote, Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.channels.credit_chart import NAME, draw_credits
from serve.page.sections.funnel.texts import GROUP, UNKNOWN, Row, write_amount

ALL, TOTAL, CHANNEL = "all", "total", "channel"
NOT_TESTED = "not tested"


def build_channel_section(data: PageData) -> Section | None:
    """Return the section; None where no channels were published."""
    if data.channels is None:
        return None
    words, tables = data.words, data.channels
    whole = [row for row in tables.list_rows("channels") if row["period"] == ALL]
    total = next((row for row in whole if row["scope"] == TOTAL), None)
    rows = [row for row in whole if row["scope"] == CHANNEL]
    basis = tables.list_rows("channel_basis")[0]
    window = words.language.days(basis["window_days"])
    periods = _list_periods(words, tables)
    title, notes = words.text(NAME, "title"), [words.text(NAME, "cohort", window=window)]
    if total is None:
        sentence = _announce_figures(words, tables, window)
        return Section(NAME, GROUP, title, sentence, tables=[periods], notes=notes)
    return Section(
        NAME,
        GROUP,
        title,
        " ".join(_describe_channels(words, tables, total, rows)),
        [*_quote_figures(words, tables, total)],
        [*draw_credits(words, total, rows)],
        [periods],
        [*notes, *_list_notes(words, rows, basis)],
        opening=[_list_costs(words, total, rows)],
    )


def _list_totals(tables: ChannelTables) -> list[Row]:
    """Return the rows of all channels in each period, the latest first."""
    rows = tables.list_rows("channels")
    return [row for row in rows if row["scope"] == TOTAL and row["period"] != ALL]


def _announce_figures(words: PageWords, tables: ChannelTables, window: str) -> str:
    first = min(row["mature_at"] for row in _list_totals(tables))
    return words.text(NAME, "young", window=window, day=words.day(first))


def _name_periods(words: PageWords, tables: ChannelTables) -> str:
    """Return the periods with figures, the first and the last."""
    names = [row["period"] for row in _list_totals(tables) if row["mature"]]
    if len(names) == 1:
        return str(names[0])
    return words.text(NAME, "span", first=names[-1], last=names[0])


def _describe_channels(
    words: PageWords, tables: ChannelTables, total: Row, rows: Sequence[Row]
) -> Iterator[str]:
    """Yield what all channels cost and brought, which lose money, and what the numbers are."""
    known = [row for row in rows if row["cost"] is not None]
    key = "cost_sentence" if total["customers"] else "no_customers"
    yield words.text(
        NAME,
        "no_cost_sentence" if total["cost"] is None else key,
        channels=words.number(len(known or rows)),
        cost=write_amount(words, total["cost"]),
        accounts=words.number(total["accounts"]),
        customers=words.number(total["customers"]),
        cac=write_amount(words, total["cac"]),
        periods=_name_periods(words, tables),
    )
    losing = [row for row in rows if row["roi"] is not None and row["roi"] < 0]
    if losing:
        names = (f"{row['channel']} ({_write_return(words, row['roi'])})" for row in losing)
        yield words.text(NAME, "losing", names=", ".join(names))
    yield words.text(NAME, "kinds")


def _quote_figures(words: PageWords, tables: ChannelTables, total: Row) -> Iterator[Quote]:
    """Yield cost, cost of a customer and return as far as they are known, and the effect."""
    if total["cost"] is not None:
        span = _name_periods(words, tables)
        yield Quote(words.text(NAME, "spent"), words.amount(total["cost"]), span)
    if total["cac"] is not None:
        low, high = total["cac_low"], total["cac_high"]
        key = "interval" if high is not None else "open_interval"
        ends = {"low": words.amount(low), "high": write_amount(words, high)}
        hint = words.text(NAME, key, **ends)
        yield Quote(words.text(NAME, "cac"), words.amount(total["cac"]), hint)
    if total["roi"] is not None:
        hint = words.text(NAME, "roi_hint")
        yield Quote(words.text(NAME, "roi"), _write_return(words, total["roi"]), hint)
    effect, hint = _write_effect(words, total), words.text(NAME, "effect_hint")
    yield Quote(words.text(NAME, "effect"), effect, hint)


def _list_costs(words: PageWords, total: Row, rows: Sequence[Row]) -> Table:
    """Return what each channel costs, what its customers bring, and its effect."""
    has_values = any(row["expected_value"] is not None for row in rows)
    keys = ["channel", "effect", "cost", "customers", "cac_range"]
    keys += ["value", "roi", "payback"] * has_values
    cells = [
        [
            words.text(NAME, "all") if row is total else row["channel"],
            _write_effect(words, row),
            write_amount(words, row["cost"]),
            _write_count(words, row["customers"]),
            _write_cac(words, row),
            *[write_amount(words, row["expected_value"])] * has_values,
            *[_write_return(words, row["roi"]), _write_payback(words, row)] * has_values,
        ]
        for row in (total, *rows)
    ]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset(range(2, len(keys)))
    # A phone shows cost, cost of a customer, return and effect.
    extra = frozenset(keys.index(key) for key in ("customers", "value", "payback") if key in keys)
    caption = words.text(NAME, "costs_caption")
    return Table(caption, headings, cells, numeric, compact=True, extra=extra)


def _list_periods(words: PageWords, tables: ChannelTables) -> Table:
    rows = [
        [
            row["period"],
            words.number(row["accounts"]),
            write_amount(words, row["cost"]),
            _write_count(words, row["customers"]),
            _write_cac(words, row),
            words.text(NAME, "since")
            if row["mature"]
            else words.text(NAME, "from_day", day=words.day(row["mature_at"])),
        ]
        for row in _list_totals(tables)
    ]
    keys = ("period", "accounts", "cost", "customers", "cac_range", "mature")
    headings = [words.text(NAME, key) for key in keys]
    caption = words.text(NAME, "periods_caption")
    return Table(caption, headings, rows, frozenset({1, 2, 3, 4}), folded=True)


def _list_notes(words: PageWords, rows: Sequence[Row], basis: Row) -> Iterator[str]:
    """Yield what the figures cannot say, and which channels lack some."""
    yield words.text(NAME, "spread")
    count, few = words.number(basis["min_accounts"]), basis["min_accounts"]
    missing = {
        "refused": [row for row in rows if row["accounts"] < few],
        "never_first": [row for row in rows if row["accounts"] >= few and not row["leads"]],
        "unknown_cost": [row for row in rows if row["cost"] is None],
    }
    for key, own in missing.items():
        if own:
            names = ", ".join(row["channel"] for row in own)
            yield words.text(NAME, key, names=names, count=count)
    valued = [row for row in rows if row["expected_value"] is not None]
    if valued and all(row["expected_value"] == row["margin"] for row in valued):
        yield words.text(NAME, "value_so_far")


def _write_count(words: PageWords, value: int | None) -> str:
    return UNKNOWN if value is None else words.number(value)


def _write_cac(words: PageWords, row: Row) -> str:
    """Return the cost of a customer with its interval, which may have no upper end."""
    if row["cac"] is None:
        return UNKNOWN
    value, low, high = words.amount(row["cac"]), row["cac_low"], row["cac_high"]
    if high is None:
        return words.text(NAME, "open_range", value=value, low=words.amount(low))
    return f"{value} ({words.amounts(low, high)})"


def _write_return(words: PageWords, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return ("+" if value > 0 else "") + words.percent(value, 0)


def _write_payback(words: PageWords, row: Row) -> str:
    if row["roi"] is None:
        return UNKNOWN
    months = row["payback_months"]
    return words.text(NAME, "not_yet") if months is None else words.count(NAME, "months", months)


def _write_effect(words: PageWords, row: Row) -> str:
    """Return the incremental customers, or that no experiment has shown them."""
    tested: str = row["incremental"]
    return words.text(NAME, "not_tested") if tested == NOT_TESTED else tested
