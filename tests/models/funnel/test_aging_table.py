"""Open leads by age: by hand, and adding up to the funnel's open and stuck ones."""

from models.funnel.aging_table import build_aging_table
from models.funnel.funnel_table import estimate_stages
from tests.models.funnel.histories import CREATED, MQL, all_leads, make_history
from tests.models.funnel.test_curve_table import make_long_history
from tests.models.funnel.test_funnel_table import EXAMPLE, rows_of


def rows_by_class(history):
    staged = estimate_stages(history, all_leads(history))
    rows = build_aging_table(history, staged).to_pylist()
    return {(row["stage"], row["age_class"]): (row["open"], row["value"]) for row in rows}


def test_classes_by_hand():
    # Those who advance do so after 10, 20, 30, 40 and 50 days: half in 30, 80 % in 40.
    visits = [(lead, CREATED, 0, 10 * (lead + 1), MQL) for lead in range(5)]
    visits += [(lead, MQL, 10 * (lead + 1), None, None) for lead in range(5)]
    ages = (1, 30, 35, 40, 41, 70)
    visits += [(5 + at, CREATED, 100 - age, None, None) for at, age in enumerate(ages)]
    value = [1.0] * 5 + [10.0, 20.0, 40.0, 80.0, 160.0, 320.0]
    rows = rows_by_class(make_history(sorted(visits), value=value))
    staged = rows_of(make_history(sorted(visits)))["all", "created"]
    median, p80 = staged["median_days"], staged["p80_days"]
    young = [v for age, v in zip(ages, value[5:], strict=True) if age <= median]
    slow = [v for age, v in zip(ages, value[5:], strict=True) if median < age <= p80]
    stuck = [v for age, v in zip(ages, value[5:], strict=True) if age > p80]
    assert young and slow and stuck
    assert rows["created", "up_to_median"] == (len(young), sum(young))
    assert rows["created", "up_to_p80"] == (len(slow), sum(slow))
    assert rows["created", "stuck"] == (len(stuck), sum(stuck))
    # From mql nobody has advanced, so no age is old there.
    assert rows["mql", "unknown"] == (5, 5.0)
    assert set(rows) == {("mql", "unknown")} | {
        ("created", name) for name in ("up_to_median", "up_to_p80", "stuck")
    }


def test_classes_add_up_to_the_funnel():
    for history in (make_history(EXAMPLE), make_long_history()):
        rows, funnel = rows_by_class(history), rows_of(history)
        for (_, stage), row in funnel.items():
            own = {name: count for (at, name), (count, _) in rows.items() if at == stage}
            assert sum(own.values()) == row["open"]
            assert own.get("stuck", 0) == row["stuck"]
            assert all(value is None for _, value in rows.values())
