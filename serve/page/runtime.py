"""The chart library that a page carries: Vega, Vega-Lite and Vega-Embed in one script."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from features.tools.atomic_file import write_atomically

# Assigns the one function that the page calls; the script stays free of other global names.
SNIPPET = "window.vegaEmbed = vegaEmbed; window.vega = vega;"
PACKAGE = "vl-convert-python"
CACHE_FOLDER = "cache"


def bundle_chart_library(workspace: Path) -> str:
    """Return the script, about 0.9 MB.

    The package holds the libraries, so nothing is downloaded. To put them together takes 1.5 s of
    processor time, so the script is kept in the workspace, for each version of the package; one
    that was cut or changed there is put together again.
    """
    path = workspace / CACHE_FOLDER / f"chart-library-{version(PACKAGE)}.js"
    with suppress(OSError, ValueError):
        # As bytes: line ends of a script are part of what its hash covers.
        digest, _, script = path.read_bytes().decode().partition("\n")
        if digest == _sign_script(script):
            return script
    script = _put_together()
    # A page without a kept library is as good as one with it: a full disk stops neither.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{_sign_script(script)}\n{script}")
    return script


def _put_together() -> str:
    # Heavy: starts a JavaScript engine.
    import vl_convert

    script: str = vl_convert.javascript_bundle(SNIPPET)
    return script


def _sign_script(script: str) -> str:
    return f"// sha256 {hashlib.sha256((SNIPPET + script).encode()).hexdigest()}"
