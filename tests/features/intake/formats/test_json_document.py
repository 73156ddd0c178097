"""JSON documents and nested objects: columns, rows, and what is refused."""

import bz2
import gzip
import json

import pyarrow as pa
import pytest

from configs.errors import DataError
from configs.source_rows import SourceRows
from features.intake.formats import json_document
from features.intake.reading import METADATA_COLUMNS, read_rows
from features.readings.source_form import FormEntry

ROWS = [
    {"id": "a", "p": {"x": 1, "q": {"y": "é"}}, "tags": [{"t": 1}], "e": {}},
    {"id": "b", "p": None, "tags": None, "e": None},
    {"id": "c", "p": {"x": 2.50, "z": True}, "tags": [], "e": {}},
]


def read(path, **keys):
    return read_rows(SourceRows(path=str(path), **keys), {})


def values(raw):
    """Return the rows, as dictionaries of the cells that have a value."""
    table = raw.table.drop_columns(list(METADATA_COLUMNS)).rename_columns(list(raw.names))
    return [{n: v for n, v in row.items() if v is not None} for row in table.to_pylist()]


def test_nested_objects_are_columns_with_dotted_names(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    raw = read(path)
    assert raw.names == ("e", "id", "p.q.y", "p.x", "p.z", "tags")
    assert values(raw) == [
        {"id": "a", "p.x": "1", "p.q.y": "é", "tags": '[{"t":1}]'},
        {"id": "b"},
        {"id": "c", "p.x": "2.5", "p.z": "true", "tags": "[]"},
    ]


def test_key_with_an_object_and_a_text_is_both_columns(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"p": "text"}\n{"p": {"x": 1}}\n')
    assert values(read(path)) == [{"p": "text"}, {"p.x": "1"}]


@pytest.mark.parametrize(
    "lines",
    ['{"p.x": 1}\n{"p": {"x": 2}}\n', '{"a": {"b.c": 1}}\n{"a.b": {"c": 1}}\n'],
)
def test_equal_dotted_names_are_refused(tmp_path, lines):
    (tmp_path / "a.jsonl").write_text(lines)
    with pytest.raises(DataError, match="same dotted name"):
        read(tmp_path / "a.jsonl")


def test_key_that_contains_a_dot_keeps_its_name(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"p.x": 1, "q": {"a/b~": 2}}\n')
    assert values(read(tmp_path / "a.jsonl")) == [{"p.x": "1", "q.a/b~": "2"}]


@pytest.mark.parametrize("indent", [None, 3])
@pytest.mark.parametrize("chunk", [7, 1 << 22])
def test_array_is_read_by_elements(tmp_path, monkeypatch, indent, chunk):
    monkeypatch.setattr(json_document, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(json_document, "BLOCK_ELEMENTS", 2)
    text = json.dumps([*ROWS, 17, "no object"], indent=indent, ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    raw = read(tmp_path / "a.json")
    assert values(raw)[:3] == values(read(tmp_path / "b.jsonl"))
    assert raw.table["row"].to_pylist() == [1, 2, 3, 4, 5]
    assert raw.table["broken"].to_pylist() == [None] * 3 + ["17", '"no object"']


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_array_that_is_cut_is_refused(tmp_path, cut):
    text = json.dumps(ROWS)
    (tmp_path / "a.json").write_text(text[:-cut])
    with pytest.raises(DataError, match="broken or cut"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1}] [{"a": 2}]', "text after the end"),
        ('[{"a": 1},]', "broken or cut"),
        ('[{"a": 1} {"a": 2}]', "broken or cut"),
        ('{"rows": [{"a": NaN}]}', "broken or cut.*NaN"),
        ('{"rows": [{"a": 1e999}]}', "impossible number"),
        ('{"a": 1, "b": [1, 2]}', "no array of objects"),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, "broken or cut"),
    ],
)
def test_broken_document_is_refused(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.json")


def test_page_of_an_api_is_found_or_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"paging": {"after": 1}, "data": {"items": ROWS}, "errors": []}))
    raw = read(path)
    assert len(values(raw)) == 3
    entry = FormEntry("records", "", "data.items", "proven", f"{path}: the only array of objects")
    assert raw.form == (entry,)
    assert read(path, records="data.items").form[0].origin == "config"
    assert values(read(path, records="errors")) == []
    with pytest.raises(DataError, match=r"no such array.*data.item.*\n.*data.items"):
        read(path, records="data.item")


def test_number_of_a_page_keeps_all_its_digits(tmp_path):
    (tmp_path / "a.json").write_text('{"rows": [{"n": 12345678901234567890123, "f": 0.1}]}')
    assert values(read(tmp_path / "a.json")) == [{"n": "12345678901234567890123", "f": "0.1"}]


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "lz4": lambda data: pa.compress(data, codec="lz4", asbytes=True),
}


@pytest.mark.parametrize("ending", PACKERS)
def test_packed_text_is_read_whole_or_refused(tmp_path, ending):
    data = "".join(json.dumps({"n": n, "t": str(n) * 9}) + "\n" for n in range(2_000)).encode()
    middle = data.index(b"\n", len(data) // 2) + 1
    first, second = (PACKERS[ending](part) for part in (data[:middle], data[middle:]))
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(first + second)
    assert len(read(path).table) == 2_000
    for packed in (first + second[:-3], first + second[: len(second) // 2], first + b"\n"):
        path.write_bytes(packed)
        with pytest.raises(DataError, match="cannot read the file"):
            read(path)


TWICE = [
    '{"id": "b", "x": 1, "x": 7}',
    '{"id": "b", "x": 1, "x": 1}',
    '{"id": "b", "x": 1, "\\u0078": 7}',
    '{"id": "b", "p": {"y": 1, "y": 7}}',
    '{"id": "b", "p": {"q": {"z": 1, "z": 7}}}',
    '{"id": "b", "p": {"y": 1}, "p": {"z": 7}}',
]


@pytest.mark.parametrize("twice", TWICE)
@pytest.mark.parametrize("form", ["a.jsonl", "array.json", "page.json"])
def test_object_with_a_key_twice_is_unreadable(tmp_path, form, twice):
    rows = ['{"id": "a", "x": 1, "p": {"y": 2, "q": {"y": 3}}, "t": [{"x": 1}, {"x": 1}]}', twice]
    joined = f"[{', '.join(rows)}]"
    text = {"a.jsonl": "\n".join(rows) + "\n", "array.json": joined}
    path = tmp_path / form
    path.write_text(text.get(form, f'{{"more": {{"n": 1}}, "data": {joined}}}'))
    raw = read(path)
    assert [value is not None for value in raw.table["broken"].to_pylist()] == [False, True]
    # The original is kept as it is, with both values.
    assert json.loads(raw.table["broken"][1].as_py(), object_pairs_hook=list) == json.loads(
        twice, object_pairs_hook=list
    )
    assert raw.table["row"].to_pylist() == [1, 2]


def test_page_with_two_arrays_of_one_key_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"data": [{"id": 1}], "data": [{"id": 2}]}')
    with pytest.raises(DataError, match="same key"):
        read(path)
    with pytest.raises(DataError, match="same key"):
        read(path, records="data")
