"""The plan of a configured export: which column of the CRM gets which column of which target."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from configs.errors import ConfigError
from configs.exports import CrmExport
from configs.suggestions import did_you_mean
from serve.crm.formats import FORMATS, CrmFormat
from serve.export.export import EXPORT_SCHEMA, REASON_FIELDS
from serve.night_tables import LEAD_TABLES

STATUS_FIELD = pa.field(
    "status",
    pa.string(),
    metadata={
        "meaning": "scored; or cleared, once, when no target or table of the file has the lead"
    },
)
# Columns that all targets of a lead share.
LEAD_FIELDS = {
    field.name: field
    for field in (
        *(EXPORT_SCHEMA.field(n) for n in ("project", "entity_id", "account_id", "as_of")),
        STATUS_FIELD,
        pa.field(
            "entity_type", pa.string(), metadata={"meaning": "the CRM's table of the entities"}
        ),
    )
}
REASONS_FIELD = pa.field(
    "reasons", pa.string(), metadata={"meaning": "all sentences, the strongest for it first"}
)
# Columns of one target.
TARGET_FIELDS = {
    field.name: field
    for field in (*EXPORT_SCHEMA, REASONS_FIELD)
    if field.name not in {*LEAD_FIELDS, "target"}
}
# Columns that change every night; ignored when computing deltas.
NIGHTLY_COLUMNS = {"as_of", "cutoff", "stage_age", "silent_days"}
# Columns delivered per target by default: those that change only when the lead does.
DEFAULT_COLUMNS = ("score", "grade", "evidence", *(field.name for field in REASON_FIELDS))


@dataclass(frozen=True)
class MappedColumn:
    """One column of the file.

    Attributes:
        name: Name of the column in the file.
        target: Name of the target or of the table of LEAD_TABLES; empty for a column of the lead.
        column: Name of the column of scores, or of the table.
        is_of_table: Whether it is a column of a table.
    """

    name: str
    target: str
    column: str
    is_of_table: bool = False

    @property
    def source(self) -> str:
        """Return the source of the column as the config names it."""
        return f"{self.target}.{self.column}" if self.target else self.column

    @property
    def field(self) -> pa.Field:
        """Return its type and meaning."""
        if self.is_of_table:
            return LEAD_TABLES[self.target].rows.field(self.column)
        return TARGET_FIELDS[self.column] if self.target else LEAD_FIELDS[self.column]


@dataclass(frozen=True)
class ExportPlan:
    """One configured export, validated.

    Attributes:
        name: Name of the export.
        format_name: Key of its format in FORMATS.
        key: Name of the key column.
        columns: The other columns, in order.
        delta: Whether deliveries hold changes only.
        changes: Sources whose change makes a lead due; all but NIGHTLY_COLUMNS if empty.
        entity_type: Value of the column ``entity_type``.
    """

    name: str
    format_name: str
    key: str
    columns: tuple[MappedColumn, ...]
    delta: bool
    changes: frozenset[str] = frozenset()
    entity_type: str = "lead"

    @property
    def format(self) -> CrmFormat:
        """Return the rules of the CRM."""
        return FORMATS[self.format_name]

    @property
    def targets(self) -> list[str]:
        """Return the targets and tables with a column in the file, in order of columns."""
        return list(dict.fromkeys(column.target for column in self.columns if column.target))

    @property
    def tables(self) -> list[str]:
        """Return the tables of LEAD_TABLES with a column in the file, in order of columns."""
        return list(dict.fromkeys(c.target for c in self.columns if c.is_of_table))

    @property
    def compared_columns(self) -> list[int]:
        """Return the positions of the columns whose change makes a lead due."""
        is_compared = [
            column.source in self.changes if self.changes else column.column not in NIGHTLY_COLUMNS
            for column in self.columns
        ]
        return [position for position, compared in enumerate(is_compared) if compared]

    @property
    def layout(self) -> str:
        """Return a hash of the columns and of those compared.

        Cells of different layouts cannot be compared.
        """
        parts: list[object] = [
            self.format_name,
            self.key,
            *([column.name, column.source] for column in self.columns),
        ]
        # Only if set: deliveries from before ``changes`` existed keep their layout.
        parts += [sorted(self.changes)] if self.changes else []
        # 64 bits are ample, since a layout is compared with those of the kept deliveries only.
        return hashlib.sha256(json.dumps(parts, allow_nan=False).encode()).hexdigest()[:16]


def build_plans(
    exports: Mapping[str, CrmExport],
    targets: Iterable[str],
    where: str,
    tables: Iterable[str] = (),
) -> dict[str, ExportPlan]:
    """Return the plan of each configured export by its name.

    ``where`` names the config, ``tables`` are those of LEAD_TABLES that its nights have. Raises
    ConfigError for an unknown target, table or column, and for a column name that the CRM does not
    accept.
    """
    target_names = tuple(targets)
    # A target with the name of a table is meant: it is the config's own word.
    table_names = tuple(name for name in tables if name not in target_names)
    sources = {name: tuple(TARGET_FIELDS) for name in target_names} | {
        name: tuple(n for n in LEAD_TABLES[name].rows.names if n not in LEAD_FIELDS)
        for name in table_names
    }
    return {
        name: _build_plan(name, export, target_names, sources, f"{where}: publish.exports.{name}")
        for name, export in exports.items()
    }


def _build_plan(
    name: str,
    export: CrmExport,
    targets: tuple[str, ...],
    sources: Mapping[str, tuple[str, ...]],
    where: str,
) -> ExportPlan:
    crm_format = FORMATS[export.format]
    key = export.key or (None if crm_format.example_key else "entity_id")
    if key is None:
        raise ConfigError(
            f"{export.format} needs a key column to find the record",
            where=f"{where}.key",
            found="no key",
            fix=f"name the column that gets the entity_id, such as {crm_format.example_key}",
        )
    columns = export.columns or _default_columns(crm_format, targets, f"{where}.columns")
    mapped = _map_columns(columns, targets, sources, f"{where}.columns")
    _require_options(mapped, crm_format, f"{where}.columns")
    if not any(column.target for column in mapped):
        example = f"{crm_format.make_name((targets[0], 'score'))}: {targets[0]}.score"
        raise ConfigError(
            "no column of a target or table",
            where=f"{where}.columns",
            found=", ".join(columns),
            fix=f"add one, such as {example}",
        )
    _validate_names([key, *columns], export.format, where)
    return ExportPlan(
        name,
        export.format,
        key,
        mapped,
        export.delta,
        _read_changes(export, mapped, f"{where}.changes"),
        export.entity_type,
    )


def _read_changes(
    export: CrmExport, mapped: tuple[MappedColumn, ...], where: str
) -> frozenset[str]:
    """Return the sources that make a lead due.

    Raises ConfigError for sources that are not in the file or that change every night.
    """
    if export.changes and not export.delta:
        raise ConfigError(
            "changes apply to a delta only",
            where=where,
            found="delta: false",
            fix="add delta: true",
        )
    sources = [column.source for column in mapped]
    if unknown := [source for source in export.changes if source not in sources]:
        raise ConfigError(
            "not a column of this file",
            where=where,
            found=f"{len(unknown)}, such as {unknown[0]!r}",
            fix=did_you_mean(unknown[0], sources) or "add it to columns, or name one of them",
        )
    if nightly := [
        column.source
        for column in mapped
        if column.source in export.changes and column.column in NIGHTLY_COLUMNS
    ]:
        raise ConfigError(
            "the column changes every night",
            where=where,
            found=", ".join(nightly),
            fix="remove it from changes",
        )
    return frozenset(export.changes)


def _default_columns(crm_format: CrmFormat, targets: tuple[str, ...], where: str) -> dict[str, str]:
    if crm_format.standard_columns:
        if len(targets) > 1:
            raise ConfigError(
                "the CRM's own columns hold the score of one target",
                where=where,
                found=f"{len(targets)} targets",
                fix=f"name its columns, such as msdyn_score: {targets[0]}.score",
            )
        return {
            name: column if column in LEAD_FIELDS else f"{targets[0]}.{column}"
            for name, column in crm_format.standard_columns.items()
        }
    columns = {
        crm_format.make_name((target, column)): f"{target}.{column}"
        for target in targets
        for column in DEFAULT_COLUMNS
    }
    return columns | {
        crm_format.make_name(("score", column)): column for column in ("as_of", "status")
    }


def _require_options(mapped: Iterable[MappedColumn], crm_format: CrmFormat, where: str) -> None:
    """Raise ConfigError for a column of options that gets another column of scores."""
    for column in mapped:
        options = crm_format.options.get(column.name)
        if options is not None and column.column not in options.sources:
            raise ConfigError(
                "the column cannot hold these values",
                where=f"{where}.{column.name}",
                found=column.source,
                fix=f"name target.{options.sources[0]}",
            )


def _map_columns(
    columns: Mapping[str, str],
    targets: tuple[str, ...],
    sources: Mapping[str, tuple[str, ...]],
    where: str,
) -> tuple[MappedColumn, ...]:
    mapped = {name: _map_column(name, source, targets, sources) for name, source in columns.items()}
    unmapped = [name for name, column in mapped.items() if column is None]
    if not unmapped:
        return tuple(column for column in mapped.values() if column is not None)
    source = columns[unmapped[0]]
    raise ConfigError(
        "no such column",
        where=f"{where}.{unmapped[0]}",
        found=repr(source) if len(unmapped) == 1 else f"{len(unmapped)}, such as {source!r}",
        fix=_suggest_source(source, targets, sources),
    )


def _map_column(
    name: str, source: str, targets: tuple[str, ...], sources: Mapping[str, tuple[str, ...]]
) -> MappedColumn | None:
    target, dot, column = source.rpartition(".")
    if not dot and column in LEAD_FIELDS:
        return MappedColumn(name, "", column)
    if column not in sources.get(target, ()):
        return None
    return MappedColumn(name, target, column, target not in targets)


def _suggest_source(
    source: str, targets: tuple[str, ...], sources: Mapping[str, tuple[str, ...]]
) -> str:
    target, _, column = source.rpartition(".")
    known = [f"{name}.{field}" for name, columns in sources.items() for field in columns]
    hint = did_you_mean(source, [*LEAD_FIELDS, *known])
    if target in LEAD_TABLES and target not in sources:
        return f"the nights of this config have no table {target}: add its section, or publish it"
    if target not in sources and column in TARGET_FIELDS:
        return f"{hint} the targets are {', '.join(targets)}".lstrip()
    return hint or f"name target.column or a column of the lead ({', '.join(LEAD_FIELDS)})"


def _validate_names(names: list[str], format_name: str, where: str) -> None:
    """Raise ConfigError for column names that the CRM rejects or confuses."""
    crm_format = FORMATS[format_name]
    # The name pattern accepts these as standard fields, so the slip would show only at the load.
    if single_underscore := [
        name for name in names if format_name == "salesforce" and re.search("[^_]_c$", name)
    ]:
        raise ConfigError(
            "a custom name in salesforce ends in two underscores and c",
            where=where,
            found=f"{len(single_underscore)}, such as {single_underscore[0]!r}",
            fix=f"did you mean {single_underscore[0][:-2]}__c?",
        )
    invalid = [
        name
        for name in names
        if not re.fullmatch(crm_format.name_pattern, name) or len(name) > crm_format.max_name_length
    ]
    if invalid:
        raise ConfigError(
            f"invalid column name for {format_name}",
            where=where,
            found=f"{len(invalid)}, such as {invalid[0]!r}",
            fix=f"write {crm_format.name_rule}, at most {crm_format.max_name_length} characters",
        )
    # A CRM takes names that differ only in case for one.
    lower = [name.lower() for name in names]
    if duplicates := [name for name in names if lower.count(name.lower()) > 1]:
        raise ConfigError(
            "duplicate column names",
            where=where,
            found=", ".join(duplicates),
            fix="give each column a unique name",
        )
    size = len(",".join(names))
    limit = (
        f"{crm_format.max_columns} columns"
        if crm_format.max_columns
        else f"{crm_format.max_header_length} characters"
    )
    if len(names) > (crm_format.max_columns or len(names)) or size > (
        crm_format.max_header_length or size
    ):
        raise ConfigError(
            f"too many columns for {format_name}",
            where=where,
            found=f"{len(names)} of {size} characters in total",
            fix=f"name at most {limit}",
        )
