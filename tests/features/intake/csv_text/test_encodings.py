"""Encodings of whole files, and damage that is not another encoding."""

import gzip
import re

import pytest

from configs.errors import DataError
from configs.source_rows import SourceRows
from features.intake.csv_text import encodings
from features.intake.formats import delimited
from features.intake.storage.source_file import LocalFile

RUSSIAN = "id;имя;сумма\nA1;Иван Петров;1,5\nA2;Мария Сидорова;2,5\n"
GERMAN = "id;Name;Straße\nA1;Jörg Müller;Große Allee\nA2;Käthe Weiß;Königstraße\n"


@pytest.fixture
def read(tmp_path):
    def read_bytes(data, name="x.csv", **keys):
        path = tmp_path / name
        path.write_bytes(data)
        blocks = list(delimited.read_csv(LocalFile.find(path), SourceRows(path=str(path), **keys)))
        rows = [
            list(row)
            for block in blocks
            for row in zip(*(c.to_pylist() for c in block.table.columns), strict=True)
        ]
        form = {entry.key: (entry.value, entry.origin) for b in blocks for entry in b.form}
        broken = [each.line for block in blocks for each in block.broken]
        return [blocks[0].names, *rows], form, broken, [w for b in blocks for w in b.warnings]

    return read_bytes


def cells(text):
    return [line.split(";") for line in text.splitlines()]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
@pytest.mark.parametrize(
    ("text", "encoding", "value", "origin"),
    [
        (RUSSIAN, "utf-8", "utf-8", "proven"),
        (RUSSIAN, "utf-8-sig", "utf-8", "stated"),
        (RUSSIAN, "utf-16", "utf-16-le", "stated"),
        (RUSSIAN, "utf-16-le", "utf-16-le", "proven"),
        (RUSSIAN, "utf-16-be", "utf-16-be", "proven"),
        (RUSSIAN, "utf-32", "utf-32-le", "stated"),
        (RUSSIAN, "windows-1251", "windows-1251", "proven"),
        (RUSSIAN, "koi8-r", "koi8-r", "proven"),
        (RUSSIAN, "cp866", "cp866", "proven"),
        (GERMAN, "windows-1252", "windows-1252", "proven"),
        (GERMAN, "iso-8859-1", "windows-1252", "proven"),
        (GERMAN, "utf-16-be", "utf-16-be", "proven"),
    ],
)
def test_encoding_is_found(read, text, encoding, value, origin, name):
    data = text.encode(encoding)
    data = gzip.compress(data) if name.endswith("gz") else data
    table, form, broken, _ = read(data, name)
    assert (table, broken) == (cells(text), [])
    assert form["encoding"] == (value, origin)


@pytest.mark.parametrize("name", ["cp1251", "windows-1251", "CP1251"])
def test_encoding_of_the_config_is_used(read, name):
    table, form, *_ = read(RUSSIAN.encode("cp1251"), encoding=name)
    assert table == cells(RUSSIAN) and form["encoding"] == (name, "config")


def test_encodings_of_several_bytes_can_be_given(read):
    text = "id;名前\n1;東京\n2;表\n"  # The second byte of 表 is a backslash.
    for encoding in ("shift_jis", "gbk", "euc_jp", "iso2022_jp"):
        assert read(text.encode(encoding), encoding=encoding)[0] == cells(text)


def test_pair_of_possible_encodings_are_refused_with_both_readings(read):
    data = "id;name\n1;Hélène\n2;Crème\n3;Ann\n".encode("cp1252")
    with pytest.raises(DataError, match="encoding is in doubt") as caught:
        read(data)
    assert "line 2: 'è' as windows-1252 or 'č' as windows-1250" in caught.value.found
    assert caught.value.fix == "encoding: windows-1252, or encoding: windows-1250"
    assert "Hélène" not in caught.value.found  # It may be a personal value.
    assert read(data, encoding="windows-1252")[0][1] == ["1", "Hélène"]


@pytest.mark.parametrize("text", ["Łódź", "İstanbul", "中文", "שלום"])
def test_text_of_other_languages_is_never_read_as_western_or_russian(read, text):
    encoding = {"Ł": "cp1250", "İ": "cp1254", "中": "gbk", "ש": "cp1255"}[text[0]]
    data = f"id;name\n1;{text}\n2;{text}{text}\n".encode(encoding)
    with pytest.raises(DataError, match="encoding is in doubt"):
        read(data)


@pytest.mark.parametrize("byte", [b"\xff", b"\xe9", b"\xc3", b"\x80"])
def test_single_broken_byte_leaves_a_utf8_file_utf8(read, byte):
    lines = [f"A{i};Müller {i}\n".encode() for i in range(50)]
    lines[20] = b"A20;M" + byte + b"ller\n"
    table, form, broken, _ = read(b"id;name\n" + b"".join(lines))
    assert broken == [22] and len(table) == 50
    assert form["encoding"] == ("utf-8", "proven")
    assert table[1] == ["A0", "Müller 0"]


def test_single_broken_line_of_many_proves_no_encoding(read):
    data = b"id;name\n" + b"".join(b"A%d;visit\n" % i for i in range(2_000)) + b"A9;v\xe9sit\n"
    table, form, broken, warnings = read(data)
    assert (len(table), broken) == (2_001, [2_002])
    assert form["encoding"] == ("utf-8", "default")
    assert "encoding: windows-1252" in warnings[0] and "line 2,002: 'é'" in warnings[0]


def test_text_after_blocks_of_ascii_decides(read, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 4096)
    lines = [f"A{i};visit\n" for i in range(1_000)]
    text = "id;type\n" + "".join(lines) + "B1;звонок\nB2;заявка\nB3;Сайт компании\n" * 5
    table, form, broken, _ = read(text.encode("cp1251"))
    assert (table, broken) == (cells(text), [])
    assert form["encoding"] == ("windows-1251", "proven")


def test_pair_of_encodings_in_one_file(read, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(encodings, "ENOUGH_LINES", 100)
    one = "".join(f"A{i};Мария Сидорова\n" for i in range(400))
    with pytest.raises(DataError, match="two encodings in one file"):
        read(b"id;name\n" + one.encode("cp1251") + one.encode())
    # Rows that were appended to a file in UTF-8 are set aside.
    table, form, broken, _ = read(b"id;name\n" + one.encode() + one.encode("cp1251"))
    assert (len(table), len(broken), form["encoding"][0]) == (401, 400, "utf-8")


@pytest.mark.parametrize(
    ("text", "other", "encoding"),
    [
        (RUSSIAN, "Z;Москва;1\n", "cp1251"),
        (RUSSIAN, "Z;Москва;1\n", "koi8-r"),
        (RUSSIAN, "Z;Ростов;1\n", "cp866"),
        (GERMAN, "Z;Düsseldorf;1\n", "cp1252"),
        (GERMAN, "Z;Café;1\n", "cp1252"),
    ],
)
def test_few_lines_of_utf8_in_another_encoding_are_set_aside(read, text, other, encoding):
    data = text.encode(encoding) + b"".join(text.encode(encoding).splitlines(True)[1:]) * 20
    table, form, broken, warnings = read(data + other.encode() + data.splitlines(True)[1])
    count = len(text.splitlines()) + 40
    assert broken == [count + 1] and len(table) == count + 1
    assert table[1] == table[-1] == text.splitlines()[1].split(";")
    assert f"1 lines are UTF-8 in a file that is {form['encoding'][0]}" in warnings[0]
    assert f"line {count + 1}" in warnings[0]


def test_short_words_that_are_utf8_by_chance_stay(read):
    # т, и and п of cp866 are one character of UTF-8.
    text = RUSSIAN + "A3;тип;1\nA4;так;2\n"
    table, _, broken, warnings = read((text + RUSSIAN * 20).encode("cp866"))
    assert (broken, warnings) == ([], []) and table[3:5] == [["A3", "тип", "1"], ["A4", "так", "2"]]


@pytest.mark.parametrize("size", [64, 65, 4096])
def test_utf16_with_broken_units_keeps_the_other_rows(read, monkeypatch, size):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", size)
    data = RUSSIAN.encode("utf-16-le")
    table, _, broken, _ = read(b"\xff\xfe" + data + b"A")
    assert table == cells(RUSSIAN) and broken == [4]
    lone = "A3;".encode("utf-16-le") + b"\x00\xd8" + ";1\n".encode("utf-16-le")
    table, _, broken, _ = read(b"\xff\xfe" + data + lone + "A4;x;2\n".encode("utf-16-le"))
    assert broken == [4] and table == [*cells(RUSSIAN), ["A4", "x", "2"]]


def test_mark_of_another_encoding_than_the_config_says(read):
    with pytest.raises(DataError, match="another encoding than the config says"):
        read(RUSSIAN.encode("utf-8-sig"), encoding="windows-1251")
    assert read(RUSSIAN.encode("utf-8-sig"), encoding="utf-8")[0] == cells(RUSSIAN)
    assert read(RUSSIAN.encode("utf-16"), encoding="utf-16")[0] == cells(RUSSIAN)


def test_bytes_without_a_meaning_break_their_row(read):
    data = RUSSIAN.encode("cp1251") + b"A3;\x98;1\n"
    for keys in ({}, {"encoding": "windows-1251"}):
        table, _, broken, _ = read(data, **keys)
        assert table == cells(RUSSIAN) and broken == [4]


def test_evidence_shows_a_word_that_the_encodings_read_otherwise(tmp_path):
    words = ["Hélène", "Crème", "Père", "Mère", "Frère", "Zoë", "Chloë", "Noël", "Gaël", "Joël"]
    path = tmp_path / "x.csv"
    rows = "".join(f"{n};{word}\n" for n, word in enumerate(words, 3))
    path.write_bytes(("id;name\n1;Ann – Bob\n" + rows).encode("cp1252"))
    blocks = delimited.read_csv(LocalFile.find(path), SourceRows(path=str(path)))
    form = [entry for block in blocks for entry in block.form]
    (entry,) = (entry for entry in form if entry.key == "encoding")
    assert (entry.value, entry.origin) == ("windows-1252", "proven")
    first, second = re.findall("'(.+?)' as", entry.evidence)
    assert first != second and "–" not in first
