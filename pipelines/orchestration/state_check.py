"""Check of the stored state, as far as it is quick."""

from __future__ import annotations

from pipelines.orchestration.status import Findings, Watched


def check_stored_state(watched: Watched) -> Findings:
    """Return an alarm for each problem of a quick verification.

    It reads the newest night, the current files and the champions alone. Large files, former
    exports, older nights and other versions are left to `leadscore verify`.
    """
    # Imported here: it imports what may be broken, and takes half a second.
    from pipelines.verify import verify_project

    return Findings(tuple(verify_project(watched.project, watched.now, quick=True).alarms()))
