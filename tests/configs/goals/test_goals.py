"""Goals in the config: their forms, their errors, and the goal of a period."""

from datetime import date

import pytest
import yaml

from configs.errors import ConfigError
from configs.goals.goals import Goals
from configs.schema import load_project
from tests.pipelines import tiny


def project(folder, goals, **changes):
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(tiny.CONFIG | {"goals": goals} | changes), encoding="utf-8")
    return load_project(path)


def test_goal_by_date_holds_until_the_next():
    goals = Goals.model_validate({"goal": {date(2025, 7, 1): 250, "2025-09-01": "300"}})
    found = [goals.find_goal(date(2025, month, 1), "month", "wins") for month in range(6, 11)]
    assert found == [None, 250, 250, 300, 300]


def test_quarter_has_the_sum_of_its_months_goals():
    goals = Goals.model_validate({"goal": {date(2025, 2, 1): 10, date(2025, 6, 1): 20}})
    found = [goals.find_goal(date(2025, month, 1), "quarter", "wins") for month in (1, 4, 7)]
    # January has no goal, so the first quarter has none.
    assert found == [None, 40, 60]
    of_a_year_end = Goals.model_validate({"goal": {date(2024, 12, 1): 1, date(2025, 1, 1): 2}})
    assert of_a_year_end.find_goal(date(2024, 12, 1), "month", "wins") == 1


def test_goal_of_a_quarter_is_none_of_a_month():
    goals = Goals.model_validate({"period": "quarter", "goal": 600})
    assert goals.find_goal(date(2025, 7, 1), "quarter", "wins") == 600
    assert goals.find_goal(date(2025, 7, 1), "month", "wins") is None


def test_goals_are_of_one_unit_and_one_column():
    goals = Goals.model_validate(
        {"unit": "amount", "goal": 9, "by": "owner", "segments": {"anna": 4, "all": 5, 7: 6}}
    )
    first = date(2025, 7, 1)
    assert goals.find_goal(first, "month", "wins") is None
    assert goals.find_goal(first, "month", "amount", "anna", "owner") == 4
    assert goals.find_goal(first, "month", "amount", "7", "owner") == 6
    assert goals.find_goal(first, "month", "amount", "anna", "country") is None
    assert goals.find_goal(first, "month", "amount", "other", "owner") is None
    # `all` are all leads; a sales person of that name is a segment in quotes.
    assert goals.find_goal(first, "month", "amount", "all", "owner") == 9
    assert goals.find_goal(first, "month", "amount", '"all"', "owner") == 5


@pytest.mark.parametrize(
    ("goals", "key", "text"),
    [
        ({"gaol": 3}, "goals.gaol", "unknown key"),
        ({"goal": 0}, "goals.goal", "above zero"),
        ({"goal": True}, "goals.goal", "above zero"),
        ({"goal": float("nan")}, "goals.goal", "above zero"),
        ({"goal": float("inf")}, "goals.goal", "above zero"),
        ({"goal": "many"}, "goals.goal", "above zero"),
        ({"goal": [1]}, "goals.goal", "above zero"),
        ({"goal": {}}, "goals.goal", "must not be empty"),
        ({"goal": {"July": 3}}, "goals.goal", "'July' is not a date"),
        ({"goal": {date(2025, 7, 1): -3}}, "goals.goal", "above zero"),
        ({"goal": {date(2025, 7, 15): 3}}, "goals", "write 2025-07-01"),
        ({"period": "quarter", "goal": {date(2025, 5, 1): 3}}, "goals", "write 2025-04-01"),
        ({"period": "week"}, "goals.period", "'month' or 'quarter'"),
        ({"unit": "euro"}, "goals.unit", "'wins' or 'amount'"),
        ({"segments": {"anna": 3}}, "goals", "segments requires by"),
        ({"by": "country", "segments": {"anna": 0}}, "goals.segments.anna", "above zero"),
        ({"by": "country", "segments": {True: 3}}, "goals.segments", "put it in quotes"),
        ({"by": "country", "segments": [3]}, "goals.segments", "mapping"),
        (
            {"by": "country", "segments": {"DE": {date(2025, 7, 2): 3}}},
            "goals",
            "segments.DE: 2025-07-02",
        ),
        ({"holidays": "XX"}, "goals.holidays", "'XX' is no country"),
        ({"holidays": "nl"}, "goals.holidays", "capital letters"),
        ({"holidays": "DE-XX"}, "goals.holidays", "DE has no such subdivision; it has BB"),
        ({"holidays": False}, "goals.holidays", "Norway"),
        ({"unit": "amount", "goal": 3}, "", "give targets.NAME.amount"),
    ],
)
def test_wrong_goals_are_errors_with_their_key(tmp_path, goals, key, text):
    with pytest.raises(ConfigError, match=text) as error:
        project(tmp_path, goals)
    assert error.value.where == f"{tmp_path / 'company.yaml'}" + (f": {key}" if key else "")
    assert len(str(error.value).splitlines()) == 2


def test_personal_column_divides_no_goals(tmp_path):
    with pytest.raises(ConfigError, match=r"which goals\.by requires"):
        project(tmp_path, {"by": "country"}, privacy={"personal": ["country"]})


def test_goals_change_no_model(tmp_path):
    plain = project(tmp_path, {})
    assert plain.goals == Goals()
    assert project(tmp_path, {"goal": 3, "holidays": "DE-BY"}).config_hash == plain.config_hash
