"""Words for the failure of a part of a night that keeps no scores back."""

from __future__ import annotations

import traceback
from pathlib import Path

from configs.errors import LeadscoreError, make_printable

# Our own code, to name where an error came from; next to it lie other libraries, once installed.
ROOT = Path(__file__).parents[1]
PACKAGES = [ROOT / name for name in ("configs", "features", "models", "serve", "pipelines")]


def describe_failed_part(error: BaseException) -> str:
    """Return in one line what failed, without a value of a row.

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
