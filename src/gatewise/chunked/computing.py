"""Workers that compute chunks: the threads of this machine or those of a cluster, with progress."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any

from gatewise.chunked.partial_store import PartialStore
from gatewise.errors import FileError, GatewiseError, OptionError, reason
from gatewise.progress import working

ANSWER = 5.0  # seconds in which a scheduler answers
ALONE = 5.0  # seconds in which a worker that was killed may come back, where there is no other
PATIENCE = 30.0  # seconds in which the workers of a cluster end their tasks, once these are cancelled


def write(result: Any, partial: PartialStore, run: Mapping[str, str], workers: Workers, work: str) -> None:
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
            workers.compute(writes, done)
        partial.finish()
    except ClusterLostError as problem:
        raise ClusterLostError(f"cannot make {target}: {problem}{partial.describe_rest()}") from None
    except GatewiseError as problem:
        problem.args = (f"{problem}{partial.describe_rest()}",)
        raise
    except MemoryError:
        raise
    except Exception as problem:  # whatever zarr, its codecs, Dask and a cluster raise
        raise FileError(f"cannot make {target}: {reason(problem)}{partial.describe_rest()}") from None


class Workers:
    """The threads of this machine."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def compute(self, writes: Sequence[Any], done: Callable[[int], None]) -> None:
        """Compute the `dask.delayed.Delayed` that write chunks on the threads of this machine; `done` counts chunks."""
        import dask
        from dask.callbacks import Callback

        keys = {write.key for write in writes}

        def ended(key: Any, *event: Any) -> None:
            done(int(key in keys))

        with ThreadPoolExecutor(self.threads) as pool:  # which waits for its threads
            try:
                with dask.config.set(pool=pool), Callback(posttask=ended):
                    dask.compute(*writes, scheduler="threads", num_workers=self.threads)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


class ClusterLostError(FileError):
    """A result that nobody is left to compute: the scheduler of the cluster has died, or its last worker."""


class Cluster(Workers):
    """The workers of a cluster of dask.distributed, by its client."""

    def __init__(self, client: Any) -> None:
        super().__init__(sum(client.nthreads().values()))
        self.client, self.address = client, client.scheduler.address

    def compute(self, writes: Sequence[Any], done: Callable[[int], None]) -> None:
        """Compute the `dask.delayed.Delayed` that write chunks on the cluster; `done` counts chunks.

        Where it is interrupted, the tasks are cancelled and end. Raise ClusterLostError if the scheduler does not
        answer, or no worker has been there for some seconds.
        """
        client = self.client
        with warnings.catch_warnings():  # of a graph that is large, which it is with a large model in it
            warnings.filterwarnings("ignore", "Sending large graph")
            futures = client.compute([*writes])
        try:
            client.sync(self._watch, futures, done)
        except BaseException:
            if client.status != "running":
                raise ClusterLostError(f"the scheduler at {self.address!r} does not answer any more") from None
            self._cancel(futures)
            raise

    async def _watch(self, futures: Sequence[Any], done: Callable[[int], None]) -> None:
        """Wait until every chunk is written; raise ClusterLostError where nobody is left to do it."""
        waits = self._all_written(futures, done), self._last_worker_gone(), self._disconnected()
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        for task in ended:
            task.result()

    async def _all_written(self, futures: Sequence[Any], done: Callable[[int], None]) -> None:
        """Wait until every chunk is written, and count them; raise what one of them raises."""
        from distributed import as_completed

        async for future in as_completed(futures, loop=self.client.loop):
            await future
            done(1)

    async def _last_worker_gone(self) -> None:
        """Raise ClusterLostError when the cluster has been without workers for some seconds."""
        last_seen = monotonic()
        while monotonic() - last_seen < ALONE:
            with suppress(OSError):  # of a scheduler that is gone
                if await self.client.scheduler.ncores():
                    last_seen = monotonic()
            await asyncio.sleep(0.5)
        raise ClusterLostError(f"the last worker of the cluster at {self.address!r} is gone")

    async def _disconnected(self) -> None:
        """Raise when the scheduler is gone, which may not be seen where a question to it is under way."""
        while self.client.status == "running":
            await asyncio.sleep(0.5)
        raise ConnectionError

    def _cancel(self, futures: Sequence[Any]) -> None:
        """Cancel tasks, and wait until the workers have ended those that they had begun."""
        client = self.client
        with suppress(OSError):  # the scheduler may die meanwhile
            client.cancel(futures, force=True)
            end = monotonic() + PATIENCE
            while any(client.processing().values()) and monotonic() < end:
                sleep(0.1)


@contextmanager
def workers_at(address: str | None, threads: int) -> Iterator[Workers]:
    """Yield the workers of the Dask cluster whose scheduler has this address, or the threads of this machine."""
    if address is None:
        yield Workers(threads)
        return
    from distributed import Client
    from distributed.comm import connect

    async def tried() -> None:  # a client that finds nobody stays around for a while, and complains as it goes
        (await connect(address, timeout=ANSWER)).abort()

    with _without_logs():
        try:
            asyncio.run(tried())
            client = Client(address, set_as_default=False, timeout=ANSWER)
        except (OSError, ValueError) as problem:  # of an address that is none, or where nobody answers
            raise OptionError(f"no scheduler of dask.distributed answers at {address!r} ({reason(problem)})") from None
        with client:
            if not client.nthreads():
                raise OptionError(f"the cluster at {address!r} has no workers yet")
            yield Cluster(client)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Log nothing while the block runs: distributed and asyncio log much about a scheduler that is gone."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)
