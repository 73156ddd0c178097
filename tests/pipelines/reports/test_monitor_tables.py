"""What the report on realised outcomes says of grades that are out of order."""

from types import SimpleNamespace

import pytest

from pipelines.reports.monitor_tables import describe_recommendation
from serve.monitoring.expectations import recommend_retraining
from tests.serve.monitoring.test_grade_order import counted


@pytest.mark.parametrize(
    ("published", "first", "last"),
    [(0.14, "train again: version 3: grade A does worse than B", ""), (0.065, "watch: ", " yet")],
)
def test_grades_out_of_order_are_said_with_the_recommendation(published, first, last):
    orders = counted((2, 81, published), (21, 385, 0.06))
    result = SimpleNamespace(
        followed=SimpleNamespace(first_mature=None),
        counts={"published": 466, "used": 466},
        without_expectations=(),
        warnings=(),
        champion="3",
        recommendation=recommend_retraining("3", [], [], None, grades=orders),
    )
    lines = list(describe_recommendation(result))
    assert lines[0].startswith(first)
    assert lines[1:] == ([f"no need to train again{last} (champion: version 3)"] if last else [])
