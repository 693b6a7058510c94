"""Files that a model names: they must lie in its folder, and nothing outside is read.

The name comes from whoever made the model, so it may be that of any file of the machine. It is followed through all
links, and what it leads to must be a regular file within the folder of the model, as its path is given, or within a
folder of that. In the cache of Hugging Face's hub the files of a model are links to its folder of blobs, which counts
as the model's.

A file with several names (hard links) is refused: nothing says whether another of its names lies outside, which an
archive can bring about as it is unpacked. A copy has one name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from gatewise.errors import FileError
from gatewise.files.protecting import remember_read

_FOLLOWS_NONE = getattr(os, "O_NOFOLLOW", 0)
_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | _FOLLOWS_NONE | getattr(os, "O_NONBLOCK", 0)

_located: ContextVar[list[Path] | None] = ContextVar("located", default=None)  # while a model is read


@contextmanager
def recording_files() -> Iterator[list[Path]]:
    """Yield a list that gets the path of each file that a model in the block is made of besides its own."""
    paths: list[Path] = []
    token = _located.set(paths)
    try:
        yield paths
    finally:
        _located.reset(token)


def record_file(path: Path) -> Path:
    """Return the path of a file that a model is made of, which `recording_files` gets."""
    if (paths := _located.get()) is not None:
        paths.append(path)
    remember_read(path)
    return path


def locate(folder: Path, name: str) -> Path:
    """Return the path of a file that a model names and that lies in its folder; errors are the rest of a sentence."""
    path = PureWindowsPath(name)  # which takes both kinds of slashes, and knows drives
    if not name or path.drive or path.root or ".." in path.parts or os.path.isabs(name):
        raise FileError("which is no path within the model's folder")
    try:
        target = target_within(folder, name)
        status = os.lstat(target)  # asked first: a device may act where it is opened
    except FileError:
        raise
    except (OSError, ValueError):
        raise FileError("which is missing beside the model, or cannot be opened") from None
    if not stat.S_ISREG(status.st_mode):
        raise FileError("which is no file")
    _require_one_name(status)
    return record_file(Path(target))


def target_within(folder: Path, name: str) -> str:
    """Return the path behind all links of a file in a model's folder; one that leads out of it is a FileError."""
    root = os.path.realpath(folder)
    target = os.path.realpath(os.path.join(root, name))
    snapshots = (parent for parent in Path(root).parents if parent.name == "snapshots")
    roots = [root, *(str(one.parent / "blobs") for one in snapshots if one.parent.name.startswith("models--"))]
    if not any(os.path.commonpath([place, target]) == place for place in roots):
        raise FileError("which leads out of the model's folder")
    return target


@contextmanager
def open_beside(folder: Path, name: str) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open the file of weights that a model in a folder names, as `locate` finds it; yield it with its status."""
    target = locate(folder, name)
    try:
        file = open_regular(target)
    except FileError:
        raise
    except OSError:
        raise FileError("which is missing beside the model, or cannot be opened") from None
    with file:
        status = os.fstat(file.fileno())
        _require_one_name(status)
        yield file, status


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a link, a device or a pipe in its place is a FileError, and none of them is waited for.

    Errors of the operating system are raised as they are.
    """
    if not _FOLLOWS_NONE and os.path.islink(path):
        raise FileError("it is a link, which is not followed")
    try:
        descriptor = os.open(path, _OPEN)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENXIO):  # what a link or a socket answers
            raise FileError("it is a link, a device or a pipe, which are not read") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileError("it is no ordinary file")
    return open(descriptor, "rb")


def _require_one_name(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise FileError("which is a file of several names (hard links): another may lie elsewhere; copy it")
