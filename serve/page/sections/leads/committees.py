"""The buying groups of the most probable accounts: who is in, who is missing, who is next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.accounts.buying_group import ROLE_SEPARATOR
from features.wording.language import humanize_name
from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Section, Table
from serve.page.content.target_names import name_outcomes
from serve.page.content.words import PageWords

NAME = "committees"
# Accounts of a target that are listed; accounts.csv has all.
MAX_ACCOUNTS = 20
ROLE_COLUMNS = ("roles_present", "roles_missing", "who_next")
COLUMNS = ("account", "probability", "engaged", "new", "share", *ROLE_COLUMNS)
NUMERIC = frozenset(range(1, 5))
# A phone has no place for these.
EXTRA_COLUMNS = ("new", "roles_present")


def build_committees(data: PageData) -> Section | None:
    """Return the section: the accounts of each target, and which roles win more often."""
    words, accounts = data.words, data.accounts
    if accounts is None or not accounts.num_rows:
        return None
    # Nights of earlier versions have no such columns.
    accounts = accounts.filter(pc.is_valid(accounts["engaged_people_30d"]))
    if not accounts.num_rows:
        return None
    mapped = bool(data.project.accounts.roles)
    return Section(
        NAME,
        "leads",
        data.words.text(NAME, "title"),
        " ".join([_count_single_threaded(words, accounts), *_count_silent_role(data, accounts)]),
        tables=[*_list_accounts(data, accounts, mapped), *_list_roles(data)],
        notes=[words.text(NAME, "engaged_note"), *_explain_roles(data, mapped)],
    )


def _count_single_threaded(words: PageWords, accounts: pa.Table) -> str:
    # An account has a row for each target, which all count the same people.
    firms = accounts.group_by("account_id").aggregate([("single_threaded", "max")])
    alone = pc.sum(firms["single_threaded_max"]).as_py()
    return words.text(
        NAME,
        "sentence",
        count=words.number(alone),
        all=words.number(firms.num_rows),
        share=words.percent(alone / firms.num_rows, 0),
    )


def _count_silent_role(data: PageData, accounts: pa.Table) -> Iterator[str]:
    """Yield where the role is not engaged that goes with the first target's outcome most."""
    words, outcomes = data.words, name_outcomes(data)
    effects = () if data.roles is None else data.roles.to_pylist()
    for target in data.targets:
        proven = [row for row in effects if row["target"] == target and row["proven"]]
        if not proven:
            continue
        best = max(proven, key=lambda row: row["odds_ratio"])
        own = accounts.filter(pc.field("target") == target)
        # The role with the highest odds ratio is next wherever it is not engaged.
        silent = pc.sum(pc.equal(own["who_next"], best["role"]), min_count=0).as_py()
        yield words.text(
            NAME,
            "silent",
            role=humanize_name(best["role"]),
            outcome=outcomes[target],
            engaged=words.percent(best["share_engaged"], 0),
            others=words.percent(best["share_others"], 0),
            count=words.number(silent),
            all=words.number(own.num_rows),
        )
        return


def _explain_roles(data: PageData, mapped: bool) -> Iterator[str]:
    words = data.words
    if not mapped:
        yield words.text(NAME, "no_roles")
    elif data.roles is None or not pc.any(data.roles["proven"], min_count=0).as_py():
        yield words.text(NAME, "none_proven")
    else:
        yield words.text(NAME, "next_note")


def _list_accounts(data: PageData, accounts: pa.Table, mapped: bool) -> Iterator[Table]:
    """Yield the most probable accounts of each target."""
    words, outcomes = data.words, name_outcomes(data)
    keys = [key for key in COLUMNS if mapped or key not in ROLE_COLUMNS]
    headings = [words.text(NAME, key) for key in keys]
    extra = frozenset(at for at, key in enumerate(keys) if key in EXTRA_COLUMNS)
    for target in data.targets:
        own = accounts.filter(pc.field("target") == target).sort_by("rank")
        scored = own.slice(0, MAX_ACCOUNTS)
        rows = [_describe_account(data, row, mapped) for row in scored.to_pylist()]
        if rows:
            caption = words.text(
                NAME, "accounts", target=outcomes[target], shown=words.number(len(rows))
            )
            yield Table(caption, headings, rows, NUMERIC, compact=True, extra=extra)


def _describe_account(data: PageData, row: Mapping[str, Any], mapped: bool) -> list[str | LeadCell]:
    words = data.words
    engaged = words.number(row["engaged_people_30d"])
    cells: list[str | LeadCell] = [
        row["account_id"],
        words.percent(row["probability"], 0),
        words.text(NAME, "alone", n=engaged) if row["single_threaded"] else engaged,
        words.number(row["new_people_14d"]),
        words.percent(row["concentration"], 0),
    ]
    if mapped:
        cells += [_name_roles(words, row[name]) for name in ("roles_present", "roles_missing")]
        cells.append(_name_next(words, row))
    return cells


def _name_roles(words: PageWords, roles: str | None) -> str:
    names = roles.split(ROLE_SEPARATOR) if roles else []
    return ROLE_SEPARATOR.join(map(humanize_name, names)) or words.text(NAME, "nobody")


def _name_next(words: PageWords, row: Mapping[str, Any]) -> str:
    """Return the role to reach next, with the person who is known in it."""
    if row["who_next"] is None:
        return "–"
    role = humanize_name(row["who_next"])
    if row["next_contact"] is not None:
        return words.text(NAME, "reach", role=role, contact=row["next_contact"])
    # The id of a person without a score is hidden where ids are personal.
    is_known = row["who_next"] in (row["roles_present"] or "").split(ROLE_SEPARATOR)
    return words.text(NAME, "known" if is_known else "find", role=role)


def _list_roles(data: PageData) -> Iterator[Table]:
    """Yield the comparison of roles, as a table that is opened."""
    words, outcomes = data.words, name_outcomes(data)
    if data.roles is None:
        return
    rows = [
        [
            humanize_name(row["role"]),
            outcomes[row["target"]],
            words.number(row["rows"]),
            words.percent(row["share_engaged"], 0),
            words.percent(row["share_others"], 0),
            _write_ratio(words, row),
            words.text(NAME, "proven" if row["proven"] else "not_proven"),
        ]
        for row in data.roles.to_pylist()
        if row["target"] in outcomes
    ]
    keys = ("role", "target", "rows", "share_engaged", "share_others", "odds", "verdict")
    if rows:
        headings = [words.text(NAME, key) for key in keys]
        yield Table(words.text(NAME, "roles"), headings, rows, frozenset(range(2, 6)), folded=True)


def _write_ratio(words: PageWords, row: Mapping[str, Any]) -> str:
    parts = [row[name] for name in ("odds_ratio", "odds_ratio_low", "odds_ratio_high")]
    if None in parts:
        return "–"
    ratio, low, high = (words.number(part, 2) for part in parts)
    return f"{ratio} ({low}–{high})"
