"""Reading published scores, from the export and from the database.

usage: python examples/read_scores.py FOLDER

FOLDER is one that ``csv_to_export.py`` has filled. Only the standard library is needed.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Print the five best leads of the export, and the number of leads by grade."""
    for row in read_export(folder / "workspace")[:5]:
        print(row["entity_id"], row["score"], row["grade"], row["reason_1"])
    print(count_by_grade(folder / "workspace"))


def read_export(workspace: Path) -> list[dict[str, str]]:
    """Return the rows of the newest export; raise ValueError if file and manifest do not match."""
    # The link is resolved once: a night that ends now cannot swap the files between two reads.
    current = (workspace / "exports" / "current").resolve()
    content = (current / "scores.csv").read_bytes()
    manifest = json.loads((current / "manifest.json").read_text(encoding="utf-8"))
    if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
        raise ValueError(f"{current}: scores.csv does not match its manifest")
    return list(csv.DictReader(content.decode("utf-8").splitlines()))


def count_by_grade(workspace: Path) -> dict[str, int]:
    """Return the number of leads of each grade, as last published."""
    with sqlite3.connect(f"file:{workspace}/scores.db?mode=ro", uri=True) as database:
        query = "select grade, count(*) from current_scores group by grade order by grade"
        return dict(database.execute(query).fetchall())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
