"""Segments of the leads, and the goals that name them."""

from collections import Counter

import pytest

from configs.errors import ConfigError
from configs.schema import load_project
from pipelines.check import examine_data
from pipelines.funnel.segments import list_goal_warnings, segment_leads
from pipelines.runner import read_clock
from pipelines.training_data import load_snapshot
from tests.pipelines.funnel import company

HEADER = ["id", "born", "firm", "country", "amount", "seller"]


def load(folder, monkeypatch, goals):
    people, _ = company.write(folder, goals=goals)
    # More countries than are shown, the last of them the rarest.
    for place, row in enumerate(people):
        row[3] = "rare" if place == 0 else "all" if place < 30 else f"C{place % 40:02}"
    company.write_rows(folder / "leads.csv", HEADER, people)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return people, load_project("steps.yaml")


def test_values_with_goals_are_segments(tmp_path, monkeypatch):
    goals = {"by": "country", "segments": {"rare": 1, "all": 2, "C38": 3}}
    people, project = load(tmp_path, monkeypatch, goals)
    snapshot = load_snapshot(project, None, read_clock())
    found = segment_leads(snapshot, "country")
    assert len(found.names) == 19 + 2
    assert {"rare", '"all"', "C38"} <= set(found.names)
    counts = Counter(row[3] for row in people)
    sizes = Counter(found.names[code] for code in found.codes)
    for name in found.names[:-2]:
        assert sizes[name] == counts[name.strip('"')]
    assert sum(sizes.values()) == len(people)
    assert list_goal_warnings(snapshot) == []
    # Another column has nothing to do with these goals.
    assert set(segment_leads(snapshot, "owner").names) == {"Ann", "Bo", "other", "missing"}


def test_check_names_goals_that_no_lead_can_reach(tmp_path, monkeypatch):
    goals = {"by": "country", "segments": {"al": 1, "missing": 2, "C38": 3}}
    _, project = load(tmp_path, monkeypatch, goals)
    warnings = [line for line in examine_data(project, None).warnings if "goals" in line]
    assert warnings == [
        "goals.segments.al: no lead has this country; did you mean all?",
        "goals.segments.missing: no lead has this country",
    ]


@pytest.mark.parametrize("column", ["amount", "born", "planet"])
def test_check_refuses_a_column_that_cannot_divide(tmp_path, monkeypatch, column):
    _, project = load(tmp_path, monkeypatch, {"by": column})
    with pytest.raises(ConfigError, match="cannot segment") as error:
        examine_data(project, None)
    assert error.value.where == "goals.by"
    assert repr(column) in error.value.found


@pytest.mark.parametrize(
    ("column", "fix"),
    [
        ("amount", "name one of country, seller, channel, owner"),
        ("planet", "name one of country, seller, channel, owner"),
        ("contry", "did you mean country? name one of country, seller, channel, owner"),
        ("stage", "rename the attribute"),
    ],
)
def test_check_refuses_a_column_that_the_funnel_of_a_night_cannot_have(
    tmp_path, monkeypatch, column, fix
):
    """The night would be published without its funnel."""
    company.write(tmp_path, leads=40, publish={"funnel_by": ["country", column]})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"cannot segment by the column {column}") as error:
        examine_data(load_project("steps.yaml"), None)
    assert error.value.where == "publish.funnel_by"
    assert error.value.fix == fix
    # What is not published needs no column.
    company.write(tmp_path, leads=40, publish={"funnel_by": [column], "funnel": False})
    assert examine_data(load_project("steps.yaml"), None).entities == 40


def test_missing_columns_are_not_proposed(tmp_path, monkeypatch):
    """Without channels in the events, and without owners, neither divides the leads."""
    changes = {"capacity": {"per_week": 20}, "publish": {"funnel_by": ["planet"]}}
    _, log = company.write(tmp_path, leads=40, **changes)
    company.write_rows(
        tmp_path / "events.csv", company.EVENTS_HEADER, [[*row[:4], ""] for row in log]
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        examine_data(load_project("steps.yaml"), None)
    assert error.value.fix == "name one of country"


def test_source_of_a_wrong_column_is_named(tmp_path, monkeypatch):
    company.write(tmp_path, leads=40)
    monkeypatch.chdir(tmp_path)
    project = load_project("steps.yaml")
    snapshot = load_snapshot(project, None, read_clock())
    with pytest.raises(ConfigError) as error:
        segment_leads(snapshot, "planet")
    assert error.value.where == "--by planet"
