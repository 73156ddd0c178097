"""The buying groups of the page: who is in, who is missing, who is next."""

import pyarrow as pa
import pytest

from features.score_tables import ACCOUNT_SCORES
from models.buying_roles import BUYING_ROLES
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.sections.leads.committees import MAX_ACCOUNTS, build_committees
from tests.serve.page.pages import CONFIG, make_data, make_project
from tests.serve.samples import a_run, some_accounts, some_scores

ROLES = {"title": "job", "roles": {"finance": ["cfo"], "legal_office": ["counsel"]}}
LEADS = {**CONFIG["sources"]["leads"], "account_id": "company", "known_at": "known"}
SOURCES = {**CONFIG["sources"], "leads": LEADS}
EFFECT = {"target": "close", "rows": 120, "accounts": 40, "share_engaged": 0.3}
EFFECT |= {"share_others": 0.2, "odds_ratio": 1.8, "odds_ratio_low": 1.2, "odds_ratio_high": 2.7}


def accounts_of(run, rows):
    """Return account scores of each target, with these columns of the group."""
    table = some_accounts(run, [f"Firm {at}" for at in range(len(rows))]).to_pylist()
    merged = [old | rows[at % len(rows)] for at, old in enumerate(table)]
    return pa.Table.from_pylist(merged, schema=ACCOUNT_SCORES).drop_columns(["run_id", "scored_at"])


def group(**columns):
    usual = {"engaged_people_30d": 1, "new_people_14d": 0, "concentration": 1.0}
    return usual | {"single_threaded": True} | columns


@pytest.fixture
def make(tmp_path):
    def build(rows, effects=(), language="en", accounts=ROLES, scored=("close",), **keys):
        project = make_project(tmp_path, sources=SOURCES, accounts=accounts, **keys)
        run = a_run(targets=scored)
        roles = pa.Table.from_pylist(list(effects), schema=BUYING_ROLES) if effects else None
        scores = some_scores(run)
        table = accounts_of(run, rows)
        return make_data(project, scores, run, language, accounts=table, roles=roles)

    return build


def test_section_says_who_takes_part_who_is_missing_and_who_is_next(make):
    rows = [
        group(roles_present="finance", roles_missing="legal_office", who_next="legal_office"),
        group(roles_missing="finance, legal_office", who_next="finance", next_contact="a")
        | {"single_threaded": False, "engaged_people_30d": 3, "concentration": 0.5},
        group(roles_present="finance", roles_missing="legal_office", who_next="finance")
        | {"single_threaded": False, "engaged_people_30d": 0, "concentration": None},
    ]
    effects = [EFFECT | {"role": "finance", "proven": True}]
    section = build_committees(make(rows, effects))
    assert section.sentence.startswith("At 1 of 3 accounts (33%) only one person did anything")
    listed, roles = section.tables
    first, second, third = (row[4:] for row in listed.rows)
    assert first == ["100%", "finance", "legal office", "legal office: find a contact"]
    assert second == ["50%", "none", "finance, legal office", "finance: a, silent"]
    assert third == ["–", "finance", "legal office", "finance: known, silent"]
    assert [row[2] for row in listed.rows] == ["1, alone", "3", "0"]
    assert [listed.headings[at] for at in sorted(listed.extra)] == ["new people", "roles known"]
    assert roles.folded and roles.rows[0][0] == "finance"
    assert roles.rows[0][5:] == ["1.80 (1.20–2.70)", "wins more often"]
    assert "highest odds ratio" in section.notes[-1]


def test_sentence_names_the_role_that_is_missing_most_often(make):
    """It is the proven role with the highest odds ratio, with its shares of past cases."""
    rows = [group(who_next=role) for role in ("finance", "finance", "legal_office", None)]
    better = EFFECT | {"role": "finance", "proven": True}
    effects = [EFFECT | {"role": "legal_office", "proven": True, "odds_ratio": 1.3}, better]
    effects.append(EFFECT | {"role": "user", "proven": False, "odds_ratio": 9.0})
    sentence = build_committees(make(rows, effects)).sentence
    assert "With finance engaged, 30% of past cases came to" in sentence
    assert "and 20% of cases with as many engaged people but without finance" in sentence
    assert sentence.endswith("Nobody in finance is engaged at 2 of 4 accounts.")


def test_sentence_counts_each_account_once(make):
    """An account has a row for each target, with the same people."""
    section = build_committees(make([group()] * 3, scored=tuple(CONFIG["targets"])))
    assert section.sentence.startswith("At 3 of 3 accounts")
    assert len(section.tables) == 2


def test_section_without_a_proven_role_names_nobody(make):
    effect = EFFECT | {"role": "finance", "proven": False, "odds_ratio_low": None}
    section = build_committees(make([group()], [effect]))
    assert section.tables[0].rows[0][-1] == "–"
    assert section.tables[1].rows[0][5:] == ["–", "not proven"]
    assert section.notes[-1].startswith("Nobody is named")


def test_section_without_mapped_titles_has_no_roles(make):
    section = build_committees(make([group()], accounts={}))
    assert "who next" not in section.tables[0].headings and len(section.tables) == 1
    assert "accounts.roles" in section.notes[-1]


def test_section_lists_the_most_probable_accounts(make):
    section = build_committees(make([group()] * (MAX_ACCOUNTS + 5)))
    assert len(section.tables[0].rows) == MAX_ACCOUNTS
    assert section.tables[0].rows[0][0] == "Firm 0"


def test_section_has_russian_texts(make):
    section = build_committees(make([group()], language="ru"))
    assert section.title.startswith("Кого не хватает")


def test_section_is_left_out_without_groups(make):
    none = dict.fromkeys(group())
    assert build_committees(make([none])) is None


def test_personal_ids_of_contacts_are_hidden(make):
    rows = [group(who_next="finance", next_contact="a"), group(next_contact="unscored")]
    data = hide_personal_ids(make(rows, privacy={"personal": ["id"]}))
    shown = data.accounts["next_contact"].to_pylist()
    assert shown[0] not in (None, "a") and shown[1] is None
    assert hide_personal_ids(make(rows, privacy={"personal": ["company"]})).accounts is None
