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
        ("in the first 15 of 18 characters", LONG, SHORT),
        ("in the first 15 of 18 characters", SHORT, LONG),
        ("without leading zeros", "007", "7"),
        ("without leading zeros", "7", "007"),
        ("without .0 at the end", "12.0", "12"),
        ("without .0 at the end", "-12", "-12.0"),
        ("in another Unicode form or alphabet", "\u0410B1", "AB1"),
        ("in another Unicode form or alphabet", "\uff21\uff22\uff11", "ab1"),
        ("without dashes, braces and case", "{0F3A-11}", "0f3a11"),
        ("without dashes, braces and case", "0f3a11", "0F3A-11"),
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
        "1 without case ('a1' is 'A1'); write ids alike in every source"
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


@pytest.mark.parametrize(
    ("unknown", "known"),
    [
        (["lead_12", "lead_13"], ["12", "13"]),
        (["12", "13"], ["lead_12", "lead_13"]),
        (["LD-00123", "LD-00045"], ["123", "45"]),
        (["12-crm", "13-crm"], ["12", "13"]),
        (["crm:12", "crm:13"], ["hs-12", "hs-13"]),
    ],
)
def test_prefix_that_all_ids_of_a_side_have_is_found(unknown, known):
    (found,) = diagnose_ids(pa.array(unknown), pa.array(known))
    assert (found.rule, found.ids) == ("without a prefix or suffix", 2)


@pytest.mark.parametrize(
    ("unknown", "known"),
    [
        (["a12", "b12", "c12"], ["12"]),
        (["123456789012", "123456789013"], ["123456789999"]),
        (["x", None], [None, "y"]),
        (["--", "{}"], ["-", "y"]),
    ],
)
def test_different_ids_are_not_joined(unknown, known):
    found = diagnose_ids(pa.array(unknown, pa.string()), pa.array(known, pa.string()))
    assert not [each for each in found if each.example not in ("--", "{}")]


def test_few_unknown_ids_are_named_if_a_rule_explains_most(tmp_path):
    rows = [f"{lead}K" for lead in range(20)] * 20
    (line,) = read_sources(company(tmp_path, [*rows, "3k"], max_duplicates=1)).warnings
    assert "1 without case ('3k' is '3K')" in line
    assert not read_sources(company(tmp_path, [*rows, "3k", "x", "y"], max_duplicates=1)).warnings


def test_history_with_unknown_ids_is_named(tmp_path):
    path = write(tmp_path / "v.csv", "lead,at,size\n3K,2024-01-02,1\n4k,2024-01-02,1\n")
    history = {"path": path, "entity_id": "lead", "valid_from": "at", "columns": ["size"]}
    chosen = company(tmp_path, ["1K"], attributes=[history], max_quarantine=1)
    (line,) = read_sources(chosen).warnings
    assert "attributes_1: of 1 unknown ids would meet a lead: 1 without case" in line


def test_personal_ids_of_the_leads_are_not_shown(tmp_path):
    chosen = company(tmp_path, ["1k"], max_quarantine=1)
    hidden = chosen.model_copy(update={"privacy": Privacy(personal=("id",))})
    (line,) = read_sources(hidden).warnings
    assert "1 without case" in line and "1K" not in line and "1k" not in line


def test_suppression_list_with_ids_written_in_another_way_says_how(tmp_path):
    path = write(tmp_path / "s.csv", "id\nlead_3K\nlead_4K\n")
    chosen = company(tmp_path, ["1K"])
    listing = Privacy.model_validate({"suppress": {"path": path, "entity_id": "id"}})
    (line,) = read_sources(chosen.model_copy(update={"privacy": listing})).warnings
    assert "2 without a prefix or suffix ('lead_3K' is '3K')" in line
