"""Names of the forms in which a source writes its times, and patterns for all other forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from configs.names import AUTO
from configs.suggestions import did_you_mean

ISO = "iso"
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day_first", "month_first", "year_first"
# Whole numbers or decimals that count from 1970, or days as a spreadsheet does.
EPOCH_UNITS = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
EXCEL, EXCEL_1904 = "excel", "excel_1904"
# Counts of 100 nanoseconds since the year 1.
TICKS = "dotnet_ticks"
# The others are plain numbers.
TEXT_FORMATS = (ISO, DAY_FIRST, MONTH_FIRST, YEAR_FIRST)
NAMED_FORMATS = (*TEXT_FORMATS, *EPOCH_UNITS, EXCEL, EXCEL_1904, TICKS)

# What each directive of a pattern gives; those of a time of day are optional.
DIRECTIVES = {
    "Y": "year",
    "y": "year",
    "m": "month",
    "b": "month",
    "B": "month",
    "d": "day",
    "H": "hour",
    "I": "hour",
    "p": "half",
    "M": "minute",
    "S": "second",
    "f": "fraction",
    "z": "offset",
    "a": "weekday",
    "A": "weekday",
    "%": "",
}
_NEEDED = ("year", "month", "day")


def check_time_format(text: str) -> str:
    """Return the name of a format, or a pattern; raise ValueError for any other text."""
    if "%" in text:
        parts = [DIRECTIVES[name] for name, is_directive in split_pattern(text) if is_directive]
        _check_parts(parts, text)
        return text
    if text not in (AUTO, *NAMED_FORMATS):
        hint = did_you_mean(text, (AUTO, *NAMED_FORMATS))
        raise ValueError(
            f"{text!r} is no form of a time; the forms are {', '.join((AUTO, *NAMED_FORMATS))}, "
            f"or a pattern such as '%d.%m.%Y %H:%M'{'; ' + hint if hint else ''}"
        )
    return text


def split_pattern(pattern: str) -> Iterator[tuple[str, bool]]:
    """Yield the characters of a pattern and whether each is the name of a directive.

    Raises ValueError for a directive that is not known.
    """
    characters = iter(pattern)
    for character in characters:
        if character != "%":
            yield character, False
            continue
        name = next(characters, "")
        if name not in DIRECTIVES:
            raise ValueError(
                f"%{name} is not read in a pattern; it may have "
                f"{', '.join(f'%{known}' for known in DIRECTIVES)}"
            )
        yield name, name != "%"


def find_time_format(formats: str | Mapping[str, str], column: str) -> str:
    """Return the format that a source gives for a column."""
    return formats if isinstance(formats, str) else formats.get(column, AUTO)


def _check_parts(parts: list[str], text: str) -> None:
    if missing := [part for part in _NEEDED if part not in parts]:
        raise ValueError(f"the pattern {text!r} has no {', no '.join(missing)}")
    if repeated := sorted({part for part in parts if parts.count(part) > 1 and part}):
        raise ValueError(f"the pattern {text!r} has more than one {repeated[0]}")
    twelve = "%I" in text
    if twelve != ("half" in parts):
        raise ValueError(f"the pattern {text!r} needs %I and %p together")
