"""The form in which names are compared to find those that a person would take for the same."""

from __future__ import annotations

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

from features.tools.folding import is_ascii

# Latin letters and those of other alphabets that look like them, in upper or lower case, all
# written in lower case. From confusables.txt of Unicode Technical Standard 39.
LOOK_ALIKES = {
    "a": "аα",
    "b": "вβ",
    "c": "с",
    "d": "ԁ",
    "e": "еε",
    "h": "һнη",
    "i": "іιı",
    "j": "јϳ",
    "k": "кκ",
    "l": "ӏ",
    "m": "мμ",
    "o": "оο",
    "p": "рρ",
    "q": "ԛ",
    "s": "ѕ",
    "t": "тτ",
    "v": "ѵν",
    "w": "ԝ",
    "x": "хχ",
    "y": "уүυ",
    "z": "ζ",
}
TO_LATIN = str.maketrans(
    {other: latin for latin, others in LOOK_ALIKES.items() for other in others}
)
# Categories of characters that separate words, and of those that cannot be seen.
SEPARATORS, INVISIBLE = ("Zs", "Zl", "Zp", "Pc", "Pd"), ("Cc", "Cf")
MINUS_SIGN = "\u2212"
# Letters that are shown as a blank, and the marks that choose the variant of a character.
BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800"
VARIANT_MARKS = re.compile("[\ufe00-\ufe0f\u034f\u17b4\u17b5]")
# A separator stays before a digit if it is a sign (-1), or if there is a digit before it (1-10).
KEPT_SEPARATOR = re.compile(r"(?:(?<=[0-9])|\A)-(?=[0-9])")


def fold_name(text: str) -> str:
    """Return a name without case, separators, invisible marks and the alphabet of its letters.

    Names with equal results are near-twins: Unicode NFKC and case folding make them the same, or
    they differ in blanks, underscores, hyphens, or letters that look alike.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if folded.isalnum() and folded.isascii():
        return folded
    parts = map(_simplify_letter, VARIANT_MARKS.sub("", folded))
    single = re.sub("-+", "-", "".join(parts)).rstrip("-")
    joined = KEPT_SEPARATOR.sub("\0", single).replace("-", "").replace("\0", "-")
    # A name of separators alone is compared as it is.
    return joined.translate(TO_LATIN) or folded


def fold_names(names: pa.Array) -> list[str]:
    """Return each name as ``fold_name`` does; many plain ones are folded together."""
    if is_ascii(names) and pc.all(pc.ascii_is_alnum(names)).as_py():
        lowered: list[str] = pc.ascii_lower(names).to_pylist()
        return lowered
    return [fold_name(name) for name in names.to_pylist()]


def _simplify_letter(letter: str) -> str:
    """Return a hyphen for a separator, nothing for an invisible mark, else the letter."""
    category = unicodedata.category(letter)
    if category in SEPARATORS or letter == MINUS_SIGN or letter in BLANK_LETTERS:
        return "-"
    # Tabs and line breaks are controls, but separate words.
    return ("-" if letter.isspace() else "") if category in INVISIBLE else letter
