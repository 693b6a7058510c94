"""Fuzzing: a reader is given spoiled files, in a process of its own that has little memory and little time.

``python -m tests.hostile --only spoiled --minutes 20`` goes on over all readers: see `fuzz_rounds`.

How a test uses it::

    from fuzzing import SOME, everything, fuzz

    def test_spoiled_files_are_answered_or_refused(tmp_path):
        subjects = [path.read_bytes() for path in ...]           # whole files, all small ones together
        tally = fuzz(subjects, everything, SOME, tmp_path)       # fails where a mutation breaks the reader
        assert tally.answered and tally.refused                  # else the fuzzing reached nothing

- `everything` inspects a file by the reader that recognises it, and reads all that it finds: each weight, each part,
  the network; ``partial(everything, reader="torch")`` by one reader, whatever the first bytes have become. Any other
  function of a path does as well, if it can be pickled: a function at the top of a module, or a `functools.partial`
  of one. It runs in a process that has the caller's ``sys.path`` and has read no file; no test is imported there
  unless the function lives in one.
- A mutation is a function of (seed, its number, the subjects) alone. A failure names the number and leaves the file
  that broke the reader in the folder, as ``mutation-NUMBER``; `spoiled` makes it again.
- What counts as broken: any exception that is not one of gatewise's; one of gatewise's that is not one sentence in
  one line; a MemoryError that no question preceded (the process may take `memory` bytes more than it had after
  reading the whole subjects); any warning but `WeightsWarning`, a file left open among them; a file that takes longer
  than `seconds`; the end of the process. The whole subjects are held to the same, before the limit is set.
- `also` takes further kinds of mutation, functions (subject, random) -> bytes, which get half of the turns. Bytes
  changed at random seldom get past a checksum or a parser: `in_archive` changes one member of a zip archive and seals
  it again, `in_json` changes one value of a JSON document.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import sys
import traceback
import warnings
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Read = Callable[[Path], object]
Mutator = Callable[[bytes, random.Random], bytes]
LONGEST = 500  # characters of an error
SOME = 40  # mutations of each kind in the fast tests; tests/peers/test_spoiled.py reads thousands
FEW = 5  # failures after which nobody goes on; errors raised in one place count as one
PATIENCE = 60.0  # seconds for a new process to import what it needs
WHOLE = "whole file"
# A process that has imported the readers is forked for each task: that is as fresh as a new one, and there at once.
PROCESSES = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
if hasattr(os, "fork"):
    PROCESSES.set_forkserver_preload(
        ["gatewise", "gatewise.interop.formats", "gatewise.interop.chosen_layers", "h5py", "onnx"]
    )


@dataclass
class Tally:
    """How often a reader answered, and how often it refused with an error of gatewise's."""

    answered: int = 0
    refused: int = 0


# The mutations.

HUGE = (0, 1, 0x7F, 0xFF, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)


def place(data: bytes, chance: random.Random) -> int:
    """Return a place in data, half of the time near one of its ends, where the headers are."""
    near = min(len(data), 512)
    return chance.choice(
        (chance.randrange(len(data)), chance.randrange(len(data)), chance.randrange(near), -1 - chance.randrange(near))
    ) % len(data)


def piece(data: bytes, chance: random.Random) -> slice:
    """Return a stretch of data, often short."""
    start = place(data, chance)
    return slice(start, start + chance.choice((1, 2, 4, 8, 16, 64, 512, len(data) // 3 + 1)))


def flip_a_bit(data: bytes, chance: random.Random) -> bytes:
    at = place(data, chance)
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def set_bytes(data: bytes, chance: random.Random) -> bytes:
    part = piece(data, chance)
    value = chance.choice((b"\x00", b"\xff", b"\x7f", b"\x80", b" ", b"9"))
    return data[: part.start] + value * len(data[part]) + data[part.stop :]


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: place(data, chance)]


def insert(data: bytes, chance: random.Random) -> bytes:
    at = place(data, chance)
    return data[:at] + chance.randbytes(chance.choice((1, 2, 8, 64))) + data[at:]


def delete(data: bytes, chance: random.Random) -> bytes:
    part = piece(data, chance)
    return data[: part.start] + data[part.stop :]


def repeat(data: bytes, chance: random.Random) -> bytes:
    part = piece(data, chance)
    return data[: part.stop] + data[part] * chance.choice((1, 2, 7)) + data[part.stop :]


def splice(data: bytes, chance: random.Random) -> bytes:
    """Copy a stretch over another place."""
    part, at = piece(data, chance), place(data, chance)
    return data[:at] + data[part] + data[at + len(data[part]) :]


def swap(data: bytes, chance: random.Random) -> bytes:
    a, b = sorted((place(data, chance), place(data, chance)))
    length = min(chance.choice((1, 4, 16, 256)), b - a)
    return data[:a] + data[b : b + length] + data[a + length : b] + data[a : a + length] + data[b + length :]


def overwrite_a_length(data: bytes, chance: random.Random) -> bytes:
    """Write a number as a field of 4 or 8 bytes in either byte order: what was a length may be huge now."""
    at, size = place(data, chance), chance.choice((4, 8))
    value = chance.choice((*HUGE, len(data), len(data) + 1)) % 2 ** (8 * size)
    return data[:at] + value.to_bytes(size, chance.choice(("little", "big"))) + data[at + size :]


BYTES: tuple[Mutator, ...] = (
    *(flip_a_bit, set_bytes, truncate, insert, delete, repeat, splice, swap, overwrite_a_length),
    *(flip_a_bit, flip_a_bit, overwrite_a_length),  # what changes little gets furthest
)


def in_archive(data: bytes, chance: random.Random) -> bytes:
    """Change the bytes of one member of a zip archive and seal it again, without compression."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(target, "w") as copy:
        members = [(one, archive.read(one)) for one in archive.infolist()]
        chosen = chance.choice([number for number, (_, content) in enumerate(members) if content])
        for number, (one, content) in enumerate(members):
            copy.writestr(one.filename, chance.choice(BYTES)(content, chance) if number == chosen else content)
    return target.getvalue()


def in_json(data: bytes, chance: random.Random) -> bytes:
    """Change one value of a JSON document: its type, its size, or whether it is there."""
    document = json.loads(data)
    holder: Any = document
    path: list[Any] = []
    while isinstance(holder, (dict, list)) and holder and (len(path) < 1 or chance.random() < 0.8):
        # The last entries too, and not only one of the thousands of numbers between.
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        path.append((holder, chance.choice((keys[0], keys[-1], chance.choice(keys)))))
        holder = path[-1][0][path[-1][1]]
    if not path:
        return json.dumps(chance.choice(([], {}, 0, "", None, [document]))).encode()
    owner, key = path[-1]
    value = owner[key]
    kind = chance.randrange(5)
    if kind == 0:
        del owner[key]
    elif kind == 1 and isinstance(value, list) and value:
        owner[key] = chance.choice((value[:-1], [*value, value[-1]], value[::-1], [value], value[0], value * 2))
    elif kind == 2 and isinstance(owner, dict):
        owner[chance.choice((*map(str, owner), "lstm", ""))] = value
    elif kind == 3 and isinstance(value, (int, float)):
        owner[key] = chance.choice((0, -1, 1, value + 1, -value, 1e39, 1e300, float("nan"), float("inf"), 2**31, 2**70))
    else:
        owner[key] = chance.choice((None, True, 0, -1, 2**63, 0.5, "", "lstm", "9" * 50, [], {}, [[]], [None], {"": 0}))
    return json.dumps(document).encode()


def in_safetensors(data: bytes, chance: random.Random) -> bytes:
    """Change one value in the header of a safetensors file, or in the JSON that its metadata holds."""
    length = int.from_bytes(data[:8], "little")
    text, rest = data[8 : 8 + length], data[8 + length :]
    header = json.loads(text)
    metadata = header.get("__metadata__")
    if metadata and chance.random() < 0.5:
        key = chance.choice(list(metadata))
        with suppress(ValueError):  # not every text is JSON
            metadata[key] = in_json(metadata[key].encode(), chance).decode()
        text = json.dumps(header).encode()
    else:
        text = in_json(text, chance)
    return len(text).to_bytes(8, "little") + text + rest


def spoiled(subjects: Sequence[bytes], number: int, seed: int, also: Sequence[Mutator] = ()) -> tuple[bytes, str]:
    """Return a mutation by its number, and what was done, in words."""
    chance = random.Random(f"{seed}:{number}")
    which = chance.randrange(len(subjects))
    data, done = subjects[which], []
    if also and chance.random() < 0.5:
        mutator = chance.choice(also)
        data = mutator(data, chance)
        done.append(mutator.__name__)
    while not done or (chance.random() < 0.3 and "in_" not in done[0]):
        mutator = chance.choice(BYTES)
        data = mutator(data, chance) if data else chance.randbytes(3)
        done.append(mutator.__name__)
    return data, f"subject {which}: {', '.join(done)}"


# The reader, in a process of its own.


def everything(path: Path, reader: str | None = None) -> None:
    """Inspect a file by the reader that recognises it, or by a given one, and read all that is found in it."""
    from gatewise import GatewiseError
    from gatewise.interop.chosen_layers import chosen_network
    from gatewise.interop.formats import HEAD, inspect

    if reader is None:
        contents = inspect(path)
    else:
        module = import_module(f"gatewise.interop.{reader}")
        module.recognises(path, path.read_bytes()[:HEAD])
        contents = module.contents(path, {})
    for found in contents.lstms:
        _ = found.non_finite
    for part in contents.parts:
        for read in (part.weight, part.bias):
            if read is not None:
                read()
    heads = [one.name for one in contents.parts if one.weight is not None][:2] if contents.joined else []
    named = [partial(chosen_network, contents, None, None, head) for head in heads]
    for ask in (contents.pick, contents.network, *named):
        try:
            if ask is not None:
                ask()
        except GatewiseError as problem:  # there may be none, or several, or what a network cannot express
            if fault := _fault(problem):
                raise AssertionError(fault) from problem


def _fault(problem: Exception) -> str | None:
    """Say what is wrong with one of gatewise's errors; None where it is a sentence."""
    text = str(problem)
    if not text or len(text.splitlines()) != 1 or len(text) > LONGEST:
        return f"{type(problem).__name__} of {len(text.splitlines())} lines, {len(text)} characters: {text[:300]!r}"
    return None


def _attempt(read: Read, path: Path) -> str | dict[str, str]:
    """Return "answered", "refused", or what went wrong."""
    from gatewise import GatewiseError

    unseen: list[Any] = []
    sys.unraisablehook = unseen.append  # what went wrong where nobody can catch it: files that were left open
    try:
        read(path)
        outcome = "answered"
    except GatewiseError as problem:
        if fault := _fault(problem):
            return {"key": f"{type(problem).__name__} {_where(problem)}", "text": fault}
        outcome = "refused"
    except Exception as problem:
        short = "".join(traceback.format_exception(problem, limit=-4))
        return {"key": f"{type(problem).__name__} {_where(problem)}", "text": short[-3000:]}
    if unseen:
        return {"key": type(unseen[0].exc_value).__name__, "text": f"could not be raised: {unseen[0].exc_value!r}"}
    return outcome


def _where(problem: BaseException) -> str:
    frame = traceback.extract_tb(problem.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has; only where the system can tell how many those are."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, taken + more))


def _work(task: tuple[Any, ...], reports: Connection, log: str) -> None:
    """Read mutation after mutation, and report what came of each."""
    with open(log, "wb") as errors:
        for stream in (1, 2):  # what a library prints goes there too
            os.dup2(errors.fileno(), stream)
    subjects, read, also, seed, first, count, folder, memory = task
    from gatewise import WeightsWarning

    warnings.simplefilter("error")
    warnings.simplefilter("ignore", WeightsWarning)

    def report(data: bytes, what: str) -> None:
        path = Path(folder, f"{first}.spoiled")
        path.unlink(missing_ok=True)  # a file of its own each time: an earlier one may still be mapped
        path.write_bytes(data)
        reports.send(_attempt(read, path))

    for subject in subjects:  # which also imports what is imported when used
        report(subject, WHOLE)
    _limit_memory(memory)
    for number in range(first, count):
        report(*spoiled(subjects, number, seed, also))


# The caller's side.


def fuzz(
    subjects: Sequence[bytes],
    read: Read,
    count: int,
    folder: Path,
    memory: int = 2**28,
    seed: int = 0,
    *,
    seconds: float = 10.0,
    also: Sequence[Mutator] = (),
) -> Tally:
    """Read mutations 0 to count - 1 of the subjects, none of them empty, and fail with those that broke the reader."""
    tally, failures, first = Tally(), dict[str, str](), 0
    while first < count and len(failures) < FEW:
        task = (list(subjects), read, tuple(also), seed, first, count, str(folder), memory)
        first = _oversee(task, tally, failures, seconds)
    if failures:
        raise AssertionError(f"{len(failures)} failures that differ:\n\n" + "\n\n".join(failures.values()))
    return tally


def _oversee(task: tuple[Any, ...], tally: Tally, failures: dict[str, str], seconds: float) -> int:
    """Run one process until it is done, hangs or dies; return the number of the mutation to go on with."""
    subjects, _, also, seed, first, count, folder, _ = task
    log = Path(folder, "stderr.txt")
    reports, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_work, args=(task, sender, str(log)), daemon=True)
    process.start()
    sender.close()
    number = first - len(subjects)  # the whole subjects come before the first mutation

    def fail(key: str, text: str) -> None:
        if number < first:
            data, what = subjects[number - first], WHOLE
        else:
            data, what = spoiled(subjects, number, seed, also)
        kept = Path(folder, f"mutation-{number}")
        if key not in failures:
            kept.write_bytes(data)
            failures[key] = f"mutation {number} (seed {seed}, {what}; kept as {kept})\n{text}"

    try:
        while number < count and len(failures) < FEW:
            if not reports.poll(PATIENCE if number == first - len(subjects) else seconds):
                fail(f"hang {number}", f"it took longer than {seconds} s")
                return max(number + 1, first) if number >= first else count
            try:
                outcome = reports.recv()
            except EOFError:
                process.join()
                said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                fail(f"end {number}", f"the process ended with {process.exitcode}: {said}")
                return number + 1 if number >= first else count
            if isinstance(outcome, dict):
                fail(**outcome)
            elif number >= first:
                setattr(tally, outcome, getattr(tally, outcome) + 1)
            number += 1
        return number
    finally:
        process.kill()
        process.join()
        reports.close()
