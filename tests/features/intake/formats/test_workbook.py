"""Workbooks: which sheet, which rows, the type of cells, and what a workbook cannot say."""

import re
import zipfile
from datetime import date, datetime, time, timedelta

import pytest
import xlsxwriter

from configs.errors import DataError
from configs.source_rows import SourceRows
from features.intake.formats.limits import MIN_BOMB_BYTES
from features.intake.reading import METADATA_COLUMNS, read_rows
from features.readings.source_form import FormEntry
from features.sources import read_sources
from tests.features.company import EVENT, project
from tests.features.intake.forms import TIME_STYLES, add_sheet, text_of, write_ods, write_sheet

ROWS = [{"id": "a", "n": 1.0}, {"id": "b", "n": 2.5}]
MOMENT = datetime(2024, 1, 5, 12, 30, 1)  # noqa: DTZ001


def read(path, **keys):
    return read_rows(SourceRows(path=str(path), **keys), {})


def values(raw):
    """Return the rows, as lists of cells."""
    cells = raw.table.drop_columns(list(METADATA_COLUMNS))
    return [list(row.values()) for row in cells.to_pylist()]


def rewrite(path, part, change):
    """Change the text of one part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize("options", [{}, {"date_1904": True}, {"constant_memory": True}])
def test_cells_keep_their_type(tmp_path, options):
    rows = [
        {"id": "007", "n": 12.0, "day": date(2024, 1, 5), "at": MOMENT, "ok": True, "mixed": 1},
        {"id": "8", "n": 0.1, "day": date(1999, 12, 31), "at": None, "ok": False, "mixed": "x"},
        {"id": " 9", "n": None, "day": None, "at": MOMENT, "ok": None, "mixed": date(2024, 2, 3)},
    ]
    raw = read(write_sheet(tmp_path / "a.xlsx", rows, **options)["path"])
    assert raw.names == ("id", "n", "day", "at", "ok", "mixed")
    assert values(raw) == [
        ["007", 12.0, date(2024, 1, 5), MOMENT, True, "1"],
        ["8", 0.1, date(1999, 12, 31), None, False, "x"],
        [" 9", None, None, MOMENT, None, "2024-02-03"],
    ]
    assert raw.table["row"].to_pylist() == [2, 3, 4]
    assert raw.warnings == ()


def test_clock_times_and_durations_are_texts(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["time", "duration"])
        sheet.write(1, 0, time(9, 5), book.add_format({"num_format": "hh:mm"}))
        sheet.write(1, 1, timedelta(hours=36.5), book.add_format({"num_format": "[h]:mm:ss"}))
    assert values(read(tmp_path / "a.xlsx")) == [["09:05:00", "36:30:00"]]


def test_rows_are_numbered_as_the_program_shows_them(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet("Leads")
        sheet.write_row("B3", ["id", "n"])
        sheet.write_row("B5", ["a", 1])
        sheet.write_row("B6", [" ", None])
        sheet.write_row("B9", ["b", 2])
    raw = read(tmp_path / "a.xlsx")
    assert raw.table["row"].to_pylist() == [5, 9]
    assert [row[-2:] for row in values(raw)] == [["a", 1.0], ["b", 2.0]]
    assert raw.names[-2:] == ("id", "n")


def test_unnamed_and_equal_headings_stay_columns(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.merge_range("B1:C1", "place")
        sheet.write("A1", "id")
        sheet.write("F1", 2024)
        sheet.write_row(1, 0, ["a", "Bonn", "DE", "x", None, 5])
    raw = read(tmp_path / "a.xlsx")
    assert raw.names == ("id", "place", "place (2)", "", " (2)", "2024")
    assert values(raw) == [["a", "Bonn", "DE", "x", None, 5.0]]


def test_visible_sheet_with_rows_is_read(tmp_path):
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Empty")
        add_sheet(book, "Leads", ROWS)
        add_sheet(book, "Codes", [{"code": 1}]).hide()
        add_sheet(book, "Macro", [{"code": 1}]).very_hidden()
        book.add_chartsheet("Chart")
    raw = read(path)
    assert raw.names == ("id", "n")
    assert raw.form == (
        FormEntry("sheet", "", "Leads", "proven", f"{path}: the only sheet with rows"),
    )
    hidden = read(path, sheet="Codes")
    assert hidden.names == ("code",) and hidden.form == (FormEntry("sheet", "", "Codes", "config"),)


@pytest.mark.parametrize(
    ("names", "key", "said"),
    [
        (["Leads", "Old"], None, "several sheets have rows.*'Leads', 'Old'.*\n.*sheet: NAME"),
        (["Leads"], "leads", "no such sheet.*'leads'; the sheets are 'Empty', 'Leads'"),
        ([], None, "the workbook has no rows.*'Empty'.*\n.*CSV UTF-8"),
        ([], "Empty", "the sheet is empty.*'Empty'"),
    ],
)
def test_doubtful_sheet_is_refused(tmp_path, names, key, said):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        book.add_worksheet("Empty")
        for name in names:
            add_sheet(book, name, ROWS)
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.xlsx", sheet=key)


def test_hidden_sheets_alone_are_refused(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        book.add_worksheet("Empty")
        add_sheet(book, "Leads", ROWS).hide()
    with pytest.raises(DataError, match=r"only hidden sheets have rows.*'Leads'"):
        read(tmp_path / "a.xlsx")


REPORT = [
    ["Leads of the month", None, None, None],
    ["as of", date(2024, 2, 1), None, None],
    [],
    ["id", "born", "size", "since"],
    *([f"L{n:02}", MOMENT, n + 0.5, date(2024, 1, 1)] for n in range(12)),
    [],
    ["Total", None, 78, None],
    ["12 records", None, None, None],
]


def write_report(path, rows=REPORT, merge=None):
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Report")
        styles = {kind: book.add_format({"num_format": code}) for kind, code in TIME_STYLES.items()}
        for number, row in enumerate(rows):
            for place, value in enumerate(row):
                sheet.write(number, place, value, styles.get(type(value)))
        if merge:
            sheet.merge_range(*merge)
    return path


def test_titles_and_footers_are_left_out_as_in_csv(tmp_path):
    raw = read(write_report(tmp_path / "a.xlsx"))
    lines = [",".join(map(text_of, row)) for row in REPORT]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    plain = read(tmp_path / "a.csv")
    assert raw.names == plain.names == ("id", "born", "size", "since")
    assert raw.table["row"].to_pylist() == plain.table["row"].to_pylist() == list(range(5, 17))
    found = {entry.key: entry.value for entry in raw.form}
    expected = {entry.key: entry.value for entry in plain.form}
    assert found == {"sheet": "Report", "skip_above": "3", "skip_below": "2"}
    assert all(expected[key] == found[key] for key in ("skip_above", "skip_below"))
    # The types are those of the rows, without the texts around them.
    assert values(raw)[0] == ["L00", MOMENT, 0.5, date(2024, 1, 1)]


def test_lines_around_the_rows_can_be_given(tmp_path):
    path = write_report(tmp_path / "a.xlsx")
    raw = read(path, skip_above=3, skip_below=3)
    assert raw.table["row"].to_pylist() == list(range(5, 17))
    assert [(entry.key, entry.origin) for entry in raw.form] == [
        ("sheet", "proven"),
        ("skip_above", "config"),
        ("skip_below", "config"),
    ]


def test_title_over_merged_cells_is_no_heading(tmp_path):
    raw = read(write_report(tmp_path / "a.xlsx", merge=("A1:D1", "Leads of the month")))
    assert raw.names == ("id", "born", "size", "since") and raw.warnings == ()


def test_merged_cells_among_the_rows_are_named(tmp_path):
    merged = [[None, *row[1:]] if place in (6, 7) else row for place, row in enumerate(REPORT)]
    raw = read(write_report(tmp_path / "a.xlsx", merged, ("A6:A8", "L01")))
    assert [row[0] for row in values(raw)][:5] == ["L00", "L01", None, None, "L04"]
    assert len(raw.warnings) == 1 and "1 groups of cells are merged" in raw.warnings[0]
    assert "row 6" in raw.warnings[0]


def calculated(text):
    """Return a workbook's part as a program that calculates would write it."""
    return text.replace(' fullCalcOnLoad="1"', "")


def test_formulas_give_their_stored_value(tmp_path):
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "n", "e"])
        for row in (1, 2, 3):
            sheet.write(row, 0, f"L{row}")
            sheet.write_formula(row, 1, f"=A{row}*2", None, row / 2)
            sheet.write_formula(row, 2, "=1/0", None, "#DIV/0!" if row > 1 else 7)
    with pytest.raises(DataError, match=r"no calculated value.*6 cells, such as B2"):
        read(path)
    rewrite(path, "xl/workbook.xml", calculated)
    raw = read(path)
    assert values(raw) == [["L1", 0.5, 7.0], ["L2", 1.0, None], ["L3", 1.5, None]]
    assert len(raw.warnings) == 1
    assert re.search(r"2 cells hold an error of a formula, such as C3", raw.warnings[0])


@pytest.mark.parametrize("value", ["", "<v></v>", "<v/>"])
def test_formula_without_a_value_is_refused(tmp_path, value):
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "n"])
        sheet.write(1, 0, "L1")
        sheet.write_formula(1, 1, "=1+1", None, 4242)
    rewrite(path, "xl/workbook.xml", calculated)
    assert values(read(path)) == [["L1", 4242.0]]
    rewrite(path, SHEET, lambda text: text.replace("<v>4242</v>", value))
    with pytest.raises(DataError, match=r"no calculated value.*1 cells, such as B2"):
        read(path)
    # An empty text is a value: the program has calculated it.
    rewrite(path, SHEET, lambda text: text.replace('<c r="B2">', '<c r="B2" t="str">'))
    assert values(read(path)) == [["L1", None]]


def test_leading_zeros_of_a_format_are_named(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "n"])
        sheet.write(1, 0, 42, book.add_format({"num_format": "00000"}))
        sheet.write(1, 1, 42, book.add_format({"num_format": "0.00"}))
    raw = read(tmp_path / "a.xlsx")
    assert values(raw) == [[42.0, 42.0]]
    assert len(raw.warnings) == 1 and "1 numbers, such as A2" in raw.warnings[0]


def test_warnings_of_a_workbook_reach_the_counts(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "e.xlsx") as book:
        sheet = book.add_worksheet("E")
        sheet.write_row(0, 0, list(EVENT.values()))
        style = book.add_format({"num_format": "yyyy-mm-dd"})
        for row in (1, 2):
            sheet.write_row(row, 0, [17, None, "won"])
            sheet.write_datetime(row, 1, datetime(2024, 1, row), style)  # noqa: DTZ001
        sheet.write(3, 0, 42, book.add_format({"num_format": "0000"}))
        sheet.write_datetime(3, 1, datetime(2024, 1, 3), style)  # noqa: DTZ001
        sheet.write(3, 2, "visit")
    dataset = read_sources(project(events=[{"path": str(tmp_path / "e.xlsx"), **EVENT}]))
    assert sorted(set(dataset.leads["entity_id"].to_pylist())) == ["17", "42"]
    count = dataset.counts[0]
    assert count.used == 3 and any("leading zeros" in line for line in count.warnings)
    assert [entry.key for entry in count.form] == ["sheet"]


def test_workbook_is_recognised_by_its_content(tmp_path):
    write_sheet(tmp_path / "a.xlsx", ROWS)
    write_ods(tmp_path / "b.ods", ROWS)
    for source, name in (("a.xlsx", "a.xls"), ("a.xlsx", "c.ods"), ("b.ods", "b.xlsx")):
        (tmp_path / name).write_bytes((tmp_path / source).read_bytes())
        assert values(read(tmp_path / name)) == [["a", 1.0], ["b", 2.5]]
    (tmp_path / "a.dat").write_bytes((tmp_path / "a.xlsx").read_bytes())
    assert values(read(tmp_path / "a.dat", format="workbook")) == [["a", 1.0], ["b", 2.5]]


CELLS = '<row r="{0}"><c r="{1}{0}"><v>1</v></c></row>'


@pytest.mark.parametrize(
    "change",
    [
        # Two cells at the corners of a sheet: a dense table of them has 17 billion cells.
        lambda text: text.replace("</sheetData>", CELLS.format(1048576, "XFD") + "</sheetData>"),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("<row ", "<row <"),
        lambda text: text.replace("<sheetData>", "<sheetData>" + "<row>" * 200_000),
        lambda text: text.replace('r="A2"', 'r="AAAAAAAAAAAAAAAAA99999999999999"'),
    ],
    ids=["far cells", "cut", "not XML", "deep", "no cell"],
)
def test_damaged_sheet_is_refused_and_does_not_end_the_run(tmp_path, change):
    path = tmp_path / "a.xlsx"
    write_sheet(path, ROWS)
    rewrite(path, SHEET, change)
    try:
        raw = read(path)
    except DataError as error:
        assert "workbook" in str(error) and "CSV UTF-8" in str(error)
    else:
        assert values(raw)


def test_archive_that_unpacks_without_end_is_refused(tmp_path):
    path = tmp_path / "a.xlsx"
    write_sheet(path, ROWS)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xl/media/x.bin", "w", force_zip64=True) as part,
    ):
        for _ in range((MIN_BOMB_BYTES >> 24) + 1):
            part.write(bytes(1 << 24))
    with pytest.raises(DataError, match="unpacks to far more"):
        read(path)
