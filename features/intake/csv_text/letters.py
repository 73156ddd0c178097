"""Plausibility of a text in an 8-bit encoding, by its letters, their scripts and their cases.

The same bytes are words in one encoding and odd signs in another. A reading is scored by the logs
of the frequencies of its letters, less a penalty for what no word has: two scripts in one word, a
capital after a small letter, a sign between two letters, a consonant where a vowel belongs.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

# Letters by frequency in percent of all letters of the texts of a script.
CYRILLIC = (
    "о 10.97 е 8.45 а 8.01 и 7.35 н 6.7 т 6.26 с 5.47 р 4.73 в 4.54 л 4.4 к 3.49 м 3.21 д 2.98 "
    "п 2.81 у 2.62 я 2.01 ы 1.9 ь 1.74 г 1.7 з 1.65 б 1.59 ч 1.44 й 1.21 х .97 ж .94 ш .73 ю .64 "
    "ц .48 щ .36 э .32 ф .26 ъ .04 ё .1 і .8 ї .2 є .2 ґ .01 ў .1 ј .1 њ .02 љ .02 ђ .02 ћ .02 "
    "џ .01"
)
GREEK = (
    "α 9.5 ε 8 ι 7.8 ο 9 τ 8 ν 6.6 η 5 υ 4.3 ρ 4.2 σ 4.9 ς 4 π 4 κ 4.1 μ 3.4 λ 2.8 ά 1.9 ί 2.5 "
    "ό 1.6 έ 1.6 ή 1.3 ώ .8 ύ 1 γ 1.9 δ 1.7 χ 1.2 θ 1.2 ω 1.7 φ .9 β .7 ξ .4 ζ .4 ψ .15 ϊ .03 ΐ .02"
)
WESTERN = (
    "é 1.4 è .3 à .36 ê .12 ç .2 ô .07 î .05 û .05 ù .05 â .07 ë .06 ï .05 œ .03 ä .5 ö .45 ü .55 "
    "ß .25 á .36 í .36 ó .42 ú .18 ñ .24 ã .24 õ .06 å .24 ø .18 æ .12 ì .03 ò .06 ý .01 ð .01 "
    "þ .01 ÿ .002 š .005 ž .005"
)
CENTRAL = (
    "ł .8 ó .5 ą .5 ę .5 ż .4 ś .35 ć .2 ń .12 ź .04 á .5 í .5 é .45 ě .25 š .35 č .3 ř .25 ž .3 "
    "ý .2 ů .12 ú .1 ť .02 ď .02 ň .02 ö .3 ő .2 ü .2 ű .05 ă .25 ş .12 ţ .12 î .12 â .06 đ .06 "
    "ľ .06 ĺ .003 ŕ .002 ô .03 ä .03 ß .01 ç .003 ë .003"
)
TURKISH = "ı 2.5 ş .9 ü .95 ğ .6 ç .6 ö .45 i̇ .3 â .02 î .01 û .01"
BALTIC = (
    "ā .5 ē .35 ī .35 ū .3 š .4 ž .2 č .12 ļ .12 ņ .2 ķ .06 ģ .06 ė .35 ų .3 į .2 ą .2 ę .06 õ .12 "
    "ä .25 ö .06 ü .25"
)
# Frequencies and the log of how much rarer than the first ones files in an encoding are. Of
# encodings that read a text alike the first is named. Of the encodings with several bytes for a
# sign one stands for all, and is never proven.
ENCODINGS = {
    "windows-1252": (WESTERN, 0.0),
    "windows-1251": (CYRILLIC, 0.0),
    "windows-1250": (CENTRAL, -1.0),
    "windows-1254": (TURKISH, -1.5),
    "windows-1257": (BALTIC, -3.0),
    "windows-1253": (GREEK, -3.0),
    "gbk": ("", -3.0),
    "koi8-r": (CYRILLIC, -5.0),
    "cp866": (CYRILLIC, -5.0),
    "iso-8859-2": (CENTRAL, -3.0),
    "mac-roman": (WESTERN, -5.0),
    "cp850": (WESTERN, -5.0),
    "cp852": (CENTRAL, -6.0),
    "mac-cyrillic": (CYRILLIC, -6.0),
    "iso-8859-5": (CYRILLIC, -6.0),
}
VOWELS = frozenset("aeiouyаеёиоуыэюяіїєαεηιουω")
# Signs that texts hold, and those of them that stand between two letters in words.
SIGNS = "€£¥§©®™°·«»„“”‚‘’‹›–—…•№±²³½¼¾×¡¿ªº\u00a0\u00ad"
INNER_SIGNS = "’‘–—·\u00a0\u00ad"
UNKNOWN, TWO_SCRIPTS, ODD_CASE, SIGN, CAPITAL = -11.5, -8.0, -4.0, -3.0, -0.5
IDEOGRAPH = -6.9
# Log of how much more probable a reading must be than each other one, which is 1,000 : 1.
PROOF = 7.0
# Characters of a word that a message shows.
SHOWN_SIGNS = 3
# Least share of the words that must be without any fault.
MIN_PLAUSIBLE = 0.8


@dataclass(frozen=True)
class Verdict:
    """The best reading of a text.

    Attributes:
        encoding: Its encoding.
        rival: The encoding of the next reading that differs; empty if there is none.
        proven: Whether it is certain.
    """

    encoding: str
    rival: str
    proven: bool


def judge_words(words: Collection[bytes]) -> Verdict:
    """Return the best reading of distinct words, each with a byte that is not ASCII."""
    used = bytes(sorted({byte for word in words for byte in word if byte > 127}))
    scores, plausible = dict[str, float](), dict[str, float]()
    for encoding, (_, prior) in ENCODINGS.items():
        parts = [_score_word(_decode_word(word, encoding), encoding) for word in words]
        scores[encoding] = prior + sum(score for score, _ in parts)
        plausible[encoding] = sum(not faulty for _, faulty in parts) / max(len(parts), 1)
    best = max(scores, key=lambda encoding: scores[encoding])
    best = next(name for name in ENCODINGS if _decode_word(used, name) == _decode_word(used, best))
    others = [name for name in scores if _decode_word(used, name) != _decode_word(used, best)]
    rival = max(others, key=lambda name: scores[name], default="")
    ahead = not rival or scores[best] - scores[rival] >= PROOF
    proven = ahead and plausible[best] >= MIN_PLAUSIBLE and bool(ENCODINGS[best][0])
    return Verdict(best, rival, proven)


def is_faulty_word(word: bytes, encoding: str) -> bool:
    """Return whether a word holds what no word of the encoding does."""
    return encoding in ENCODINGS and _score_word(_decode_word(word, encoding), encoding)[1]


def list_signs(word: bytes, encoding: str, other: str) -> str:
    """Return up to three characters of a word that another encoding reads otherwise.

    They are in the order of their bytes, since the word itself may be a personal value.
    """
    high = [bytes([byte]) for byte in sorted({byte for byte in word if byte > 127})]
    telling = [byte for byte in high if _decode_word(byte, encoding) != _decode_word(byte, other)]
    return _decode_word(b"".join(telling[:SHOWN_SIGNS]), encoding)


def _decode_word(word: bytes, encoding: str) -> str:
    return word.decode(encoding, "replace")


@cache
def _read_frequencies(table: str) -> Mapping[str, float]:
    parts = table.split()
    return {
        letter: math.log(float(percent) / 100)
        for letter, percent in zip(parts[::2], parts[1::2], strict=True)
    }


def _score_word(word: str, encoding: str) -> tuple[float, bool]:
    """Return the score of a word, and whether it has a fault."""
    frequencies = _read_frequencies(ENCODINGS[encoding][0])
    score, faulty = 0.0, False
    for place, sign in enumerate(word):
        left, right = word[place - 1 : place], word[place + 1 : place + 2]
        if sign.isascii():
            continue
        value, is_fault = _score_sign(sign, left, right, frequencies)
        score += value
        faulty |= is_fault
    return score, faulty


def _score_sign(
    sign: str, left: str, right: str, frequencies: Mapping[str, float]
) -> tuple[float, bool]:
    """Return the score of a character that is not ASCII between its neighbours."""
    if sign == "\ufffd" or unicodedata.category(sign) == "Cc":
        return UNKNOWN, True
    if not frequencies:
        # The common ideographs, of which each is about as rare as one in a thousand.
        is_common = b"\xb0" <= sign.encode("gbk")[:1] <= b"\xd7"
        return (IDEOGRAPH if is_common else UNKNOWN), not is_common
    if not sign.isalpha() or sign in "ªº":
        inner = left.isalpha() and right.isalpha()
        is_fault = sign not in (INNER_SIGNS if inner else SIGNS)
        return UNKNOWN if is_fault else SIGN, is_fault
    score = frequencies.get(sign.lower(), UNKNOWN)
    mixed = sum(_find_script(sign) != _find_script(other) for other in left + right)
    odd = int(left.islower() and sign.isupper()) + int(
        left.isascii() and right.isascii() and sign.isupper() and right.islower() and left.isalpha()
    )
    # A small letter before a capital ASCII letter.
    odd += int(sign.islower() and right.isascii() and right.isupper())
    score += CAPITAL * (sign.isupper() and left.isupper())
    score += TWO_SCRIPTS * mixed + ODD_CASE * odd + _score_vowel(sign, left, right)
    return score, bool(mixed or odd or score <= UNKNOWN)


def _score_vowel(sign: str, left: str, right: str) -> float:
    """Return the score of a vowel or consonant by the letters around it."""
    if not (left.isalpha() and right.isalpha()):
        return 0.0
    around = _is_vowel(left) + _is_vowel(right)
    expected = {0: True, 2: False}.get(around)
    return math.log(0.5 if expected is None else 0.8 if _is_vowel(sign) == expected else 0.2)


@lru_cache(4096)
def _is_vowel(letter: str) -> bool:
    return unicodedata.normalize("NFD", letter.lower())[0] in VOWELS or letter in "ıæœøÆŒØ"


@lru_cache(4096)
def _find_script(sign: str) -> str:
    """Return the script of a letter; "" for another sign."""
    return unicodedata.name(sign, "").partition(" ")[0] if sign.isalpha() else ""
