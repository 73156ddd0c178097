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


@dataclass(frozen=True)
class PageWords:
    """The texts of a page.

    Attributes:
        code: Language of the texts, such as ``en``; the ``lang`` of the page.
        language: Numbers and nouns of the language.
        zone: Time zone in which instants are shown.
        texts: Texts by section and key, with ``{name}`` for values.
    """

    code: str
    language: Language
    zone: tzinfo
    texts: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, code: str, zone: tzinfo) -> Self:
        """Read the texts of a language; those of DEFAULT_LANGUAGE if the page has none in it."""
        code = code if (WORDS_FOLDER / code).is_dir() else DEFAULT_LANGUAGE
        files = sorted((WORDS_FOLDER / code).glob("*.yaml"))
        texts = {file.stem: read_word_file(file) for file in files}
        return cls(code, Language.load(code), zone, texts)

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
        return self.language.number(value, f",.{digits}f")

    def percent(self, share: float | None, digits: int = 1) -> str:
        """Return a share as per cent; a dash for None."""
        if share is None:
            return "–"
        number = self.language.number(100 * share, f",.{digits}f")
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

    def script_texts(self) -> Mapping[str, Any]:
        """Return what the page's script writes: its texts, and how numbers are written."""
        return {"language": self.code, "numbers": self.language.numbers, **self.texts["script"]}
