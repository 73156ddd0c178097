"""Atomic writes of small files."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by a text, in UTF-8 with LF, once the text is on the disk.

    A reader sees either the previous file or the new one. Raises OSError if the text cannot be
    written; the previous file then stays.
    """
    # The process id keeps two processes from writing the same draft.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            # Otherwise the new name could reach the disk before the text does.
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
