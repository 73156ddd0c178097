"""Near-twins: names that a person would take for one, but that are different texts."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from configs.errors import join_names
from features.names.similarity import TO_LATIN, fold_names
from features.tools.distinct_texts import DistinctTexts

# Names of one column that are compared with each other; a column with more holds free text.
MAX_COMPARED_NAMES = 20_000
# Near-twins that a message lists.
MAX_TWINS_LISTED = 3
# Up to this many rows, or this share of the rows of a name, a near-twin of it is an accident.
FEW_TWIN_ROWS, FEW_TWIN_SHARE = 3, 0.001
HOW_THEY_DIFFER = "only in case, blanks, hyphens, invisible marks or letters that look alike"


@dataclass(frozen=True)
class Twin:
    """A name of the data, and the name that it was probably meant to be.

    Attributes:
        written: The name as the data has it.
        rows: Number of its rows.
        name: The other name, which the config or more rows have.
        name_rows: Number of rows of the other name.
        settled: The config names the other one.
    """

    written: str
    rows: int
    name: str
    name_rows: int
    settled: bool

    @property
    def is_frequent(self) -> bool:
        """Return whether the near-twin has too many rows to be an accident."""
        return self.rows > max(FEW_TWIN_ROWS, FEW_TWIN_SHARE * self.name_rows)

    def describe(self) -> str:
        """Return both names with their rows."""
        written, name = self._quote()
        return f"{written} ({_count_rows(self.rows)}) and {name} ({_count_rows(self.name_rows)})"

    def suggest(self, key: str) -> str:
        """Return the two lines of the config that say whether the names are the same.

        ``key`` is the config key of the source.
        """
        written, name = self._quote()
        apart = f"{written}: []" if self.settled else f"{written}: [], {name}: []"
        return (
            f"set {key}.names: {{{name}: [{written}]}} if they are the same, else "
            f"{key}.names: {{{apart}}}"
        )

    def _quote(self) -> tuple[str, str]:
        # Where one of them has Latin letters, one of another alphabet may pass for a Latin one.
        latin = any(letter.isascii() and letter.isalpha() for letter in self.written + self.name)
        return quote_name(self.written, latin), quote_name(self.name, latin)


def find_twins(counts: Mapping[str, int], known: Collection[str]) -> list[Twin]:
    """Return the near-twins among names, those with most rows first.

    ``counts`` are the rows of each name of the data; ``known`` are names that the config uses or
    lists, which are no near-twins themselves.
    """
    names = list(dict.fromkeys([*known, *counts]))
    groups = defaultdict[str, list[str]](list)
    for name, folded in zip(names, fold_names(pa.array(names, pa.string())), strict=True):
        groups[folded].append(name)
    twins = list[Twin]()
    for group in (group for group in groups.values() if len(group) > 1):
        ranked = sorted(group, key=lambda name: (name not in known, -counts.get(name, 0), name))
        main, settled = ranked[0], ranked[0] in known
        twins += [
            Twin(name, counts[name], main, counts.get(main, 0), settled)
            for name in ranked[1:]
            if name not in known
        ]
    return sorted(twins, key=lambda twin: (-twin.rows, twin.written))


def find_text_twins(distinct: DistinctTexts, known: Collection[str]) -> list[Twin]:
    """Return the near-twins among the texts of a column; none if it holds free text."""
    if len(distinct.texts) > MAX_COMPARED_NAMES:
        return []
    rows = zip(distinct.texts.to_pylist(), distinct.counts.tolist(), strict=True)
    return find_twins({name: count for name, count in rows if count}, known)


def describe_twins(
    twins: Sequence[Twin], subject: str, key: str, hidden: bool = False
) -> list[str]:
    """Return the warning about near-twins of a column, if any; ``key`` is that of its source.

    With ``hidden`` it shows no name.
    """
    if not twins:
        return []
    if hidden:
        rows = sum(twin.rows for twin in twins)
        return [f"{subject}: names in {_count_rows(rows)} differ {HOW_THEY_DIFFER} from others"]
    return [f"{subject}: {list_twins(twins)}; {twins[0].suggest(key)}"]


def list_twins(twins: Sequence[Twin]) -> str:
    """Return the first near-twins with their rows, and how they differ."""
    listed = join_names([twin.describe() for twin in twins], MAX_TWINS_LISTED)
    return f"{listed} differ {HOW_THEY_DIFFER}"


def quote_name(name: str, latin: bool) -> str:
    """Return a name in double quotes as YAML reads it, with escapes for letters that mislead.

    These are invisible ones and those of another Unicode form, and with ``latin`` letters of other
    alphabets that look like Latin ones.
    """
    return f'"{"".join(_escape_letter(letter, latin) for letter in name)}"'


def _escape_letter(letter: str, latin: bool) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    is_visible = letter.isprintable() and unicodedata.normalize("NFKC", letter) == letter
    looks_latin = latin and letter.casefold().translate(TO_LATIN) != letter.casefold()
    if is_visible and not unicodedata.combining(letter) and not looks_latin:
        return letter
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _count_rows(rows: int) -> str:
    return f"{rows:,} row{'s' * (rows != 1)}"
