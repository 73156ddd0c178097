"""The page of a night among the files of its export, and what happens where it cannot be built."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import LeadscoreError, make_printable
from serve.export.atomic_folders import write_durably

PAGE_NAME = "index.html"
# Returns the page as UTF-8.
PageBuilder = Callable[[], bytes]
# Our own code, to name where an error came from; next to it lie other libraries, once installed.
ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / name for name in ("configs", "features", "models", "serve", "pipelines")]


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
        return describe_page_failure(error)
    return None


def describe_page_failure(error: BaseException) -> str:
    """Return in one line why a page could not be built, without a value of a row.

    A message of a library may quote a value, so only its type and our line are named.
    """
    if isinstance(error, LeadscoreError):
        return make_printable(f"{error.title}: {error.what}")
    if isinstance(error, OSError) and error.strerror:
        return make_printable(error.strerror)
    name = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if any(map(Path(frame.filename).is_relative_to, PACKAGES))]
    if not ours:
        return name
    place = Path(ours[-1].filename).relative_to(ROOT).as_posix()
    return f"{name} in {ours[-1].name} ({place}:{ours[-1].lineno})"
