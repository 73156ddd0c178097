"""The same rows in every form give the same data set, whatever the form."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.sources import read_sources
from tests.features.company import project
from tests.features.intake.forms import FORMS

LEADS = [
    {
        "id": f"{number:03}",
        "born": datetime(2024, 1, 1 + number, 9, 30, number),  # noqa: DTZ001
        "p.country": ("NA", "DE", " x ", None)[number % 4],
        "p.size.people": (10.0, 2.5, None)[number % 3],
        "agreed": bool(number % 2),
        "since": date(2020, 1, 1 + number),
        "code": number * 10**6,
    }
    for number in range(8)
]
EVENTS = [
    {
        "lead": f"{number % 8:03}",
        "at": datetime(2024, 2, 1 + number % 20, 23, number),  # noqa: DTZ001
        "what": "won" if number % 5 == 0 else "visit",
        "amount": number + 0.25 if number % 3 else None,
    }
    for number in range(20)
]
CHANGES = [
    {"lead": f"{number:03}", "from": date(2024, 3, 1), "p.stage": f"S{number}", "n.m": number / 4}
    for number in range(8)
]


def read(folder, forms, tables):
    """Write leads, events and a history, each in its form, and read them."""
    leads, events, changes = (
        FORMS[form](folder / f"{name}.{form}", rows)
        for name, form, rows in zip(("leads", "events", "changes"), forms, tables, strict=True)
    )
    columns = [name for name in tables[2][0] if name not in ("lead", "from")]
    attributes = [name for name in tables[0][0] if name not in ("id", "born")]
    return read_sources(
        project(
            {**leads, "entity_id": "id", "created_at": "born", "attributes": attributes},
            [
                {
                    **events,
                    "entity_id": "lead",
                    "event_time": "at",
                    "event_type": "what",
                    "value": "amount",
                }
            ],
            attributes=[{**changes, "entity_id": "lead", "valid_from": "from", "columns": columns}],
        )
    )


def content(dataset):
    """Return all of a data set but where it came from."""
    leads = dataset.leads.select(sorted(dataset.leads.column_names)).to_pydict()
    events = dataset.events.sort_by([("entity_id", "ascending"), ("event_time", "ascending")])
    order = [(name, "ascending") for name in ("entity_id", "attribute", "valid_from")]
    return leads, events.to_pydict(), dataset.values.sort_by(order).to_pydict()


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"csv"}))
def test_form_gives_the_data_set_of_csv(tmp_path, form):
    tables = LEADS, EVENTS, CHANGES
    expected, found = (read(tmp_path, (each,) * 3, tables) for each in ("csv", form))
    assert content(found) == content(expected)
    assert found.fingerprint == expected.fingerprint
    assert [count.used for count in found.counts] == [8, 20, 8]


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=6
).filter(lambda text: text.strip())
FIRST, LAST = datetime(1970, 1, 2), datetime(2100, 1, 1)  # noqa: DTZ001
instants = st.datetimes(FIRST, LAST).map(lambda instant: instant.replace(microsecond=0))
cells = {
    "number": st.none() | st.floats(-1e9, 1e9).map(lambda number: round(number, 3)),
    "whole": st.none() | st.integers(-(10**12), 10**12),
    "text": st.none() | texts,
    "day": st.none() | st.dates(date(1970, 1, 2), date(2100, 1, 1)),
    "instant": st.none() | instants,
    "truth": st.none() | st.booleans(),
}


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_cells_give_the_data_set_of_csv_in_other_forms(tmp_path, data):
    number = data.draw(st.integers(1, 12))
    drawn = {
        name: data.draw(st.lists(values, min_size=number, max_size=number))
        for name, values in cells.items()
    }
    rows = [
        {
            "id": f"L{i}",
            "born": datetime(2024, 1, 1) + timedelta(hours=i),  # noqa: DTZ001
            **{f"a.{name}": values[i] for name, values in drawn.items()},
        }
        for i in range(number)
    ]
    # A form that infers the type of a column needs a value in it.
    rows.append({"id": "last", "born": FIRST, "a.number": 0.5, "a.whole": 7, "a.text": "x"})
    rows[-1] |= {"a.day": FIRST.date(), "a.instant": LAST, "a.truth": True}
    tables = rows, [dict(EVENTS[0], lead="L0")], [dict(CHANGES[0], lead="L0")]
    expected = read(tmp_path, ("csv",) * 3, tables)
    for form in ("xlsx", "array.json", "jsonl.gz", "parquet", "db"):
        found = read(tmp_path, (form, "csv", "csv"), tables)
        assert content(found) == content(expected), form
        assert found.fingerprint == expected.fingerprint
