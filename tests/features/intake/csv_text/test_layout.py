"""Titles, headers, delimiters, footers and ragged rows of whole files."""

import pytest

from configs.errors import DataError
from configs.source_rows import SourceRows
from features.intake.formats import delimited
from features.intake.storage.source_file import LocalFile


@pytest.fixture
def read(tmp_path):
    def read_text(text, **keys):
        path = tmp_path / "x.csv"
        path.write_bytes(text.encode())
        blocks = list(delimited.read_csv(LocalFile.find(path), SourceRows(path=str(path), **keys)))
        rows = [
            list(row)
            for block in blocks
            for row in zip(*(c.to_pylist() for c in block.table.columns), strict=True)
        ]
        form = {entry.key: entry for block in blocks for entry in block.form}
        broken = [each.line for block in blocks for each in block.broken]
        return blocks[0].names, rows, broken, form, [w for b in blocks for w in b.warnings]

    return read_text


ROWS = [["A1", "2024-01-01", "web"], ["A2", "2024-01-02", "ads"], ["A3", "2024-01-03", ""]]
BODY = "id;created;src\n" + "".join(";".join(row) + "\n" for row in ROWS)
NAMES = ["id", "created", "src"]


@pytest.mark.parametrize(
    ("above", "count"),
    [
        ("", None),
        ("\n\n", None),
        ("sep=;\n", None),
        ("Report: Leads\n", 1),
        ("Report: Leads\nGenerated 2024-02-01 10:00\n\n", 3),
        ("Report: Leads;;\nGenerated 2024-02-01;;\n;;\n", 3),
        ("sep=;\nReport: Leads\n", 2),
        ("Leads, all; 2024\n\n", 2),
        ("Leads; 2024\n", 1),
        ("Period;2024-01-01 – 2024-02-01\nOwner;Ann\n\n", 3),
        ('"Report of\nall leads"\n', 2),
        ("# Leads\n# ---------\n", 2),
    ],
)
@pytest.mark.parametrize(
    ("below", "lines"),
    [
        ("", None),
        ("\n\n", None),
        ("Total;;3\n", 1),
        ("Итого;3;\n", 1),
        ("Grand Totals (3 records)\n\nConfidential\nCopyright (c) 2000-2026 x, inc.\n", 4),
        ("\nGrand Totals (3 records)\n", 1),
        ("\n3 records\n", 1),
        ("\nSome words about the report\n", 1),
        ("\nRecords;3\nOwner;Ann\n", 2),
        (";;\nSumme: 3 Zeilen;;\n\n", 2),
        ("Всего;;3", 1),
    ],
)
def test_lines_around_the_table_are_found_and_named(read, above, count, below, lines):
    names, rows, broken, form, warnings = read(above + BODY + below)
    if below.startswith(";;"):
        assert rows.pop() == ["", "", ""]
    assert (names, rows, broken, warnings) == (NAMES, ROWS, [], [])
    assert form["delimiter"].value == ";"
    for key, expected, text in (("skip_above", count, above), ("skip_below", lines, below)):
        if expected is None:
            assert key not in form
            continue
        assert (form[key].value, form[key].origin) == (str(expected), "proven")
        first = next(line.strip(";") for line in text.splitlines() if line.strip(";"))
        assert first.strip('"')[:40] in form[key].evidence
    # The values can be copied into the config.
    keys = {"skip_above": count or 0, "skip_below": lines or 0, "delimiter": ";"}
    assert read(above + BODY + below, **keys)[1] == rows + ROWS[len(rows) :] + [["", "", ""]] * (
        below.startswith(";;")
    )


@pytest.mark.parametrize(
    "row",
    [
        "Total;2024-01-04;web",  # A company of this name.
        "Total Energies;2024-01-04;web",
        "Copyright Ltd;2024-01-04;web",
        "Summerfield;2024-01-04;web",
    ],
)
def test_rows_that_begin_like_a_footer_stay_rows(read, row):
    body = BODY.replace("A1", "Ann").replace("A2", "Bob").replace("A3", "Cid")
    assert read(body + row + "\n")[1][-1] == row.split(";")


@pytest.mark.parametrize("word", ["Total", "Итого", "Summe:"])
@pytest.mark.parametrize("date", ["2024-01-{}", "{}.01.2024", "01/{}/2024 10:00", "{} Jan 2024"])
@pytest.mark.parametrize("end", ["", "\n", "\n\nConfidential\n"])
def test_totals_with_a_date_like_rows_are_set_aside(read, word, date, end):
    body = "id;created;x\n" + "".join(f"A{i};{date.format(10 + i)};{i}\n" for i in range(5))
    _, rows, broken, form, _ = read(body + f"{word};{date.format(20)};7{end}")
    assert (len(rows), broken) == (5, [7])
    assert ("skip_below" in form) == ("Conf" in end)
    # Without a date it is below the rows.
    _, rows, broken, form, _ = read(body + f"{word};;1.234,50{end}")
    assert (len(rows), broken) == (5, []) and word in form["skip_below"].evidence
    # The keys decide.
    assert len(read(body + f"{word};{date.format(20)};7\n", skip_below=0)[1]) == 6


@pytest.mark.parametrize("row", ["A4", "A4;2024-01-0", "A4;2024-01-04;web;x", 'A4;"2024'])
def test_broken_last_row_is_no_footer(read, row):
    for before in ("", "\n"):
        _, rows, broken, form, _ = read(BODY + before + row)
        assert (rows, len(broken)) == (ROWS, 1) and "skip_below" not in form


def test_footer_words_within_a_quoted_field_stay_there(read):
    note = "all\n\nTotal\nConfidential\nend"
    rows = read(f'{BODY}A4;2024-01-04;"{note}"\n')[1]
    assert rows[-1] == ["A4", "2024-01-04", note]


def test_footer_across_blocks(read, monkeypatch):
    body = "id,n\n" + "".join(f"A{i},{i}\n" for i in range(300))
    for size in range(64, 128, 7):
        monkeypatch.setattr(delimited, "BLOCK_BYTES", size)
        _, rows, broken, form, _ = read(body + "\nGrand Totals\nConfidential\n")
        assert (len(rows), broken, form["skip_below"].value) == (300, [], "2")


def test_given_counts_of_lines_are_skipped(read):
    text = "1;2;3\n" + BODY + "4;5;6\n7;8;9\n"
    names, rows, broken, form, _ = read(text, skip_above=1, skip_below=2)
    assert (names, rows, broken) == (NAMES, ROWS, [])
    assert (form["skip_above"].origin, form["skip_below"].origin) == ("config", "config")
    assert read("\n\n" + BODY, skip_above=2)[1] == ROWS
    assert read(BODY + "Total;;3\n", skip_below=0)[1][-1] == ["Total", "", "3"]


def test_rows_with_a_delimiter_too_many(read):
    text = BODY.replace("\n", ";\n").replace("src;", "src", 1)
    _, rows, broken, _, warnings = read(text)
    assert (rows, broken) == (ROWS, []) and "3 rows have a delimiter too many" in warnings[0]
    assert "line 2" in warnings[0]
    # With a text behind it the row is broken.
    assert read(text + "A4;2024-01-04;web;x\n")[2] == [5]
    names, rows, _, _, warnings = read(BODY.replace("\n", ";\n"))
    assert (names, warnings) == ([*NAMES, ""], []) and [row[:3] for row in rows] == ROWS


def test_rows_without_their_last_cells(read):
    text = BODY + "A4;2024-01-04\nA5;2024-01-05\nA6;2024-01-06;x\n"
    _, rows, broken, _, warnings = read(text)
    assert (broken, rows[3:5]) == ([], [["A4", "2024-01-04", ""], ["A5", "2024-01-05", ""]])
    assert "2 rows lack cells at their end, such as line 5" in warnings[0]
    # The last column is empty in all rows.
    text = "id;created;src\n" + "".join(f"A{i};2024-01-0{i}\n" for i in range(1, 6))
    assert [row[2] for row in read(text)[1]] == [""] * 5


@pytest.mark.parametrize(
    "lines",
    [
        "A4;2024-01-04\n",  # The end of the file, perhaps cut.
        "A4\n",
        "A4;first\nsecond;x\n",
        "A4;first\nsecond\nthird;x\n",
        "A4;2024-01-04;first\nsecond\n",
    ],
)
def test_short_lines_that_may_be_one_record_are_broken(read, lines):
    text = BODY.replace("A3;2024-01-03;", "A3;2024-01-03;ads")
    cut = lines == "A4;2024-01-04\n"
    read_rows = read(text + (lines.rstrip() if cut else lines + "A9;2024-01-09;x\n"))
    short = [line for line in lines.splitlines() if line.count(";") < 2]
    assert len(read_rows[2]) == len(short)
    assert not any("first" in row[1] or "second" in row[0] for row in read_rows[1])


def test_index_without_a_heading(read):
    rows = "".join(f'"{i}",A{i},x{i}\n' for i in range(1, 5))
    names, found, broken, *_ = read('"id","src"\n' + rows)
    assert (names, broken) == (["", "id", "src"], []) and found[0] == ["1", "A1", "x1"]
    with pytest.raises(DataError, match="differ in their number of fields"):
        read('"id","src"\n' + rows.replace('"2"', '"7"'))


@pytest.mark.parametrize(
    ("text", "delimiter", "rows"),
    [
        ("id;a\n1;2,5\n2;3,5\n", ";", [["1", "2,5"], ["2", "3,5"]]),
        ("a, x\tb, y\n1,5\t2,5\n3,5\t4,5\n", "\t", [["1,5", "2,5"], ["3,5", "4,5"]]),
        ("id|a;b\n1|2;3\n2|4\n", "|", [["1", "2;3"], ["2", "4"]]),
        ("id\nA1\nA2\n", None, [["A1"], ["A2"]]),
        ("id\nA, B\nC, D\nE\n", None, None),
        ("id;Sum, RUB, VAT\nA;5\nB;6\n", ";", [["A", "5"], ["B", "6"]]),
    ],
)
def test_delimiter_is_found_from_the_rows(read, text, delimiter, rows):
    _, found, _, form, _ = read(text)
    assert rows is None or found == rows
    assert (form["delimiter"].value if "delimiter" in form else None) == delimiter


def test_pair_of_delimiters_that_fit_all_rows_are_refused(read):
    with pytest.raises(DataError, match="delimiter is in doubt"):
        read("Report, 2024\nid;x,y;z\nA1;5,1;6\nA2;7,1;8\n")
    text = "Sum, RUB;Area, m2\n1,5;2,5\n3,5;4,5\n"
    with pytest.raises(DataError, match="delimiter is in doubt") as caught:
        read(text)
    assert caught.value.fix == "delimiter: ',', or delimiter: ';'"
    assert read(text, delimiter=";")[1] == [["1,5", "2,5"], ["3,5", "4,5"]]


@pytest.mark.parametrize("rows", [3, 6])
def test_heading_is_no_title_of_rows_with_as_many_commas_each(read, rows):
    # Read with commas, the first row would be the heading and the heading a line above it.
    body = "".join(f"A{i}|2024-01-0{i + 1}|{i},5|call, again|\n" for i in range(rows))
    names, cells, broken, form, _ = read("Report: leads\n\nid|created|amount|note\n" + body)
    assert names[:4] == ["id", "created", "amount", "note"] and not broken
    assert [row[2] for row in cells] == [f"{i},5" for i in range(rows)]
    assert form["delimiter"].value == "|" and form["skip_above"].value == "2"
