"""Cost of finding the form of a CSV log, beside reading it with the form given in the config.

LEADSCORE_BENCH_CSV is the number of rows.
"""

import os
import statistics
import time

import pytest

from configs.source_rows import SourceRows
from features.intake.formats.files import Selection, read_blocks
from features.intake.storage.source_file import LocalFile

ROWS = int(os.environ.get("LEADSCORE_BENCH_CSV", 3_000_000))
PAIRS = 5
TYPES = ["visit", "form", "звонок", "сайт"]


@pytest.fixture(scope="module")
def lines():
    rows = (
        f"L{i % 300_000:07},2024-01-{i % 28 + 1:02}T12:{i % 60:02}:00,{TYPES[i % 4]},{i % 997}.5\n"
        for i in range(ROWS)
    )
    return "lead_id,at,type,amount\n" + "".join(rows)


def seconds(path, **keys):
    """Return the rows of a file, and the processor seconds in which they are read."""
    source = SourceRows(path=str(path), **keys)
    start = time.process_time()
    blocks = read_blocks(LocalFile.find(path), "csv", source, Selection())
    return sum(len(block.rows) for block in blocks), time.process_time() - start


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "windows-1251", "utf-16"])
def test_form_is_found_at_a_small_cost(report, tmp_path, lines, encoding):
    path = tmp_path / "log.csv"
    text = lines.replace("звонок", "call").replace("сайт", "web") if encoding == "ascii" else lines
    path.write_bytes(text.encode(encoding))
    keys = {"encoding": "utf-8" if encoding == "ascii" else encoding, "delimiter": ","}
    keys |= {"skip_above": 0, "skip_below": 0}
    seconds(path)
    pairs = []
    for _ in range(PAIRS):
        (given_rows, given), (rows, found) = seconds(path, **keys), seconds(path)
        assert given_rows == rows == ROWS
        pairs.append((given, found))
    given, found = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(found / given for given, found in pairs)
    title = f"Reading a CSV log of {ROWS:,} rows, processor seconds"
    for row, cell in (("given", f"{given:.2f}"), ("found", f"{found:.2f}")):
        report.add(title, row, encoding, cell)
    report.add(title, "found / given", encoding, f"{ratio:.2f}")
