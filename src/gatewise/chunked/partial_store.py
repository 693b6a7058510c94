"""A store that is being written, beside its target and chunk by chunk, so that a run that was ended can go on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate, product, zip_longest
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, OptionError, shown
from gatewise.files.budget import Budget
from gatewise.files.protecting import require_unread
from gatewise.files.replacing import beside, exclusive, require_replaceable, resolved
from gatewise.interop.containers import json_document
from gatewise.interop.containers.zarr_stores import is_store
from gatewise.showing import counted

SUFFIX = ".partial"
STORE, RECORD, DONE, OLD, LOCK = "store", "run.json", "done", "old", "lock"
Region = dict[str, slice]


class PartialStore:
    """The folder ``NAME.partial`` beside a store, in which a run writes it.

    It holds the store; a record of the run, which is there once the store's metadata are whole; and a file for each
    chunk that is whole. The store takes its name when every chunk is.
    """

    def __init__(self, target: Path, folder: Path) -> None:
        self.target, self.folder, self.store = target, folder, folder / STORE
        self.chunks: dict[str, int] | None = None  # sizes by dimension, of an ended run that goes on
        self.token = os.urandom(8).hex()  # of this run, so that no worker of an ended one writes into it

    @property
    def resumed(self) -> bool:
        """Whether an ended run goes on."""
        return self.chunks is not None

    @property
    def done(self) -> set[int]:
        """The numbers of the chunks that are whole; none once the store has its name."""
        folder = self.folder / DONE
        there = self.store.is_dir() and folder.is_dir()
        return {int(name) for name in os.listdir(folder) if name.isdigit()} if there else set()

    def resume(self, run: Mapping[str, str]) -> bool:
        """Go on with an ended run, if there is one; OptionError if it is not this `run`, by name."""
        if not (self.store.is_dir() and (self.folder / RECORD).is_file()):
            return False
        path = self.folder / RECORD
        try:
            record = json_document.read_document(path, Budget.of(path))
            begun, chunks = dict(record["run"]), {str(name): int(size) for name, size in record["chunks"].items()}
            if min(chunks.values(), default=1) < 1:
                raise ValueError
        except (FileError, KeyError, TypeError, ValueError, AttributeError):
            raise FileError(f"cannot read {path}, the record of an interrupted run. Remove {self.folder}.") from None
        for name, value in run.items():
            if begun.get(name) != value:
                was, now = _first_difference(str(begun.get(name)), value)
                raise OptionError(
                    f"{self.folder} was started with another {name}: {was}, not {now}. Start again without --resume."
                )
        self.chunks = chunks
        self._record(run, chunks)
        return True

    def begin(self, result: Any, run: Mapping[str, str]) -> None:
        """Write the metadata and the coordinates of a new store, and the record of its run; what was there goes."""
        (self.folder / RECORD).unlink(missing_ok=True)
        for name in (STORE, DONE):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        lazy = {name: coordinate.compute() for name, coordinate in result.coords.items() if coordinate.chunks}
        result.assign_coords(lazy).to_zarr(self.store, mode="w", zarr_format=2, compute=False)
        (self.folder / DONE).mkdir()
        sizes = result.reset_coords(drop=True).chunksizes
        self._record(run, {str(dim): chunks[0] for dim, chunks in sizes.items() if chunks})

    def _record(self, run: Mapping[str, str], chunks: Mapping[str, int]) -> None:
        """Write the record of the run that writes the store from now on."""
        record = {"token": self.token, "run": dict(run), "chunks": dict(chunks)}
        with beside(self.folder / RECORD, overwrite=True) as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")

    def remaining_work(self, result: Any) -> list[Any]:
        """Return for each chunk of a result that is not whole yet a `dask.delayed.Delayed` that writes it."""
        from dask import delayed

        done, write, writes = self.done, delayed(_write_chunk, pure=False), list[Any]()
        blocks = {name: (array.dims, array.data.to_delayed(optimize_graph=False)) for name, array in result.items()}
        for number, (places, region) in enumerate(_regions(result.reset_coords(drop=True))):
            if number not in done:
                arrays = {
                    name: (dims, chunks[tuple(places.get(dim, 0) for dim in dims)])
                    for name, (dims, chunks) in blocks.items()
                }
                writes.append(write(str(self.folder), self.token, number, region, arrays))
        return writes

    def finish(self) -> None:
        """Put the whole store in the place of its target; FileError if that was read meanwhile."""
        require_unread(self.target, self.target)
        try:
            for unfinished in self.store.rglob("*.partial"):  # zarr's own, of a process that was killed in a write
                if unfinished.is_file():
                    unfinished.unlink(missing_ok=True)
            if self.target.exists():
                self.target.replace(self.folder / OLD)
            self.store.replace(self.target)
            (self.folder / RECORD).unlink(missing_ok=True)  # from here on, what is left can go
        except OSError as problem:
            raise FileError(f"cannot write {self.target}: {problem.strerror or problem}") from None
        finally:
            self.restore()
        shutil.rmtree(self.folder, ignore_errors=True)

    def restore(self) -> None:
        """Put the older store back if a run moved it away and nothing has taken its place; else remove it."""
        old = self.folder / OLD
        if old.exists() and (self.folder / RECORD).exists() and not self.target.exists():
            old.replace(self.target)
        shutil.rmtree(old, ignore_errors=True)

    def describe_rest(self) -> str:
        """Return the end of a sentence about a run that ends now; empty where no chunk is whole."""
        count = len(self.done)
        return f"; {self.folder} keeps {counted(count, 'whole chunk')}, with which --resume goes on" if count else ""


@contextmanager
def partial_store(target: Path) -> Iterator[PartialStore]:
    """Yield the folder in which the new store `target` is written; one without a whole chunk is removed at the end.

    Raise FileError if the target or the folder is something else, or another process writes there.
    """
    output, target = target, resolved(target)
    folder = target.with_name(target.name + SUFFIX)
    require_replaceable(target, is_store)
    for path in (target, folder / STORE):
        require_unread(output, path)
    try:
        folder.mkdir(exist_ok=True)
        foreign = folder.is_symlink() or not {*os.listdir(folder)} <= {STORE, RECORD, DONE, OLD, LOCK}
    except OSError as problem:
        raise FileError(f"cannot write {target}: {problem.strerror or problem}") from None
    if foreign:
        raise FileError(
            f"cannot write {target}: {folder} is not from an interrupted run of gatewise. Choose another name."
        )
    with exclusive(folder / LOCK):
        partial = PartialStore(target, folder)
        partial.restore()
        try:
            yield partial
        finally:
            if not partial.done:
                shutil.rmtree(folder, ignore_errors=True)


def _first_difference(first: str, second: str) -> tuple[str, str]:
    """Return the first lines in which two texts differ, as far as an error shows them."""
    pairs = zip_longest(first.splitlines(), second.splitlines(), fillvalue="nothing")
    lines = next((pair for pair in pairs if pair[0] != pair[1]), (first, second))
    equal = next((place for place, (a, b) in enumerate(zip(*lines, strict=False)) if a != b), 0)
    skipped = max(0, equal - 40)
    was, now = (f"{'…' * bool(skipped)}{shown(line[skipped:], 140)}" for line in lines)
    return was, now


def _regions(result: Any) -> Iterator[tuple[dict[str, int], Region]]:
    """Yield the numbers of each chunk of a lazy dataset by dimension, and the part of the whole that it is."""
    sizes = {str(dim): chunks for dim, chunks in result.chunksizes.items() if len(chunks) > 1}
    ends = {dim: [*accumulate(chunks, initial=0)] for dim, chunks in sizes.items()}
    for places in product(*(range(len(chunks)) for chunks in sizes.values())):
        chosen = dict(zip(sizes, places, strict=True))
        yield chosen, {dim: slice(ends[dim][place], ends[dim][place + 1]) for dim, place in chosen.items()}


def _write_chunk(
    folder: str, token: str, number: int, region: Region, arrays: Mapping[str, tuple[tuple[str, ...], Any]]
) -> None:
    """Write a chunk of each variable to a partial store, and then the mark that it is whole, for its run alone."""
    import zarr

    _require_run(Path(folder), token)
    group = zarr.open_group(Path(folder) / STORE, mode="r+", zarr_format=2, use_consolidated=False)
    for name, (dims, array) in arrays.items():
        group[name][tuple(region.get(dim, slice(None)) for dim in dims)] = array
    _require_run(Path(folder), token)
    (Path(folder) / DONE / str(number)).touch()


def _require_run(folder: Path, token: str) -> None:
    """Raise FileError unless the run with this token is the one that writes a partial store."""
    if json.loads((folder / RECORD).read_text(encoding="utf-8"))["token"] != token:
        raise FileError(f"cannot write {folder}: another run is writing it. Wait for it, or choose another name.")
