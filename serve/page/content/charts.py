"""Parts of Vega-Lite specifications that several sections share.

Colours are variables of the page's style, so that they follow the theme without a new drawing.
"""

from __future__ import annotations

from typing import Any

# Counts have no fractions on their axis.
AXIS_COUNT: dict[str, Any] = {"axis": {"tickMinStep": 1, "format": ",d"}}
GRADE_COLOURS: dict[str, Any] = {
    "domain": ["A", "B", "C", "D"],
    "range": [f"var(--grade-{grade})" for grade in "abcd"],
}
