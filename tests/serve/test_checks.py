"""What must not be published is refused with the target, the count and an example."""

import pyarrow as pa
import pytest

from configs.errors import NotFitToPublish
from serve.checks import check


def frame(*rows):
    names = ["entity_id", "probability_low", "probability", "probability_high"]
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def test_sane_frames_pass_and_one_target_may_be_empty():
    check({"a": frame(("x", 0.0, 0.5, 1.0), ("y", 0.1, 0.1, 0.1)), "b": frame(("x", 0.2, 0.3, 0.4)).slice(1)})


def test_nothing_to_publish_is_refused():
    with pytest.raises(NotFitToPublish, match="0 rows"):
        check({"a": frame(("x", 0.0, 0.5, 1.0)).slice(1)})


@pytest.mark.parametrize(
    "row",
    [
        ("bad", 0.6, 0.5, 0.7),
        ("bad", 0.1, 0.5, 0.4),
        ("bad", 0.1, 0.5, 1.1),
        ("bad", -0.1, 0.5, 0.6),
        ("bad", 0.1, float("nan"), 0.6),
        ("bad", None, 0.5, 0.6),
    ],
)
def test_a_probability_outside_its_interval_is_refused(row):
    with pytest.raises(NotFitToPublish, match="1 rows, such as 'bad'"):
        check({"a": frame(("x", 0.0, 0.5, 1.0), row)})


def test_an_entity_twice_is_refused():
    with pytest.raises(NotFitToPublish, match="twice"):
        check({"a": frame(("x", 0.0, 0.5, 1.0), ("x", 0.0, 0.5, 1.0))})
