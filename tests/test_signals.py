"""SIGTERM, Ctrl-C at the very end, and readers who leave: exit codes, nothing left behind, not a word."""

from __future__ import annotations

import os
import signal
from itertools import product

import numpy as np
import pytest
from children import exit_codes, needs_fork

import gatewise as gw

pytestmark = needs_fork

PROGRAM = """
import os, signal, sys
import gatewise.cli
from pathlib import Path
from gatewise.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # the children of a background job ignore it
"""

# The signal arrives when all of a file or a folder is written but for its name.
WRITING = (
    PROGRAM
    + """
chmod = Path.chmod
def signalled(path, mode):
    chmod(path, mode)
    if path.name.endswith(".tmp"):
        os.kill(os.getpid(), number)
Path.chmod = signalled

def run(case):
    global number
    number, *sys.argv[1:] = case
    main()
"""
)
COMMANDS = {
    "trace": ["trace", "model.safetensors", "x.npy", "-o", "old.safetensors"],
    "trace to an archive": ["trace", "model.safetensors", "x.npy", "-o", "old.npz"],
    "walk": ["walk", "-o", "old.html"],
    "page": ["page", "-o", "old.html"],
    "plot": ["plot", "model.safetensors", "x.npy", "-o", "old.svg"],
    "report": ["report", "model.safetensors", "x.npy", "-o", "old.html"],
    "convert": ["convert", "model.safetensors", "-o", "old.pt"],
    "exercise": ["exercise", "--students", "class.csv", "-o", "week"],
    "check": ["check", "--template", "new.csv"],
}


def thinned(names, few):
    return [pytest.param(name, marks=() if name in few else pytest.mark.peers) for name in names]


@pytest.mark.parametrize("name", thinned(COMMANDS, ["trace", "walk", "exercise"]))
def test_a_signal_leaves_what_was_there_and_nothing_else(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gw.save(gw.LSTM(3, 4, rng=0), "model.safetensors")
    np.save("x.npy", np.ones((30, 3), np.float32))
    (tmp_path / "class.csv").write_text("Ada\n", encoding="utf-8")
    for suffix in ("safetensors", "npz", "html", "svg", "csv", "pt"):
        (tmp_path / f"old.{suffix}").write_text("what was there", encoding="utf-8")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    cases = [[int(number), *COMMANDS[name]] for number in (signal.SIGTERM, signal.SIGINT)]
    assert exit_codes(WRITING, cases, tmp_path) == [143, 130]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# The signal arrives when the program has done its work: as it flushes its output, waits for a thread, or leaves.
ENDING = (
    PROGRAM
    + """
import atexit, threading, time

class Output:
    def __init__(self, stream):
        self.stream = stream
    def __getattr__(self, name):
        return getattr(self.stream, name)
    def flush(self):
        self.stream.flush()
        kill()

class Last:
    def __del__(self):
        kill()

def kill():
    os.kill(os.getpid(), number)

def later():
    while threading.main_thread().is_alive():  # until it waits for this thread
        time.sleep(0.005)
    kill()
    time.sleep(30)

def run(case):
    global number, last
    where, number, *sys.argv[1:] = case
    if where == "flush":
        sys.stdout = Output(sys.stdout)
    elif where == "threads":
        threading.Thread(target=later).start()
    elif where == "modules":
        last = Last()
    try:
        main()
    finally:
        if where == "after":
            kill()
        elif where == "exit":
            atexit.register(kill)
"""
)


def test_a_signal_at_the_very_end_has_its_exit_code():
    places = [line.split('"')[1] for line in ENDING.splitlines() if "if where ==" in line]
    cases = [[place, int(number), "--version"] for place, number in product(places, (signal.SIGINT, signal.SIGTERM))]
    # The interpreter's own end is skipped, and with it what would hear a signal no more.
    expected = [0 if place == "modules" else 128 + number for place, number, *_ in cases]
    assert exit_codes(ENDING, cases) == expected


def test_a_signal_that_is_to_be_ignored_is_ignored():
    ignoring = ENDING + "\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    assert exit_codes(ignoring, [["exit", int(signal.SIGTERM), "--version"]]) == [0]


# Whoever reads the outputs has left before the program begins.
CLOSED = (
    PROGRAM
    + """
import gatewise.cli.page, gatewise.cli.plot, gatewise.cli.report
def run(case):
    streams, *sys.argv[1:] = case
    reads, writes = os.pipe()
    os.close(reads)
    for stream in streams:
        os.dup2(writes, stream)
    main()
"""
)


def test_nobody_who_reads_the_output_is_no_error():
    from gatewise.cli import COMMANDS as commands

    lines = [
        ["--help"],
        ["--version"],
        [],
        ["walk"],
        ["walk", "--format", "json"],
        ["walk", "--steps", "9", "--every-step"],
    ]
    lines += [[name, "--help"] for name in commands]
    cases = [[[1], *line] for line in lines] + [[[1, 2], *line] for line in lines[:4]]
    assert exit_codes(CLOSED, cases) == [0] * len(cases)


def test_nobody_who_reads_the_errors_changes_no_exit_code(tmp_path):
    gw.save(gw.LSTM(3, 4, rng=0, dtype=np.float32), tmp_path / "model.safetensors")
    np.save(tmp_path / "x.npy", np.ones((200_000, 3), np.float32))  # so long that its size is announced
    trace = [
        "trace",
        str(tmp_path / "model.safetensors"),
        str(tmp_path / "x.npy"),
        "-o",
        str(tmp_path / "y.safetensors"),
    ]
    assert exit_codes(CLOSED, [[[2], "walk", "--unknown"], [[2], "walk", "--x", "none.csv"], [[2], *trace]]) == [
        2,
        2,
        0,
    ]
    assert os.path.getsize(tmp_path / "y.safetensors") > 1000
