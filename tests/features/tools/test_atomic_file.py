import os

import pytest

from features.tools.atomic_file import write_atomically


def test_previous_file_stays_if_write_fails(tmp_path, monkeypatch):
    path = tmp_path / "note.txt"
    write_atomically(path, "one\n")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
        write_atomically(path, "two\n")
    assert path.read_bytes() == b"one\n" and list(tmp_path.iterdir()) == [path]
    write_atomically(path, "zwölf\n")
    assert path.read_text(encoding="utf-8") == "zwölf\n" and list(tmp_path.iterdir()) == [path]
