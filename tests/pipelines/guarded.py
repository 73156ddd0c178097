"""The tiny company with canaries in personal columns, opted-out leads, and a list of ids."""

import csv

import yaml

from tests.pipelines import tiny

CANARY = "CANARY"
PRIVACY = {
    "suppress": {"path": "objections.csv", "entity_id": "id"},
    "suppress_where": {"column": "opt_out", "equals": ["yes", True]},
    "personal": ["email", "phone"],
}


def write(folder, listed=(), opted_out=(), privacy=PRIVACY, leads=600):
    """Write the company.

    ``email`` is in its leads, its events and a history, ``phone`` only among the attributes.
    """
    sources = tiny.CONFIG["sources"]
    history = {
        "path": "history.csv",
        "entity_id": "id",
        "valid_from": "at",
        "attribute": "field",
        "value": "new",
    }
    chosen = sources | {
        "leads": sources["leads"] | {"attributes": {"all_except": []}},
        "attributes": [history],
    }
    path = tiny.write(folder, leads=leads, sources=chosen, **tiny.LITTLE)
    _more(
        folder / "leads.csv",
        lambda row: ["email", "phone", "opt_out"],
        lambda row: _own(row, opted_out),
    )
    _more(folder / "events.csv", lambda row: ["email"], lambda row: [f"{CANARY}-event-{row[0]}"])
    with (folder / "leads.csv").open("a") as file:
        file.write(f"L9998,soon,F1,DE,3,{CANARY}-bad@x,{CANARY}-bad,no\n{CANARY},broken\n")
    rows = [
        f"L{number:04},2024-01-01,{what},{CANARY}-{number}"
        for number in range(40)
        for what in ("email", "phone")
    ]
    rows += [f"L{number:04},2024-01-01,rating,{number % 3}" for number in range(40)]
    (folder / "history.csv").write_text(
        "\n".join(["id,at,field,new", *rows, f"L0001,never,email,{CANARY}-h"]) + "\n"
    )
    path.rename(folder / "base.yaml")
    rewrite(folder, privacy)
    suppress(folder, *listed)
    return path


def rewrite(folder, privacy, **changes):
    """Write the config with this section on privacy, and with changes."""
    plain = yaml.safe_load((folder / "base.yaml").read_text()) | changes
    (folder / "company.yaml").write_text(
        yaml.safe_dump(plain | {"privacy": privacy}, sort_keys=False)
    )


def suppress(folder, *ids):
    """Write the list of ids."""
    (folder / "objections.csv").write_text("\n".join(["id", *ids]) + "\n")


def _own(row, opted_out):
    return [
        f"{CANARY}-{row[0]}@example.org",
        f"+49-{CANARY}-{row[0]}",
        "yes" if row[0] in opted_out else "no",
    ]


def _more(path, head, values):
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [[*names, *head(names)], *([*row, *values(row)] for row in rows)]
        )
