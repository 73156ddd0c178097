"""What `verify` prints."""

from __future__ import annotations

from pipelines.json_output.shared import JsonObject, make_key


class ProblemJson(JsonObject):
    """Something that is wrong."""

    problem: str = make_key("what is wrong, where, and how much")
    fix: str = make_key("how to fix it")


class StateCheckJson(JsonObject):
    """A check of stored state."""

    check: str = make_key("name of the check")
    ok: bool = make_key("whether it found no problem")
    counts: dict[str, int] = make_key("number of things examined")
    problems: list[ProblemJson] = make_key("what is wrong")
    left_out: list[str] = make_key("what was not examined")


class VerifyOutput(JsonObject):
    """Whether what is stored is whole and agrees."""

    ok: bool = make_key("whether no check found a problem")
    project: str = make_key("the project")
    checks: list[StateCheckJson] = make_key("each check")
