"""What `init` prints."""

from __future__ import annotations

from typing import Literal

from pipelines.json_output.shared import JsonObject, make_key
from pipelines.json_output.training import CheckOutput


class QuestionJson(JsonObject):
    """A question that the data cannot answer."""

    flag: str = make_key("option of the command that answers it")
    question: str = make_key("the question")
    evidence: str = make_key("counts of the data that lead to it", alias="found")
    proposal: str = make_key("proposed answer; empty if there is none")
    options: list[str] = make_key("possible answers; empty if any text is one")


class FoundTableJson(JsonObject):
    """A table with a role."""

    name: str = make_key("name of the file, or of the table of a database")
    rows: int = make_key("its rows")
    role: Literal["leads", "events", "attributes"] = make_key("its role")


class FoundJson(JsonObject):
    """Tables, target and attributes of a proposal."""

    tables: list[FoundTableJson] = make_key("tables with a role")
    unused: dict[str, str] = make_key("the reason of each table without a role")
    target: str = make_key("name of the proposed target")
    outcome: str = make_key("its event type or column")
    outcomes: int = make_key("leads that have the outcome")
    horizon: str | None = make_key("its horizon; null for an outcome column")
    attributes: list[str] = make_key("columns of the leads that are attributes")
    left_out: dict[str, str] = make_key(
        "the reason of each column of the leads that is no attribute, and of each one of a log "
        "(`file: column`) that has no role"
    )
    notes: list[str] = make_key("what else to know, in words")


class InitOutput(JsonObject):
    """A config that was written, or the questions that must be answered first."""

    config: str | None = make_key("file of the config; null if it was not written")
    questions: list[QuestionJson] = make_key("questions that were asked, or answered by --yes")
    proposed: FoundJson = make_key("tables, target and attributes", alias="found")
    problem: str = make_key(
        "why the data is refused with it, and how to fix it; empty if it is not"
    )
    check: CheckOutput | None = make_key("what `check` finds; null if it could not read the data")
