"""Files of a folder that repeat each other, and files that may have been cut."""

import gzip

import pyarrow as pa
import pytest
from pyarrow import parquet

from configs.errors import DataError
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, project, write

HEAD = "lead,at,what\n"


def day(number, rows=3):
    return HEAD + "".join(f"L{i},2024-01-0{number},visit\n" for i in range(rows))


def read(folder):
    return read_sources(project(events=[{"path": str(folder), **EVENT}]))


def test_file_that_was_delivered_twice_is_named(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path / f"{number}.csv", day(number))
    assert not read(tmp_path).warnings
    write(tmp_path / "4.csv", day(2))
    (line,) = read(tmp_path).warnings
    assert "4.csv: all of its 3 rows repeat rows of other files" in line and "2.csv" in line
    # In another order of rows, and compressed.
    (tmp_path / "4.csv").unlink()
    rows = day(2).splitlines(keepends=True)
    (tmp_path / "4.csv.gz").write_bytes(gzip.compress("".join([rows[0], *rows[:0:-1]]).encode()))
    (line,) = read(tmp_path).warnings
    assert "4.csv.gz: all of its 3 rows" in line
    write(tmp_path / "5.csv", day(2, rows=4))
    assert len(read(tmp_path).warnings) == 1


def test_file_without_its_last_line_end_is_named(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path / f"{number}.csv", day(number))
    write(tmp_path / "2.csv", day(2).removesuffix("\n"))
    (line,) = read(tmp_path).warnings
    assert "2.csv: the last line has no line end, unlike that of 2 other files" in line
    write(tmp_path / "3.csv", day(3).removesuffix("\n"))
    assert not read(tmp_path).warnings


def test_swapped_files_are_named(tmp_path):
    leads = write(tmp_path / "l.csv", "id,born\nL0,2024-01-01\n")
    events = write(tmp_path / "e.csv", day(2, rows=1))
    swapped = project({"path": events, **LEAD}, [{"path": leads, **EVENT}])
    with pytest.raises(DataError, match="no such column") as caught:
        read_sources(swapped)
    assert "this looks like the file of sources.events[0]" in caught.value.fix
    with pytest.raises(DataError, match="no such column") as caught:
        read_sources(project({"path": leads, **LEAD}, [{"path": leads, **EVENT}]))
    assert "this looks like the file of sources.leads" in caught.value.fix
    with pytest.raises(DataError, match="no such column") as caught:
        read_sources(project({"path": leads, **LEAD, "attributes": ["size"]}))
    assert "looks like" not in caught.value.fix


def test_changed_page_of_parquet_is_an_error(tmp_path):
    ids = [f"L{i}" for i in range(1000)]
    table = pa.table({"id": ids, "born": ["2024-01-01"] * 1000})
    path = tmp_path / "l.parquet"
    parquet.write_table(table, path, write_page_checksum=True, compression="none")
    lead = {"path": str(path), **LEAD}
    assert read_sources(project(lead)).leads.num_rows == 1000
    content = path.read_bytes()
    path.write_bytes(content.replace(b"L500", b"X500"))
    with pytest.raises(DataError, match="cannot read the file") as caught:
        read_sources(project(lead))
    assert "l.parquet" in caught.value.where and "checksum" in caught.value.found
