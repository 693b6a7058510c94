"""One hostile try: gatewise is asked for something, and answers, refuses in one sentence, or makes a fault.

A class of hostile input is a function ``attempt(chance, folder)``, with a random generator that makes every try
anew, and an empty folder that is the working folder. It returns, raises `Refused`, or raises `Fault`::

    @hostile("numbers in tables", needs=("pandas",))
    def tables(chance, folder):
        Path("x.csv").write_text(...)
        found = asked(gw.open_run, NETWORK, "x.csv").trace.input     # Refused, if gatewise refuses it
        agree(found, expected)                                       # Fault(SILENT), unless they are equal
"""

from __future__ import annotations

import io
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import program

SILENT, TRACEBACK, KILL, LOST, EXECUTED = "silent", "traceback", "kill", "lost", "executed"
KINDS = (SILENT, TRACEBACK, KILL, LOST, EXECUTED)
LONGEST = 500  # characters of an error
LONGEST_OF_COMMANDS = 1200  # of what a command says in one sentence, in which there may be paths and names
CANARY = "executed"  # the file that hostile content tries to make

Attempt = Callable[[random.Random, Path], object]


class Fault(Exception):
    """What must never happen, of one of `KINDS`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text


class Refused(Exception):
    """gatewise refused what it was asked for, in one sentence."""


@dataclass(frozen=True)
class Hostile:
    """A class of hostile input."""

    name: str
    attempt: Attempt
    needs: tuple[str, ...] = ()  # modules, and programs as $gcc
    seconds: float = 30.0  # that a try may take
    memory: int = 2**31  # bytes more than the process has when it begins; 0 for as many as there are
    share: float = 1.0  # of the time, where most classes have 1


CLASSES: dict[str, Hostile] = {}
AT_END: list[Callable[[], object]] = []  # what a process of a class calls when its time is over


def hostile(name: str, **more: Any) -> Callable[[Attempt], Attempt]:
    """Return the decorator that registers a class of hostile input."""

    def register(attempt: Attempt) -> Attempt:
        assert name not in CLASSES, name
        CLASSES[name] = Hostile(name, attempt, **more)
        return attempt

    return register


def silent(text: str) -> NoReturn:
    """Report a wrong result without a word."""
    raise Fault(SILENT, text)


def numbers(chance: random.Random) -> np.random.Generator:
    """Return NumPy's generator for this try."""
    return np.random.default_rng(chance.getrandbits(64))


def agree(found: Any, expected: Any, what: str, tolerance: float = 0.0) -> None:
    """Report a difference of two arrays that is larger than `tolerance`, of the largest entry."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        silent(f"another shape: {found.shape}, not {expected.shape}: {what}")
    finite = np.abs(expected[np.isfinite(expected)])
    allowed = tolerance * max(1e-3, float(finite.max(initial=0)))  # what is tiny can be a difference of larger numbers
    with np.errstate(invalid="ignore"):
        off = np.abs(found - expected)
    wrong = ~((off <= allowed) | (found == expected) | (np.isnan(found) & np.isnan(expected)))
    if wrong.any():
        place = tuple(int(n) for n in np.argwhere(wrong)[0])
        silent(
            f"other numbers: {found[place]!r} at {place}, not {expected[place]!r},"
            f" and {wrong.sum()} of {wrong.size} differ: {what}"
        )


# What is watched while gatewise works: whatever starts a program, opens a connection or loads code from the folder.

_watching = False
_seen: list[str] = []
FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.Popen", "pty.spawn"),
    *("socket.connect", "webbrowser.open", "ftplib.connect", "urllib.Request"),
)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    in_folder = event in ("import", "ctypes.dlopen") and CANARY in str(arguments[:2])
    is_harmless = arguments[:1] == ("uname",)  # Python's own module platform
    if (event in FORBIDDEN and not is_harmless) or in_folder:
        _seen.append(f"{event} {arguments!r:.200}")


def watch_this_process() -> None:
    """Add the hook that sees what `asked` and `command` start; it cannot be removed."""
    sys.addaudithook(_audit)


@contextmanager
def _watched() -> Iterator[None]:
    global _watching
    _watching = True
    try:
        yield
    finally:
        _watching = False
        if _seen or os.path.exists(CANARY):
            done = [*_seen, *(["the canary"] if os.path.exists(CANARY) else [])]
            _seen.clear()
            raise Fault(EXECUTED, "; ".join(done))


def short_traceback(problem: BaseException) -> str:
    return "".join(traceback.format_exception(problem, limit=-4))[-2500:]


def sentence_fault(text: str, longest: int = LONGEST) -> str | None:
    """Return what is wrong with one of gatewise's sentences."""
    if not text or len(text.splitlines()) != 1:
        return f"an error of {len(text.splitlines())} lines: {text[:400]!r}"
    if len(text) > longest:
        return f"an error of {len(text)} characters: {text[:400]!r}"
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        return f"an error with control characters: {text[:400]!r}"
    return None


def asked(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Return what gatewise answers, or raise Refused with its sentence."""
    from gatewise import GatewiseError, WeightsWarning

    try:
        with _watched(), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", WeightsWarning)
            return function(*given, **named)
    except Fault:
        raise
    except GatewiseError as problem:
        if fault := sentence_fault(str(problem)):
            raise Fault(TRACEBACK, f"{type(problem).__name__}: {fault}") from None
        raise Refused(str(problem)) from None
    except Exception as problem:
        raise Fault(TRACEBACK, short_traceback(problem)) from None


def tried(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Return what gatewise answers, or None if it refuses."""
    try:
        return asked(function, *given, **named)
    except Refused:
        return None


# The command line.


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def contents(folder: str | os.PathLike[str] = ".") -> dict[str, bytes | str | None]:
    """Return what lies in a folder and below it: the bytes of files, the targets of links, None for others."""
    found: dict[str, bytes | str | None] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            place = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[place] = os.readlink(path)
            elif os.path.isfile(path):
                found[place] = Path(path).read_bytes()
            elif not os.path.isdir(path):
                found[place] = None
    return found


def require_kept(before: dict[str, Any], writes: Collection[str], what: str, *, refused: bool) -> None:
    """Report files that were changed and should not have been, and temporary ones that were left.

    `writes` are the names, or the beginnings of paths, that a command may write; one that was refused writes none.
    """
    after = contents()
    for name, content in before.items():
        if after.get(name, "gone") != content and (refused or not may_write(name, writes)):
            raise Fault(LOST, f"{what}: {name} was changed")
    for name in after.keys() - before.keys():
        if ".tmp" in name:
            raise Fault(LOST, f"{what}: left {name}")
        if ".zarr.partial" in name:
            continue  # a store to go on with
        if refused or not may_write(name, writes):
            raise Fault(LOST, f"{what}: made {name}")


def may_write(name: str, writes: Collection[str]) -> bool:
    return any(name == one or name.startswith(f"{one}{os.sep}") for one in writes)


def run_program(tokens: list[str]) -> Ended:
    """Run the program in this process, and return how it ended."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        code = program.exit_code(tokens)
    finally:
        sys.stdout, sys.stderr = kept
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "replace"))
    return Ended(code, *texts)


def command(*tokens: object, writes: Collection[str] = (), codes: Collection[int] = (0, 2)) -> Ended:
    """Run a command of gatewise's in the working folder, and return how it ended; Refused if it was refused.

    `writes` are the files and folders that it may write. Everything else must be as it was before.
    """
    given = [str(token) for token in tokens]
    what = f"gatewise {' '.join(given)}"[:300]
    before = contents()
    try:
        with _watched(), warnings.catch_warnings():
            warnings.simplefilter("error")
            ended = run_program(given)
    except Fault:
        raise
    except BaseException as problem:
        raise Fault(TRACEBACK, f"{what}\n{short_traceback(problem)}") from None
    if ended.code not in codes:
        raise Fault(TRACEBACK, f"{what}: exit code {ended.code}: {ended.err[-1500:]}")
    require_kept(before, writes, what, refused=ended.code == 2)
    if ended.code == 2:
        lines = ended.err.strip("\n").split("\n")
        if fault := sentence_fault(lines[-1], LONGEST_OF_COMMANDS):
            raise Fault(TRACEBACK, f"{what}: {fault}")
        if not lines[-1].startswith("gatewise: ") or "Traceback" in ended.err:
            raise Fault(TRACEBACK, f"{what}: {ended.err[-1500:]}")
        raise Refused(lines[-1])
    return ended
