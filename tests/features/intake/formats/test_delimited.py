"""CSV against Python's csv module if well formed, and line by line otherwise."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import DataError
from features.intake.formats import delimited

cell = st.text(st.sampled_from('ab1,;"\n\r 🙂ж\t'), max_size=6)


def parse(data: bytes, delimiter=None):
    path = Path(parse.folder) / "x.csv"
    path.write_bytes(data)
    names, rows, lines, broken = [], [], [], []
    for names, table, at, bad in delimited.read_csv(path, delimiter):  # noqa: B007
        columns = [table[name].to_pylist() for name in table.column_names]
        rows += [list(row) for row in zip(*columns, strict=True)]
        lines += at.tolist()
        broken += [(each.line, each.text) for each in bad]
    return names, rows, lines, broken


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory):
    parse.folder = tmp_path_factory.mktemp("csv")


@given(
    st.lists(st.lists(cell, min_size=3, max_size=3), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_well_formed_csv_equals_csv_module(rows, ending, all_quoted):
    if (
        not all_quoted
    ):  # the csv module does not quote a lone carriage return, which is then a line end to it
        rows = [[value.replace("\r", "") for value in row] for row in rows]
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator=ending, quoting=quoting)
    writer.writerows([["a", "b", "c"], *rows])
    expected = list(csv.reader(io.StringIO(text.getvalue(), newline="")))[1:]
    names, found, _, broken = parse(text.getvalue().encode())
    assert (names, found, broken) == (["a", "b", "c"], expected, [])


@given(st.lists(st.lists(cell, min_size=2, max_size=2), max_size=6), st.integers(1, 40))
def test_block_size_does_not_matter(rows, size):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    whole = parse(text.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        # A field may stay open for one block at most, so a block must hold the longest record.
        patch.setattr(delimited, "BLOCK_BYTES", size + 40)
        assert parse(text.getvalue().encode()) == whole


@given(st.binary(max_size=60) | st.text('ab,"\n\r\0', max_size=60).map(str.encode))
def test_nonblank_lines_are_rows_or_broken_records(body):
    _, rows, lines, broken = parse(b"a,b\n" + body)
    assert all(len(row) == 2 for row in rows)
    assert len(rows) == len(lines) == len(set(lines))
    taken = {*lines, *(line for line, _ in broken)}
    assert len(taken) == len(lines) + len(broken)
    # A line that begins no record is blank, or inside a quoted field that contains line breaks.
    inside = sum("\n" in value for row in rows for value in row)
    loose = [
        n
        for n, line in enumerate(body.split(b"\n"), 2)
        if n not in taken and line not in (b"", b"\r")
    ]
    assert not loose or inside


@pytest.mark.parametrize(
    ("data", "rows", "broken"),
    [
        (b"a,b\n1,2\n3\n4,5\n", [["1", "2"], ["4", "5"]], [(3, "3")]),
        (b"a,b\n1,2,3\n4,5\n", [["4", "5"]], [(2, "1,2,3")]),
        (b'a,b\n1,"2\n3,4\n5,6\n', [["3", "4"], ["5", "6"]], [(2, '1,"2')]),
        (b'a,b\n1,"2\n3,4\n5,"6",7\n8,9', [["3", "4"], ["8", "9"]], [(2, '1,"2'), (4, '5,"6",7')]),
        (b'a,b\n1,"2"x\n3,4\n', [["3", "4"]], [(2, '1,"2"x')]),
        (b'a,b\n1,19" screen\n', [["1", '19" screen']], []),
        (b"a,b\n1,\0\n3,4\n", [["3", "4"]], [(2, "1,\0")]),
        (b"a,b\n1,\xff\n3,4\n", [["3", "4"]], [(2, "1,\ufffd")]),
        (b'a,b\n1,"x\n\xff"\n3,4\n', [["3", "4"]], [(2, '1,"x'), (3, '\ufffd"')]),
        (b"a,b\n1,2\r\n3,4\n5\r6,7\n", [["1", "2"], ["3", "4"]], [(4, "5\r6,7")]),
        (b"\xef\xbb\xbfa;b\r\n1;2,5\r\n", [["1", "2,5"]], []),
        (b"a\tb\n1\t2\n", [["1", "2"]], []),
        (b"\n\na,b\n\n1,2\n", [["1", "2"]], []),
        (b"a,b\n", [], []),
        (b"", [], []),
        (b"a\n1\n\n2\n", [["1"], ["2"]], []),
    ],
)
def test_broken_lines_do_not_affect_others(data, rows, broken):
    _, found, _, bad = parse(data)
    assert (found, bad) == (rows, broken)


def test_compressed_files_keep_line_numbers(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b'a,b\n1,"2\n2"\n\n3,4\n'))
    parts = list(delimited.read_csv(path, None))
    assert [line for _, _, lines, _ in parts for line in lines.tolist()] == [2, 5]


def test_header_that_is_not_utf8_raises():
    with pytest.raises(DataError, match="unreadable header"):
        parse("a,b\n1,2\n".encode("utf-16"))
