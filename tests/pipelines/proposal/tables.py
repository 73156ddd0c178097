"""Tables for tests of proposals."""

from pathlib import Path

from pipelines.proposal.reading.given_sources import read_given_sources


def read_table(folder: Path, name: str, text: str):
    """Write a CSV file and return it as a table to look at."""
    (folder / name).write_text(text, encoding="utf-8")
    (table,) = read_given_sources([str(folder / name)], folder, lambda _: None)
    return table
