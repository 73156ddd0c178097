"""Unknown ids that known ids would meet if they were written in another way."""

import pyarrow as pa
import pytest

from configs.errors import DataError
from configs.privacy import Privacy
from features.intake.identity.id_diagnosis import IdDiagnosis, describe_diagnoses, diagnose_ids
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, project, write

LONG, SHORT = "00QXX00000AbCdEIA5", "00QXX00000AbCdE"


@pytest.mark.parametrize(
    ("rule", "unknown", "known"),
    [
        ("without blanks", "A 1", "A1"),
        ("without blanks", "A1", "A\u00a01"),
        ("without case", "a1", "A1"),
        ("without case", "\u042f1", "\u044f1"),
        ("in the first 15 of 18 signs", LONG, SHORT),
        ("in the first 15 of 18 signs", SHORT, LONG),
        ("without leading zeros", "007", "7"),
        ("without leading zeros", "7", "007"),
        ("without .0 at the end", "12.0", "12"),
        ("in scientific notation", "1.23E+11", "123456789012"),
        ("in scientific notation", "1,23e+11", "123456789012"),
        ("in scientific notation", "123456789012", "1.23E+11"),
    ],
)
def test_rules_join_ids(rule, unknown, known):
    ids = pa.array([unknown, "other"]), pa.array(["x", known, "0"])
    assert diagnose_ids(*ids) == [IdDiagnosis(rule, 1, unknown, known)]


def test_ids_count_for_one_rule_each():
    unknown, known = pa.array(["a1", "A 2", "a 3", "z", None]), pa.array(["A1", "A2", "A3"])
    text = describe_diagnoses(unknown, known, shows_ids=True)
    assert text == (
        "of 4 unknown ids would meet a lead: 1 without blanks ('A 2' is 'A2'), "
        "1 without case ('a1' is 'A1')"
    )
    assert "A" not in describe_diagnoses(unknown, known, shows_ids=False)
    assert describe_diagnoses(pa.array(["z"]), known, shows_ids=True) == ""


def company(folder, ids, **more):
    text = "id,born\n" + "".join(f"{lead}K,2024-01-01\n" for lead in range(20))
    rows = "".join(f"{lead},2024-01-05,visit\n" for lead in ids)
    leads = {"path": write(folder / "l.csv", text), **LEAD}
    return project(
        leads, [{"path": write(folder / "e.csv", f"lead,at,what\n{rows}"), **EVENT}], **more
    )


def test_diagnosis_is_part_of_the_error_and_of_the_warnings(tmp_path):
    ids = [f"{lead}k" for lead in range(20)]
    with pytest.raises(DataError, match="too many bad rows") as caught:
        read_sources(company(tmp_path, ids))
    assert "of 20 unknown ids would meet a lead: 20 without case" in caught.value.fix
    chosen = company(tmp_path, [*ids, "1K"], max_quarantine=1)
    (line,) = read_sources(chosen).warnings
    assert "20 without case ('0k' is '0K')" in line
    hidden = chosen.model_copy(update={"privacy": Privacy(personal=("lead",))})
    (line,) = read_sources(hidden).warnings
    assert "20 without case" in line and "0k" not in line
