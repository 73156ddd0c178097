"""Forms of columns: what proves one, what leaves it open, and what does not depend on order."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.times.time_choice import choose_format, find_iso_signatures, find_signatures
from features.times.time_format import parse_iso


def choose(*texts, limit=0.05):
    array = pa.array(texts, pa.string())
    isos = find_iso_signatures(parse_iso(array))
    codes = [iso or code for iso, code in zip(isos, find_signatures(array), strict=True)]
    return choose_format(Counter(map(int, codes)), limit)


@pytest.mark.parametrize(
    ("texts", "name", "origin"),
    [
        (["2024-01-31", "2024-02-01 10:00"], "iso", "proven"),
        (["31.01.2024", "02.01.2024"], "day_first", "proven"),
        (["02.01.2024"], "day_first", "default"),
        (["1/31/2024", "1/2/2024"], "month_first", "proven"),
        (["31-01-2024 10:15", "2024-01-05"], "day_first", "proven"),
        (["01.31.2024", "01.02.2024"], "month_first", "proven"),
        (["5/5/2024"], "day_first", "open"),
        (["1/31/24"], "month_first", "proven"),
        (["99-12-31", "24-01-05"], "year_first", "proven"),
        (["2024/01/02"], "year_first", "proven"),
        (["Jan 5, 2024"], "month_first", "proven"),
        (["5 янв. 2024 г."], "day_first", "proven"),
        (["1704189600", "0", "-1"], "epoch_s", "proven"),
        (["1704189600000"], "epoch_ms", "proven"),
        (["1704189600000000"], "epoch_us", "proven"),
        (["1704189600000000000"], "epoch_ns", "proven"),
        # 1990, as nanoseconds, is 2001 and later as ticks: what fits one only is proof.
        (["1704189600000000000", "638396640000000000"], "epoch_ns", "proven"),
        (["629000000000000000", "638396640000000000"], "dotnet_ticks", "proven"),
        (["45321.5", "45322"], "excel", "default"),
        (["20240131", "20240201"], "year_first", "proven"),
        # Numbers beside ISO times, years, codes and ids are no times.
        (["2024-01-31", "2024-02-01", "45321"], "iso", "proven"),
        (["2024", "2023"], "iso", "proven"),
        (["10042", "52311", "99001"], "iso", "proven"),
        (["0", "0"], "iso", "proven"),
        (["007", "1.7E12"], "iso", "proven"),
    ],
)
def test_form_is_that_of_all_texts(texts, name, origin):
    choice = choose(*texts)
    assert (choice.name, choice.origin, choice.ambiguity) == (name, origin, None)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["02/01/2024"], ("day_first", "month_first")),
        (["02-01-2024", "03-04-2024 10:00 PM"], ("day_first", "month_first")),
        (["31/01/24"], ("day_first", "year_first")),
        (["01/02/03"], ("day_first", "month_first", "year_first")),
        # Points say day-first, but slashes do not.
        (["02.01.2024", "02/01/2024"], ("day_first", "month_first")),
        (["02.01.2024", "1/15/2024"], ("day_first", "month_first")),
        (["31/12/2023", "12/31/2023"], ("day_first", "month_first")),
        (["1704189600", "1704189600000"], ("epoch_s", "epoch_ms")),
        (["45321", "1704189600"], ("epoch_s", "excel")),
        (["638396640000000000", "0"], ("epoch_ns", "dotnet_ticks")),
    ],
)
def test_columns_in_doubt_are_refused(texts, names):
    choice = choose(*texts)
    assert choice.refused and choice.ambiguity is not None
    assert choice.ambiguity.names == names


@pytest.mark.parametrize(
    ("text", "name"), [("{}/01/2024", "day_first"), ("01/{}/2024", "month_first")]
)
def test_dates_that_a_spreadsheet_swapped_are_refused(text, name):
    low = [f"2024-{month:02}-01" for month in range(1, 6)]
    high = [text.format(day) for day in range(13, 18)]
    choice = choose(*low, *high)
    assert choice.refused and choice.ambiguity is not None and choice.ambiguity.is_swapped
    assert choice.ambiguity.names == ("iso", name)
    # Any other date shows that the days are not divided between the two, and few may be chance.
    low_text = text.format("02") if name == "month_first" else "02/01/2024"
    for texts in ([*low, *high, "2024-01-13"], [*low, *high, low_text], [*low[1:], *high]):
        assert choose(*texts).ambiguity is None
        assert choose(*texts).name == name


def test_few_odd_cells_do_not_stop_a_column_of_iso_times():
    choice = choose(*["2024-01-05"] * 99, "02/01/2024")
    assert (choice.name, choice.refused) == ("iso", False) and choice.ambiguity is not None
    assert choose(*["2024-01-05"] * 9, "02/01/2024").refused


dates = st.sampled_from(
    ["2024-01-05", "02.01.2024", "31.01.2024", "02/01/2024", "12/31/2024", "31/12/2024", "5/5/24"]
) | st.sampled_from(["45321", "1704189600", "x", "Jan 5, 2024", "24-01-31", "0"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(dates, min_size=1, max_size=8).flatmap(
        lambda t: st.tuples(st.just(t), st.permutations(t))
    )
)
def test_form_does_not_depend_on_the_order_of_rows(pair):
    assert choose(*pair[0]) == choose(*pair[1])
