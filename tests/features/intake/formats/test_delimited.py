"""CSV against Python's csv module if well formed, and line by line otherwise."""

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from configs.source_rows import SourceRows
from features.intake.formats import delimited
from features.intake.storage.source_file import LocalFile

cell = st.text(st.sampled_from('ab1,;"\n\r 🙂ж\t'), max_size=6)


def parse(data: bytes, delimiter=None, **keys):
    path = Path(parse.folder) / "x.csv"
    path.write_bytes(data)
    source = SourceRows(path=str(path), delimiter=delimiter, **keys)
    names, rows, lines, broken = [], [], [], []
    for block in delimited.read_csv(LocalFile.find(path), source):
        columns = [block.table[name].to_pylist() for name in block.table.column_names]
        names = block.names
        rows += [list(row) for row in zip(*columns, strict=True)]
        lines += block.rows.tolist()
        broken += [(each.line, each.text) for each in block.broken]
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
    _, rows, lines, broken = parse(b"a,b\n" + body, ",", encoding="utf-8", skip_below=0)
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
    parts = delimited.read_csv(LocalFile.find(path), SourceRows(path=str(path)))
    assert [line for part in parts for line in part.rows.tolist()] == [2, 5]


TEXT = st.text(st.sampled_from('ab1,;"\n|\t ж'), max_size=4)
LINE = st.text(st.sampled_from('a1,"\r ж'), min_size=1, max_size=8)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=4
        )
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    st.booleans(),
    st.sampled_from(["plain", "hint"]),
)
def test_table_in_any_dialect_reads_back_with_header(table, delimiter, ending, quoting, bom, mode):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows(table)
    hint = f"sep={delimiter}\r\n" if mode == "hint" else ""
    data = b"\xef\xbb\xbf" * bom + (hint + text.getvalue()).encode()
    # The delimiter is found where everything is quoted; a hint line says it.
    is_found = mode == "hint" or (len(table[0]) > 1 and quoting == csv.QUOTE_ALL)
    # What looks like a title or a note is a row here.
    found = None if is_found else delimiter
    names, rows, _, broken = parse(data, found, skip_above=0, skip_below=0)
    assert names == [heading.strip() for heading in table[0]]
    assert (rows, broken) == (table[1:], [])


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(LINE)
def test_header_obeys_the_grammar_of_rows(line):
    data = f"{line}\n{line}\n".encode()
    try:
        names, rows, _, broken = parse(data, ",")
    except DataError:
        # The same line is no row either, with any number of fields.
        for width in range(1, 9):
            head = ",".join("abcdefgh"[:width])
            _, rows, _, broken = parse(f"{head}\n{line}\n".encode(), ",")
            assert not rows and broken
        return
    if rows:  # not where the second line closes a quote of the first
        assert not broken and [value.strip() for value in rows[0]] == names


@pytest.mark.parametrize(
    ("data", "names", "rows"),
    [
        (b'"first\nname";"a ""b"";c"\n1;2\n', ["first\nname", 'a "b";c'], [["1", "2"]]),
        (
            b"id;Sum, RUB, VAT incl.;x, y\n1;2;3\n",
            ["id", "Sum, RUB, VAT incl.", "x, y"],
            [["1", "2", "3"]],
        ),
        (b"sep=;\r\nid;a,b\r\n1;2\r\n", ["id", "a,b"], [["1", "2"]]),
        (b'\xef\xbb\xbf"sep=|"\nid|b\n1|2\n', ["id", "b"], [["1", "2"]]),
        (b"sep=\t\nid\tb\n1\t2\n", ["id", "b"], [["1", "2"]]),
        (b" id ,\xc2\xa0b\n1,2\n", ["id", "b"], [["1", "2"]]),
        (b'"a;b",c\n1,2\n', ["a;b", "c"], [["1", "2"]]),
        (b"a;b,c\n1;2,5\n3;4,5\n6;7\n", ["a", "b,c"], [["1", "2,5"], ["3", "4,5"], ["6", "7"]]),
        (b"sep=;\n", ["sep=", ""], []),
    ],
)
def test_header_is_read_like_rows(data, names, rows):
    assert parse(data)[:2] == (names, rows)


def test_header_spans_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_BYTES", 30)
        assert parse(b'"a\nb",c\n1,2\n"x\ny",4\n')[:2] == (
            ["a\nb", "c"],
            [["1", "2"], ["x\ny", "4"]],
        )


def test_rows_that_agree_on_more_fields_than_the_header_are_refused():
    with pytest.raises(DataError, match="differ in their number of fields") as caught:
        parse(b"a,b\n7,x,2\n2,y,3\n3,z,4\n")
    assert caught.value.found == "2 in the header, 3 in each of the first 3 rows"


def test_header_with_a_broken_quote_raises():
    for data in (b'"a"b,c\n1,2\n', b'"a,c\n1,2\n'):
        with pytest.raises(DataError, match="unreadable header"):
            parse(data)
