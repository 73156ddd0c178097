"""Units of written numbers, currency or percent, and the forms of negative amounts.

A unit stands before or after a number: ``$1,234.50``, ``29 600 ₽``, ``USD 5``, ``12 %``. A negative
amount may be in parentheses or end with its sign. Other units, such as ``12 kg``, are not read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.source_rows import GROUPING_APOSTROPHES, GROUPING_SPACES

PERCENT = "%"
# Signs that are written directly at a number, by unit.
SYMBOLS = {
    **{text: text for text in (PERCENT, "$", "£", "¥", "C$", "A$", "NZ$", "HK$", "S$")},
    **{"€": "€", "₽": "₽", "₴": "₴", "₸": "₸", "₺": "₺", "₹": "₹", "₪": "₪", "₩": "₩", "₫": "₫"},
    **{"R$": "R$", "US$": "USD"},
}
# Letters need a blank or a number with decimals or groups, since `kr5` may be a code.
WORDS = {
    **{text: text for text in ("kr", "zł", "Kč", "Ft", "lei")},
    **{"kr.": "kr", "руб": "₽", "руб.": "₽", "р.": "₽", "грн": "₴", "грн.": "₴", "Fr.": "CHF"},
    **{"EUR": "€", "RUB": "₽", "UAH": "₴", "KZT": "₸", "INR": "₹", "ILS": "₪", "KRW": "₩"},
    **{"VND": "₫", "BRL": "R$", "PLN": "zł", "CZK": "Kč", "HUF": "Ft"},
}
# Codes of ISO 4217 of currencies without a symbol. Those that are words in capitals (ALL, CUP, MOP,
# SOS, TOP, TRY) are left out: `TOP 10` is no amount.
CODES = re.findall(
    "[A-Z]{3}",
    "AED AFN AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BSD BTN BWP BYN BZD CAD "
    "CDF CHF CLP CNY COP CRC CVE DJF DKK DOP DZD EGP ERN ETB FJD FKP GBP GEL GHS GIP GMD GNF GTQ "
    "GYD HKD HNL HTG IDR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KWD KYD LAK LBP LKR LRD LSL "
    "LYD MAD MDL MGA MKD MMK MNT MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
    "PGK PHP PKR PYG QAR RON RSD RWF SAR SBD SCR SDG SEK SGD SHP SLE SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TND TTD TWD TZS UGX USD UYU UZS VES VUV WST XAF XCD XOF XPF YER ZAR ZMW",
)
WORDS.update({code: code for code in CODES})
SPELLINGS = {**SYMBOLS, **WORDS}
# A text without a unit has the first one; the place of a unit is part of what is counted.
UNITS = ("", *dict.fromkeys(SPELLINGS.values()))
_PLACES = {text: UNITS.index(unit) for text, unit in SPELLINGS.items()}
_DIGITS = f"0-9.,{GROUPING_APOSTROPHES}"


def _write_pattern() -> str:
    """Return the pattern of a number with all that may stand around it."""
    blanks = f"[{GROUPING_SPACES}]*"
    spellings = sorted(SPELLINGS, key=len, reverse=True)
    unit = "|".join(re.escape(text) for text in spellings)
    return (
        rf"\A(?P<before>[-+(\x{{2212}}]?)(?P<prefix>{unit})?(?P<gap>{blanks})"
        rf"(?P<inside>[-+(\x{{2212}}]?)(?P<number>[{_DIGITS}][{_DIGITS}{GROUPING_SPACES}]*?)"
        r"(?:(?P<point>[.,])[-\x{2013}\x{2014}]{1,2})?"
        rf"(?P<after>[-)\x{{2212}}]?)(?P<space>{blanks})(?P<suffix>{unit})?"
        r"(?P<last>[-)\x{2212}]?)\z"
    )


_PATTERN = _write_pattern()


@dataclass(frozen=True)
class UnitTexts:
    """Texts without their units.

    Attributes:
        numbers: Each text as a number with a leading sign; unchanged if it has no such form.
        places: Place of each text's unit in UNITS.
    """

    numbers: pa.Array
    places: np.ndarray

    @classmethod
    def from_texts(cls, texts: pa.Array) -> UnitTexts:
        """Take units, parentheses, signs at the end and dashes for decimals off texts."""
        trimmed = pc.utf8_trim_whitespace(texts).cast(pa.string())
        parts = pc.extract_regex(trimmed, pattern=_PATTERN)
        rows = np.flatnonzero(parts.is_valid().to_numpy(zero_copy_only=False))
        places = np.zeros(len(texts), np.int64)
        if not len(rows):
            return cls(texts, places)
        numbers, own = _join_numbers(parts.take(pa.array(rows)))
        fits = numbers.is_valid().to_numpy(zero_copy_only=False)
        rows = rows[fits]
        places[rows] = own[fits]
        mask = np.zeros(len(texts), bool)
        mask[rows] = True
        return cls(pc.replace_with_mask(trimmed, mask, numbers.drop_null()), places)


def _join_numbers(parts: pa.StructArray) -> tuple[pa.Array, np.ndarray]:
    """Return numbers with a leading sign, null where parts do not fit together, and their units."""
    names = [field.name for field in parts.type]
    part = {name: pc.fill_null(pc.struct_field(parts, name), "") for name in names}
    lacks = {name: pc.equal(texts, "") for name, texts in part.items()}
    marks = [part[name] for name in ("before", "inside", "after", "last")]
    mark = pc.replace_substring(pc.binary_join_element_wise(*marks, ""), "\u2212", "-")
    unit = pc.if_else(lacks["prefix"], part["suffix"], part["prefix"])
    is_code = pc.is_in(unit, value_set=pa.array(list(WORDS)))
    is_whole = pc.and_(pc.utf8_is_decimal(part["number"]), lacks["point"])
    joined = pc.if_else(lacks["prefix"], lacks["space"], lacks["gap"])
    fits = [
        pc.is_in(mark, value_set=pa.array(["", "+", "-", "()"])),
        pc.or_(lacks["prefix"], lacks["suffix"]),
        # Beside a unit only, a blank is part of the number.
        pc.or_(lacks["gap"], pc.invert(lacks["prefix"])),
        pc.or_(lacks["space"], pc.invert(lacks["suffix"])),
        pc.invert(pc.and_(pc.and_(is_code, is_whole), joined)),
    ]
    fit = np.logical_and.reduce([mask.to_numpy(zero_copy_only=False) for mask in fits])
    sign = pc.if_else(pc.is_in(mark, value_set=pa.array(["-", "()"])), "-", "")
    number = pc.binary_join_element_wise(sign, part["number"], part["point"], "")
    places = pc.fill_null(pc.index_in(unit, value_set=pa.array(list(_PLACES))), -1).to_numpy()
    return (
        pc.if_else(pa.array(fit), number, pa.scalar(None, pa.string())),
        np.array([*_PLACES.values(), 0])[places],
    )


@dataclass(frozen=True)
class UnitChoice:
    """The unit of a column, as its counts decide.

    Attributes:
        unit: The unit, empty for none.
        cells: Number of numbers by unit.
    """

    unit: str
    cells: Mapping[str, int]

    @property
    def places(self) -> list[int]:
        """Return the places of the units that the column's numbers may have."""
        return list_readable_places(self.unit)

    @property
    def other_cells(self) -> int:
        """Return the number of cells with another unit."""
        readable = {UNITS[place] for place in self.places}
        return sum(n for unit, n in self.cells.items() if unit not in readable)

    def __str__(self) -> str:
        """Return the units with their counts, the most frequent first."""
        by_count = sorted(self.cells.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(
            f"{n:,} {f'with {unit!r}' if unit else 'without a unit'}" for unit, n in by_count
        )


NO_UNIT = UnitChoice("", {})


def list_readable_places(unit: str) -> list[int]:
    """Return the places of the units that numbers in a column of this unit may have.

    A number without a unit is an amount like the others, but beside percents it may be a share.
    """
    return [UNITS.index(unit)] if unit in ("", PERCENT) else [0, UNITS.index(unit)]


def choose_unit(cells: Counter[int]) -> UnitChoice:
    """Return the unit with which most cells can be read; ``cells`` is by place in UNITS."""
    by_unit = {UNITS[place]: n for place, n in sorted(cells.items()) if n}

    def rank(unit: str) -> tuple[int, int, int]:
        fitting = sum(cells[place] for place in list_readable_places(unit))
        # Equal counts are settled by the order of UNITS, not by that of the rows.
        return fitting, by_unit.get(unit, 0) if unit else 0, -UNITS.index(unit)

    return UnitChoice(max(by_unit, key=rank, default=""), by_unit)


def differ_in_meaning(unit: str, other: str) -> bool:
    """Return whether numbers of one unit mean something else than those of another."""
    return unit != other and ((bool(unit) and bool(other)) or PERCENT in (unit, other))


def select_unit_texts(texts: pa.Array, unit: str) -> pa.Array:
    """Return the texts that are written with a unit."""
    if not unit:
        return texts.slice(0, 0)
    return texts.filter(pa.array(UnitTexts.from_texts(texts).places == UNITS.index(unit)))
