"""What must hold before scores are published."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import NotFitToPublish


def check(frames: dict[str, pa.Table]) -> None:
    """Raise NotFitToPublish unless the frames, one a target, may be published.

    Refused are: no eligible entity under any target, an entity twice under one target, a probability that is not
    inside its interval or not between 0 and 1.
    """
    if not any(frame.num_rows for frame in frames.values()):
        raise NotFitToPublish(
            "no entity is eligible at this as-of",
            where=f"targets {', '.join(frames)}",
            found="0 rows to publish",
            mend="check --as-of and each target's population; without times, add leads whose outcome is empty",
        )
    for target, frame in frames.items():
        _refuse_bad_rows(target, frame)


def _refuse_bad_rows(target: str, frame: pa.Table) -> None:
    low, middle, high = (frame[name] for name in ("probability_low", "probability", "probability_high"))
    sane = pc.and_(pc.and_(pc.less_equal(0.0, low), pc.less_equal(low, middle)), pc.less_equal(middle, high))
    sane = pc.and_(sane, pc.less_equal(high, 1.0))
    bad = frame.filter(pc.invert(pc.fill_null(sane, False)))
    if bad.num_rows:
        raise NotFitToPublish(
            "probabilities outside their interval or outside 0 to 1",
            where=f"target {target}",
            found=f"{bad.num_rows} rows, such as {bad['entity_id'][0].as_py()!r}",
            mend="roll the model back, or train again",
        )
    twice = frame.num_rows - pc.count_distinct(frame["entity_id"]).as_py()
    if twice:
        raise NotFitToPublish("an entity is scored twice", where=f"target {target}", found=f"{twice} rows too many")
