"""The native engine and the process around it: its environment, its threads, its forks, its signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cases
import numpy as np
import pytest
from native_subjects import every_kernel, needs_native, threads
from pairwise import thinned

import gatewise as gw

pytestmark = needs_native


def python(code, **environment):
    """Run code in a process of its own; return its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr


@every_kernel
def test_the_environment_names_the_kernel(kernel):
    code, out, err = python("import gatewise as gw; print(gw.engines()[0].kernel)", GATEWISE_KERNEL=kernel)
    assert (code, out) == (0, kernel), err


def test_the_environment_leaves_numpy_alone():
    code, out, err = python(
        """
        import gatewise as gw
        print(gw.engines()[0].available, gw.engines()[0].why_not)
        print(gw.LSTM(2, 3, rng=0)([[1, 2]])[0].shape)
        try:
            gw.LSTM(2, 3, rng=0)([[1, 2]], engine="native")
        except gw.OptionError as problem:
            print(problem)
        """,
        GATEWISE_KERNEL="none",
    )
    assert code == 0, err
    why = "GATEWISE_KERNEL=none turns it off"
    refused = f"the engine 'native' cannot run this cell: {why}"
    assert out.splitlines() == [f"False {why}", "(1, 3)", refused]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWISE_KERNEL", "sse9"),
        ("GATEWISE_NUM_THREADS", "many"),
        pytest.param("GATEWISE_NUM_THREADS", "0", marks=pytest.mark.peers),
        pytest.param("GATEWISE_NUM_THREADS", "2x", marks=pytest.mark.peers),
    ],
)
def test_an_environment_that_asks_for_what_is_missing_is_refused(name, value):
    code, out, err = python(
        """
        import gatewise as gw
        for asked in (gw.engines, lambda: gw.LSTM(2, 2, rng=0)([[1, 2]])):
            try:
                asked()
            except gw.OptionError as problem:
                print(problem)
        """,
        **{name: value},
    )
    assert code == 0, err
    assert len(out.splitlines()) == 2
    assert all(name in line and value in line for line in out.splitlines())


def test_the_number_of_threads_is_that_of_the_environment_or_of_the_cpus():
    assert python("import gatewise as gw; print(gw.engines()[0].threads)", GATEWISE_NUM_THREADS="3")[1] == "3"
    if hasattr(os, "sched_setaffinity"):
        code = """
            import os
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            import gatewise as gw
            print(gw.engines()[0].threads)
        """
        environment = {name: value for name, value in os.environ.items() if name != "GATEWISE_NUM_THREADS"}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "1"


@pytest.mark.parametrize("count", [0, -1, 1025, 1.5, "2", True])
def test_a_number_of_threads_that_cannot_be_is_refused(count):
    with cases.refusal("threads", str(count), by=gw.OptionError):
        gw.set_num_threads(count)


def test_many_streams_of_one_model_run_in_many_threads():
    lstm = gw.LSTM(8, 64, num_layers=2, rng=0)
    inputs = np.random.default_rng(0).normal(size=(8, 300, 8)).astype(np.float32)
    expected = [lstm(x)[0] for x in inputs]
    start = threading.Barrier(8)

    def feed(x):
        stream = lstm.stream()
        start.wait()
        return np.stack([stream.push(step) for step in x[:200]] + list(stream.push(x[200:])))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(feed, inputs))
    np.testing.assert_array_equal(found, expected)


def test_whole_runs_of_one_model_run_in_many_threads():
    lstm = gw.LSTM(8, 64, rng=0)
    inputs = np.random.default_rng(0).normal(size=(6, 50, 12, 8)).astype(np.float32)
    expected = [lstm(x)[0] for x in inputs]
    with threads(2), ThreadPoolExecutor(6) as pool:
        for found, right in zip(pool.map(lambda x: lstm(x)[0], inputs), expected, strict=True):
            np.testing.assert_array_equal(found, right)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own():
    code, out, err = python(
        """
        import os, sys
        import numpy as np, gatewise as gw
        gw.set_num_threads(2)
        lstm, x = gw.LSTM(8, 64, rng=0), np.ones((100, 16, 8), np.float32)
        before = lstm(x)[0]
        child = os.fork()
        same = np.array_equal(lstm(x)[0], before)
        if child == 0:
            os._exit(0 if same else 1)
        print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert (code, out) == (0, "True 0"), err


NESTED = """
import os, signal, numpy as np, gatewise as gw
gw.set_num_threads(2)
lstm, small = gw.LSTM(64, 256, rng=0), gw.LSTM(2, 300, rng=1)
x, other = (np.random.default_rng(0).normal(size=s).astype(np.float32) for s in ((100, 16, 64), (3, 100, 2)))
trace = lstm.trace(x)
dx = gw.backward(trace, trace.output).x
inner = small.trace(other)
calls = []
def handler(*_):
    calls.append(np.array_equal(small.trace(other).output, inner.output))
    if len(calls) == FORKS:
        os.fork()
    gw.backward(inner, inner.output)
    signal.setitimer(signal.ITIMER_REAL, 0.01)  # the run goes on in between, however slow the machine
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01)
good = True
while not calls:  # on a fast machine a run may be over before the first signal
    good &= np.array_equal(lstm(x)[0], trace.output) and np.array_equal(gw.backward(trace, trace.output).x, dx)
signal.setitimer(signal.ITIMER_REAL, 0)
os.write(1, f"{good} {all(calls)}\\n".encode())  # in a single write: parent and child share the pipe
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("forks", [pytest.param(0, marks=pytest.mark.peers), 1])
def test_a_signal_handler_may_run_an_lstm_and_fork_amid_a_run(forks):
    program = NESTED.replace("FORKS", str(forks))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["True"] * 2 * (1 + forks)


LONG = """
import signal
import numpy as np, gatewise as gw
signal.signal(signal.SIGINT, signal.default_int_handler)  # the children of a background job ignore it
{body}
print("ready", flush=True)
try:
    while True:
        call()
except KeyboardInterrupt:
    print("stopped", {after}, flush=True)
"""


LONG_CALLS = {
    "one row": ("lstm, x = gw.LSTM(64, 256, rng=0), np.ones((100_000, 64), np.float32); call = lambda: lstm(x)", "0"),
    "stream": (
        "stream, x = gw.LSTM(64, 256, rng=0).stream(), np.ones((100_000, 64), np.float32)\n"
        "stream.push(x[0]); before = stream.state\n"
        "call = lambda: (setattr(stream, 'state', before), stream.push(x))",
        "int(np.array_equal(stream.state[0][0].c, before[0][0].c) - 1)",
    ),
    "stream of a network": (
        "head = gw.Linear(np.ones((1, 256), np.float32)); network = gw.Network(gw.LSTM(64, 256, rng=0), head=head)\n"
        "stream, x = network.stream(), np.ones((100_000, 64), np.float32)\n"
        "stream.push(x[0]); before = stream.state\n"
        "call = lambda: (setattr(stream, 'state', before), stream.push(x))",
        "int(np.array_equal(stream.state[0][0].c, before[0][0].c) - 1)",
    ),
    "back": (
        "lstm = gw.LSTM(256, 512, rng=0); trace = lstm.trace(np.ones((30, 256, 256), np.float32))\n"
        "call = lambda: gw.backward(trace, trace.output)",
        "0",
    ),
    "one long step": (
        "lstm, x = gw.LSTM(1024, 1024, rng=0), np.ones((1, 16000, 1024), np.float32); call = lambda: lstm(x)",
        "0",
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent another way there")
@pytest.mark.parametrize("call", thinned(LONG_CALLS, 2))
def test_a_signal_ends_a_long_run_and_breaks_nothing(call):
    body, after = LONG_CALLS[call]
    process = subprocess.Popen(
        [sys.executable, "-c", LONG.format(body=body, after=after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    time.sleep(0.1)  # into the run; whatever it is doing then, the signal ends it
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "stopped 0\n", err


GROWTH = """
import sys, numpy as np, gatewise as gw
from held import held
lstm = gw.LSTM(3, 4, num_layers=2, rng=0)
network = gw.Network(lstm, head=gw.Linear(np.ones((2, 4), np.float32)))
x, batch, mask = np.ones((5, 3), np.float32), np.ones((3, 2, 3), np.float32), np.ones(2, bool)
stream, streams, network_stream, trace = lstm.stream(), lstm.stream(2), network.stream(), lstm.trace(x)

def refused(call, *arguments):
    try:
        call(*arguments)
    except gw.ShapeError:
        return
    raise AssertionError

call = CALL
call()

def repeat(count):
    for _ in range(count):
        call()
    return sys.getallocatedblocks(), held("VmRSS")

repeat(10_000)  # until the allocators have what they need
blocks, memory = repeat(10_000)
more_blocks, more_memory = repeat(100_000)
print(more_blocks - blocks, more_memory - memory)
"""
CALLS = {
    "a step": "lambda: stream.push(x[0])",
    "a block": "lambda: stream.push(x)",
    "a refused step": "lambda: refused(stream.push, x[0, :2])",
    "a masked step": "lambda: streams.push(batch[0], mask=mask)",
    "a step of a network": "lambda: network_stream.push(x[0])",
    "a step of a network in lists": "lambda: network_stream.push([1, 2, 3])",
    "a refused step of a network": "lambda: refused(network_stream.push, x[0, :2])",
    "a new stream": "lambda: lstm.stream().push(x[0])",
    "a new stream of a network": "lambda: network.stream().push(x[0])",
    "a state": "lambda: setattr(stream, 'state', stream.state)",
    "a call": "lambda: lstm(x)",
    "a call of a network": "lambda: network(batch)",
    "a refused call": "lambda: refused(lstm, x[:, :2])",
    "a trace": "lambda: lstm.trace(x)",
    "a gradient": "lambda: gw.backward(trace, trace.output)",
}


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not tell")
@pytest.mark.parametrize("kind", thinned(CALLS))
def test_nothing_grows_over_100_000_calls(kind):
    code, out, err = python(GROWTH.replace("CALL", CALLS[kind]), PYTHONPATH=os.pathsep.join(sys.path))
    assert code == 0, err
    blocks, memory = map(int, out.split())
    assert blocks < 1000  # a block or a byte for each call would be a hundred times as many
    assert memory < 2**20
