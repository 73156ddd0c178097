"""The form in which a source is written, such as its encoding, and how it was established."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# How a part was established: the config says it; the source says it itself, such as a byte-order
# mark; its values admit no other reading; or nothing speaks against what is usual.
Origin = Literal["config", "stated", "proven", "default"]


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
