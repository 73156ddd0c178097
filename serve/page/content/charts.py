"""Parts of Vega-Lite specifications that several sections share.

Colours are variables of the page's style, so that they follow the theme without a new drawing.
"""

from __future__ import annotations

from typing import Any

# Pixels of one bar with the gap after it. Heights are numbers, not steps: only then does Vega fit
# the width, with the labels, into the place that the page gives.
BAR_HEIGHT = 24
# Counts have no fractions on their axis.
AXIS_COUNT: dict[str, Any] = {"axis": {"tickMinStep": 1, "tickCount": 6, "format": ",d"}}
# Shares, in per cent.
AXIS_SHARE: dict[str, Any] = {"axis": {"format": ".0%", "tickCount": 6}}
# Times of ``PageWords.wall_time``, which are shown as they are in every reader's zone.
AXIS_DAY: dict[str, Any] = {"type": "temporal", "scale": {"type": "utc"}, "axis": {"title": None}}
GRADE_COLOURS: dict[str, Any] = {
    "domain": ["A", "B", "C", "D"],
    "range": [f"var(--grade-{grade})" for grade in "abcd"],
}
