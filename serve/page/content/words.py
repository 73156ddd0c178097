"""Texts of the page in one language, with numbers and dates as the language writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Self

from features.wording.language import Language, read_word_file

WORDS_FOLDER = Path(__file__).parent / "words"
# A language of features/wording without texts of the page gets those of this one.
DEFAULT_LANGUAGE = "en"
# Units of an amount in short form, the largest first; the frame's texts have their names.
SHORT_UNITS = (("billion", 1e9), ("million", 1e6), ("thousand", 1e3), ("unit", 1.0))
# Digits of an amount in short form.
SHORT_DIGITS = 3
# With two decimals anything less is nothing.
SMALLEST_SHOWN = 0.005
MINUS = "−"
# Symbols that belong to one currency; the others are written by their ISO code.
CURRENCY_SYMBOLS = {
    "EUR": "€",
    "GBP": "£",
    "INR": "₹",
    "KZT": "₸",
    "RUB": "₽",
    "TRY": "₺",
    "UAH": "₴",
    "USD": "$",
}


@dataclass(frozen=True)
class PageWords:
    """The texts of a page.

    Attributes:
        code: Language of the texts, such as ``en``; the ``lang`` of the page.
        language: Numbers and nouns of the language.
        zone: Time zone in which instants are shown.
        texts: Texts by section and key, with ``{name}`` for values.
        currency: ISO code of the currency of amounts; None where it is not known.
    """

    code: str
    language: Language
    zone: tzinfo
    texts: Mapping[str, Mapping[str, str]]
    currency: str | None = None

    @classmethod
    def load(cls, code: str, zone: tzinfo, currency: str | None = None) -> Self:
        """Read the texts of a language; those of DEFAULT_LANGUAGE if the page has none in it."""
        code = code if (WORDS_FOLDER / code).is_dir() else DEFAULT_LANGUAGE
        files = sorted((WORDS_FOLDER / code).glob("*.yaml"))
        texts = {file.stem: read_word_file(file) for file in files}
        return cls(code, Language.load(code), zone, texts, currency)

    def text(self, section: str, key: str, **values: str) -> str:
        """Return a text with its values filled in; KeyError for one that does not exist."""
        return self.texts[section][key].format(**values)

    def count(self, section: str, key: str, number: int, **values: str) -> str:
        """Return a text that contains a count as ``{n}``, in the form that the count needs.

        The text holds the forms of the language, separated by ``|``; the last stands for the rest.
        """
        forms = self.texts[section][key].split("|")
        form = forms[min(self.language.form_of(number), len(forms) - 1)]
        return form.format(n=self.number(number), **values)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with ``digits`` decimals, grouped by thousands."""
        # Without a negative zero.
        number = round(value, digits) + 0.0
        return self.language.number(number, f",.{digits}f").replace("-", MINUS)

    def amount(self, value: float) -> str:
        """Return an estimated amount in short form: ``1.66 M``."""
        return self.amounts(value)

    def amounts(self, *values: float) -> str:
        """Return amounts in short form, joined by a dash: ``1.33–2.10 M``.

        They share the unit of the largest, so that they are easy to compare.
        """
        largest = max((abs(_round_digits(value)) for value in values), default=0.0)
        name, size = next((unit for unit in SHORT_UNITS if largest >= unit[1]), SHORT_UNITS[-1])
        digits = 0
        if size > 1:
            digits = max(0, SHORT_DIGITS - len(str(int(largest / size))))
        elif SMALLEST_SHOWN <= largest < 10 and largest != round(largest):
            digits = 2
        numbers = [self.number(value / size, digits) for value in values]
        return self._write_unit(name).replace("{n}", "–".join(numbers))

    def _write_unit(self, name: str) -> str:
        """Return the text of a unit of amounts, with ``{n}`` for the number, and the currency."""
        number = self.texts["frame"][name]
        if self.currency is None:
            return number
        sign = CURRENCY_SYMBOLS.get(self.currency)
        key = "with_sign" if sign else "with_code"
        return self.text("frame", key, amount=number, currency=sign or self.currency)

    def percent(self, share: float | None, digits: int = 1) -> str:
        """Return a share as per cent; a dash for None."""
        if share is None:
            return "–"
        number = self.number(100 * share, digits)
        return self.language.numbers["percent"].replace("{n}", number)

    def day(self, instant: datetime) -> str:
        """Return the ISO day of an instant in the page's time zone."""
        return instant.astimezone(self.zone).strftime("%Y-%m-%d")

    def moment(self, instant: datetime) -> str:
        """Return the ISO day and the minute of an instant in the page's time zone."""
        return instant.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")

    def zoned_moment(self, instant: datetime) -> str:
        """Return the moment of an instant with the name of the page's time zone."""
        return f"{self.moment(instant)} {self.zone}"

    def wall_time(self, instant: datetime) -> int:
        """Return an instant for a chart's axis: its time in the page's zone, in milliseconds.

        The chart shows it as if it were UTC, so that the reader's own zone changes nothing.
        """
        local = instant.astimezone(self.zone).replace(tzinfo=UTC)
        return round(local.timestamp() * 1000)

    def list_units(self) -> list[tuple[float, str]]:
        """Return the units of amounts in short form, the largest first, for a script."""
        return [(size, self._write_unit(name)) for name, size in SHORT_UNITS]

    def script_texts(self) -> Mapping[str, Any]:
        """Return what the page's script writes: its texts, and how numbers are written."""
        return {"language": self.code, "numbers": self.language.numbers, **self.texts["script"]}


def _round_digits(value: float) -> float:
    """Return a value with SHORT_DIGITS digits, so that 999,900 is a million."""
    return float(f"{value:.{SHORT_DIGITS}g}")
