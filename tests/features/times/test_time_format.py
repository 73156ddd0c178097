"""Times in every form against Python's calendar and its strptime."""

import calendar
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.times.iso_time import NAIVE, UNREADABLE, ZONED
from features.times.time_format import TimeFormat

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENGLISH = list(calendar.month_abbr)[1:]
LONG = list(calendar.month_name)[1:]
RUSSIAN = (
    *("января", "февраля", "марта", "апреля", "мая", "июня"),
    *("июля", "августа", "сентября", "октября", "ноября", "декабря"),
)
SHORT_RUSSIAN = (
    *("янв.", "февр.", "марта", "апр.", "мая", "июня"),
    *("июля", "авг.", "сент.", "окт.", "нояб.", "дек."),
)

moments = st.integers(631_152_000, 3_124_223_999).map(lambda n: EPOCH + timedelta(seconds=n))
clocks = {
    "": lambda t: t.replace(hour=0, minute=0, second=0),
    " %H:%M": lambda t: t.replace(second=0),
    "T%H:%M:%S": lambda t: t,
    ", %H:%M:%S": lambda t: t,
    " %I:%M %p": lambda t: t.replace(second=0),
    "\u202f%I:%M:%S\u202f%p": lambda t: t,
    " %I %p": lambda t: t.replace(minute=0, second=0),
}


def parse(name, *texts):
    times = TimeFormat(name).parse(pa.array(texts, pa.string()))
    parts = zip(times.kind.tolist(), times.wall.tolist(), times.offset.tolist(), strict=True)
    return [
        None if kind == UNREADABLE else (EPOCH + timedelta(microseconds=wall), offset, kind)
        for kind, wall, offset in parts
    ]


@settings(max_examples=60, deadline=None)
@given(moments, st.sampled_from(sorted(clocks)), st.sampled_from("./-"))
def test_numbers_are_read_in_their_order(moment, clock, sign):
    moment = clocks[clock](moment)
    padded = {"day": f"{moment:%d}", "month": f"{moment:%m}", "year": str(moment.year)}
    plain = {"day": str(moment.day), "month": str(moment.month), "year": str(moment.year)}
    short = {**padded, "year": f"{moment:%y}"}
    for name, order in {
        "day_first": ("day", "month", "year"),
        "month_first": ("month", "day", "year"),
        "year_first": ("year", "month", "day"),
    }.items():
        for parts in (padded, plain, short):
            text = sign.join(parts[part] for part in order) + moment.strftime(clock)
            assert parse(name, text) == [(moment, 0, NAIVE)], (name, text)


@settings(max_examples=40, deadline=None)
@given(moments, st.sampled_from(["", " %H:%M", ", %I:%M %p"]))
def test_names_of_months_are_read_in_any_form(moment, clock):
    moment = clocks.get(clock, clocks[" %H:%M"])(moment)
    day, month, year, rest = moment.day, moment.month - 1, moment.year, moment.strftime(clock)
    texts = [
        f"{ENGLISH[month]} {day}, {year}{rest}",
        f"{LONG[month]} {day}, {year}{rest.replace(',', ' at')}",
        f"{day} {LONG[month].upper()} {year}{rest}",
        f"{day:02}-{ENGLISH[month]}-{year}{rest}",
        f"{day:02}-{ENGLISH[month]}-{year % 100:02}{rest}",
        f"{day} {RUSSIAN[month]} {year} г.{rest.replace(',', ' в')}",
        f"{day} {SHORT_RUSSIAN[month]} {year} г.{rest}",
        f"{moment:%a}, {day:02} {ENGLISH[month]} {year}{rest}",
        f"{year}-{ENGLISH[month]}-{day:02}{rest}",
    ]
    for name in ("day_first", "month_first", "year_first"):
        assert parse(name, *texts) == [(moment, 0, NAIVE)] * len(texts)


@settings(max_examples=60, deadline=None)
@given(moments, st.integers(-15 * 60, 15 * 60), st.integers(0, 999_999))
def test_offsets_and_fractions_are_kept(moment, minutes, micros):
    zone = timezone(timedelta(minutes=minutes))
    wall, size = moment.replace(microsecond=micros), minutes * 60_000_000
    moment = wall.replace(tzinfo=zone)
    for text in (
        moment.strftime("%d.%m.%Y %H:%M:%S.%f%z"),
        moment.strftime("%d/%m/%Y, %H:%M:%S,%f UTC%z"),
        moment.strftime("%d %b %Y %I:%M:%S.%f %p %z"),
        moment.strftime("%Y%m%dT%H%M%S.%f%z"),
        moment.strftime("%a %b %d %Y %H:%M:%S.%f GMT%z (Some Standard Time)"),
    ):
        assert parse("day_first", text) == [(wall, size, ZONED)], text
    assert parse("%d.%m.%Y %H:%M:%S.%f %z", moment.strftime("%d.%m.%Y %H:%M:%S.%f %z")) == [
        (wall, size, ZONED)
    ]


@settings(max_examples=60, deadline=None)
@given(
    moments,
    st.sampled_from(
        [
            "%d.%m.%Y %H:%M",
            "%m/%d/%y %I:%M %p",
            "%Y%m%d%H%M%S",
            "%H:%M:%S %d-%b-%Y",
            "%A, %d %B %Y",
            "week of %Y.%m.%d",
            "%d%%%m%%%Y",
        ]
    ),
)
def test_patterns_are_read_as_by_strptime(moment, pattern):
    text = moment.strftime(pattern)
    assert parse(pattern, text) == [
        (datetime.strptime(text, pattern).replace(tzinfo=UTC), 0, NAIVE)
    ]
    assert parse(pattern, f"{text}x", text[:-1] + "x", "") == [None] * 3


@settings(max_examples=60, deadline=None)
@given(moments, st.integers(0, 999_999))
def test_counts_are_exact(moment, micros):
    total = int(moment.timestamp()) * 1_000_000 + micros
    exact = moment.replace(microsecond=micros)
    assert parse("epoch_us", str(total)) == [(exact, 0, ZONED)]
    assert parse("epoch_ns", str(total * 1000 + 999)) == [(exact, 0, ZONED)]
    ticks = (total + 62_135_596_800 * 10**6) * 10 + 9
    assert parse("dotnet_ticks", str(ticks)) == [(exact, 0, ZONED)]
    assert parse("epoch_ms", f"{total // 1000}.{total % 1000:03}") == [(exact, 0, ZONED)]
    assert parse("epoch_s", f"{total // 10**6}.{total % 10**6:06}") == [(exact, 0, ZONED)]
    days = (moment - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1)
    assert parse("excel", repr(days), f"{days:.10f}") == [(moment, 0, NAIVE)] * 2
    assert parse("excel_1904", repr(days - 1462)) == [(moment, 0, NAIVE)]


def test_days_before_march_1900_have_the_numbers_of_a_spreadsheet():
    assert parse("excel", "1", "59", "60", "61", "0", "-1") == [
        (datetime(1900, 1, 1, tzinfo=UTC), 0, NAIVE),
        (datetime(1900, 2, 28, tzinfo=UTC), 0, NAIVE),
        None,
        (datetime(1900, 3, 1, tzinfo=UTC), 0, NAIVE),
        None,
        None,
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("31/02/2024", "13/13/2024", "1/2", "1/2/202", "1/2/20245", "1.2/2024", "1/2/2024 24:00"),
        *("1/2/2024 0:15 AM", "1/2/2024 13:15 PM", "1/2/2024 10:15 EST", "1/2/2024 10", "Jan 2024"),
        *("2024", "10:15", "", "05 Foo 2024", "1/2/2024 10:5", "1/2/202410:15", "31.01.2024x"),
    ],
)
def test_other_texts_are_no_times(text):
    for name in ("iso", "day_first", "month_first", "year_first", "epoch_s", "%d/%m/%Y"):
        if (name, text) != ("epoch_s", "2024"):
            assert parse(name, text) == [None], name


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30) | st.text("0123456789/.-: ,TZampgмая", max_size=30))
def test_text_is_not_read_beyond_its_end(text):
    for name in ("day_first", "year_first", "epoch_ms", "excel", "%d.%m.%Y %I:%M %p %z"):
        alone = parse(name, text)
        assert parse(name, "1", text, "12:30 PM")[1:2] == alone
