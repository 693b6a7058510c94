"""Files and folders that are written beside the old ones and then replace them; leftovers are removed after a day."""

from __future__ import annotations

import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gatewise.errors import FileError, OptionError

DAY = 86_400  # seconds after which nobody writes to a temporary any more
TAIL = re.compile(r"gatewise-\d+-[0-9a-f]{8}\.tmp")
LONGEST = 255  # bytes of a name, where the system does not say
TAIL_LENGTH = 34  # bytes that follow the target's name, whatever the number of the process


def path_of(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file as a `Path`, or raise OptionError if the value is no path."""
    try:
        return Path(path)
    except TypeError:
        raise OptionError(f"a path must be a str or an os.PathLike, not {type(path).__name__}") from None


@contextmanager
def beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the name of a new file beside `path`; when the block ends well it takes the place of `path`, else it goes.

    Raise FileError if `path` is a folder, or its parent folder cannot be written.
    """
    path = path_of(path)
    try:
        target = Path(os.path.realpath(path))  # a link is followed, not replaced
        if target.exists() and not target.is_dir() and not target.is_file():
            raise FileError(f"cannot write {path}: it is not an ordinary file")
        if target.is_dir():
            raise FileError(f"cannot write {target}: it is a folder; give the name of a file")
    except FileError:
        raise
    except (OSError, ValueError) as problem:
        raise _unwritable(path, problem) from None
    temporary = temporary_for(target)
    try:  # from before the file is there, so that an interrupt at any moment leaves none behind
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except (OSError, ValueError) as problem:
            raise _unwritable(path, problem) from None
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        # Until here the file was private; a new file is as open as any, and a replaced one as open as it was.
        temporary.chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~umask)
        temporary.replace(target)
    except FileError:
        raise
    except OSError as problem:
        raise FileError(f"cannot write {target}: {problem.strerror or problem}") from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_beside(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new folder to write into; when the block ends well it becomes `folder`, else it goes.

    Raise FileError if there is a folder already that is not empty.
    """
    folder = Path(os.path.realpath(path_of(folder)))
    require_replaceable(folder)
    temporary = temporary_for(folder)
    try:  # from before the folder is there, so that an interrupt at any moment leaves none behind
        temporary.mkdir(0o700)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        temporary.replace(folder)
    except FileError:
        raise
    except OSError as fault:
        raise FileError(f"cannot write {folder}: {fault.strerror or fault}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_replaceable(folder: Path, replaceable: Callable[[Path], bool] = lambda folder: False) -> None:
    """Raise FileError if a folder is there already and not empty, unless `replaceable` says that it may be replaced."""
    occupied = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if occupied and not (folder.is_dir() and replaceable(folder)):
        raise FileError(f"cannot write {folder}: it is not empty; choose a new folder")


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which the system releases when the process ends; FileError if another one holds it.

    Where the system or the disk has no locks, there is none.
    """
    with open(path, "ab") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileError(f"cannot write {path.parent}: another process writes there") from None
        except (ImportError, OSError):
            pass
        yield


def temporary_for(target: Path) -> Path:
    """Return the path of a temporary beside a file or folder; its temporaries of more than a day ago are removed.

    It is ``.NAME.gatewise-PROCESS-RANDOM.tmp``, with the beginning of a long name and a number made of all of it.
    """
    tail = f"gatewise-{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        longest = os.pathconf(target.parent, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        longest = LONGEST
    name = target.name
    longest -= TAIL_LENGTH
    if len(os.fsencode(name)) > longest:
        mark = f"~{zlib.crc32(os.fsencode(name)):08x}"
        while name and len(os.fsencode(name)) > longest - len(mark):
            name = name[:-1]
        name += mark
    with suppress(OSError, ValueError):
        _remove_leftovers(target.parent, f".{name}.")
    return target.parent / f".{name}.{tail}"


def _remove_leftovers(folder: Path, prefix: str) -> None:
    """Remove the temporaries of a target that a killed process left more than a day ago."""
    with os.scandir(folder) as entries:
        leftovers = [
            entry for entry in entries if entry.name.startswith(prefix) and TAIL.fullmatch(entry.name[len(prefix) :])
        ]
    for entry in leftovers:
        with suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime <= DAY:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def _unwritable(path: Path, problem: OSError | ValueError) -> FileError:
    return FileError(f"cannot write {os.fspath(path)!r}: {getattr(problem, 'strerror', None) or problem}")
