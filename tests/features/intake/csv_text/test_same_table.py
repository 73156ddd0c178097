"""One table, written in every form in which programs export it, reads back to the same values."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.source_rows import SourceRows
from features.intake.formats import delimited
from features.intake.storage.source_file import LocalFile

HEADINGS = ["Код клиента", "Создан", "Сумма\nс НДС", "Примечание"]
NOTES = st.sampled_from(
    ["", "сайт", "Звонок, повторный", "с;точкой", "две\nстроки", 'в "кавычках"', "Итого", "tab\t|"]
)
TABLE = st.lists(st.tuples(st.integers(0, 99_999), NOTES), min_size=2, max_size=12)
ENCODINGS = ["cp1251", "utf-16", "utf-16-be", "utf-16-le", "utf-8", "utf-8-sig"]


def write_table(rows, delimiter, ending, above, below, trailing, quoting):
    records = []
    for row in (HEADINGS, *rows):
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerow(row)
        records.append(text.getvalue().removesuffix("\n"))
    surplus = {"none": (), "rows": records[1:], "all": records}[trailing]
    body = [record + delimiter * (record in surplus) for record in records]
    return ending.join([*above, *body, *below, ""])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("same") / "x.csv"


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    table=TABLE,
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n"]),
    above=st.sampled_from([[], ["Отчёт: лиды", ""], ["Отчёт, лиды; все", "", ""], ["sep="]]),
    below=st.sampled_from([[], [""], ["", "Итого (5 строк)"], ["Итого", "", "Конфиденциально"]]),
    trailing=st.sampled_from(["none", "rows", "all"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_table_in_every_form_reads_back(
    path, table, encoding, delimiter, ending, above, below, trailing, quoting
):
    rows = [
        [f"A{i}", f"2024-01-{i + 1:02}", f"{n // 10},{n % 10}", note]
        for i, (n, note) in enumerate(table)
    ]
    above = [line + delimiter * (line == "sep=") for line in above]
    text = write_table(rows, delimiter, ending, above, below, trailing, quoting)
    path.write_bytes(text.encode(encoding))
    blocks = list(delimited.read_csv(LocalFile.find(path), SourceRows(path=str(path))))
    columns = [[cell for b in blocks for cell in b.table[i].to_pylist()] for i in range(4)]
    assert [each for b in blocks for each in b.broken] == []
    assert blocks[0].names[:4] == HEADINGS
    assert [list(row) for row in zip(*columns, strict=True)] == rows
    form = {entry.key: entry.value for b in blocks for entry in b.form}
    assert form["delimiter"] == delimiter
    if above and above[0] == "Отчёт: лиды":
        assert form["skip_above"] == "2"
