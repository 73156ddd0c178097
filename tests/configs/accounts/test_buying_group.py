"""Roles from titles: the config's rules, and whole words in any language."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import ConfigError
from features.names.roles import find_role
from tests.serve.page.pages import CONFIG, make_project

ROLES = {"boss": ["ceo", "head of"], "it": ["it", "ит"], "finance": ["CFO", "финансовый директор"]}
SOURCES = {
    **CONFIG["sources"],
    "leads": {**CONFIG["sources"]["leads"], "account_id": "company", "known_at": "known"},
}


def load(folder, roles, **more):
    accounts = {"title": "job", "roles": roles}
    return make_project(folder, **{"sources": SOURCES, "accounts": accounts, **more})


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"boss": []}, "boss has no word"),
        ({"boss": ["ceo", " - "]}, "boss lists ' - '"),
        ({"boss": ["ceo", "CEO"]}, "'ceo' is twice in boss"),
        ({"boss": ["ceo"], "it": ["Ceo"]}, "'ceo' is in boss and in it"),
        ({"Other": ["x"]}, "is the role of all other titles"),
        ({"a, b": ["x"]}, "must have no comma"),
        ({}, "must be given together"),
    ],
)
def test_roles_that_mean_nothing_are_refused(tmp_path, roles, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as refusal:
        load(tmp_path, roles)
    assert "acme.yaml: accounts" in str(refusal.value)


@pytest.mark.parametrize("key", ["known_at", "account_id", "created_at"])
def test_roles_require_when_a_person_was_known(tmp_path, key):
    leads = {name: column for name, column in SOURCES["leads"].items() if name != key}
    with pytest.raises(ConfigError, match=rf"requires.* sources\.leads\.{key}"):
        load(tmp_path, ROLES, sources={**SOURCES, "leads": leads})


def test_roles_of_two_sources_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"features\.role and accounts\.roles"):
        load(tmp_path, ROLES, features={"role": "job"})


@pytest.mark.parametrize(
    ("title", "role"),
    [
        ("CEO", "boss"),
        ("Head of IT", "boss"),
        ("head, of it", "boss"),
        ("Headof IT", "it"),
        ("Unit manager", "other"),
        ("Руководитель ИТ-отдела", "it"),
        ("ФИНАНСОВЫЙ ДИРЕКТОР", "finance"),
        ("финансовый аналитик", "other"),
        ("", None),
        (" – ", None),
    ],
)
def test_title_has_the_first_role_of_its_words(title, role):
    assert find_role(title, ROLES) == role


WORDS = st.lists(st.sampled_from(["ceo", "head", "of", "it", "cfo", "unit", "ит"]), max_size=6)


@given(WORDS, st.sampled_from([" ", ", ", " / ", "-"]), st.booleans())
def test_role_matches_a_loop_over_words(words, sign, upper):
    title = sign.join(words)
    expected = None if not words else "other"
    for role, entries in reversed(ROLES.items()):
        for entry in entries:
            wanted = entry.lower().split()
            for at in range(len(words) - len(wanted) + 1):
                if words[at : at + len(wanted)] == wanted:
                    expected = role
    assert find_role(title.upper() if upper else title, ROLES) == expected
