"""Compilation of kernels, cached until any source file of ``features`` changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

nb: Any = numba  # its type stubs lack config.CACHE_DIR


def _hash_sources() -> str:
    """Return a hash of the source files of ``features``."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# numba keys its cache by the file of a function alone, but a kernel has functions of other files
# compiled into it. So each state of the sources has a cache folder of its own.
_CACHE_FOLDER = (
    Path(nb.config.CACHE_DIR or Path(__file__).parent / "__pycache__")
    / f"kernels-{_hash_sources()}"
)


def jit_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on its first call; it releases the GIL, so threads run in parallel."""
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
