"""Files with headings that no list of words knows get a right config, or a question."""

import pytest

from configs.errors import ConfigError
from pipelines.proposal.questions import Answers, Interview
from pipelines.proposal.write_config import propose_from_files
from tests.pipelines.proposal.installer import (
    LOST,
    WON,
    write_flags,
    write_installer,
    write_wide,
)
from tests.pipelines.proposal.layouts import write_csv


def propose(files, **answers):
    interview = Interview(None)
    answers = {"timezone": "Europe/Zurich"} | answers
    return propose_from_files(files, Answers(**answers), interview, lambda _: None), interview


@pytest.mark.parametrize("heading", ["Schritt", "Vorgangsart", "Что произошло", "Xyz"])
def test_types_of_events_are_found_by_their_values(tmp_path, heading):
    proposal, interview = propose(write_installer(tmp_path, heading))
    (log,) = proposal.logs
    assert (log.event_type, log.constant) == (heading, False)
    assert proposal.target.outcome.name == WON and proposal.target.ends == (LOST,)
    assert interview.asked == []
    unused = proposal.to_json()["left_out"]
    assert "staff" in unused["journal.csv: Mitarbeiter"]
    assert "the lead" in unused["journal.csv: Kanton"]
    # No word says that this column is filled when a lead closes: the log does.
    assert "closed" in unused["Erledigungsart"]
    assert "Kanton" in proposal.attributes.used


def write_doubtful(folder):
    """Write a log with two columns that may say what happened."""
    write_csv(folder / "leads.csv", [{"id": f"L{i}", "created": day(i)} for i in range(60)])
    rows = [
        {
            "id": f"L{i % 60}",
            "zeit": day(i % 60 + i // 60),
            "q1": f"a{i % 7}",
            "q2": f"b{i // 60 % 5}",
        }
        for i in range(600)
    ]
    write_csv(folder / "log.csv", rows)
    return [str(folder / "leads.csv"), str(folder / "log.csv")]


def day(i):
    return f"2024-{1 + i // 28 % 12:02}-{1 + i % 28:02}"


def test_equal_columns_of_types_are_asked_for(tmp_path):
    files = write_doubtful(tmp_path)
    _, interview = propose(files, outcome="a3")
    assert interview.asked == []
    proposal, interview = propose(files, outcome="q2=b1")
    assert proposal.logs[0].event_type == "q2" and proposal.target.outcome.name == "b1"
    for given in ("q2", "log.csv:q2"):
        proposal, interview = propose(files, outcome="b1", event_type=(given,))
        assert proposal.logs[0].event_type == "q2" and interview.asked == []
    with pytest.raises(ConfigError, match="--event-type"):
        propose(files, event_type=("q9",))
    with pytest.raises(ConfigError, match=r"--outcome"):
        propose(files)


def test_question_names_columns_of_types_with_counts(tmp_path):
    interview = Interview(lambda question: question.proposal or "a1")
    propose_from_files(write_doubtful(tmp_path), Answers(), interview, lambda _: None)
    question = interview.asked[0]
    assert question.flag == "--event-type"
    assert "q1 (7 texts" in question.evidence and "q2 (5 texts" in question.evidence
    assert question.options == ("log.csv:q1", "log.csv:q2")


def test_log_of_one_type_that_all_leads_have_is_asked_for(tmp_path):
    write_csv(tmp_path / "leads.csv", [{"id": f"L{i}", "created": day(i)} for i in range(60)])
    rows = [{"id": f"L{i % 60}", "zeit": day(i % 60 + i // 60)} for i in range(600)]
    write_csv(tmp_path / "journal.csv", rows)
    files = [str(tmp_path / "leads.csv"), str(tmp_path / "journal.csv")]
    with pytest.raises(ConfigError, match=r"(?s)won.*journal \(60 of 60 leads\)"):
        propose(files)
    proposal, _ = propose(files, outcome="journal")
    assert any("all rows are of the type journal" in note for note in proposal.notes)


@pytest.mark.parametrize("end", ["Absage am", "Storno am", "Дата отказа", "Xyz am"])
def test_late_date_without_the_outcome_is_an_end(tmp_path, end):
    proposal, _ = propose(write_wide(tmp_path, end=end))
    assert proposal.leads.created_at == "Erfasst am"
    assert proposal.target.outcome.name == "unterschrieben"
    assert len(proposal.target.ends) == 1, proposal.target
    assert not any("no times" in note for note in proposal.notes)


def test_counted_times_are_the_creation_if_they_can_be_nothing_else(tmp_path):
    proposal, _ = propose(write_wide(tmp_path, "Xyz"))
    assert proposal.leads.created_at == "Xyz"
    assert proposal.target.outcome.is_event and proposal.target.timing is not None


def test_numbers_that_may_be_times_are_named_and_can_be_given(tmp_path):
    files = write_wide(tmp_path, "Xyz", unit=1)
    with pytest.raises(ConfigError, match="--created-at Xyz"):
        propose(files)
    proposal, _ = propose(files, created_at="Xyz")
    assert proposal.target.outcome.name == "unterschrieben"


@pytest.mark.parametrize("column", ["Serie", None])
def test_log_with_times_needs_no_order_of_undated_leads(tmp_path, column):
    files = write_installer(tmp_path)
    leads = [{"Nummer": f"I-{i:04d}", "Objekt": "AB"[i % 2]} for i in range(240)]
    if column:
        leads = [lead | {column: 45_300 + i % 300} for i, lead in enumerate(leads)]
    write_csv(tmp_path / "kunden.csv", leads, delimiter=";")
    proposal, interview = propose(files)
    assert not any("no times" in note for note in proposal.notes)
    assert [question.flag for question in interview.asked] == ["--created-at"] * bool(column)
    if column:
        assert proposal.leads.created_at == column
    else:
        assert proposal.leads is None and "--created-at" in proposal.unused["kunden.csv"]
    assert proposal.target.outcome.name == WON


def test_event_is_no_outcome_of_undated_leads_with_an_outcome_column(tmp_path):
    files = write_installer(tmp_path)
    leads = [{"Nummer": f"I-{i:04d}", "converted": ("yes", "no")[i % 2]} for i in range(240)]
    write_csv(tmp_path / "kunden.csv", leads, delimiter=";")
    with pytest.raises(ConfigError, match="--outcome converted"):
        propose(files)


def test_heading_says_less_than_values_that_decide(tmp_path):
    files = write_installer(tmp_path)
    text = (tmp_path / "journal.csv").read_text(encoding="utf-8")
    head, *rows = text.splitlines()
    head = head.replace("Schritt", "Xyz") + ";Typ"
    rows = [f"{row};{'AB'[i % 2]}" for i, row in enumerate(rows)]
    (tmp_path / "journal.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    for answer, column in ((WON, "Xyz"), (f"xyz={WON.lower()}", "Xyz")):
        proposal, interview = propose(files, outcome=answer)
        assert proposal.logs[0].event_type == column and not interview.asked
    with pytest.raises(ConfigError, match="Which event or column"):
        propose(files)


def test_reason_of_a_text_with_a_currency_is_true(tmp_path):
    proposal, _ = propose(write_wide(tmp_path))
    reason = proposal.attributes.left_out.get("Budget", "")
    assert "id" not in reason.split(), reason


@pytest.mark.parametrize(
    "given", ["Abgemacht", "abgemacht", "Abgemacht=Ja", "abgemacht=ja", "ABGEMACHT=JA"]
)
def test_column_of_yes_and_no_is_an_outcome_in_any_case(tmp_path, given):
    proposal, _ = propose(write_flags(tmp_path), outcome=given)
    outcome = proposal.target.outcome
    assert (outcome.name, outcome.equals) == ("Abgemacht", ("ja",))


def test_column_of_two_other_values_is_asked_with_both(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)Brief \(\d+\), .*--outcome 'Weg=|--outcome Weg="):
        propose(write_flags(tmp_path), outcome="Weg")


def test_question_for_the_outcome_names_candidates_with_counts(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)Abgemacht=ja \(\d+ of 200 leads\).*--outcome "):
        propose(write_flags(tmp_path))
