"""``sources.costs``: what is read, counted, set aside, refused and warned about."""

import csv
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.errors import DataError
from configs.schema import Project
from features.intake.costs.cost_log import read_costs
from features.intake.time_limits import TimeLimits
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, at, csv_text, project, write

LEADS = "id,born\nA,2024-01-01\nB,2024-01-02\n"
EVENTS = "lead,at,what\nA,2024-02-05,visit\nB,2024-01-07,won\n"
COST = {"date": "day", "channel": "via", "cost": "spent"}


def company(folder, costs, **more):
    texts = costs if isinstance(costs, list) else [costs]
    options = {key: more.pop(key) for key in ("known_at", "cost_id", "currency") if key in more}
    sources = [
        {"path": write(folder / f"c{i}.csv", text), **COST, **options}
        for i, text in enumerate(texts)
    ]
    return project(
        {"path": write(folder / "l.csv", LEADS), **LEAD},
        [{"path": write(folder / "e.csv", EVENTS), **EVENT}],
        costs=sources if isinstance(costs, list) else sources[0],
        **more,
    )


def list_costs(data):
    return [(row["date"].day, row["channel"], row["cost"]) for row in data.costs.to_pylist()]


def count_of(data, source="costs_1"):
    (count,) = (count for count in data.counts if count.source == source)
    total = count.used + count.skipped + count.suppressed + sum(count.quarantined.values())
    assert count.rows_in == total
    return count


def test_costs_are_read_with_signs_and_dates_that_all_rows_prove(tmp_path):
    text = 'day;via;spent\n31.01.2024;ads;"1.250,50 €"\n02.01.2024;fair;"90,00 €"\n'
    data = read_sources(company(tmp_path, text))
    assert list_costs(data) == [(2, "fair", 90.0), (31, "ads", 1250.5)]
    assert {entry.key for entry in count_of(data).form} >= {"decimal", "unit"}


def test_bad_rows_are_set_aside_with_their_reasons(tmp_path):
    text = (
        "day,via,spent\n2024-01-02,ads,5\n,ads,5\n2024-01-03,,5\n2024-01-04,ads,\n"
        "2024-01-05,ads,much\n1850-01-05,ads,5\n2024-01-02,ads,5\n"
    )
    data = read_sources(company(tmp_path, text, max_quarantine=1), tmp_path / "q")
    assert list_costs(data) == [(2, "ads", 5.0)]
    count = count_of(data)
    assert (count.rows_in, count.used) == (7, 1)
    assert count.quarantined == {
        "duplicate": 1,
        "impossible time": 1,
        "no channel": 1,
        "no cost": 1,
        "unreadable time": 1,
        "wrong type": 1,
    }
    with (tmp_path / "q" / "costs_1.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6


def test_too_many_bad_rows_stop_the_run(tmp_path):
    with pytest.raises(DataError, match="too many bad rows"):
        read_sources(company(tmp_path, "day,via,spent\n2024-01-02,ads,5\n2024-01-03,,5\n"))


def test_cost_is_seen_only_after_it_became_known(tmp_path):
    text = "day,via,spent,known\n2024-01-02,ads,5,2024-01-20\n2024-01-03,ads,6,\n"
    data = read_sources(company(tmp_path, text, known_at="known"))
    assert list_costs(data.cut_at(at(2024, 1, 20))) == [(3, "ads", 6.0)]
    assert list_costs(data.cut_at(at(2024, 1, 20) + timedelta(microseconds=1))) == [
        (2, "ads", 5.0),
        (3, "ads", 6.0),
    ]


def test_planned_cost_waits_for_its_date(tmp_path):
    text = "day,via,spent\n2024-01-02,ads,5\n2024-02-01,ads,6\n"
    data = read_sources(company(tmp_path, text), clock=at(2024, 1, 15))
    assert list_costs(data) == [(2, "ads", 5.0)]
    assert count_of(data).skipped == 1
    assert any("in the future" in line for line in count_of(data).warnings)


def test_rows_with_ids_of_their_own_are_two_costs(tmp_path):
    text = "day,via,spent,no\n2024-01-02,ads,5,1\n2024-01-02,ads,5,2\n2024-01-02,ads,5,1\n"
    data = read_sources(company(tmp_path, text, cost_id="no"))
    assert list_costs(data) == [(2, "ads", 5.0), (2, "ads", 5.0)]
    assert count_of(data).quarantined == {"duplicate": 1}


def test_id_with_two_contents_uses_the_first_known_and_says_so(tmp_path):
    text = "day,via,spent,no,known\n2024-01-02,ads,7,1,2024-01-09\n2024-01-02,ads,5,1,2024-01-03\n"
    options = {"cost_id": "no", "known_at": "known", "max_quarantine": 1}
    data = read_sources(company(tmp_path, text, **options))
    assert list_costs(data) == [(2, "ads", 5.0)]
    assert any("1 rows have the id of another row" in line for line in count_of(data).warnings)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("day,via,spent,cur\n2024-01-02,ads,5,EUR\n2024-01-03,ads,6,USD\n", "cur"),
        (
            [
                "day,via,spent,cur\n2024-01-02,ads,5,EUR\n",
                "day,via,spent,cur\n2024-01-02,ads,5,USD\n",
            ],
            "cur",
        ),
        (["day,via,spent\n2024-01-02,ads,5 €\n", "day,via,spent\n2024-01-02,ads,5 $\n"], None),
    ],
)
def test_several_currencies_are_refused(tmp_path, text, currency):
    with pytest.raises(DataError, match="several currencies"):
        read_sources(company(tmp_path, text, currency=currency))


def test_units_of_two_currencies_in_a_column_are_refused(tmp_path):
    with pytest.raises(DataError, match="different units") as caught:
        read_sources(company(tmp_path, "day,via,spent\n2024-01-02,ads,5 €\n2024-01-03,ads,5 $\n"))
    assert "sources.costs[0].cost: spent" in caught.value.where


def test_credit_notes_are_used_and_named(tmp_path):
    data = read_sources(company(tmp_path, "day,via,spent\n2024-01-02,ads,50\n2024-01-03,ads,-20\n"))
    assert sum(cost for _, _, cost in list_costs(data)) == 30
    assert any("1 of 2 costs are below zero" in line for line in count_of(data).warnings)


def test_missing_column_names_file_key_and_the_columns_there_are(tmp_path):
    with pytest.raises(DataError, match="no such column") as caught:
        read_sources(company(tmp_path, "day,channel,spent\n2024-01-02,ads,50\n"))
    assert "sources.costs[0].channel" in caught.value.where


def test_similar_channel_names_are_named(tmp_path):
    data = read_sources(
        company(tmp_path, "day,via,spent\n2024-01-02,Ads,50\n2024-01-03,ads,20\n2024-01-04,ads,2\n")
    )
    assert any("sources.costs[0].channel" in line for line in count_of(data).warnings)


def test_costs_do_not_change_the_fingerprint_of_what_models_learn_from(tmp_path):
    data = read_sources(company(tmp_path, "day,via,spent\n2024-01-02,ads,50\n"))
    other = read_sources(company(tmp_path, "day,via,spent\n2024-01-02,ads,51\n"))
    assert data.fingerprint == other.fingerprint


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.sampled_from(["2024-01-02", "2024-01-03", "", "x"]),
            "via": st.sampled_from(["ads", "fair", ""]),
            "spent": st.sampled_from(["1", "2.5", "-1", "", "y"]),
            "known": st.sampled_from(["", "2024-01-09"]),
            "no": st.sampled_from(["", "1", "2"]),
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40)
@given(rows=ROWS, order=st.randoms(use_true_random=False))
def test_order_of_rows_decides_nothing_and_every_row_is_counted(tmp_path_factory, rows, order):
    folder = tmp_path_factory.mktemp("costs")
    options = {"known_at": "known", "cost_id": "no", "max_quarantine": 1, "max_duplicates": 1}
    options["max_unreadable_cells"] = 0.49
    config = company(folder, csv_text(rows), **options)
    limits = TimeLimits.from_project(config, None)
    first, (count,) = read_costs(config, None, limits)
    order.shuffle(shuffled := [*rows])
    write(folder / "c0.csv", csv_text(shuffled))
    second, (other,) = read_costs(config, None, limits)
    assert first.equals(second)
    assert count.quarantined == other.quarantined
    assert count.rows_in == len(rows) == count.used + sum(count.quarantined.values())
    assert count.used == first.num_rows


def test_source_of_costs_needs_times(tmp_path):
    costs = {"path": "c.csv", **COST}
    with pytest.raises(ValidationError, match=r"sources\.costs requires times"):
        project(
            {"path": "l.csv", "entity_id": "id", "attributes": ["won"]},
            costs=costs,
            targets={"win": {"outcome": {"column": "won", "equals": "1"}}},
        )


def test_personal_channel_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="personal hides the column 'via'"):
        Project.model_validate(
            company(tmp_path, "day,via,spent\n").model_dump(exclude_unset=True)
            | {"privacy": {"personal": ["via"]}}
        )
