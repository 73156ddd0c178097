"""Merged records in ``explain`` and ``forget``: what is said, and what is erased."""

import pytest

from features.sources import read_sources
from pipelines.lead.standing import describe_standing
from pipelines.nightly.forget import _find_merged_records
from tests.features.company import at
from tests.features.intake.test_same_as import company

CHAIN = "old,new,known\nB,mid,2024-01-09\nmid,A,2024-01-09\n"


def test_explain_names_the_record_that_a_lead_became(tmp_path):
    chosen = company(tmp_path, CHAIN, known=True)
    data = read_sources(chosen)
    target = chosen.targets["win"]
    (line,) = describe_standing(data, target, "B", at(2024, 1, 20), chosen.zone)
    assert line == (
        "not scored as of 2024-01-20: merged into 'A' (sources.same_as, known 2024-01-09)"
    )
    before = describe_standing(data, target, "B", at(2024, 1, 9), chosen.zone)
    assert not any("merged" in each for each in before)


@pytest.mark.parametrize("entity", ["A", "B", "mid"])
def test_forget_erases_all_records_of_a_person(tmp_path, entity):
    chosen = company(tmp_path, CHAIN, known=True)
    records, problem = _find_merged_records(chosen, entity)
    assert sorted([entity, *records]) == ["A", "B", "mid"] and not problem


def test_forget_does_not_wait_for_merges_that_cannot_be_read(tmp_path):
    chosen = company(tmp_path, CHAIN, known=True)
    (tmp_path / "m.csv").unlink()
    records, (problem,) = _find_merged_records(chosen, "A")
    assert records == [] and "sources.same_as cannot be read" in problem
