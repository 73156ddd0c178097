"""The rules that each vendor publishes for its files, checked independently of the writer."""

import csv
import io
import math
import re
from datetime import datetime

RULES = {
    "salesforce": {"bytes": 100_000_000, "rows": 150_000_000, "bom": False, "end": b"\n"},
    "hubspot": {"bytes": 512_000_000, "rows": 1_048_576, "bom": False, "end": None},
    "dynamics": {"bytes": 8_388_608, "rows": None, "bom": True, "end": None},
    # Neither vendor documents a largest size, or a byte-order mark.
    "amocrm": {"bytes": math.inf, "rows": None, "bom": False, "end": None},
    "bitrix24": {"bytes": math.inf, "rows": None, "bom": False, "end": None},
}


def problems(form, path, kinds):
    """Return the violations of one file; ``kinds`` are the types of the columns after the key."""
    content = path.read_bytes()
    rule = RULES[form]
    violations = [f"{len(content)} bytes"] if len(content) > rule["bytes"] else []
    violations += (
        ["byte-order mark"] if content.startswith(b"\xef\xbb\xbf") is not rule["bom"] else []
    )
    text = content.decode("utf-8-sig")  # raises where it is not UTF-8
    violations += ["carriage return"] if rule["end"] == b"\n" and "\r" in text else []
    violations += ["no last line end"] if not text.endswith("\n") else []
    violations += quoting(text)
    header, *body = list(csv.reader(io.StringIO(text), strict=True))
    violations += ["too many rows"] if rule["rows"] and len(body) + 1 > rule["rows"] else []
    violations += ["ragged"] if any(len(row) != len(header) for row in body) else []
    violations += NAMES[form](header)
    for row in body:
        violations += [f"empty key in {row}"] if not row[0] else []
        violations += [
            bad
            for cell, kind in zip(row[1:], kinds, strict=True)
            if (bad := CELLS[form](cell, kind))
        ]
        violations += [
            f"formula {cell!r}"
            for cell, kind in zip(row[1:], kinds, strict=True)
            if formula(cell, kind)
        ]
    return violations


def quoting(text):
    """Return misplaced quotes.

    A quote is at the ends of a field or doubled, next to a delimiter and without blanks.
    """
    state, violations = "start", []
    for place, character in enumerate(text):
        if state == "start":
            state = {'"': "quoted", ",": "start", "\n": "start", "\r": "start"}.get(
                character, "plain"
            )
        elif state == "plain":
            if character == '"':
                return [f"a quote within a field at {place}"]
            state = "start" if character in ",\n" else "plain"
        elif state == "quoted":
            state = "maybe" if character == '"' else "quoted"
            violations += ["line break in a field"] if character in "\r\n" else []
        elif character == '"':
            state = "quoted"
        elif character in ",\r\n":
            state = "start"
        else:
            return [f"text after a quote at {place}"]
    return violations


def formula(cell, kind):
    return kind == "text" and cell[:1] in ("=", "+", "-", "@", "\t", "\r")


def salesforce_names(header):
    violations = [
        name
        for name in header
        if not re.fullmatch(r"[A-Za-z]\w*", name) or "___" in name or len(name) > 60
    ]
    violations += [
        name for name in header if name.endswith("__c") and ("__" in name[:-3] or len(name) > 43)
    ]
    violations += ["one name twice"] if len({name.lower() for name in header}) < len(header) else []
    return violations + (["long header"] if len(",".join(header)) > 32_000 else [])


def label_names(header):
    violations = [
        name for name in header if not name.strip() or name != name.strip() or len(name) > 100
    ]
    violations += ["one name twice"] if len({name.lower() for name in header}) < len(header) else []
    return violations + (["too many columns"] if len(header) >= 1000 else [])


NUMBER = re.compile(r"-?\d+(\.\d+)?")


def salesforce_cell(cell, kind):
    """An empty cell leaves the stored value, so none of the cells may be empty."""
    if cell == "#N/A":
        return None
    if kind == "instant":
        return (
            None
            if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", cell)
            else f"instant {cell}"
        )
    return number(cell, kind) if cell else "empty cell"


def hubspot_cell(cell, kind):
    if kind == "instant":
        return None if re.fullmatch(r"\d{12,13}", cell) else f"instant {cell}"
    if kind == "text":
        return None if cell else "empty text, which an import leaves alone"
    return number(cell, kind) if cell else None


def dynamics_cell(cell, kind):
    if kind == "instant" and cell:
        return (
            None if datetime.fromisoformat(cell).tzinfo and len(cell) == 20 else f"instant {cell}"
        )
    return number(cell, kind) if cell else None


def amocrm_cell(cell, kind):
    """A date has no time; a text that is empty may leave the stored one."""
    if kind == "instant" and cell:
        return None if datetime.strptime(cell, "%d.%m.%Y") else f"date {cell}"  # noqa: DTZ007
    if kind == "text":
        return None if cell else "empty text, which an import may leave alone"
    return number(cell, kind) if cell else None


def field_codes(header):
    violations = [name for name in header if not re.fullmatch(r"[A-Za-z]\w{,49}", name)]
    return violations + (
        ["one name twice"] if len({name.lower() for name in header}) < len(header) else []
    )


def number(cell, kind):
    return (
        f"number {cell}" if kind in ("integer", "fraction") and not NUMBER.fullmatch(cell) else None
    )


NAMES = {
    "salesforce": salesforce_names,
    "hubspot": label_names,
    "dynamics": label_names,
    "amocrm": label_names,
    "bitrix24": field_codes,
}
CELLS = {
    "salesforce": salesforce_cell,
    "hubspot": hubspot_cell,
    "dynamics": dynamics_cell,
    "amocrm": amocrm_cell,
    "bitrix24": dynamics_cell,
}
