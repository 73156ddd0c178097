"""An account that is filled in when a lead closes is none, since it knows the outcome."""

import pytest

from pipelines.proposal.findings.event_logs import LeadsTable, collect_events, make_milestone
from pipelines.proposal.findings.later_accounts import drop_later_account
from pipelines.proposal.findings.outcomes import Outcome
from tests.pipelines.proposal.tables import read_table


def write_leads(tmp_path, has_account):
    lines = ["id,created,firm,won_date,state"]
    for i in range(300):
        won = i % 3 == 0
        firm = f"F{i // 4}" if has_account(i, won) else ""
        day = f"2024-01-{1 + i % 28:02}"
        lines.append(f"L{i},{day},{firm},{day if won else ''},{'won' if won else 'open'}")
    table = read_table(tmp_path, "leads.csv", "\n".join(lines) + "\n")
    leads = LeadsTable(table, "id", "created", "firm")
    return leads, collect_events(leads, [make_milestone(leads, "won_date")])


@pytest.mark.parametrize("outcome", [Outcome("won", 0, 100), Outcome("state", 0, 100, ("won",))])
def test_account_of_won_leads_alone_is_dropped(tmp_path, outcome):
    leads, events = write_leads(tmp_path, lambda i, won: won or i % 2)
    kept, note = drop_later_account(leads, outcome, events)
    assert kept.account_id is None
    assert "100% of the leads with the outcome" in note


@pytest.mark.parametrize("outcome", [Outcome("won", 0, 100), Outcome("state", 0, 100, ("won",))])
def test_account_that_lacks_by_chance_is_kept(tmp_path, outcome):
    leads, events = write_leads(tmp_path, lambda i, _: i % 10 < 8)
    assert drop_later_account(leads, outcome, events) == (leads, "")
