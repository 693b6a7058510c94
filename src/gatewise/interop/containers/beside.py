"""Files that a model names: they must lie in its folder, and nothing outside is read.

The name comes from whoever made the model, so it may be that of any file of the machine. It is followed through all
links, and what it leads to must be a regular file within the folder of the model, as its path is given, or within a
folder of that.

A file with several names (hard links) is refused: nothing says whether another of its names lies outside, which an
archive can bring about as it is unpacked. A copy has one name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from gatewise.errors import FileError

_OPEN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def locate(folder: Path, name: str) -> Path:
    """Return the path of a file that a model names and that lies in its folder; errors are the rest of a sentence."""
    path = PureWindowsPath(name)  # which takes both kinds of slashes, and knows drives
    if not name or path.drive or path.root or ".." in path.parts or os.path.isabs(name):
        raise FileError("which is no path within the model's folder")
    try:
        root = os.path.realpath(folder)
        target = os.path.realpath(os.path.join(root, name))
        if os.path.commonpath([root, target]) != root:
            raise FileError("which leads out of the model's folder")
        status = os.lstat(target)  # asked first: a device may act where it is opened
    except FileError:
        raise
    except (OSError, ValueError):
        raise FileError("which is missing beside the model, or cannot be opened") from None
    if not stat.S_ISREG(status.st_mode):
        raise FileError("which is no file")
    _require_one_name(status)
    return Path(target)


@contextmanager
def open_beside(folder: Path, name: str) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open the file of weights that a model in a folder names, as `locate` finds it; yield it with its status."""
    target = locate(folder, name)
    try:
        descriptor = os.open(target, _OPEN)
    except OSError:
        raise FileError("which is missing beside the model, or cannot be opened") from None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _require_one_name(status)
        yield file, status


def _require_one_name(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise FileError("which is a file of several names (hard links): another may lie elsewhere; copy it")
