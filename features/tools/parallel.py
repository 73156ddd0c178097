"""One job for each of many things, a few at a time, on threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from joblib import effective_n_jobs

Item = TypeVar("Thing")
Result = TypeVar("Found")


@contextmanager
def run_in_background(job: Callable[..., Result], *arguments: object) -> Iterator[Future[Result]]:
    """Do a job while the block goes on, which ends no earlier than the job; yield what it will have come to."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(job, *arguments)


def parallel_map(
    job: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = -1,
    max_pending: int | None = None,
) -> Iterator[Result]:
    """Do a job for each of the things, and yield what each returned, in their order.

    ``workers`` are threads; -1 is one a core. No more than ``max_pending`` results, twice the threads unless said, wait to be
    taken or are being made: the rest would fill memory. Raises what a job or the things themselves raise. It pays where
    a job lets go of the interpreter, as kernels and Arrow do.
    """
    threads = effective_n_jobs(workers)
    waiting = deque[Future[Result]]()
    pool = ThreadPoolExecutor(threads)
    try:
        for thing in items:
            waiting.append(pool.submit(job, thing))
            if len(waiting) > (2 * threads if max_pending is None else max_pending):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
