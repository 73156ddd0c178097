"""One job for each of many things, a few at a time, on threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from joblib import effective_n_jobs

Thing = TypeVar("Thing")
Found = TypeVar("Found")


@contextmanager
def meanwhile(job: Callable[..., Found], *arguments: object) -> Iterator[Future[Found]]:
    """Do a job while the block goes on, which ends no earlier than the job; yield what it will have come to."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(job, *arguments)


def side_by_side(
    job: Callable[[Thing], Found],
    things: Iterable[Thing],
    workers: int = -1,
    ahead: int | None = None,
) -> Iterator[Found]:
    """Do a job for each of the things, and yield what each returned, in their order.

    ``workers`` are threads; -1 is one a core. No more than ``ahead`` results, twice the threads unless said, wait to be
    taken or are being made: the rest would fill memory. Raises what a job or the things themselves raise. It pays where
    a job lets go of the interpreter, as kernels and Arrow do.
    """
    threads = effective_n_jobs(workers)
    waiting = deque[Future[Found]]()
    pool = ThreadPoolExecutor(threads)
    try:
        for thing in things:
            waiting.append(pool.submit(job, thing))
            if len(waiting) > (2 * threads if ahead is None else ahead):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
