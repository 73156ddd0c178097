"""Why unknown ids meet no known id: they are written in another way.

Each rule turns an id into a key; an unknown id meets a known one under a rule if their keys are
equal. A rule says nothing where it changes neither of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from features.tools.folding import fold_texts

# A Salesforce record has an id of 15 signs, in which case counts, and one of 18, which ends in
# three signs that only repeat the case of the others.
SHORT_ID, LONG_ID = 15, 18

# Significant digits, about, that remain of an id in scientific notation.
SCIENTIFIC_NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+$"


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


def remove_blanks(ids: pa.Array) -> pa.Array:
    """Return ids without any white space."""
    return pc.replace_substring_regex(ids, pattern=r"[\s\x{00a0}\x{202f}\x{feff}]+", replacement="")


def remove_leading_zeros(ids: pa.Array) -> pa.Array:
    """Return ids without zeros before their first other sign."""
    return pc.replace_substring_regex(ids, pattern=r"^0+(.)", replacement=r"\1")


def cut_long_ids(ids: pa.Array) -> pa.Array:
    """Return the first 15 of 18 signs; other ids unchanged."""
    is_long = pc.equal(pc.utf8_length(ids), LONG_ID)
    return pc.if_else(is_long, pc.utf8_slice_codeunits(ids, 0, SHORT_ID), ids)


def remove_decimals(ids: pa.Array) -> pa.Array:
    """Return ids without the zeros of a decimal number: 12 for 12.0."""
    return pc.replace_substring_regex(ids, pattern=r"^([0-9]+)[.,]0+$", replacement=r"\1")


def round_to_scientific(ids: pa.Array) -> pa.Array:
    """Return numbers as a spreadsheet shows large ones, 1.23E+11; other ids unchanged."""
    texts = pc.replace_substring(ids, pattern=",", replacement=".")
    is_number = pc.match_substring_regex(texts, pattern=r"^[0-9]{12,}$")
    is_number = pc.or_(is_number, pc.match_substring_regex(ids, pattern=SCIENTIFIC_NUMBER))
    rounded = [
        f"{float(text):.2E}" if number else text
        for text, number in zip(texts.to_pylist(), is_number.to_pylist(), strict=True)
    ]
    return pa.array(rounded, pa.string())


# In the order in which they are tried: each unknown id counts for the first rule that joins it.
RULES: Mapping[str, Callable[[pa.Array], pa.Array]] = {
    "without blanks": remove_blanks,
    "without case": fold_texts,
    "in the first 15 of 18 signs": cut_long_ids,
    "without leading zeros": remove_leading_zeros,
    "without .0 at the end": remove_decimals,
    "in scientific notation": round_to_scientific,
}


def diagnose_ids(unknown: pa.Array, known: pa.Array) -> list[IdDiagnosis]:
    """Return the rules under which distinct ``unknown`` ids meet ``known`` ones, in their order."""
    diagnoses = list[IdDiagnosis]()
    unknown = unknown.sort()
    for rule, to_key in RULES.items():
        if not len(unknown):
            break
        keys, known_keys = to_key(unknown), to_key(known)
        meets = pc.is_in(keys, value_set=known_keys)
        if pc.any(meets).as_py():
            first = pc.index(meets, True).as_py()
            partner = known[pc.index(known_keys, keys[first]).as_py()].as_py()
            diagnoses.append(
                IdDiagnosis(rule, pc.sum(meets).as_py(), unknown[first].as_py(), partner)
            )
            unknown = unknown.filter(pc.invert(meets))
    return diagnoses


def describe_diagnoses(
    unknown: pa.Array, known: pa.Array, shows_ids: bool, limit: int = 1_000_000
) -> str:
    """Return a sentence on how unknown ids would meet known ones; "" if they would not.

    At most ``limit`` unknown ids are compared.
    """
    distinct = pc.unique(unknown.drop_null())
    parts = list[str]()
    for diagnosis in diagnose_ids(distinct.slice(0, limit), known):
        example = f" ({diagnosis.example!r} is {diagnosis.known!r})" if shows_ids else ""
        parts.append(f"{diagnosis.ids:,} {diagnosis.rule}{example}")
    return (
        f"of {len(distinct):,} unknown ids would meet a lead: {', '.join(parts)}" if parts else ""
    )
