"""Build hook: write the commit into the package, so that an installed leadscore can name it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface):
    """Write ``pipelines/commit.txt`` before files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file and include it, although Git ignores it."""
        root = Path(self.root)
        # By path: an isolated build has none of leadscore's packages on its import path.
        names = runpy.run_path(str(root / "pipelines" / "version.py"))
        names["write_commit_file"](root)
        build_data["artifacts"].append(names["COMMIT_FILE"])
