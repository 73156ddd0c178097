"""White space: accounts that fit and are silent."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from models.fit.accounts import select_white_space
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.sections.fit.profile import GROUP
from serve.page.sections.funnel.lead_cells import find_targets, name_lead
from serve.page.sections.funnel.texts import UNKNOWN, write_amount

NAME = "fit_white_space"
# Accounts that are listed, and those that are seen without a press; the file has all.
MAX_ACCOUNTS, FIRST_ACCOUNTS = 100, 15


def build_white_space(data: PageData) -> Section | None:
    """Return the section; None without a profile, and without times."""
    if data.fit is None or not data.fit.fit_profile.num_rows or not data.fit.fit_grid.num_rows:
        return None
    words, basis = data.words, data.fit.fit_basis.to_pylist()[0]
    title, days = words.text(NAME, "title"), basis["threshold_days"]
    if days is None:
        return Section(NAME, GROUP, title, words.text(NAME, "no_threshold"))
    accounts = data.fit.fit_accounts
    listed = select_white_space(accounts)
    best = pc.sum(pc.equal(accounts["fit_class"], "A"), min_count=0).as_py()
    values = {"days": words.language.days(days), "best": words.number(best)}
    if not listed.num_rows:
        return Section(NAME, GROUP, title, words.text(NAME, "none_silent", **values))
    sentence = words.text(NAME, "sentence", count=words.number(listed.num_rows), **values)
    notes = [words.text(NAME, "missing_note")]
    if listed.num_rows > MAX_ACCOUNTS:
        more = words.number(listed.num_rows - MAX_ACCOUNTS)
        notes.insert(0, words.text(NAME, "cut", more=more))
    return Section(
        NAME, GROUP, title, sentence, tables=[*_list_accounts(data, listed)], notes=notes
    )


def _list_accounts(data: PageData, listed: pa.Table) -> Iterator[Table]:
    """Yield the first accounts, and the next ones as a table that is opened."""
    words = data.words
    has = {
        name: listed[name].null_count < listed.num_rows
        for name in ("account_id", "owner", "expected_value")
    }
    keys = ["lead", *(name for name in ("account_id", "owner") if has[name]), "silent_days"]
    keys += ["expected_value" if has["expected_value"] else "factor", "matched", "missing"]
    headings = [words.text(NAME, key) for key in keys]
    numeric = frozenset({keys.index("silent_days"), keys.index("silent_days") + 1})
    for key, start, end in (("first", 0, FIRST_ACCOUNTS), ("next", FIRST_ACCOUNTS, MAX_ACCOUNTS)):
        part = listed.slice(start, end - start)
        rows = []
        for row, target in zip(part.to_pylist(), find_targets(data, part), strict=True):
            cells = {
                "lead": name_lead(words, row["entity_id"], target),
                "account_id": row["account_id"] or UNKNOWN,
                "owner": row["owner"] or UNKNOWN,
                "silent_days": words.language.days(row["silent_days"]),
                "expected_value": write_amount(words, row["expected_value"]),
                "factor": words.number(row["factor"], 2),
                "matched": row["matched"] or UNKNOWN,
                "missing": row["missing"] or UNKNOWN,
            }
            rows.append([cells[name] for name in keys])
        if rows:
            caption = words.text(NAME, key, shown=words.number(len(rows)))
            yield Table(caption, headings, rows, numeric, folded=start > 0, compact=True)
