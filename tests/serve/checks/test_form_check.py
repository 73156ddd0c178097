"""Check of the form of sources: what is found must not change from night to night unseen."""

import pyarrow as pa
import pytest

from configs.checks import Checks
from features.contracts import EVENTS, LEADS, Dataset, SourceCount
from features.readings.source_form import FormEntry
from features.score_tables import SCORE_CHECKS
from serve.checks.checks import build_check_table
from serve.checks.source_checks import check_sources
from tests.serve.samples import MONDAY, TUESDAY


def check(*form, earlier=None):
    counts = (SourceCount("leads", 9, 9, form=form),)
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), counts, "f")
    checks = check_sources(data, TUESDAY, earlier or SCORE_CHECKS.empty_table(), Checks())
    return [one for one in checks if one.check == "form"]


def night(*form, as_of=MONDAY):
    return build_check_table(check(*form), "r", "acme", as_of)


def dates(value, origin="proven"):
    return FormEntry("time_format", "created", value, origin, "leads.csv, row 7: '31.01.2024'")


def test_form_is_stored_with_the_night():
    stored = night(dates("day_first"), FormEntry("encoding", "", "windows-1251", "proven"))
    assert stored["subject"].to_pylist() == ["leads time_format created", "leads encoding"]
    assert stored["message"].to_pylist() == ["day_first", "windows-1251"]


def test_form_that_changes_stops_with_both_values_and_the_evidence():
    (found,) = check(dates("month_first"), earlier=night(dates("day_first")))
    assert (found.verdict, found.subject) == ("stop", "leads time_format created")
    for part in ("month_first", "day_first", "row 7", "2025-07-07"):
        assert part in found.message


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (dates("day_first"), dates("day_first")),
        (dates("day_first", "config"), dates("day_first")),
        # The config decides, so its author knows.
        (dates("day_first"), dates("month_first", "config")),
        # Nothing in the source depends on it.
        (
            FormEntry("encoding", "", "windows-1251", "proven"),
            FormEntry("encoding", "", "utf-8", "open"),
        ),
        (FormEntry("skip_above", "", "2", "proven"), FormEntry("skip_above", "", "3", "proven")),
    ],
)
def test_form_that_may_change_passes(before, now):
    assert [one.verdict for one in check(now, earlier=night(before)) if one.verdict != "pass"] == []


def test_night_in_which_nothing_showed_the_form_does_not_forget_it():
    later = night(FormEntry("encoding", "", "utf-8", "open"), as_of=MONDAY.replace(hour=9))
    earlier = pa.concat_tables([night(FormEntry("encoding", "", "windows-1251", "proven")), later])
    (found,) = check(FormEntry("encoding", "", "windows-1252", "proven"), earlier=earlier)
    assert found.verdict == "stop"


def test_files_in_two_forms_are_one_part_in_any_order():
    utf, cyrillic = (FormEntry("encoding", "", name, "proven") for name in ("utf-8", "cp1251"))
    (first,) = check(utf, cyrillic)
    (second,) = check(cyrillic, utf, earlier=night(utf, cyrillic))
    assert first.message == "cp1251 and utf-8" and second.verdict == "pass"
