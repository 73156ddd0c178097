"""Check that Python imports leadscore's own packages, whose names are common words.

This module imports nothing of leadscore: it must work where the other packages are hidden.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# `leadscore` itself is left out: this module is only found where that package is.
OWN_PACKAGES = ("configs", "features", "models", "serve", "pipelines")


class PackageClash(ImportError):
    """Another package of the same name is found before one of leadscore's."""


def require_own_packages() -> None:
    """Raise PackageClash if a package of another project hides one of leadscore's.

    A folder ``models`` with an ``__init__.py`` in the working directory, next to a notebook or on
    PYTHONPATH is found before the installed one. The error names its path.
    """
    root = Path(__file__).resolve().parents[1]
    for name in OWN_PACKAGES:
        path = find_package_folder(name)
        if path is not None and path != root / name:
            raise PackageClash(
                f"another package named '{name}' hides leadscore's: found {path}, "
                f"expected {root / name}. Start Python outside {path.parent}, take that folder "
                f"off PYTHONPATH and sys.path, or rename its '{name}'."
            )


def find_package_folder(name: str) -> Path | None:
    """Return the folder that ``import name`` reads, or None if there is no such package."""
    # A package that is loaded already wins over every path, and may lack the spec of its import.
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.find_spec(name)
        folders = spec and (spec.submodule_search_locations or [str(spec.origin)])
    else:
        folders = list(getattr(module, "__path__", [])) or [str(module.__file__)]
    return Path(next(iter(folders))).resolve() if folders else None
