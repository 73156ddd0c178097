"""Compiling kernels, and keeping what was compiled until any of their sources changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

nb: Any = numba  # its stubs do not know the folder of the cache


def _sources() -> str:
    """Return a hash of the code of ``features``."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


# numba keeps compiled code by the file of the function alone, and a kernel has functions of other files built in.
_kept = Path(nb.config.CACHE_DIR or Path(__file__).parent / "__pycache__") / f"kernels-{_sources()}"


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on its first call; it runs beside others, since it lets go of the interpreter."""
    return _compiled(function, inline="never")


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a small function into each kernel that calls it."""
    return _compiled(function, inline="always")


def _compiled(function: Callable[..., Any], inline: str) -> Callable[..., Any]:
    before = nb.config.CACHE_DIR
    nb.config.CACHE_DIR = str(_kept)
    try:
        return nb.njit(cache=True, nogil=True, inline=inline)(function)
    finally:
        nb.config.CACHE_DIR = before
