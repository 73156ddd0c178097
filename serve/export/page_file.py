"""The page of a night among the files of its export, and what happens where it cannot be built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve.export.atomic_folders import write_durably
from serve.failure import describe_failed_part

PAGE_NAME = "index.html"
# Returns the page as UTF-8.
PageBuilder = Callable[[], bytes]


@dataclass(frozen=True)
class CurrentExport:
    """The files that an export has made current.

    Attributes:
        file: The CRM's file.
        page: The page of the same scores; None where there is none.
        page_problem: Why the page could not be built; None if it was, or was not wanted.
    """

    file: Path
    page: Path | None = None
    page_problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "export": str(self.file),
            "page": str(self.page) if self.page else None,
            "page_problem": self.page_problem,
        }


def write_page(folder: Path, build_page: PageBuilder) -> str | None:
    """Write the page into a staged folder; return why that failed, None if it did not.

    Never raises for a failure: the scores are worth more than their page. A page that could not be
    written whole is removed.
    """
    path = folder / PAGE_NAME
    try:
        content = build_page()
        write_durably(path, lambda file: file.write(content))
    except (KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in a library written in Rust is no Exception.
    except BaseException as error:  # noqa: BLE001
        # Also frees the space for the manifest, where the disk was full.
        path.unlink(missing_ok=True)
        return describe_failed_part(error)
    return None
