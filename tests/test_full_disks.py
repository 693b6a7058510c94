"""A disk without room, or a limit on the size of files: one sentence names the output, and what was there stays."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest
from every_command import CALLS, put_files
from program import exit_code

resource = pytest.importorskip("resource")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file become larger than so many bytes, which each write is told as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FORMATS = {(call.command, Path(output).suffix): (call, output) for call in CALLS for output in call.outputs}


@pytest.mark.parametrize(("command", "suffix"), FORMATS)
def test_an_output_for_which_there_is_no_room_is_named_and_what_was_there_stays(command, suffix, here, capsys):
    call, output = FORMATS[command, suffix]
    put_files(here)
    line = [*call.line, "-o", output]
    sizes = [0]
    if command != "report":  # which takes a second or more
        assert exit_code(line) in (0, 1)
        largest = max(path.stat().st_size for path in (Path(output), *Path(output).rglob("*")) if path.is_file())
        sizes += [largest // 2, largest - 1][: 1 if command == "exercise" else 2]  # whose numbers are drawn anew
    if command == "exercise":
        rmtree(output)
    else:
        Path(output).write_bytes(b"what was there")
    before = contents(here)
    for size in sizes:
        capsys.readouterr()
        with largest_file(size):
            assert exit_code(line) == 2, size
        error = capsys.readouterr().err
        assert (error.count("\n"), error[:10]) == (1, "gatewise: "), error
        assert f"cannot write {output}" in error
        assert "File too large" in error
        assert ".tmp" not in error
        assert contents(here) == before
