"""Columns get their roles by their names and by all of their values."""

import pytest

from pipelines.proposal.findings.attributes import (
    CONSTANT,
    DATES,
    PERSONAL,
    VARIED,
    WORKED,
    explain_left_out,
)
from pipelines.proposal.findings.links import find_links, list_id_columns, list_repeated_ids
from pipelines.proposal.findings.roles import (
    find_account_id,
    find_channel,
    find_created_at,
    find_event_time,
    find_event_type,
    find_known_at,
    find_value,
    name_milestone,
)
from pipelines.proposal.findings.verdicts import is_lost, rank_won
from pipelines.proposal.reading.words import NO_RANK
from tests.pipelines.proposal.tables import read_table


def make_csv(rows, **columns):
    """Return a CSV whose columns are functions of the row's number."""
    lines = [";".join(columns)]
    lines += [";".join(str(make(i)) for make in columns.values()) for i in range(rows)]
    return "\n".join(lines) + "\n"


def day(i, hour=""):
    return f"2024-{1 + i // 28 % 12:02}-{1 + i % 28:02}{hour}"


def test_creation_is_named_or_precedes_all_others(tmp_path):
    named = make_csv(50, id=lambda i: i, signup=day, updated_at=lambda i: day(i + 9))
    assert find_created_at(read_table(tmp_path, "named.csv", named)) == "signup"
    early = make_csv(50, id=lambda i: i, arrival=day, shown=lambda i: day(i + 3))
    assert find_created_at(read_table(tmp_path, "early.csv", early)) == "arrival"
    outcome = make_csv(50, id=lambda i: i, won_date=day)
    assert find_created_at(read_table(tmp_path, "won.csv", outcome)) is None


def test_columns_of_a_log_are_found(tmp_path):
    text = make_csv(
        200,
        event_id=lambda i: f"e{i}",
        user_id=lambda i: f"u{i % 40}",
        event_time=lambda i: day(i, " 10:00"),
        loaded_at=lambda i: day(i, " 11:30"),
        event_name=lambda i: ("visit", "call", "won")[i % 3],
        source=lambda i: ("web", "phone")[i % 2],
        amount=lambda i: i * 7 % 50,
    )
    table = read_table(tmp_path, "events.csv", text)
    taken = {"user_id", "event_time"}
    assert list_repeated_ids(table)[0] == "user_id"
    assert find_event_time(table) == "event_time"
    assert find_known_at(table, "event_time") == "loaded_at"
    assert find_event_type(table, taken) == "event_name"
    assert find_channel(table, taken) == "source"
    assert find_value(table, taken) == "amount"


def test_account_is_shared_by_leads(tmp_path):
    text = make_csv(100, id=lambda i: i, company_id=lambda i: i // 3, company_size=lambda i: i % 7)
    assert find_account_id(read_table(tmp_path, "leads.csv", text), {"id"}) == "company_id"
    alone = make_csv(100, id=lambda i: i, company=lambda i: f"firm {i}")
    assert find_account_id(read_table(tmp_path, "alone.csv", alone), {"id"}) is None


def test_links_are_proven_by_all_values(tmp_path):
    leads = read_table(
        tmp_path, "leads.csv", make_csv(300, lead_id=lambda i: f"L{i}", x=lambda i: i % 3)
    )
    log = read_table(
        tmp_path,
        "log.csv",
        make_csv(500, lead=lambda i: f"L{i % 300}", at=day, what=lambda i: "ab"[i % 2]),
    )
    other = read_table(tmp_path, "other.csv", make_csv(500, lead=lambda i: f"X{i}", at=day))
    assert list_id_columns(leads) == ["lead_id"]
    (link,) = find_links(leads, ["lead_id"], [log, other])
    assert (link.table.name, link.column, link.ids, link.share) == ("log.csv", "lead", "lead_id", 1)


@pytest.mark.parametrize(
    "name, make, reason",
    [
        ("e-mail", lambda i: f"a{i}", PERSONAL),
        ("contact", lambda i: f"a{i}@example.com", PERSONAL),
        ("Комментарий", lambda i: f"т{i % 9}", PERSONAL),
        ("Ansprechpartner", lambda i: f"A{i % 5}", PERSONAL),
        ("Deal owner", lambda i: "AB"[i % 2], PERSONAL),
        ("Product name", lambda i: "ABC"[i % 3], ""),
        ("Lead Source", lambda i: "ABC"[i % 3], ""),
        ("email opt out", lambda i: ("yes", "no")[i % 2], ""),
        ("country", lambda i: "DE", CONSTANT),
        ("Lost reason", lambda i: "ABC"[i % 3], WORKED),
        ("Last Activity", lambda i: "ABC"[i % 3], WORKED),
        ("Вероятность", lambda i: i % 9, WORKED),
        ("Verlustgrund", lambda i: "ABC"[i % 3], WORKED),
        ("founded", day, DATES),
        ("session", lambda i: f"s{i}", VARIED),
        ("employees", lambda i: i * 31 % 997, ""),
        ("age", lambda i: 20 + i % 50, ""),
    ],
)
def test_column_is_left_out_for_its_reason(tmp_path, name, make, reason):
    table = read_table(tmp_path, "a.csv", make_csv(400, id=lambda i: i, **{name: make}))
    assert explain_left_out(table.profiles[name]) == reason


@pytest.mark.parametrize(
    "column, event",
    [
        ("won_date", "won"),
        ("Became a Customer Date", "customer"),
        ("Deal - Won time", "won"),
        ("mqlAt", "mql"),
        ("Дата оплаты", "оплаты"),
        ("date", "date"),
    ],
)
def test_milestone_is_named_by_its_column(column, event):
    assert name_milestone(column) == event


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("Closed Won", "won"),
        ("Closed Lost", "lost"),
        ("Успешно реализовано", "won"),
        ("Закрыто и не реализовано", "lost"),
        ("Сделка успешна", "won"),
        ("Сделка провалена", "lost"),
        ("not converted", "lost"),
        ("nicht gewonnen", "lost"),
        ("gewonnen", "won"),
        ("O_ACCEPTED", "won"),
        ("A_DECLINED", "lost"),
        ("Negotiation", ""),
        ("page_view", ""),
    ],
)
def test_verdict_is_read_from_a_text(text, verdict):
    assert is_lost(text) == (verdict == "lost")
    assert (rank_won(text) < NO_RANK) == (verdict == "won")
