"""SIGTERM, SIGHUP, Ctrl-C at the very end, and readers who leave: exit codes, nothing left behind, not a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import product

import numpy as np
import program
import pytest
from children import exit_codes, needs_fork

import gatewise as gw
import gatewise.cli

pytestmark = needs_fork
SIGNALS = [int(getattr(signal, name)) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]

PROGRAM = """
import os, signal, sys
import gatewise.cli
from pathlib import Path
from gatewise.__main__ import run_program
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
    run_program()
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


FEW = ("trace", "trace to an archive", "walk", "exercise")


@pytest.mark.parametrize(
    "names", [FEW, pytest.param(sorted(COMMANDS.keys() - {*FEW}), marks=pytest.mark.peers)], ids=str
)
def test_a_signal_leaves_what_was_there_and_nothing_else(names, tmp_path):
    gw.save(gw.LSTM(3, 4, rng=0), tmp_path / "model.safetensors")
    np.save(tmp_path / "x.npy", np.ones((30, 3), np.float32))
    (tmp_path / "class.csv").write_text("Ada\n", encoding="utf-8")
    for suffix in ("safetensors", "npz", "html", "svg", "csv", "pt"):
        (tmp_path / f"old.{suffix}").write_text("what was there", encoding="utf-8")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    cases = [[number, *COMMANDS[name]] for name, number in product(names, SIGNALS)]
    assert exit_codes(WRITING, cases, tmp_path) == [128 + number for number, *_ in cases]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# The terminal is closed when all of a file is written but for its name.
IN_TERMINAL = (
    PROGRAM
    + """
import fcntl, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal becomes that of the process
chmod = Path.chmod
def waiting(path, mode):
    chmod(path, mode)
    print("written", flush=True)
    time.sleep(60)
Path.chmod = waiting
run_program()
"""
)


@pytest.mark.thorough
def test_a_terminal_that_is_closed_leaves_nothing(tmp_path):
    terminal, end = os.openpty()
    command = [sys.executable, "-c", IN_TERMINAL, "walk", "-o", "new.html"]
    with subprocess.Popen(
        command,
        stdin=end,
        stdout=end,
        stderr=end,
        cwd=tmp_path,
        env=program.environment(),
        start_new_session=True,
    ) as process:
        os.close(end)
        said = b""
        while b"written" not in said:
            said += os.read(terminal, 1000)
        assert len([*tmp_path.iterdir()]) == 1
        os.close(terminal)
        assert process.wait(timeout=60) == 129
    assert not [*tmp_path.iterdir()]


# A second signal arrives during the clean-up after the first, and a third where the clean-up hangs.
REPEATED = (
    WRITING
    + """
import time
unlink = Path.unlink
def interrupted(path, missing_ok=False):
    if path.name.endswith(".tmp"):
        for number in more:
            os.kill(os.getpid(), number)
        if len(more) > 1:
            time.sleep(60)
    unlink(path, missing_ok)
Path.unlink = interrupted

def run(case):
    global number, more
    number, more, *sys.argv[1:] = case
    run_program()
"""
)


EACH_AFTER_ANOTHER = [*zip(SIGNALS, [*SIGNALS[1:], SIGNALS[0]], strict=True)]
EVERY_PAIR = pytest.param([*product(SIGNALS, repeat=2)], marks=pytest.mark.peers)


@pytest.mark.thorough
@pytest.mark.parametrize("pairs", [EACH_AFTER_ANOTHER, EVERY_PAIR], ids=len)
def test_a_second_signal_lets_the_clean_up_end_and_a_third_ends_the_program(pairs, tmp_path):
    (tmp_path / "hangs").mkdir()
    repeated = [[first, [second], "walk", "-o", "new.html"] for first, second in pairs]
    hanging = [[first, [SIGNALS[0], third], "walk", "-o", "hangs/new.html"] for first, third in pairs]
    expected = [128 + first for first, _ in pairs] + [128 + third for _, third in pairs]
    assert exit_codes(REPEATED, repeated + hanging, tmp_path) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["hangs"]


# A host calls the program as a function: everything after it is the host's.
HOST = """
import atexit, io, signal, sys, threading
from gatewise.__main__ import main
import gatewise.cli

def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

def interrupted():
    raise KeyboardInterrupt("text")

def run(case):
    global before, registered
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before, registered = handlers(), []
    atexit.register = lambda function, *arguments: registered.append(function)
    sys.argv = ["gatewise", "--version"]
    exec(case, globals())
"""
HOSTS = {
    "main()": 0,
    "main(); sys.exit(3)": 3,
    "main(); sys.excepthook = lambda *error: None; raise ValueError": 1,
    "main(); sys.exit(3 if handlers() == before and not registered else 4)": 3,
    "sys.stderr = io.StringIO(); sys.argv[1:] = ['walk', '--nonsense']; main()": 2,
    "thread = threading.Thread(target=main); thread.start(); thread.join(); sys.exit(3)": 3,
    """
gatewise.cli.main = lambda: signal.raise_signal(signal.SIGTERM)
try:
    main()
except SystemExit as end:
    sys.exit(3 if end.code == 143 and handlers() == before else 4)
""": 3,
    "gatewise.cli.main = interrupted; main()": 130,  # of a library
}


@pytest.mark.thorough
def test_a_host_that_runs_the_program_keeps_its_exit_and_its_handlers():
    assert exit_codes(HOST, [*HOSTS]) == [*HOSTS.values()]


@pytest.mark.subjects(1)
@pytest.mark.parametrize(
    "start", [["-m", "gatewise"], ["-c", "from gatewise.__main__ import run_program; run_program()"]]
)
def test_the_program_calls_the_exit_handlers_of_before(start, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import atexit\natexit.register(print, 'called')\n", encoding="utf-8")
    environment = program.environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, *start, "--version"], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == ["called"]


def test_an_unforeseen_error_has_its_traceback_and_exit_code_1():
    script = "import gatewise.cli; gatewise.cli.main = lambda: 1 / 0\nfrom gatewise.__main__ import run_program\n"
    done = subprocess.run(
        [sys.executable, "-c", script + "run_program()"],
        capture_output=True,
        text=True,
        env=program.environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")


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
    elif where == "exit":
        atexit.register(kill)
    elif where == "exit, ignored":
        signal.signal(number, signal.SIG_IGN)
        atexit.register(kill)
    run_program()
"""
)


@pytest.mark.thorough
def test_a_signal_at_the_very_end_has_its_exit_code_unless_it_is_to_be_ignored():
    places = [line.split('"')[1] for line in ENDING.splitlines() if "if where ==" in line]
    cases = [[place, number, "--version"] for place, number in product(places, SIGNALS)]
    # The interpreter's own end is skipped, and with it what would hear a signal no more.
    unheard = ("modules", "exit, ignored")
    assert exit_codes(ENDING, cases) == [0 if place in unheard else 128 + number for place, number, *_ in cases]


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
    run_program()
"""
)


LINES = (
    ["--help"],
    ["--version"],
    [],
    ["walk"],
    ["walk", "--format", "json"],
    ["walk", "--steps", "9", "--every-step"],
    ["plot", "--help"],
)
HELP = [[name, "--help"] for name in gatewise.cli.COMMANDS]


@pytest.mark.thorough
@pytest.mark.parametrize("lines", [LINES, pytest.param(HELP, marks=pytest.mark.peers)], ids=["outputs", "every help"])
def test_nobody_who_reads_the_output_is_no_error(lines):
    cases = [[[1], *line] for line in lines] + [[[1, 2], *line] for line in lines[:4]]
    assert exit_codes(CLOSED, cases) == [0] * len(cases)


@pytest.mark.thorough
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
