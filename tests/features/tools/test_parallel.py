"""parallel_map: order, bounded look-ahead, and errors."""

import pytest

from features.tools.parallel import parallel_map


def test_parallel_map_bounds_pending_results():
    """Pending results take memory: a slow consumer must not let them pile up."""
    begun = []
    found = parallel_map(lambda number: begun.append(number) or -number, list(range(50)), 2)
    for taken in range(20):
        assert next(found) == -taken
        assert len(begun) <= taken + 1 + 2 * 2
    assert list(found) == [-number for number in range(20, 50)] and sorted(begun) == list(range(50))


def test_parallel_map_takes_items_lazily():
    """Items are pieces of a file: reading all of them ahead would fill memory too."""
    taken = []
    found = parallel_map(
        lambda number: number,
        (taken.append(number) or number for number in range(50)),
        2,
        max_pending=2,
    )
    assert next(found) == 0 and len(taken) <= 4
    assert list(found) == list(range(1, 50))


def test_parallel_map_raises_errors_in_order():
    def items():
        yield from (2, 1, 0)
        raise OSError("gone")

    found = parallel_map(lambda number: 2 // number, items(), 2, max_pending=0)
    assert next(found) == 1 and next(found) == 2
    with pytest.raises(ZeroDivisionError):
        next(found)
    with pytest.raises(OSError, match="gone"):
        list(parallel_map(str, items(), 1))
