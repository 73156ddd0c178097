"""Lone quotes that would swallow whole rows, and real texts of several lines that stay readable."""

import pytest

from configs.source_rows import SourceRows
from features.intake.formats import delimited
from features.intake.storage.source_file import LocalFile


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "x.csv"
        path.write_bytes(text.encode())
        blocks = list(delimited.read_csv(LocalFile.find(path), SourceRows(path=str(path))))
        rows = [list(row.values()) for block in blocks for row in block.table.to_pylist()]
        return rows, [each.line for block in blocks for each in block.broken]

    return read_text


HEAD = "id,created,won,x,memo\n"


def write_rows(first, count):
    return "".join(
        f"L{i},2024-01-{i:02},{i % 2},{i * 1.5},x\n" for i in range(first, first + count)
    )


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("around", [0, 9])
@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ('a,2024-01-01,1,1,"call\nb,2024-01-02,0,2,x\nc,2024-01-03,0,3,x"\n', 3),
        ('a1,2024-01-01,1,1,"call\nb2,2024-01-02,0,2,x"\n', 2),
        # In the first column, in a middle one, and before a cell that begins a text.
        ('a1,2024-01-01,"1,1,x\nb2,2024-01-02,0",2,x\n', 2),
        ('a1,2024-01-01,1,1,"x\nb2,2024-01-02,0,2,x\nc3,2024-01-03,0,1,"\n', 3),
        ('a1,2024-01-01,1,1,"x\n\nb2,2024-01-02,0,2,x\nc3,2024-01-03,0,1,x"\n', 3),
        # The texts of the rows between have quotes in pairs.
        ('a1,2024-01-01,1,1,"x\nb2,2024-01-02,0,2,a 5"" b\nc3,2024-01-03,0,1,x"\n', 3),
    ],
)
def test_rows_between_two_lone_quotes_are_set_aside(read, lines, count, around, ending):
    text = HEAD + write_rows(1, around) + lines + write_rows(11, around)
    rows, broken = read(text.replace("\n", ending))
    assert len(rows) == 2 * around and len(broken) == count
    assert broken[0] == around + 2


def test_lone_quote_in_the_first_column(read):
    lines = '"a1,2024-01-01,1,1,x\nb2,2024-01-02,0,2,x\nc3",2024-01-03,0,1,x\n'
    rows, broken = read(HEAD + write_rows(1, 9) + lines + write_rows(11, 9))
    assert len(rows) == 18 and broken == [11, 12, 13]


@pytest.mark.parametrize(
    "note",
    [
        "Main St. 5\n10115, Berlin",
        "From: a@b.c\nTo: d@e.f\n\nHello, Ann, Bob, and all,\nbye",
        "todo\n1, call, 5pm, today, x\n2, mail, 6pm, soon, y",
        "See:\nL1,2024-01-01,0,1.5,x\nThanks",
        "one, two, three, four, five\nsix, 7, eight, 9, ten",
    ],
)
def test_texts_of_several_lines_stay_one_cell(read, note):
    for count in (1, 12):
        lines = "".join(f'L{i},2024-01-{i:02},1,1.5,"{note}"\n' for i in range(1, 1 + count))
        for text in (HEAD + lines, HEAD + lines + write_rows(13, 9)):
            rows, broken = read(text)
            assert broken == [] and [row[-1] for row in rows[:count]] == [note] * count


def test_pasted_row_in_a_file_of_quoted_cells_is_text(read):
    note = "x\nL99,2024-01-01,0,1.5,zz\nL98,2024-01-01,0,1.5,zz"
    lines = "".join(f'"L{i}","2024-01-{i:02}","1","1.5","{note}"\n' for i in range(1, 10))
    rows, broken = read('"id","created","won","x","memo"\n' + lines)
    assert broken == [] and [row[-1] for row in rows] == [note] * 9


def test_record_at_the_lines_kept_for_a_footer_stays_whole(read):
    note = "one, two\nthree, four"
    for count in (100, 131, 132, 300):
        lines = "".join(f'A{i},2024-01-01,"{note}"\n' for i in range(count))
        for more in ("", "A999,2024-01-01,x\n"):
            rows, broken = read("id,created,memo\n" + lines + more)
            assert broken == [] and len(rows) == count + bool(more)
            assert {row[2] for row in rows[:count]} == {note}
