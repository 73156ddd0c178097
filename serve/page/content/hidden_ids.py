"""Takes personal ids out of the contents of a page, before any section sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.intake.objections import has_personal_ids
from features.tools.duckdb_sql import run_query
from serve.page.content.page_data import LeadFacts, PageData
from serve.page.content.words import PageWords

Fact = TypeVar("Fact")
# The lead's place in its first target: two leads of one target never share a rank.
PLACES_SQL = """
    SELECT entity_id, arg_min(target, place) AS target, arg_min(rank, place) AS rank
    FROM scores JOIN targets USING (target)
    GROUP BY entity_id ORDER BY entity_id"""
# Stand for values that are put in later, and occur in no text.
TARGET_MARK, RANK_MARK = "\x01", "\x02"


def hide_personal_ids(data: PageData) -> PageData:
    """Return the contents without ids of leads and accounts whose columns are personal.

    In place of a lead's id stands its name by target and rank, which ``scores.csv`` has too: who
    may know the lead can find it there. Leads without a score have no name, and are left out; those
    in tables of the funnel stay, without an id, since they are counted. An account's id becomes
    null.
    """
    project = data.project
    if has_personal_accounts(project):
        scores, past = (
            _clear_column(data.scores, "account_id"),
            _clear_column(data.past, "account_id"),
        )
        # A group without a name of its account is of use to nobody.
        data = replace(data, scores=scores, past=past, accounts=None)
        if data.fit:
            accounts = _clear_column(data.fit.fit_accounts, "account_id")
            data = replace(data, fit=replace(data.fit, fit_accounts=accounts))
        data = _change_named_tables(data, "account_id", partial(_clear_column, name="account_id"))
    if not has_personal_ids(project):
        return data
    names = _Names.of_scores(project, data.scores, data.words)
    data = _change_named_tables(data, "entity_id", names.name_all)
    return replace(
        data,
        scores=names.rename(data.scores),
        past=names.rename(data.past),
        previous=names.rename(data.previous),
        facts=names.rename_facts(data.facts) if data.facts else None,
        funnel=replace(data.funnel, stuck=names.name_all(data.funnel.stuck))
        if data.funnel
        else None,
        forecast=replace(data.forecast, deals=names.name_all(data.forecast.deals))
        if data.forecast
        else None,
        fit=replace(data.fit, fit_accounts=names.name_all(data.fit.fit_accounts))
        if data.fit
        else None,
        accounts=names.name_contacts(data.accounts) if data.accounts is not None else None,
        hides_ids=True,
    )


def _change_named_tables(
    data: PageData, column: str, change: Callable[[pa.Table], pa.Table]
) -> PageData:
    """Return the contents with each table of customers and touches that has a column changed."""
    customers, touches = data.customers, data.touches
    return replace(
        data,
        customers=customers and customers.change_tables(column, change),
        touches=touches and touches.change_tables(column, change),
    )


def has_personal_accounts(project: Project) -> bool:
    """Return whether a column that holds account ids is declared personal."""
    sources = (project.sources.leads, *project.sources.events, *project.sources.attributes)
    columns = {getattr(source, "account_id", None) for source in sources if source}
    return not columns.isdisjoint(project.privacy.personal)


@dataclass(frozen=True)
class _Names:
    """Names of the leads, in the order of their ids."""

    ids: pa.Array
    names: pa.Array

    @classmethod
    def of_scores(cls, project: Project, scores: pa.Table, words: PageWords) -> _Names:
        """Return the names of all leads that have a score."""
        targets = list(project.targets)
        places = run_query(
            PLACES_SQL,
            scores=scores.select(["entity_id", "target", "rank"]),
            targets=pa.table({"target": targets, "place": range(len(targets))}),
        )
        pattern = words.text("frame", "lead_name", target=TARGET_MARK, rank=RANK_MARK)
        before, _, rest = pattern.partition(TARGET_MARK)
        between, _, after = rest.partition(RANK_MARK)
        rank = pc.cast(places["rank"], pa.string())
        names = pc.binary_join_element_wise(before, places["target"], between, rank, after, "")
        return cls(places["entity_id"].combine_chunks(), names.combine_chunks())

    def name_all(self, table: pa.Table, column: str = "entity_id") -> pa.Table:
        """Return a table with names in place of ids; null for a lead that has none."""
        places = pc.index_in(table[column], value_set=self.ids)
        place, field = table.column_names.index(column), table.schema.field(column)
        return table.set_column(place, field, pc.take(self.names, places))

    def name_contacts(self, accounts: pa.Table) -> pa.Table:
        """Return accounts with names in place of the ids of people."""
        return self.name_all(self.name_all(accounts, "main_contact"), "next_contact")

    def rename(self, table: pa.Table) -> pa.Table:
        """Return a table with names in place of ids, without the leads that have none."""
        table = self.name_all(table)
        return table.filter(pc.is_valid(table["entity_id"]))

    def rename_facts(self, facts: LeadFacts) -> LeadFacts:
        """Return facts by name in place of id."""
        return LeadFacts(
            self.rename(facts.timeline),
            self._rename_keys(facts.events),
            self._rename_keys(facts.unknown),
        )

    def _rename_keys(self, facts: Mapping[str, Fact]) -> dict[str, Fact]:
        places = pc.index_in(pa.array(list(facts), pa.string()), value_set=self.ids)
        names = pc.take(self.names, places).to_pylist()
        return {name: fact for name, fact in zip(names, facts.values(), strict=True) if name}


def _clear_column(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names:
        return table
    place, empty = table.column_names.index(name), pa.nulls(table.num_rows, pa.string())
    return table.set_column(place, table.schema.field(name), empty)
