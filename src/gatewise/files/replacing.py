"""Files and folders that are written beside the old ones and then replace them; leftovers are removed after a day."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gatewise.errors import FileError, GatewiseError, OptionError
from gatewise.files.protecting import remember_written, require_unread

DAY = 86_400  # seconds after which nobody writes to a temporary any more
TAIL = re.compile(r"gatewise-\d+-[0-9a-f]{8}\.tmp")
LONGEST = 255  # bytes of a name, where the system does not say
LOOP = "it is a symbolic link that leads back to itself"
TAIL_LENGTH = 34  # bytes that follow the target's name, whatever the number of the process


def path_of(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file as a `Path`, or raise OptionError if the value is no path."""
    try:
        return Path(path)
    except TypeError:
        raise OptionError(f"a path must be a str or an os.PathLike, not {type(path).__name__}") from None


@contextmanager
def beside(path: str | os.PathLike[str], *, overwrite: bool | None = None) -> Iterator[Path]:
    """Yield the name of a new file beside `path`; when the block ends well it takes the place of `path`, else it goes.

    Raise FileError if `path` is a folder, its parent folder cannot be written, or `path` was read, even in the block;
    `overwrite` is that of `require_unread`. Errors of the block about the new file name `path`.
    """
    path = path_of(path)
    target = resolved(path)
    if target.is_dir():
        raise FileError(f"cannot write {path}: it is a folder; give the name of a file")
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {path}: it is not an ordinary file")
    require_unread(path, target, overwrite=overwrite)
    temporary = temporary_for(target)
    try:  # from before the file is there, so that an interrupt at any moment leaves none behind
        with naming_output(path, temporary):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            yield temporary
            require_unread(path, target, overwrite=overwrite)
            umask = os.umask(0)
            os.umask(umask)
            # Until here the file was private; a new file is as open as any, and a replaced one as open as it was.
            temporary.chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~umask)
            temporary.replace(target)
            remember_written(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_beside(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new folder to write into; when the block ends well it becomes `folder`, else it goes.

    Raise FileError if there is a folder already that is not empty.
    """
    folder = path_of(folder)
    target = resolved(folder)
    require_replaceable(target)
    temporary = temporary_for(target)
    try:  # from before the folder is there, so that an interrupt at any moment leaves none behind
        with naming_output(folder, temporary):
            temporary.mkdir(0o700)
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o777 & ~umask)
            temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def naming_output(output: Path, temporary: Path) -> Iterator[None]:
    """Let errors about a temporary in the block name the output that it is written for."""
    try:
        yield
    except FileError as problem:
        if str(temporary) not in str(problem):
            raise
        raise FileError(str(problem).replace(str(temporary), str(output))) from None
    except OSError as problem:
        if isinstance(problem, GatewiseError) or problem.filename not in (None, temporary, str(temporary)):
            raise
        raise _unwritable(output, problem) from None


def resolved(path: Path) -> Path:
    """Return where a path leads, behind all links; raise FileError if links lead in a circle, or it is no path."""
    try:
        with suppress(FileNotFoundError):
            os.stat(path)
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as problem:
        raise _unwritable(path, problem) from None


def is_loop(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a symbolic link that leads in a circle."""
    try:
        os.stat(path)
    except OSError as problem:
        return problem.errno == errno.ELOOP
    except ValueError:
        pass
    return False


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
    words = LOOP if getattr(problem, "errno", None) == errno.ELOOP else getattr(problem, "strerror", None) or problem
    return FileError(f"cannot write {path}: {words}")
