"""The chart library that a page carries: Vega, Vega-Lite and Vega-Embed in one script."""

from __future__ import annotations

from functools import cache

# Assigns the one function that the page calls; the script stays free of other global names.
SNIPPET = "window.vegaEmbed = vegaEmbed; window.vega = vega;"


@cache
def bundle_chart_library() -> str:
    """Return the script, about 0.9 MB; it is put together once per process, in about 1.5 s.

    The package holds the libraries itself, so nothing is downloaded.
    """
    # Heavy: starts a JavaScript engine.
    import vl_convert

    script: str = vl_convert.javascript_bundle(SNIPPET)
    return script
