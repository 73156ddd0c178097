import os

import pytest

from features.tools.atomic_file import write_whole


def test_the_former_file_stays_where_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "note.txt"
    write_whole(path, "one\n")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
        write_whole(path, "two\n")
    assert path.read_bytes() == b"one\n" and list(tmp_path.iterdir()) == [path]
    write_whole(path, "zwölf\n")
    assert path.read_text(encoding="utf-8") == "zwölf\n" and list(tmp_path.iterdir()) == [path]
