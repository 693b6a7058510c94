"""The end of the interpreter, whatever is in the native engine or alive at that moment: no crash, and not a word."""

from __future__ import annotations

import pytest
from children import exit_codes, needs_fork
from native_subjects import needs_native

pytestmark = [needs_native, needs_fork]

THREADS = """
import threading, time
from multiprocessing.pool import ThreadPool
import numpy as np, gatewise as gw

sys.setswitchinterval(5e-4)
lstm = gw.LSTM(8, 32, rng=0)
network = gw.Network(lstm, head=gw.Linear(np.ones((3, 32), np.float32)))
long = np.ones((20_000, 8), np.float32)
batch = np.ones((50, 8, 8), np.float32)
trace = lstm.trace(batch)
step, mask, rows = long[0], np.ones(50, bool), long[:50].tolist()

def work(kind):
    stream, network_stream = lstm.stream(), network.stream()
    call = {
        "call": lambda: lstm(long),
        "short call": lambda: lstm(long[:3]),
        "failing call": lambda: failed(lambda: lstm(step[:5])),
        "batch": lambda: lstm(batch),
        "network": lambda: network(long),
        "stream": lambda: stream.push(long),
        "stream, a step": lambda: stream.push(step),
        "stream, lists": lambda: stream.push(rows),
        "stream, a mask": lambda: stream.push(long[:50], mask=mask),
        "stream of a network": lambda: network_stream.push(long),
        "stream of a network, a step": lambda: network_stream.push(step),
        "trace": lambda: lstm.trace(long),
        "trace of a network": lambda: network.trace(long),
        "backward": lambda: gw.backward(trace, trace.output),
    }[kind]
    begun.release()
    while True:
        call()

def failed(call):
    try:
        call()
    except gw.ShapeError:
        pass

def run(case):
    global begun, pool
    kinds, way, number = case
    begun = threading.Semaphore(0)
    if way == "pool":
        pool = ThreadPool(len(kinds))
        pool.map_async(work, kinds)
    else:
        for kind in kinds:
            threading.Thread(target=work, args=[kind], daemon=True).start()
    for _ in kinds:
        begun.acquire()
    time.sleep(0.002 * number)
"""
KINDS = [line.split('"')[1] for line in THREADS.splitlines() if '": lambda' in line]
WAYS = ["daemon", "pool"]


@pytest.mark.subjects(1)
@pytest.mark.parametrize("count", [8, pytest.param(20, marks=pytest.mark.peers)])
@pytest.mark.parametrize("way", WAYS)
def test_threads_in_the_engine_do_not_disturb_the_end_of_the_interpreter(way, count):
    """Kinds of calls, three at a time, of which each is among eight runs."""
    runs = [[(KINDS * 2)[2 * number % 14 :][:3], way, 60 * number / count] for number in range(count)]
    assert exit_codes(THREADS, runs) == [0] * count


@pytest.mark.peers
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_threads_of_one_kind_do_not_disturb_the_end_of_the_interpreter(way, kind):
    assert exit_codes(THREADS, [[[kind] * 3, way, number] for number in range(0, 20, 2)]) == [0] * 10


ALIVE = """
import math, threading
import numpy as np, gatewise as gw

lstm = gw.LSTM(3, 4, num_layers=2, rng=0)
network = gw.Network(lstm, head=gw.Linear(np.ones((2, 4), np.float32)))
x = np.ones((5, 3), np.float32)
stream, network_stream = lstm.stream(), network.stream(2)
trace, network_trace = lstm.trace(x), network.trace(x)
gradients = gw.backward(trace, trace.output)
view, states = stream.push(x)[1:], stream.state
everything = [lstm, network, stream, network_stream, trace, network_trace, gradients, view, states, stream.push]

class Cycle:
    def __init__(self):
        self.itself, self.held = self, everything
    def __del__(self):
        self.held[2].push(x)

def failing(held):
    raise RuntimeError(held)

def waiting(held):
    started.set()
    threading.Event().wait()

def run(case):
    global kept, started
    kept = started = threading.Event()
    if case == "cycle":
        Cycle()
    elif case == "cycle of a global":
        kept = Cycle()
    elif case == "attribute of a module":
        math.kept = everything
    elif case == "exception":
        try:
            failing(everything)
        except RuntimeError as problem:
            kept = problem
    elif case == "default of a function":
        kept = lambda held=everything: held
    elif case == "thread":
        threading.Thread(target=waiting, args=[everything], daemon=True).start()
        started.wait()
    elif case == "thread's own":
        kept = threading.local()
        kept.held = everything
    elif case == "generator":
        kept = (thing for thing in everything)
        next(kept)
    elif case == "stack":
        sys.exit(3)
    elif case == "leaked reference":
        import ctypes
        for thing in (everything, stream.push, lstm):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
"""
CASES = [line.split('"')[1] for line in ALIVE.splitlines() if "if case ==" in line]


@pytest.mark.thorough
def test_whatever_is_alive_at_the_end_nothing_is_reported():
    assert exit_codes(ALIVE, CASES) == [3 if case == "stack" else 0 for case in CASES]
