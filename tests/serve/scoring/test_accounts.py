"""Scores of accounts, against a loop over the accounts."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.score_tables import ACCOUNT_SCORES
from models.accounts import WithinAccountDependence
from serve.scoring.accounts import ACTIVE_WITHIN, score_accounts
from serve.scoring.scoring import stamp_run_columns
from tests.features.logs import of
from tests.serve.samples import MONDAY, a_run, some_scores

ACCOUNTS = st.sampled_from([None, "Acme", "Beta", "0012"])
AGES = st.sampled_from(
    [
        timedelta(microseconds=1),
        ACTIVE_WITHIN,
        ACTIVE_WITHIN + timedelta(microseconds=1),
        timedelta(days=90),
    ]
)


def company(accounts, events):
    """Return a lead per account with events of these ages, and scores of the even leads."""
    leads = [
        {"entity_id": f"e{i:02}", "account_id": account, "created_at": MONDAY - 2 * ACTIVE_WITHIN}
        | {"available_at": MONDAY - 2 * ACTIVE_WITHIN}
        for i, account in enumerate(accounts)
    ]
    log = [
        {
            "entity_id": f"e{i:02}",
            "event_time": MONDAY - age,
            "available_at": MONDAY - age,
            "event_type": "call",
        }
        | {"channel": None, "value": None}
        for i, age in events
        if i < len(accounts)
    ]
    scored = range(0, len(accounts), 2)
    frame = some_scores(
        a_run(),
        ids=[f"e{i:02}" for i in scored],
        account_id=pa.array([accounts[i] for i in scored], pa.string()),
    )
    return of(leads, log), frame


@given(
    st.lists(ACCOUNTS, max_size=12), st.lists(st.tuples(st.integers(0, 11), AGES)), st.floats(0, 1)
)
def test_account_scores_match_a_loop(accounts, events, adds):
    data, frame = company(accounts, events)
    found = stamp_run_columns(
        score_accounts(data, frame, WithinAccountDependence(adds)), ACCOUNT_SCORES, "r1", MONDAY
    )
    assert found.schema == ACCOUNT_SCORES
    rows = frame.to_pylist()
    assert set(found["account_id"].to_pylist()) == {row["account_id"] for row in rows} - {None}
    for one in found.to_pylist():
        own = [row for row in rows if row["account_id"] == one["account_id"]]
        chances, alone = [row["probability"] for row in own], 1.0
        for chance in chances:
            alone *= 1 - chance
        expected = max(chances) + adds * (1 - alone - max(chances))
        assert one["probability"] == pytest.approx(
            expected if len(own) > 1 else chances[0], abs=1e-8
        )
        assert one["main_contact"] == own[0]["entity_id"] and one["main_probability"] == max(
            chances
        )
        values = [row["expected_value"] for row in own if row["expected_value"] is not None]
        assert one["expected_value"] == (pytest.approx(sum(values)) if values else None)
        people = [i for i, account in enumerate(accounts) if account == one["account_id"]]
        assert (one["entities"], one["people"]) == (len(own), len(people))
        assert one["active_people"] == len(
            {i for i, age in events if i in people and age <= ACTIVE_WITHIN}
        )
        assert (one["as_of"], one["run_id"], one["model_version"]) == (MONDAY, "r1", "7")
    ranked = sorted(found.to_pylist(), key=lambda row: (-row["probability"], row["account_id"]))
    assert ranked == found.to_pylist() and [row["rank"] for row in ranked] == list(
        range(1, len(ranked) + 1)
    )


def test_account_scores_reject_unsorted_scores():
    """The main contact is the first of an account."""
    data, frame = company(["Acme"] * 4, [])
    with pytest.raises(ValueError, match="sorted by rank"):
        score_accounts(data, frame.take([1, 0]), WithinAccountDependence())
