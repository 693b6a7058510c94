"""Ctrl-C or SIGTERM at any moment: exit code 130 or 143, no traceback, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import program
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="an interrupt is sent as a signal")

# Runs the program, and interrupts it when it imports the module of that number, counted from gatewise itself: by Ctrl-C
# at odd numbers, by SIGTERM at even ones; at number 0, it writes the number of gatewise.__main__ and of the last.
PROGRAM = """
import os, signal, sys
moment, imported, number = int(sys.argv[1]), [], signal.SIGINT if int(sys.argv[1]) % 2 else signal.SIGTERM

class Moments:
    def find_spec(self, name, path=None, target=None):
        if imported or name == "gatewise":
            imported.append(name)
            if len(imported) == moment:
                os.kill(os.getpid(), number)

signal.signal(signal.SIGINT, signal.default_int_handler)  # the children of a script's background job ignore it
{before}
sys.meta_path.insert(0, Moments())
sys.argv[1:] = sys.argv[2:]
if moment < 1:
    import atexit
    atexit.register(lambda: print(imported.index("gatewise.__main__") + 1, len(imported)))
{start}
"""
STARTS = {
    "python -m gatewise": PROGRAM.format(
        before="import runpy", start='runpy.run_module("gatewise", run_name="__main__", alter_sys=True)'
    ),
    "gatewise": PROGRAM.format(before="", start="from gatewise.__main__ import run_program; run_program()"),
}


def interrupted(start, moment, *tokens, folder):
    environment = program.environment()
    return subprocess.run(
        [sys.executable, "-c", STARTS[start], str(moment), *tokens],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )


def tokens_of(*, thorough):
    """Return how the program is started, with what, and how often it is interrupted: all of it in the peers' tests."""
    lines = [["walk", "--help"], ["exercise", "--students", "class.csv", "-o", "week"]]
    for start, first in zip(STARTS, lines, strict=True):
        for tokens in lines if thorough else [first]:
            name = f"{start}: {' '.join(tokens)}"
            if thorough:
                yield pytest.param(start, tokens, 8, marks=pytest.mark.peers, id=f"{name}, thoroughly")
            else:
                yield pytest.param(start, tokens, 1, id=name)


@pytest.mark.subjects(1)
@pytest.mark.parametrize(("start", "tokens", "moments"), [*tokens_of(thorough=False), *tokens_of(thorough=True)])
def test_an_interrupt_during_any_import_ends_without_a_traceback(start, tokens, moments, tmp_path):
    (tmp_path / "class.csv").write_text("Ada\n", encoding="utf-8")
    whole = interrupted(start, 0, *tokens, folder=tmp_path)
    assert whole.returncode == 0, whole.stderr
    begins, count = map(int, whole.stdout.split()[-2:])  # up to the first, no line of gatewise has run
    assert begins <= 3
    assert count > 100
    if (tmp_path / "week").exists():
        (tmp_path / "week").rename(tmp_path / "first")
    there, first = sorted(tmp_path.iterdir()), 6 if moments > 1 else 2
    for moment in [*range(begins + 1, begins + first), *range(begins + first, count + 1, count // moments)]:
        done = interrupted(start, moment, *tokens, folder=tmp_path)
        assert (done.returncode, done.stderr) == (130 if moment % 2 else 143, ""), moment
        assert sorted(tmp_path.iterdir()) == there


def test_the_installed_program_is_the_guarded_one():
    scripts = tomllib.loads(Path(__file__).parent.parent.joinpath("pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"gatewise": "gatewise.__main__:run_program"}
