"""The files that were read: no output replaces one of them.

Within a command of the program, these are all files that it reads. In Python, these are the files that this process
read, except those that gatewise wrote itself. Links and other spellings of a name lead to the same file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gatewise.errors import FileError

MAX_FILES = 2**16  # files that are remembered
Identity = tuple[int | str, ...]


class KnownFile(NamedTuple):
    """A file, or a store with all that lies in it: its path without links, its time of change, and who wrote it."""

    path: Path
    changed: int  # in nanoseconds
    ours: bool  # written by gatewise


_records: list[dict[Identity, KnownFile]] = [{}]  # of the process, and of a command that runs


@contextmanager
def protecting_inputs() -> Iterator[None]:
    """Protect the files that are read within the block, whoever wrote them, and no others."""
    _records.append({})
    try:
        yield
    finally:
        _records.pop()


def remember_read(path: str | os.PathLike[str]) -> None:
    """Protect a file that is read, or a whole store, unless gatewise wrote it and nobody has changed it since."""
    if (status := _status(path)) is not None:
        known = _records[-1].get(_identity(path, status))
        if known is None or not known.ours or known.changed != status.st_mtime_ns:
            _remember(path, status, ours=False)


def remember_written(path: str | os.PathLike[str]) -> None:
    """Remember that gatewise wrote a file or a store, which may be replaced even if it is read again."""
    if (status := _status(path)) is not None:
        _remember(path, status, ours=True)


def require_unread(output: Path, target: Path, *, overwrite: bool | None = None) -> None:
    """Raise FileError if an output, whose links lead to `target`, would replace what was read, or change a store.

    `overwrite` allows it. None says that the caller has no such option, so that the error doesn't suggest it.
    """
    if overwrite or (source := _source_replaced_by(target)) is None:
        return
    if source in target.parents:
        problem = f"it lies in {source.name}, which is read"
    elif target in source.parents:
        problem = f"{source.name} lies in it, which is read"
    elif source.name == output.name:
        problem = "this file is read"
    else:
        problem = f"it is the same file as {source.name}, which is read"
    option = ", or pass overwrite=True" if overwrite is not None and len(_records) == 1 else ""
    raise FileError(f"cannot write {output}: {problem}; give the output another name{option}")


def _source_replaced_by(target: Path) -> Path | None:
    """Return the path of what was read and an output would replace: the file, a store around it, or a file within."""
    record = _records[-1]
    for path in (target, *target.parents):
        if (status := _status(path)) is None or (known := record.get(_identity(path, status))) is None or known.ours:
            continue
        # The number of a removed file may belong to another one, which has another name and another time.
        if known.path == path or known.changed == status.st_mtime_ns:
            return known.path
    if target.is_dir():
        return next((known.path for known in record.values() if not known.ours and target in known.path.parents), None)
    return None


def _remember(path: str | os.PathLike[str], status: os.stat_result, *, ours: bool) -> None:
    record, identity = _records[-1], _identity(path, status)
    record.pop(identity, None)  # the last one is forgotten last
    record[identity] = KnownFile(Path(os.path.realpath(path)), status.st_mtime_ns, ours)
    if len(record) > MAX_FILES:
        record.pop(next(iter(record)), None)


def _status(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Return the status of a file or folder; None if there is none."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _identity(path: str | os.PathLike[str], status: os.stat_result) -> Identity:
    """Return the identity that all names of one file share; the path where the system doesn't number files."""
    return (status.st_dev, status.st_ino) if status.st_ino else (os.path.normcase(os.path.realpath(path)),)
