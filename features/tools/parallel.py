"""Jobs on threads: one in the background, or one for each of many items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from joblib import effective_n_jobs

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def run_in_background(job: Callable[..., Result], *arguments: object) -> Iterator[Future[Result]]:
    """Run ``job`` in a background thread and yield its Future; the block ends after the job."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(job, *arguments)


def parallel_map(
    job: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = -1,
    max_pending: int | None = None,
) -> Iterator[Result]:
    """Run a job for each item on threads; yield the results in the order of the items.

    ``workers`` is the number of threads; -1 is one a core. At most ``max_pending`` results, by
    default twice the threads, are waiting or in progress: more would fill memory. Raises what a job
    or the items themselves raise. It pays where a job releases the GIL, as kernels and Arrow do.
    """
    threads = effective_n_jobs(workers)
    # Taken in the order of the items, so that the number of threads changes no result.
    pending = deque[Future[Result]]()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            pending.append(pool.submit(job, item))
            if len(pending) > (2 * threads if max_pending is None else max_pending):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # After an error, or if the caller stops early, jobs that have not begun are dropped.
        pool.shutdown(cancel_futures=True)
