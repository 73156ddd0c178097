"""Hostile leads in all formats, read by independent parsers, and by LibreOffice if installed."""

import csv
import json
import shutil
import subprocess
import tempfile
import unicodedata
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from serve.crm.delivery import write_delivery
from serve.crm.formats import FORMATS
from tests.serve.crm.samples import a_plan
from tests.serve.crm.validators import RULES, problems
from tests.serve.samples import LATER, MONDAY, a_reason, a_run, some_scores

COLUMNS = {
    "A__c": "buy.score",
    "B__c": "buy.probability",
    "C__c": "buy.expected_value",
    "D__c": "buy.reason_1",
    "E__c": "buy.against_1",
    "F__c": "account_id",
    "G__c": "as_of",
    "H__c": "status",
}
TEXTS = ["D__c", "E__c", "F__c"]
BITS = [
    *(
        "=cmd|' /C calc'!A0",
        "=1+1",
        "@SUM(1)",
        "+1",
        "-1",
        '=HYPERLINK("http://x","y")',
        "\t=1",
        "\r=1",
        " =1",
        "'=1",
    ),
    *(
        "0012",
        "9007199254740993123",
        "1e5",
        "1,5",
        "1.50",
        "TRUE",
        "NULL",
        "NaN",
        "#N/A",
        "—",
        "\\N",
        "None",
        "-",
        "=",
    ),
    *(
        '"',
        '""',
        "'",
        ",",
        ";",
        "\\",
        "|",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "\0",
        "\x0b",
        "\x1b[31m",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *(
        "é",
        "Ж",
        "漢字",
        "😀",
        "\u202e",
        "\ufeff",
        "\u00a0",
        "e\u0301",
        " ",
        "  ",
        "2025-01-02",
        "1/2/2025",
        "x",
        "L",
    ),
]
SPREADSHEET = shutil.which("soffice")


def scores(rows, seed=1):
    """Return a SCORES table of hostile leads with distinct ids, and its run."""
    random, run = np.random.default_rng(seed), a_run(targets=("buy",), as_of=MONDAY)
    picks = random.integers(0, len(BITS), (rows, 9))
    texts = [
        ["".join(BITS[number] for number in row[n : n + 3]) for n in (0, 3, 6)] for row in picks
    ]
    sizes = 10.0 ** random.uniform(-9, 12, rows)
    values = {
        "account_id": [None if n % 7 == 0 else row[1] for n, row in enumerate(texts)],
        "probability": random.random(rows) ** 8,
        "expected_value": [
            None if n % 5 == 0 else s * (-1) ** n for n, s in enumerate(sizes.tolist())
        ],
        "reasons": [
            json.dumps([a_reason(0.5, row[2]), a_reason(-0.5, row[1])][: n % 3], ensure_ascii=False)
            for n, row in enumerate(texts)
        ],
        "rank": np.arange(1, rows + 1),
    }
    return some_scores(run, ids=[_id(row[0], n) for n, row in enumerate(texts)], **values), run


def _id(text, number):
    """Return an id: half are harmless, such as leading zeros and 19 digits, half are hostile."""
    kinds = [f"{number:012}", f"{9007199254740993000 + number}", f"-N{number}", f"L {number}, “x”"]
    return kinds[number % 8] if number % 8 < 4 else f"{text}{number}"


def marked(text, empty=""):
    """Return the expected text by the documented rule, with Python's own character table."""
    unsafe = [unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text]
    mark = "'" if text and (text[0] in "=+-@" or unsafe[0] or text == empty) else ""
    return mark + "".join(
        " " if is_unsafe else character for character, is_unsafe in zip(text, unsafe, strict=True)
    )


def deliverable(key, form):
    """Return whether a key is deliverable by the documented rule."""
    rules = FORMATS[form]
    if rules.extension != "csv":
        return key != ""
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in key) or len(
        key
    ) > (rules.max_key_length or 1e9):
        return False
    is_harmless = all(
        character.isascii() and (character.isalnum() or character in "_.-") for character in key[1:]
    )
    if key in ("", rules.missing_value, rules.missing_text) or key[0] == "=":
        return False
    return key[0] not in "+-@" or is_harmless


def expected(table, form):
    """Return the expected rows of a delivery as texts by column, by the documented rules."""
    rules, rows = FORMATS[form], {}
    for row in table.to_pylist():
        if not deliverable(row["entity_id"], form):
            continue
        sentences = [reason["sentence"] for reason in json.loads(row["reasons"])]
        texts = [*[*sentences, None, None][:2], row["account_id"]]
        cells = {"A__c": str(row["score"]), "B__c": _number(row["probability"])}
        cells["C__c"] = (
            rules.missing_value if row["expected_value"] is None else _number(row["expected_value"])
        )
        cells |= {
            name: rules.missing_text if text is None else marked(text, rules.missing_text)
            for name, text in zip(TEXTS, texts, strict=True)
        }
        rows[row["entity_id"]] = cells | {"G__c": _instant(row["as_of"], form), "H__c": "scored"}
    return rows


def _number(value):
    return format(Decimal(f"{value:.12g}"), "f")


def _instant(moment, form):
    if form == "hubspot":
        return str(int(moment.timestamp() * 1000))
    if form == "amocrm":
        return f"{moment:%d.%m.%Y}"
    units = {"salesforce": "milliseconds", "dynamics": "seconds", "bitrix24": "seconds"}
    unit = units.get(form, "microseconds")
    return moment.isoformat(timespec=unit).replace("+00:00", "Z")


def by_python(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def by_duckdb(path):
    options = "header=true, all_varchar=true, delim=',', quote='\"', escape='\"'"
    query = f"SELECT * FROM read_csv(?, {options})"
    rows = duckdb.connect().sql(query, params=[str(path)]).to_arrow_table()
    return [{name: cell or "" for name, cell in row.items()} for row in rows.to_pylist()]


def by_pandas(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig").to_dict(
        "records"
    )


def by_spreadsheet(path):
    """Open a CSV in LibreOffice with all columns as text, and return its saved cells.

    This is what its import dialogue does.
    """
    columns = "/".join(f"{n}/2" for n in range(1, len(COLUMNS) + 2))
    with tempfile.TemporaryDirectory() as folder:
        opened = [
            f"-env:UserInstallation=file://{folder}/profile",
            f"--infilter=CSV:44,34,76,1,{columns}",
        ]
        saved = [
            "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true",
            "--outdir",
            f"{folder}/out",
        ]
        command = ["soffice", "--headless", *opened, *saved, str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        return by_python(Path(folder) / "out" / path.name)


def formulas(path):
    """Return how many cells LibreOffice reads as formulas when column types are not given."""
    with tempfile.TemporaryDirectory() as folder:
        profile = f"-env:UserInstallation=file://{folder}/profile"
        command = [
            "soffice",
            "--headless",
            profile,
            "--infilter=CSV:44,34,76,1",
            "--convert-to",
            "fods",
        ]
        subprocess.run(
            [*command, "--outdir", folder, str(path)], check=True, capture_output=True, timeout=600
        )
        return (
            (Path(folder) / path.name)
            .with_suffix(".fods")
            .read_text(encoding="utf-8")
            .count("table:formula=")
        )


PARSERS = {"Python csv": by_python, "DuckDB": by_duckdb, "pandas": by_pandas}
WITH_SPREADSHEET = PARSERS | ({"LibreOffice": by_spreadsheet} if SPREADSHEET else {})


def differences(table, run, root, form, parsers=PARSERS):
    """Deliver in one format and return by parser how many rows it reads differently."""
    result = write_delivery(
        a_plan(form, targets=("buy",), columns=COLUMNS, name=form), table, root, run, LATER
    )
    parts = [result.folder / part["file"] for part in result.manifest["parts"]]
    if form in ("parquet", "jsonl"):
        return {"rows": result.manifest["rows"], **_plainly(table, parts, form)}
    expected_rows, key = expected(table, form), result.manifest["key"]
    counts = {"rows": result.manifest["rows"], "left out": result.manifest["refused"]["rows"]}
    if form in RULES:
        kinds = [column["type"] for column in result.manifest["columns"]]
        counts["against its rules"] = sum(len(problems(form, part, kinds)) for part in parts)
    for name, parse in parsers.items():
        read = {row.pop(key): row for part in parts for row in parse(part)}
        counts[name] = sum(
            read.get(lead) != expected_rows.get(lead) for lead in {*read, *expected_rows}
        )
    return counts


def _plainly(table, parts, form):
    """Return the differences of JSON lines and Parquet, which hold texts and numbers unescaped."""
    expected_rows = {}
    for row in table.to_pylist():
        if row["entity_id"]:
            sides = [reason["sentence"] for reason in json.loads(row["reasons"])]
            values = [
                row["score"],
                row["probability"],
                row["expected_value"],
                *[*sides, None, None][:2],
            ]
            expected_rows[row["entity_id"]] = [*values, row["account_id"], row["as_of"], "scored"]
    readers = {"parquet": _parquet, "jsonl": _jsonl}[form]
    counts = {}
    for name, rows in readers(parts[0]).items():
        read = {row[0]: row[1:] for row in rows}
        counts[name] = sum(
            read.get(lead) != expected_rows.get(lead) for lead in {*read, *expected_rows}
        )
    return counts


def _parquet(path):
    query = f"SELECT * REPLACE (epoch_us(G__c) AS G__c) FROM '{path}'"
    duck = [list(row) for row in duckdb.connect().execute(query).fetchall()]
    for row in duck:
        row[7] = (
            MONDAY if row[7] == int(MONDAY.timestamp()) * 1_000_000 + MONDAY.microsecond else row[7]
        )
    return {
        "pyarrow": [list(row.values()) for row in pq.read_table(path).to_pylist()],
        "DuckDB": duck,
    }


def _jsonl(path):
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    rows = [list(json.loads(line).values()) for line in lines]
    frame = pd.read_json(path, lines=True, dtype=False, precise_float=True)
    other = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    for row in (*rows, *other):
        row[7] = datetime.fromisoformat(row[7])
    return {"Python json": rows, "pandas": other}
