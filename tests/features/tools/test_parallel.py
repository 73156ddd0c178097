"""Jobs side by side: in order, not far ahead, and what one raises ends them."""

import pytest

from features.tools.parallel import parallel_map


def test_no_result_is_far_ahead_of_what_is_taken():
    """Each result that waits lies in memory: a slow writer must not let them pile up."""
    begun = []
    found = parallel_map(lambda number: begun.append(number) or -number, list(range(50)), 2)
    for taken in range(20):
        assert next(found) == -taken
        assert len(begun) <= taken + 1 + 2 * 2
    assert list(found) == [-number for number in range(20, 50)] and sorted(begun) == list(range(50))


def test_things_are_only_taken_when_there_is_room_for_them():
    """They are pieces of a file: to read them all at once would fill memory too."""
    taken = []
    found = parallel_map(
        lambda number: number,
        (taken.append(number) or number for number in range(50)),
        2,
        max_pending=2,
    )
    assert next(found) == 0 and len(taken) <= 4
    assert list(found) == list(range(1, 50))


def test_what_a_job_or_a_thing_raises_comes_at_its_turn():
    def things():
        yield from (2, 1, 0)
        raise OSError("gone")

    found = parallel_map(lambda number: 2 // number, things(), 2, max_pending=0)
    assert next(found) == 1 and next(found) == 2
    with pytest.raises(ZeroDivisionError):
        next(found)
    with pytest.raises(OSError, match="gone"):
        list(parallel_map(str, things(), 1))
