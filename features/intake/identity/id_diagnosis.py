"""Why unknown ids meet no known id: they are written in another way.

Each rule turns unknown and known ids into keys; an unknown id meets a known one under a rule if
their keys are equal. An id without a key, null, meets none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.names.similarity import TO_LATIN
from features.tools.folding import fold_texts, is_ascii
from features.tools.id_index import get_text_buffers

# A Salesforce record has an id of 15 characters, in which case counts, and one of 18, which ends in
# three that only repeat the case of the others.
SHORT_ID, LONG_ID = 15, 18

# Significant digits, about, that remain of an id in scientific notation.
SCIENTIFIC_NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+$"
LARGE_NUMBER = r"^[0-9]{12,}$"

# A prefix or suffix is that of a source if this share of its ids has it.
MIN_AFFIX_SHARE, MAX_AFFIX_IDS = 0.9, 10_000
# Below the limit of bad rows, rules are worth a message if they explain this share of unknown ids.
MIN_EXPLAINED_SHARE = 0.5

Keys = tuple[pa.Array, pa.Array]


@dataclass(frozen=True)
class Rule:
    """A way in which two sources write one id differently.

    Attributes:
        find_keys: Returns the keys of unknown and of known ids.
        fix: How to write the ids alike.
        signs: Bytes of which ids on one side must have one, else the rule changes none; "" if it
            may change any.
    """

    find_keys: Callable[[pa.Array, pa.Array], Keys]
    fix: str
    signs: bytes = b""

    def may_join(self, unknown: pa.Array, known: pa.Array) -> bool:
        """Return whether the rule may change an id: far faster than trying with all leads."""
        return not self.signs or any(_has_byte(ids, self.signs) for ids in (unknown, known))


@dataclass(frozen=True)
class IdDiagnosis:
    """A rule under which unknown ids meet known ones.

    Attributes:
        rule: Name of the rule.
        ids: Number of distinct unknown ids that meet a known one.
        example: The first of them in text order.
        known: The known id that it meets.
    """

    rule: str
    ids: int
    example: str
    known: str


def _has_byte(ids: pa.Array, signs: bytes) -> bool:
    is_sign = np.zeros(256, bool)
    is_sign[list(signs)] = True
    data, ends = get_text_buffers(ids)
    return bool(is_sign[data[ends[0] : ends[-1]]].any())


def remove_blanks(ids: pa.Array) -> pa.Array:
    """Return ids without any white space."""
    return pc.replace_substring_regex(ids, pattern=r"[\s\x{00a0}\x{202f}\x{feff}]+", replacement="")


def normalize_letters(ids: pa.Array) -> pa.Array:
    """Return ids in Unicode form NFKC, without case, and with Latin letters for look-alikes."""
    if is_ascii(ids):
        return fold_texts(ids)
    encoded = ids.dictionary_encode()
    texts = (
        unicodedata.normalize("NFKC", text).casefold().translate(TO_LATIN)
        for text in encoded.dictionary.to_pylist()
    )
    return pa.array(texts, pa.string()).take(encoded.indices)


def remove_leading_zeros(ids: pa.Array) -> pa.Array:
    """Return ids without zeros before their first other character."""
    if not pc.any(pc.starts_with(ids, "0")).as_py():
        return ids
    return pc.replace_substring_regex(ids, pattern=r"^0+(.)", replacement=r"\1")


def cut_long_ids(ids: pa.Array) -> pa.Array:
    """Return the first 15 of 18 characters; other ids unchanged."""
    is_long = pc.equal(pc.utf8_length(ids), LONG_ID)
    return pc.if_else(is_long, pc.utf8_slice_codeunits(ids, 0, SHORT_ID), ids)


def remove_decimals(ids: pa.Array) -> pa.Array:
    """Return ids without the zeros of a decimal number: 12 for 12.0."""
    return pc.replace_substring_regex(ids, pattern=r"^(-?[0-9]+)[.,]0+$", replacement=r"\1")


def remove_dashes(ids: pa.Array) -> pa.Array:
    """Return ids without case, dashes and braces, as a UUID may be written."""
    return fold_texts(pc.replace_substring_regex(ids, pattern=r"[-{}]", replacement=""))


def match_scientific(unknown: pa.Array, known: pa.Array) -> Keys:
    """Return the keys of ids in scientific notation on one side and in digits on the other."""
    # Two different numbers in digits may be rounded to the same one, so they have different keys.
    return _round_numbers(unknown, "rounded", "whole"), _round_numbers(known, "whole", "rounded")


def _round_numbers(ids: pa.Array, scientific: str, digits: str) -> pa.Array:
    """Return numbers as a spreadsheet shows them, 1.23E+11, each after the name of its form."""
    is_scientific = pc.match_substring_regex(ids, pattern=SCIENTIFIC_NUMBER)
    is_number = pc.or_(is_scientific, pc.match_substring_regex(ids, pattern=LARGE_NUMBER))
    numbers, forms = ids.filter(is_number), is_scientific.filter(is_number)
    texts = [
        f"{scientific if rounded else digits} {float(text.replace(',', '.')):.2E}"
        for text, rounded in zip(numbers.to_pylist(), forms.to_pylist(), strict=True)
    ]
    keys = pa.nulls(len(ids), pa.string())
    return pc.replace_with_mask(keys, is_number, pa.array(texts, pa.string())) if texts else keys


def match_without_affixes(unknown: pa.Array, known: pa.Array) -> Keys:
    """Return the ids without the prefix and suffix of their side, and without leading zeros."""
    affixes = [_find_affixes(ids) for ids in (unknown, known)]
    if not any(affixes[0]) and not any(affixes[1]):
        none = pa.nulls(len(unknown), pa.string()), pa.nulls(len(known), pa.string())
        return none
    (prefix, suffix), (known_prefix, known_suffix) = affixes
    return (
        remove_leading_zeros(_cut_affixes(unknown, prefix, suffix)),
        remove_leading_zeros(_cut_affixes(known, known_prefix, known_suffix)),
    )


def _find_affixes(ids: pa.Array) -> tuple[str, str]:
    """Return the prefix and the suffix of most ids, without digits; "" where there is none."""
    affixes = list[str]()
    # The first ones are enough to see what most have.
    ids = ids.slice(0, MAX_AFFIX_IDS)
    for pattern in (r"^(?P<affix>[^0-9]*)", r"(?P<affix>[^0-9]*)$"):
        parts = pc.value_counts(pc.extract_regex(ids, pattern=pattern).field("affix"))
        counts = parts.field("counts")
        most = pc.index(counts, pc.max(counts)).as_py() if len(counts) else -1
        frequent = most >= 0 and counts[most].as_py() >= MIN_AFFIX_SHARE * len(ids)
        affixes.append(parts.field("values")[most].as_py() or "" if frequent else "")
    return affixes[0], affixes[1]


def _cut_affixes(ids: pa.Array, prefix: str, suffix: str) -> pa.Array:
    size = pc.utf8_length(ids)
    has = pc.and_(pc.starts_with(ids, prefix), pc.ends_with(ids, suffix))
    has = pc.and_(has, pc.greater(size, len(prefix) + len(suffix)))
    # A stop of -0 would be the start.
    stop = -len(suffix) if suffix else None
    return pc.if_else(has, pc.utf8_slice_codeunits(ids, len(prefix), stop), ids)


def _use_key(to_key: Callable[[pa.Array], pa.Array]) -> Callable[[pa.Array, pa.Array], Keys]:
    """Return a rule that has the same key for both sides."""
    return lambda unknown, known: (to_key(unknown), to_key(known))


ALIKE = "write ids alike in every source"
BLANK_BYTES, OTHER_ALPHABETS = b" \t\n\v\f\r", bytes(range(0x80, 0x100))
# In the order in which they are tried: each unknown id counts for the first rule that joins it.
RULES: Mapping[str, Rule] = {
    "without blanks": Rule(_use_key(remove_blanks), ALIKE, BLANK_BYTES + OTHER_ALPHABETS),
    "without case": Rule(_use_key(fold_texts), ALIKE),
    "in another Unicode form or alphabet": Rule(
        _use_key(normalize_letters),
        f"{ALIKE}; some have letters that only look like Latin ones",
        OTHER_ALPHABETS,
    ),
    "in the first 15 of 18 characters": Rule(
        _use_key(cut_long_ids), "export the 18-character id of Salesforce in every source"
    ),
    "without leading zeros": Rule(
        _use_key(remove_leading_zeros), "export ids as text, with their zeros"
    ),
    "without .0 at the end": Rule(
        _use_key(remove_decimals), "export ids as integers or as text", b".,"
    ),
    "without dashes, braces and case": Rule(_use_key(remove_dashes), ALIKE, b"-{}"),
    "in scientific notation": Rule(
        match_scientific, "export ids as text, not by way of a spreadsheet", b"eE"
    ),
    "without a prefix or suffix": Rule(
        match_without_affixes, "remove the prefix or suffix in the query or export of one source"
    ),
}


def diagnose_ids(unknown: pa.Array, known: pa.Array) -> list[IdDiagnosis]:
    """Return the rules under which distinct ``unknown`` ids meet ``known`` ones, in their order."""
    diagnoses = list[IdDiagnosis]()
    unknown = unknown.drop_null().sort()
    for name, rule in RULES.items():
        if not len(unknown):
            break
        if not rule.may_join(unknown, known):
            continue
        keys, known_keys = rule.find_keys(unknown, known)
        # The unknown ids are few, so a set of their keys is small.
        met = known_keys.filter(pc.is_in(known_keys, value_set=keys, skip_nulls=True))
        meets = pc.is_in(keys, value_set=met, skip_nulls=True)
        if pc.any(meets).as_py():
            first = pc.index(meets, True).as_py()
            partner = known[pc.index(known_keys, keys[first]).as_py()].as_py()
            diagnoses.append(
                IdDiagnosis(name, pc.sum(meets).as_py(), unknown[first].as_py(), partner)
            )
            unknown = unknown.filter(pc.invert(meets))
    return diagnoses


def describe_diagnoses(
    unknown: pa.Array,
    known: pa.Array,
    shows_ids: bool,
    limit: int = 1_000_000,
    min_share: float = 0.0,
) -> str:
    """Return how unknown ids would meet known ones, and the fix; "" if they would not.

    At most ``limit`` unknown ids are compared. It is "" also if the rules explain less than
    ``min_share`` of them.
    """
    distinct = pc.unique(unknown.drop_null())
    compared = distinct.slice(0, limit)
    diagnoses = diagnose_ids(compared, known)
    if not diagnoses or sum(diagnosis.ids for diagnosis in diagnoses) < min_share * len(compared):
        return ""
    parts = list[str]()
    for diagnosis in diagnoses:
        example = f" ({diagnosis.example!r} is {diagnosis.known!r})" if shows_ids else ""
        parts.append(f"{diagnosis.ids:,} {diagnosis.rule}{example}")
    fixes = dict.fromkeys(RULES[diagnosis.rule].fix for diagnosis in diagnoses)
    return (
        f"of {len(distinct):,} unknown ids would meet a lead: {', '.join(parts)}; "
        f"{'; '.join(fixes)}"
    )
