"""What a configured export holds: which column of the CRM gets which column of which target."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from configs.errors import ConfigError
from configs.exports import CrmExport
from serve.crm.formats import FORMATS, Format
from serve.export.export import EXPORT, REASONS

STATUS = pa.field(
    "status",
    pa.string(),
    metadata={"meaning": "scored; or cleared, once, when no target of the file scores the lead"},
)
LEAD = {
    field.name: field
    for field in (
        *(EXPORT.field(n) for n in ("project", "entity_id", "account_id", "as_of")),
        STATUS,
    )
}
"""What is the same for all targets of a lead."""
OF_TARGET = {field.name: field for field in EXPORT if field.name not in {*LEAD, "target"}}
DATES = {"as_of", "cutoff"}
"""They move every night and say nothing new of a lead: no delta heeds them."""
USUAL = ("score", "grade", "evidence", *(field.name for field in REASONS))
"""What is delivered of each target unless the config says otherwise: what changes when the lead does."""


@dataclass(frozen=True)
class Mapped:
    """One column of the file; ``target`` is empty for a column of the lead."""

    name: str
    target: str
    column: str

    @property
    def source(self) -> str:
        """What the config calls it."""
        return f"{self.target}.{self.column}" if self.target else self.column

    @property
    def field(self) -> pa.Field:
        """Its type and meaning."""
        return OF_TARGET[self.column] if self.target else LEAD[self.column]


@dataclass(frozen=True)
class Plan:
    """One configured export, seen to be possible; ``changes`` are the sources that make a lead due, all if empty."""

    name: str
    form: str
    key: str
    mapped: tuple[Mapped, ...]
    delta: bool
    changes: frozenset[str] = frozenset()

    @property
    def format(self) -> Format:
        """The rules of the CRM."""
        return FORMATS[self.form]

    @property
    def targets(self) -> list[str]:
        """The targets with a column in the file, in the file's order."""
        return list(dict.fromkeys(one.target for one in self.mapped if one.target))

    @property
    def compared(self) -> list[int]:
        """The places of the columns whose change makes a lead due."""
        counts = [
            one.source in self.changes if self.changes else one.column not in DATES
            for one in self.mapped
        ]
        return [n for n, does in enumerate(counts) if does]

    @property
    def layout(self) -> str:
        """A hash of what a row holds and what of it counts: values of another layout cannot be compared."""
        parts: list[object] = [
            self.form,
            self.key,
            *([one.name, one.source] for one in self.mapped),
        ]
        parts += [sorted(self.changes)] if self.changes else []
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def plans(exports: Mapping[str, CrmExport], targets: Iterable[str], where: str) -> dict[str, Plan]:
    """Return the plan of each configured export by its name.

    ``where`` names the config. Raises ConfigError for a target or column that is not there, and for a name that the
    CRM does not take.
    """
    known = tuple(targets)
    return {
        name: _plan(name, export, known, f"{where}: publish.exports.{name}")
        for name, export in exports.items()
    }


def _plan(name: str, export: CrmExport, targets: tuple[str, ...], where: str) -> Plan:
    form = FORMATS[export.format]
    key = export.key or (None if form.example else "entity_id")
    if key is None:
        raise ConfigError(
            f"{export.format} needs to know which column finds the record",
            where=f"{where}.key",
            found="no key",
            fix=f"name the column that gets the entity_id, such as {form.example}",
        )
    columns = export.columns or _usual(form, targets)
    mapped = _all_mapped(columns, targets, f"{where}.columns")
    if not any(one.target for one in mapped):
        raise ConfigError(
            "no column of a target",
            where=f"{where}.columns",
            found=", ".join(columns),
            fix=f"add one, such as {form.named((targets[0], 'score'))}: {targets[0]}.score",
        )
    _check_names([key, *columns], export.format, where)
    return Plan(
        name, export.format, key, mapped, export.delta, _changes(export, mapped, f"{where}.changes")
    )


def _changes(export: CrmExport, mapped: tuple[Mapped, ...], where: str) -> frozenset[str]:
    """Return what makes a lead due; raise ConfigError for what is not in the file or moves every night anyway."""
    if export.changes and not export.delta:
        raise ConfigError(
            "only a delta heeds changes", where=where, found="delta: false", fix="add delta: true"
        )
    there = [one.source for one in mapped]
    if odd := [source for source in export.changes if source not in there]:
        near = difflib.get_close_matches(odd[0], there, 1)
        raise ConfigError(
            "not a column of this file",
            where=where,
            found=f"{len(odd)}, such as {odd[0]!r}",
            fix=f"did you mean {near[0]}?"
            if near
            else "add it to columns, or name one that is there",
        )
    if dates := [
        one.source for one in mapped if one.source in export.changes and one.column in DATES
    ]:
        raise ConfigError(
            "it moves every night", where=where, found=", ".join(dates), fix="leave it out"
        )
    return frozenset(export.changes)


def _usual(form: Format, targets: tuple[str, ...]) -> dict[str, str]:
    columns = {
        form.named((target, column)): f"{target}.{column}" for target in targets for column in USUAL
    }
    return columns | {form.named(("score", column)): column for column in ("as_of", "status")}


def _all_mapped(
    columns: Mapping[str, str], targets: tuple[str, ...], where: str
) -> tuple[Mapped, ...]:
    found = {name: _mapped(name, source, targets) for name, source in columns.items()}
    wrong = [name for name, one in found.items() if one is None]
    if not wrong:
        return tuple(one for one in found.values() if one is not None)
    source = columns[wrong[0]]
    raise ConfigError(
        "no such column",
        where=f"{where}.{wrong[0]}",
        found=repr(source) if len(wrong) == 1 else f"{len(wrong)}, such as {source!r}",
        fix=_near(source, targets),
    )


def _mapped(name: str, source: str, targets: tuple[str, ...]) -> Mapped | None:
    target, dot, column = source.rpartition(".")
    if not dot and column in LEAD:
        return Mapped(name, "", column)
    return Mapped(name, target, column) if target in targets and column in OF_TARGET else None


def _near(source: str, targets: tuple[str, ...]) -> str:
    target, _, column = source.rpartition(".")
    there = [*LEAD, *(f"{one}.{each}" for one in targets for each in OF_TARGET)]
    near = difflib.get_close_matches(source, there, 1)
    if target not in targets and column in OF_TARGET:
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{hint}the targets are {', '.join(targets)}"
    return (
        f"did you mean {near[0]}?"
        if near
        else f"name target.column or a column of the lead ({', '.join(LEAD)})"
    )


def _check_names(names: list[str], form_name: str, where: str) -> None:
    """Raise ConfigError for column names that the CRM does not take, or takes for one another."""
    form = FORMATS[form_name]
    if short := [
        name for name in names if form_name == "salesforce" and re.search("[^_]_c$", name)
    ]:
        raise ConfigError(
            "a name of salesforce's own ends in two underscores and c",
            where=where,
            found=f"{len(short)}, such as {short[0]!r}",
            fix=f"did you mean {short[0][:-2]}__c?",
        )
    odd = [
        name for name in names if not re.fullmatch(form.pattern, name) or len(name) > form.longest
    ]
    if odd:
        raise ConfigError(
            f"a name that {form_name} does not take",
            where=where,
            found=f"{len(odd)}, such as {odd[0]!r}",
            fix=f"write {form.spelling}, {form.longest} signs at most",
        )
    lower = [name.lower() for name in names]
    if twice := [name for name in names if lower.count(name.lower()) > 1]:
        raise ConfigError(
            "two columns of one name",
            where=where,
            found=", ".join(twice),
            fix="name the columns, each differently",
        )
    size = len(",".join(names))
    if len(names) > (form.columns or len(names)) or size > (form.header or size):
        raise ConfigError(
            f"more columns than {form_name} takes",
            where=where,
            found=f"{len(names)} of {size} signs together",
            fix=f"name fewer: {form.columns or form.header} {'columns' if form.columns else 'signs'} at most",
        )
