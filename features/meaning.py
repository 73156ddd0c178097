"""What a feature means to people: the words and the unit from which a reason's sentence is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["count", "days", "amount", "category", "number", "change", "share"]


@dataclass(frozen=True)
class Meaning:
    """The wording of one feature.

    ``group`` joins the features that tell the same story, such as one count over several windows; only
    one of them speaks. ``what`` names the feature in words ("page views in the last 7 days"). ``unit`` says
    how a value is written: ``days`` are days as a float, ``amount`` is in the source's unit,
    ``change`` is written with its sign, ``share`` in per cent.

    ``present`` is the sentence for a value: ``{value}`` is written in the feature's unit, ``{value:count}``
    in a named one, ``{s}`` is the plural's s, and a literal brace is doubled. ``absent`` is the sentence
    where the value is missing or the count is 0; empty where there is none.

    ``speaks`` is false for a feature whose value tells a person nothing: its contribution counts in the group, and
    another member words it.
    """

    group: str
    what: str
    unit: Unit
    present: str
    absent: str = ""
    speaks: bool = True
