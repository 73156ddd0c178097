"""Which table is that of the leads, which ones are logs, and which ones histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from configs.errors import ConfigError, DataError, join_names
from configs.suggestions import did_you_mean
from pipelines.proposal.event_type_choice import (
    choose_event_type,
    read_given_type,
    require_known_types,
)
from pipelines.proposal.findings.attributes import explain_left_out
from pipelines.proposal.findings.counted_times import find_counted_creation, use_as_times
from pipelines.proposal.findings.event_logs import LeadsTable, MappedLog, make_log
from pipelines.proposal.findings.links import (
    Link,
    find_links,
    is_log,
    list_id_columns,
    list_repeated_ids,
    measure_best_share,
    score_as_leads,
)
from pipelines.proposal.findings.outcomes import list_column_outcomes
from pipelines.proposal.findings.roles import (
    find_account_id,
    find_created_at,
    find_event_time,
    find_known_at,
    rank_name,
)
from pipelines.proposal.proposal import ValueHistory
from pipelines.proposal.questions import Answers, Interview, Question
from pipelines.proposal.reading.column_profile import CATEGORY, NUMBER, TRUTH, ColumnProfile
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import NO_RANK, count_nouns, matches_words

# Share of the leads with a value of a field in its history, from which on the history is used.
MIN_HISTORY_SHARE = 0.5
# A column of a log that describes the lead has at most so many values.
MAX_LOG_ATTRIBUTE_VALUES = 1_000
FIELD_LIMIT = 200
NOT_LINKED = "none of its columns holds the ids of the leads"
JOIN = "join its columns into the leads to use them"
NOT_DATED = f"its rows have no times: {JOIN}"


@dataclass(frozen=True)
class Arrangement:
    """The tables by their role.

    Attributes:
        leads: That of the leads; None if only logs name them.
        logs: The logs.
        histories: The histories of attributes.
        unused: The reason of each other table.
    """

    leads: LeadsTable | None
    logs: tuple[MappedLog, ...] = ()
    histories: tuple[ValueHistory, ...] = ()
    unused: dict[str, str] = field(default_factory=dict)


def arrange_tables(
    tables: Sequence[SourceTable], answers: Answers, interview: Interview
) -> Arrangement:
    """Return which table has which role.

    Raises ConfigError for an answer that names no table or column, DataError for tables that share
    no ids.
    """
    require_known_types(tables, answers.event_type)
    leads, links = _choose_leads(tables, answers, interview)
    if leads is None:
        return _arrange_logs(tables, answers, interview)
    mapped = _map_leads(leads, links, answers)
    logs, histories, unused = list[MappedLog](), list[ValueHistory](), dict[str, str]()
    linked = {link.table.name: link for link in links if link.ids == mapped.entity_id}
    for table in tables:
        if table is leads:
            continue
        link = linked.get(table.name)
        history = _read_history(mapped, link) if link else None
        log = _make_log(table, link.column, answers, interview) if link and not history else None
        if history:
            histories.append(history)
        elif log:
            logs.append(log)
        else:
            unused[table.name] = _explain_unused(table, link, leads)
    if len(tables) > 1 and not (logs or histories):
        _refuse_strangers(leads, tables)
    return Arrangement(mapped, tuple(logs), tuple(histories), unused)


def _make_log(
    table: SourceTable, entity_id: str, answers: Answers, interview: Interview
) -> MappedLog | None:
    """Return a table as a log with its column of event types; None if nothing dates its rows."""

    def choose_type(taken: set[str]) -> str | None:
        return choose_event_type(table, entity_id, taken, answers, interview)

    return make_log(table, entity_id, choose_type, read_given_type(table, answers.event_type))


def _explain_unused(table: SourceTable, link: Link | None, leads: SourceTable) -> str:
    """Return why a table has no role."""
    if link:
        return NOT_DATED
    described = find_links(table, list_id_columns(table), [leads])
    if described:
        return f"it describes the values of {described[0].column}: {JOIN}"
    return NOT_LINKED


def _choose_leads(
    tables: Sequence[SourceTable], answers: Answers, interview: Interview
) -> tuple[SourceTable | None, list[Link]]:
    """Return the table of the leads, and the links of the others to it."""
    if answers.leads is not None:
        table = _find_table(tables, answers.leads)
        return table, _link_others(table, tables, answers)
    scored = []
    for place, table in enumerate(tables):
        if is_log(table) and len(tables) == 1 and not answers.entity_id:
            continue
        has_outcome = bool(list_column_outcomes(table, set()))
        # Of a single table without ids the number of a row is the id.
        if list_id_columns(table) or (
            len(tables) == 1 and has_outcome and not _has_entities(table)
        ):
            links = _link_others(table, tables, answers)
            score = score_as_leads(table, links, has_outcome=has_outcome)
            scored.append((score, -place, table, links))
    if not scored:
        return None, []
    # A table that names the ids of another candidate is about the other's rows.
    best = sorted(scored, key=lambda entry: entry[:2], reverse=True)
    equal = [entry[2] for entry in best if entry[0] == best[0][0]]
    chosen = best[0][2]
    if len(equal) > 1:
        names = tuple(table.name for table in equal)
        sizes = ", ".join(f"{table.name} ({count_nouns(table.rows, 'row')})" for table in equal)
        question = Question(
            "--leads", "Which file has one row for each lead?", sizes, chosen.name, names
        )
        chosen = _find_table(tables, interview.answer(question, None))
    return chosen, next(links for *_, table, links in best if table is chosen)


def _has_entities(table: SourceTable) -> bool:
    return bool(list_repeated_ids(table)) and find_event_time(table) is not None


def _link_others(table: SourceTable, tables: Sequence[SourceTable], answers: Answers) -> list[Link]:
    ids = [answers.entity_id] if answers.entity_id in table.names else list_id_columns(table)
    return find_links(table, ids, [other for other in tables if other is not table])


def _find_table(tables: Sequence[SourceTable], name: str) -> SourceTable:
    names = [table.name for table in tables]
    for table in tables:
        if name in (table.name, table.origin.get("path")):
            return table
    raise ConfigError(
        "no such file among those given",
        where="--leads",
        found=f"{name!r}; the files are {join_names(names, 10)}",
        fix=did_you_mean(name, names) or "name one of them",
    )


def _map_leads(table: SourceTable, links: list[Link], answers: Answers) -> LeadsTable:
    """Return the roles of the columns of the leads."""
    for flag, column in (("--entity-id", answers.entity_id), ("--created-at", answers.created_at)):
        if column is not None and column not in table.names:
            raise ConfigError(
                "no such column",
                where=f"{flag}: {table.name}",
                found=f"{column!r}; the columns are {join_names(table.names, 20)}",
                fix=did_you_mean(column, table.names) or "name one of them",
            )
    ids = list_id_columns(table)
    used = [link.ids for link in links]
    # The id that most logs name, else the likeliest one.
    entity = answers.entity_id or max(
        ids, key=lambda name: (used.count(name), -ids.index(name)), default=None
    )
    if answers.created_at is not None:
        use_as_times(table, answers.created_at)
    created = answers.created_at or find_created_at(table) or find_counted_creation(table)
    taken = {name for name in (entity, created) if name}
    known = find_known_at(table, created) if created else None
    return LeadsTable(table, entity, created, find_account_id(table, taken), known)


def _arrange_logs(
    tables: Sequence[SourceTable], answers: Answers, interview: Interview
) -> Arrangement:
    """Return tables that are all logs; their entities are the leads."""
    logs, unused = list[MappedLog](), dict[str, str]()
    for table in tables:
        ids = [answers.entity_id] if answers.entity_id in table.names else list_repeated_ids(table)
        log = _make_log(table, ids[0], answers, interview) if ids and ids[0] else None
        if log is None:
            unused[table.name] = "it has no column of ids that repeat, or no time"
            continue
        logs.append(log)
    if not logs:
        first = tables[0]
        raise DataError(
            "no column identifies the leads, and none holds their outcome",
            where=first.name,
            found=f"{count_nouns(first.rows, 'row')}, columns {join_names(first.names, 20)}",
            fix="export the id of each lead, or name it: --entity-id COLUMN, and --outcome for a "
            "column with the outcome",
        )
    return Arrangement(None, tuple(logs), list_log_histories(logs), unused)


def list_log_histories(logs: Sequence[MappedLog]) -> tuple[ValueHistory, ...]:
    """Return the columns of logs that describe their leads, as histories."""
    columns = [(log, _list_log_attributes(log)) for log in logs]
    return tuple(
        ValueHistory(log.table, log.entity_id, log.event_time, names)
        for log, names in columns
        if names
    )


def _list_log_attributes(log: MappedLog) -> tuple[str, ...]:
    """Return the columns of a log that describe the lead: filled in most rows, few values."""
    taken = {log.entity_id, log.event_time, log.event_type, log.channel, log.value, log.known_at}
    return tuple(
        profile.name
        for profile in log.table.profiles.values()
        if profile.name not in taken
        and profile.fill_share >= MIN_HISTORY_SHARE
        and _may_describe(profile)
    )


def _may_describe(profile: ColumnProfile) -> bool:
    named = rank_name(profile.name, "columns.id") < NO_RANK
    named |= matches_words(profile.name, "columns.event_time")
    named |= matches_words(profile.name, "columns.value")
    return (
        not named
        and profile.kind in (CATEGORY, NUMBER, TRUTH)
        and profile.distinct <= MAX_LOG_ATTRIBUTE_VALUES
        and not explain_left_out(profile)
    )


def _read_history(leads: LeadsTable, link: Link) -> ValueHistory | None:
    """Return a table of changed fields as a history; None if it is none."""
    table, time = link.table, find_event_time(link.table)
    fields = _find_named(table, "columns.field_name", 2)
    values = _find_named(table, "columns.new_value", 2)
    if time is None or fields is None or values is None or fields == values:
        return None
    counts = table.profiles[fields].counts
    # Without a row for the first value an attribute would be missing until it changes.
    only = tuple(
        name
        for name, rows in counts.items()
        if rows >= MIN_HISTORY_SHARE * leads.table.rows
        and not matches_words(name, "worked")
        and not matches_words(name, "personal")
    )
    return ValueHistory(table, link.column, time, (), fields, values, only) if only else None


def _find_named(table: SourceTable, path: str, least: int) -> str | None:
    fitting = [
        profile.name
        for profile in table.profiles.values()
        if profile.kind in (CATEGORY, NUMBER)
        and profile.distinct >= least
        and (path != "columns.field_name" or profile.distinct <= FIELD_LIMIT)
        and rank_name(profile.name, path) < NO_RANK
    ]
    return min(fitting, key=lambda name: rank_name(name, path), default=None)


def _refuse_strangers(leads: SourceTable, tables: Sequence[SourceTable]) -> None:
    """Raise DataError if no other table shares ids with the leads although some are logs."""
    dated = [t for t in tables if t is not leads and find_event_time(t) is not None]
    if not dated:
        return
    ids = list_id_columns(leads)
    share, column = measure_best_share(leads, ids, dated[0])
    best = f"; the best is {column}, with {share:.0%} of its values" if column else ""
    raise DataError(
        "the files share no ids",
        where=f"{leads.name}, {dated[0].name}",
        found=f"no column of {dated[0].name} holds the values of {join_names(ids, 3) or 'an id'} "
        f"of {leads.name}{best}",
        fix="export the lead's id with each event, or name the columns: --entity-id, --leads",
    )
