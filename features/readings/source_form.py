"""The form in which a source is written, such as its encoding, and how it was established."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

# How a part was established: the config says it; the source says it itself, such as a byte-order
# mark; its values admit no other reading; nothing speaks against what is usual; or nothing in the
# source depends on it, so that a later night may find another one.
Origin = Literal["config", "stated", "proven", "default", "open"]


@dataclass(frozen=True, order=True)
class FormEntry:
    """One part of the form in which a source is written.

    Attributes:
        key: Key of the source that sets it in the config, such as ``encoding`` or ``time_format``.
        column: Column that it concerns; empty for all of the source.
        value: The part as the config would write it, such as ``windows-1251``.
        origin: How it was established.
        evidence: File, row and text that establish it, in words; empty if nothing had to be shown.
            No part of a text from a personal column.
    """

    key: str
    column: str
    value: str
    origin: Origin
    evidence: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it as plain JSON values."""
        return asdict(self)


def group_entries(
    form: Iterable[FormEntry],
) -> Iterator[tuple[str, str, list[FormEntry]]]:
    """Yield key, column and entries of each part of a form, in the order of their first entry.

    A part has several entries if the files of a source are written in different forms.
    """
    groups = dict[tuple[str, str], list[FormEntry]]()
    for entry in form:
        groups.setdefault((entry.key, entry.column), []).append(entry)
    for (key, column), entries in groups.items():
        yield key, column, entries


def join_values(entries: Iterable[FormEntry]) -> str:
    """Return the values of the entries of one part, without repetition and sorted."""
    return " and ".join(sorted({entry.value for entry in entries}))
