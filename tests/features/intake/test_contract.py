"""The contract of a source: counts of each rule as plain Python gives them, and its messages."""

import re
from datetime import date, datetime
from itertools import count

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import ValidationError

from configs.contract import ColumnRule
from configs.errors import DataError
from configs.schema import Project
from features.intake import reading
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, csv_text, project, write

FILES = count()
CELLS = st.sampled_from(["", "DE", "DE ", "de", "FR", "7", "8.5", "-3", "2024-01-02", "2024-03-01"])
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30)
RULES = st.sampled_from(
    [
        {"accepted": ["DE", 7]},
        {"min": 0, "max": 8},
        {"min": 7.5},
        {"max": date(2024, 1, 2)},
        {"min": "2024-01-02T00:00:01", "max": "2024-12-31"},
        {"max_missing": 0},
        {"max_missing": 0.25},
        {"unique": True},
    ]
)


def is_number(text):
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def is_date(text):
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None


def count_breaks(cells, rule):
    """Return the number of cells that break a rule, written without any code of the project."""
    cells = [cell.strip() for cell in cells]
    filled = [cell for cell in cells if cell]
    if "accepted" in rule:
        return sum(cell not in {str(value) for value in rule["accepted"]} for cell in filled)
    if "max_missing" in rule:
        missing = len(cells) - len(filled)
        return missing if missing > rule["max_missing"] * len(cells) else 0
    if "unique" in rule:
        return len(filled) - len(set(filled))
    least, most = rule.get("min"), rule.get("max")
    if isinstance(least or most, date | str):
        # All dates here are midnights, so text order is that of time.
        inside = [
            cell
            for cell in filled
            if is_date(cell)
            and (least is None or f"{cell}T00:00:00" >= str(least))
            and (most is None or cell <= str(most))
        ]
    else:
        inside = [
            cell
            for cell in filled
            if is_number(cell)
            and (least is None or float(cell) >= least)
            and (most is None or float(cell) <= most)
        ]
    return len(filled) - len(inside)


def read_breaches(source, contract, kind="events", **more):
    """Return the lines of a contract that stops, or of one that warns."""
    if kind == "leads":
        config = project(source, contract={"leads": contract}, max_quarantine=1, **more)
    else:
        config = project(events=[source], contract={"events_1": contract}, max_quarantine=1, **more)
    (found,) = read_sources(config).counts
    return list(found.breaches), [line for line in found.warnings if "contract of" in line]


def counted(lines):
    return sum(int(re.search(r": ([\d,]+) of", line)[1].replace(",", "")) for line in lines)


@pytest.mark.parametrize("kind", ["events", "leads"])
@settings(deadline=None, max_examples=25)
@given(rows=ROWS, rule=RULES, severity=st.sampled_from(["warn", "stop"]))
@example(rows=[("", "")], rule={"unique": True}, severity="warn")  # no value at all
def test_counts_are_those_of_plain_python(tmp_path_factory, kind, rows, rule, severity):
    folder = tmp_path_factory.getbasetemp()
    table = [
        {"id": i, "lead": i, "at": "2024-01-01", "born": "2024-01-01", "what": "a", "x": x, "y": y}
        for i, (x, y) in enumerate(rows)
    ]
    path = write(folder / f"c{next(FILES)}.csv", csv_text(table))
    source = {"path": path, **(LEAD if kind == "leads" else EVENT), "decimal": "."}
    contract = {"columns": {name: {**rule, "severity": severity} for name in "xy"}}
    stops, warns = read_breaches(source, contract, kind)
    lines, others = (stops, warns) if severity == "stop" else (warns, stops)
    assert not others
    wanted = [count_breaks(cells, rule) for cells in zip(*rows, strict=True)]
    assert len(lines) == sum(number > 0 for number in wanted)
    assert counted(lines) == sum(wanted)


def test_messages_name_column_file_row_and_example(tmp_path):
    rows = [{"lead": 1, "at": f"2024-01-0{i + 1}", "what": w} for i, w in enumerate("aabc")]
    path = write(tmp_path / "e.csv", csv_text(rows))
    contract = {"columns": {"what": [{"accepted": ["a"]}, {"unique": True, "severity": "warn"}]}}
    stops, warns = read_breaches({"path": path, **EVENT}, contract)
    assert stops == [
        f"{path}: contract of events_1.what: 2 of 4 values are not accepted, such as 'b' in "
        f"{path}, row 4 (accepted: 'a')"
    ]
    assert warns == [
        f"{path}: contract of events_1.what: 1 of 4 values repeat that of an earlier row, the "
        f"first in {path}, row 3 (unique)"
    ]
    stops, _ = read_breaches({"path": path, **EVENT}, {"rows": {"max": 0}})
    assert stops == [f"{path}: contract of events_1: 4 rows (max: 0)"]
    assert read_breaches({"path": path, **EVENT}, {"rows": {"min": 4, "max": 4}}) == ([], [])


def test_personal_columns_show_no_value(tmp_path):
    rows = [{"lead": 1, "at": "2024-01-01", "what": "a", "mail": "secret@x"}]
    path = write(tmp_path / "e.csv", csv_text(rows))
    config = project(
        events=[{"path": path, **EVENT}],
        contract={"events_1": {"columns": {"mail": {"accepted": ["a"], "max": 3}}}},
    ).model_dump(exclude_none=True)
    config["privacy"] = {"personal": ["mail"]}
    (found,) = read_sources(Project.model_validate(config)).counts
    assert len(found.breaches) == 2 and "secret" not in str(found.breaches)


def test_typed_columns_keep_the_same_rules(tmp_path):
    table = pa.table(
        {
            "lead": ["1"] * 4,
            "at": pa.array([datetime(2024, 1, i, 12) for i in (1, 2, 3, 4)]),  # noqa: DTZ001
            "what": pa.array(["a", "b", "a", "a"]).dictionary_encode(),
            "n": [1.0, 2.0, float("nan"), 1.0],
            "ok": [True, False, None, True],
        }
    )
    parquet.write_table(table, tmp_path / "e.parquet")
    source = {"path": str(tmp_path / "e.parquet"), **EVENT}
    for column, rule, wanted in (
        ("n", {"accepted": [1]}, 1),
        ("n", {"max": 1.5}, 1),
        ("n", {"max_missing": 0}, 1),
        ("n", {"unique": True}, 1),
        ("ok", {"accepted": ["true"]}, 1),
        ("at", {"max": date(2024, 1, 3)}, 1),
        ("at", {"min": datetime(2024, 1, 2, 13)}, 2),  # noqa: DTZ001
        ("what", {"accepted": ["a"]}, 1),
    ):
        stops, _ = read_breaches(source, {"columns": {column: rule}})
        assert counted(stops) == wanted, (column, rule)


def test_attributes_of_a_long_history_have_rules_of_their_own(tmp_path):
    leads = {"path": write(tmp_path / "l.csv", "id,born\n1,2024-01-01\n"), **LEAD}
    text = "id,at,field,new\n1,2024-01-02,rating,hot\n1,2024-01-03,rating,x\n1,2024-01-04,size,5\n"
    history = {"path": write(tmp_path / "h.csv", text), "entity_id": "id", "valid_from": "at"}
    history |= {"attribute": "field", "value": "new"}

    def read(columns):
        contract = {"attributes_1": {"columns": columns}}
        return read_sources(project(leads, attributes=[history], contract=contract)).counts[1]

    rules = {"rating": {"accepted": ["hot"]}, "size": {"max": 4}, "field": {"unique": True}}
    (rating, size, field) = read(rules).breaches
    assert "1 of 2 values" in rating and "1 of 1 values" in size and "1 of 3 values" in field
    with pytest.raises(DataError, match="did you mean rating"):
        read({"ratin": {"max": 3}})


def test_columns_that_do_not_exist_are_refused_with_the_nearest_name(tmp_path):
    path = write(tmp_path / "e.csv", "lead,at,what\n1,2024-01-01,a\n")
    with pytest.raises(DataError, match=r"contract\.events_1\.columns\.wat.*\n.*mean what"):
        read_breaches({"path": path, **EVENT}, {"columns": {"wat": {"unique": True}}})
    with pytest.raises(ValidationError, match=r"there is no source 'event_1'; did you mean events"):
        project(events=[{"path": path, **EVENT}], contract={"event_1": {}})


def test_numbers_are_read_with_the_signs_of_the_column(tmp_path):
    leads = "id,born,n\n" + "".join(f'{i},2024-01-01,"1{i},5"\n' for i in range(9))
    source = {"path": write(tmp_path / "l.csv", leads), **LEAD}
    (stop,), _ = read_breaches(source, {"columns": {"n": {"max": 17}}}, "leads")
    assert "2 of 9 values" in stop and "'17,5'" in stop


def test_pieces_are_counted_together(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_PER_PIECE", 1)
    for name, whats in (("a", "xyx"), ("b", "y"), ("c", "zx")):
        rows = [{"lead": 1, "at": f"2024-01-0{i + 1}", "what": w} for i, w in enumerate(whats)]
        write(tmp_path / f"{name}.csv", csv_text(rows))
    contract = {"rows": {"min": 7}, "columns": {"what": {"unique": True, "accepted": ["x"]}}}
    stops, _ = read_breaches({"path": str(tmp_path), **EVENT}, contract)
    rows, accepted, unique = (line.partition(": contract of ")[2] for line in stops)
    assert rows == "events_1: 6 rows (min: 7)"
    assert "3 of 6 values are not accepted, such as 'y'" in accepted
    assert f"3 of 6 values repeat that of an earlier row, the first in {tmp_path}/a.csv" in unique


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "give a rule"),
        ({"accepted": [True]}, "write others in quotes"),
        ({"min": 1, "max": date(2024, 1, 1)}, "both be numbers, or both dates"),
        ({"min": "x"}, "a number, a date or an instant"),
        ({"max": True}, "a number, a date or an instant"),
        ({"max_missing": 2}, "less than or equal to 1"),
    ],
)
def test_rules_without_a_meaning_are_refused(rule, message):
    with pytest.raises(ValidationError, match=message):
        ColumnRule(**rule)
