"""What `schema --tables` prints."""

from __future__ import annotations

from pipelines.json_output.shared import JsonObject, make_key


class ColumnJson(JsonObject):
    """A column of a table."""

    name: str = make_key("name of the column")
    type: str = make_key("text, integer, fraction or instant")
    nullable: bool = make_key("whether a value may be missing")
    meaning: str = make_key("its meaning")


class TableJson(JsonObject):
    """A table of the scores database."""

    key: list[str] = make_key("columns that no two rows share")
    columns: list[ColumnJson] = make_key("its columns, in their order")


class TablesOutput(JsonObject):
    """The tables of the scores database."""

    tables: dict[str, TableJson] = make_key("each table by name")
