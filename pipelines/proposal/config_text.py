"""The YAML of a proposal: at most 25 lines, with the reasons as comments."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from configs.loading.workspace_place import DEFAULT_WORKSPACE
from configs.source_rows import ALL_COLUMNS
from pipelines.proposal.findings.event_logs import LeadsTable, MappedLog
from pipelines.proposal.proposal import Proposal, TargetProposal, ValueHistory
from pipelines.proposal.reading.words import count_nouns

SCHEMA_FILE = "leadscore.schema.json"
MAX_LINES = 25
# Columns of a line, and of one in a config that would otherwise have too many lines.
WIDTH, WIDE = 98, 400
COMMENT_COLUMN = 38
# A longer text is quoted: YAML takes no longer one for a key.
MAX_PLAIN_LENGTH = 200

# The address of a database in a file, with a relative path.
RELATIVE_DATABASE = re.compile(r"((?:sqlite|duckdb):///)([^/].*)")

# Turns the path of a source into that of the config.
PathWriter = Callable[[str], str]


def write_path_from(folder: Path) -> PathWriter:
    """Return the writer of paths relative to a folder; absolute ones stay so."""

    def write_path(path: str) -> str:
        if "${" in path or Path(path).is_absolute() or "://" in path:
            return path
        return Path(os.path.relpath(path, folder)).as_posix()

    return write_path


def format_config(proposal: Proposal, workspace: str, write_path: PathWriter) -> str:
    """Return the YAML of a proposal in as few compromises as its length needs."""
    text = ""
    for width, compact, personal in (
        (WIDTH, False, True),
        (WIDTH, True, True),
        (WIDE, True, True),
        (WIDE, True, False),
    ):
        lines = list(_iter_lines(proposal, workspace, write_path, width, compact, personal))
        text = "\n".join(lines) + "\n"
        if len(lines) <= MAX_LINES:
            break
    return text


def _iter_lines(
    proposal: Proposal,
    workspace: str,
    write_path: PathWriter,
    width: int,
    compact: bool,
    personal: bool,
) -> Iterator[str]:
    yield f"# yaml-language-server: $schema={SCHEMA_FILE}"
    yield "# Proposed by `leadscore init`; `leadscore check` shows what it finds in the data."
    yield f"project: {format_yaml(proposal.project)}"
    if proposal.timezone != "UTC" or proposal.timezone_note:
        yield add_comment(f"timezone: {format_yaml(proposal.timezone)}", proposal.timezone_note)
    if workspace != DEFAULT_WORKSPACE:
        yield f"workspace: {format_yaml(workspace)}"
    yield "sources:"
    if proposal.leads is not None:
        yield from _iter_leads(proposal, proposal.leads, write_path, width, compact)
    if proposal.logs:
        yield "  events:"
        for log in proposal.logs:
            yield from wrap_item("    - ", _map_log(log, write_path), width)
    if proposal.histories:
        yield "  attributes:"
        for history in proposal.histories:
            yield from wrap_item("    - ", _map_history(history, write_path), width)
    if personal and proposal.leads is not None and proposal.attributes.personal:
        hidden = {"personal": list(proposal.attributes.personal)}
        yield from wrap_item("privacy: ", hidden, width)
    yield "targets:"
    yield from _iter_target(proposal.target, compact)
    features = {"stages": list(proposal.stages), "exclude": list(proposal.excluded)}
    if any(features.values()):
        used = {key: names for key, names in features.items() if names}
        yield from wrap_item("features: ", used, width)


def _iter_leads(
    proposal: Proposal, leads: LeadsTable, write_path: PathWriter, width: int, compact: bool
) -> Iterator[str]:
    yield add_comment("  leads:", count_nouns(leads.table.rows, "row"))
    keys = {
        **_map_origin(leads.table.origin, write_path),
        "entity_id": leads.entity_id,
        "created_at": leads.created_at,
        "known_at": leads.known_at,
        "account_id": leads.account_id,
        "order": proposal.order,
        "missing": _format_missing(proposal.missing),
    }
    if leads.created_at and leads.table.profiles[leads.created_at].fill_share < 1:
        keys["missing_time"] = "skip"
    given = {key: value for key, value in keys.items() if value}
    yield from (f"    {key}: {format_yaml(value)}" for key, value in given.items())
    used, excluded = list(proposal.attributes.used), list(proposal.attributes.left_out)
    if not used:
        return
    # Of hundreds of columns the shorter list is written.
    short = len(used) > 40 and len(excluded) < len(used) / 2
    value: Any = {"all_except": excluded} if short else used
    yield from wrap_item("    attributes: ", value, width if not compact else WIDE)


def _format_missing(missing: Mapping[str, Sequence[str]]) -> Any:
    """Return a list for all columns, or lists by column."""
    given = {column: list(texts) for column, texts in missing.items() if texts}
    return given.get(ALL_COLUMNS) if given.keys() == {ALL_COLUMNS} else given


def _map_log(log: MappedLog, write_path: PathWriter) -> dict[str, Any]:
    keys = {
        **_map_origin(log.table.origin, write_path),
        "entity_id": log.entity_id,
        "event_time": log.event_time,
        "event_type": {"constant": log.event_type} if log.constant else log.event_type,
        "known_at": log.known_at,
        "channel": log.channel,
        "value": log.value,
        "missing_time": "skip" if log.milestone else None,
    }
    return {key: value for key, value in keys.items() if value}


def _map_history(history: ValueHistory, write_path: PathWriter) -> dict[str, Any]:
    keys = {
        **_map_origin(history.table.origin, write_path),
        "entity_id": history.entity_id,
        "valid_from": history.valid_from,
        "columns": list(history.columns),
        "attribute": history.attribute,
        "value": history.value,
        "only": list(history.only),
    }
    return {key: value for key, value in keys.items() if value}


def _map_origin(origin: Mapping[str, str], write_path: PathWriter) -> dict[str, str]:
    written = dict(origin)
    if "path" in origin:
        written["path"] = write_path(origin["path"])
    if file := RELATIVE_DATABASE.fullmatch(origin.get("database", "")):
        written["database"] = f"{file[1]}{write_path(file[2])}"
    return written


def _iter_target(target: TargetProposal, compact: bool) -> Iterator[str]:
    timing, outcome = target.timing, target.outcome
    keys = dict[str, tuple[Any, str]]()
    if timing is None:
        equals = outcome.equals[0] if len(outcome.equals) == 1 else list(outcome.equals)
        value = {"column": outcome.name, "equals": equals}
        if target.mature_after:
            value["mature_after"] = target.mature_after
        keys["outcome"] = value, target.evidence
    else:
        population: dict[str, Any] = {"until": list(target.ends)} if target.ends else {}
        if timing.recurring:
            population["recurring"] = True
        if timing.max_age:
            population["max_age"] = f"{timing.max_age}d"
        if population:
            keys["population"] = population, ""
        keys["outcome"] = outcome.name, target.evidence
        reach = f"{timing.covered:.0%} of the outcomes come sooner"
        keys["horizon"] = f"{timing.horizon}d", reach
        cutoffs = {"every": f"{timing.every}d"} if timing.every else {"delay": timing.delay}
        keys["cutoffs"] = cutoffs, ""
        if timing.observed_from:
            keys["observed_from"] = timing.observed_from, "day of the first outcome in the data"
    if compact:
        yield f"  {target.name}: {format_yaml({key: value for key, (value, _) in keys.items()})}"
        return
    yield f"  {target.name}:"
    for key, (value, comment) in keys.items():
        yield add_comment(f"    {key}: {format_yaml(value)}", comment)


def add_comment(line: str, comment: str) -> str:
    """Return a line with a comment behind it."""
    return f"{line.ljust(COMMENT_COLUMN)} # {comment}" if comment else line


def format_yaml(value: Any) -> str:
    """Return a value as YAML in one line, valid inside a list or mapping as well."""
    if isinstance(value, Mapping):
        pairs = (f"{format_yaml(key)}: {format_yaml(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_yaml, value))}]"
    if isinstance(value, str):
        return value if _stays_plain(value) else _quote_text(value)
    text: str = yaml.safe_dump([value], default_flow_style=True)
    return text.strip()[1:-1]


def _stays_plain(text: str) -> bool:
    """Return whether a text needs no quotes, wherever it stands."""
    if not text.isprintable() or text != text.strip() or len(text) > MAX_PLAIN_LENGTH:
        return False
    try:
        return bool(
            yaml.safe_load(f"[{text}]") == [text]
            and yaml.safe_load(f"{{{text}: {text}}}") == {text: text}
            and yaml.safe_load(f"k: {text} # c") == {"k": text}
        )
    except yaml.YAMLError:
        return False


def _quote_text(text: str) -> str:
    # Single quotes read better, and hold all that can be printed.
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    quoted: str = yaml.safe_dump(
        [text], default_flow_style=True, default_style='"', allow_unicode=True, width=float("inf")
    )
    return quoted.strip()[1:-1]


def wrap_item(head: str, value: Any, width: int) -> Iterator[str]:
    """Yield a list or mapping in flow style, cut into lines at its commas."""
    if isinstance(value, Mapping) and len(value) == 1:
        # A single long list inside a mapping is cut at its own commas.
        ((key, items),) = value.items()
        if isinstance(items, list):
            texts = [format_yaml(item) for item in items]
            yield from _fill_lines(f"{head}{{{format_yaml(key)}: [", texts, "]}", width)
            return
    if isinstance(value, Mapping):
        parts = [f"{format_yaml(key)}: {format_yaml(item)}" for key, item in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [format_yaml(item) for item in value] if isinstance(value, Sequence) else []
        opening, closing = "[", "]"
    yield from _fill_lines(f"{head}{opening}", parts, closing, width)


def _fill_lines(head: str, parts: Sequence[str], closing: str, width: int) -> Iterator[str]:
    line, indent = head, " " * (len(head) - len(head.lstrip()) + 6)
    for place, part in enumerate(parts):
        piece = part + ("," if place < len(parts) - 1 else closing)
        if place and len(line) + 1 + len(piece) > width:
            yield line
            line = indent + piece
        else:
            line += (" " if place else "") + piece
    yield line if parts else line + closing
