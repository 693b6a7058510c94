"""The computing of chunks on the threads of this machine, with progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gatewise.chunked.partial_store import PartialStore
from gatewise.errors import FileError, GatewiseError, reason
from gatewise.progress import working


def write(result: Any, partial: PartialStore, run: Mapping[str, str], threads: int, work: str) -> None:
    """Write a lazy dataset to a zarr store, chunk by chunk; it takes the place of its target when it is whole.

    It is in zarr's second format, which every reader of zarr knows. Where the work is interrupted or fails, a store
    that was there before stays, and the chunks that are whole stay beside it: `run` is the identity with which it goes
    on. `work` is what a terminal calls it.
    """
    target = partial.target
    try:
        if not partial.resumed:
            partial.begin(result, run)
        writes = partial.remaining_work(result)
        with working(work, len(writes)) as done:
            _compute(writes, threads, done)
        partial.finish()
    except GatewiseError as problem:
        problem.args = (f"{problem}{partial.describe_rest()}",)
        raise
    except MemoryError:
        raise
    except Exception as problem:  # whatever zarr, its codecs and Dask raise
        raise FileError(f"cannot make {target}: {reason(problem)}{partial.describe_rest()}") from None


def _compute(writes: Sequence[Any], threads: int, done: Callable[[int], None]) -> None:
    """Compute the `dask.delayed.Delayed` that write chunks on threads of this machine; `done` counts chunks."""
    import dask
    from dask.callbacks import Callback

    keys = {write.key for write in writes}

    def ended(key: Any, *event: Any) -> None:
        done(int(key in keys))

    with ThreadPoolExecutor(threads) as pool:  # which waits for its threads
        try:
            with dask.config.set(pool=pool), Callback(posttask=ended):
                dask.compute(*writes, scheduler="threads", num_workers=threads)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
