"""White space: accounts that fit and are silent."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from models.fit.accounts import select_white_space
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.sections.fit.profile import GROUP
from serve.page.sections.funnel.lead_cells import Cell, is_empty, list_in_parts, name_lead
from serve.page.sections.funnel.texts import UNKNOWN, Row, write_amount

NAME = "fit_white_space"
# Accounts that are listed; the file has all.
MAX_ACCOUNTS = 100


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
    # A lead without an expected value is ordered by its factor.
    size = "factor" if is_empty(listed, "expected_value") else "expected_value"

    def write_cells(row: Row, target: str | None) -> dict[str, Cell]:
        sizes = {
            "expected_value": write_amount(words, row["expected_value"]),
            "factor": words.number(row["factor"], 2),
        }
        return {
            "lead": name_lead(words, row["entity_id"], target),
            "account_id": row["account_id"] or UNKNOWN,
            "owner": row["owner"] or UNKNOWN,
            "silent_days": words.language.days(row["silent_days"]),
            size: sizes[size],
            "matched": row["matched"] or UNKNOWN,
            "missing": row["missing"] or UNKNOWN,
        }

    return list_in_parts(data, NAME, listed, ("silent_days", size), write_cells, MAX_ACCOUNTS)
