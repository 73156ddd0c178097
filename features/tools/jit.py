"""Compiling kernels, and keeping what was compiled until any of their sources changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

nb: Any = numba  # its stubs do not know the folder of the cache


def _hash_sources() -> str:
    """Return a hash of the code of ``features``."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


# numba keeps compiled code by the file of the function alone, and a kernel has functions of other files built in.
_CACHE_FOLDER = Path(nb.config.CACHE_DIR or Path(__file__).parent / "__pycache__") / f"kernels-{_hash_sources()}"


def jit_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on its first call; it runs beside others, since it lets go of the interpreter."""
    return _compile_cached(function, inline="never")


def jit_inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a small function into each kernel that calls it."""
    return _compile_cached(function, inline="always")


def _compile_cached(function: Callable[..., Any], inline: str) -> Callable[..., Any]:
    before = nb.config.CACHE_DIR
    nb.config.CACHE_DIR = str(_CACHE_FOLDER)
    try:
        return nb.njit(cache=True, nogil=True, inline=inline)(function)
    finally:
        nb.config.CACHE_DIR = before
