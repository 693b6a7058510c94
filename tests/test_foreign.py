"""What is no input of ours gets one sentence of ours: huge sizes, masked arrays, nothing at all, other interpreters."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise import arrays

LSTM = gw.LSTM(2, 3, rng=0)
X = np.ones((3, 2), np.float32)
MASKED = np.ma.array(X, mask=[[1, 0], [0, 0], [0, 0]])
ENDLESS = np.broadcast_to(np.float32(0), (2**40, 2))
SIZES = {
    "layers": (lambda: gw.LSTM(2, 3, num_layers=2**63), "num_layers"),
    "layers that would be endless": (lambda: gw.LSTM(2, 3, num_layers=10**400), "num_layers"),
    "layers that would not fit": (lambda: gw.LSTM(2, 3, num_layers=2**40), "layers"),
    "units": (lambda: gw.LSTM(2, 2**63), "hidden_size"),
    "a batch": (lambda: LSTM.zero_state(2**63), "batch_size"),
    "a batch that would not fit": (lambda: gw.LSTM(2, 2**20).zero_state(2**31), ""),
    "steps": (lambda: LSTM(ENDLESS), "steps"),
    "steps of a trace": (lambda: LSTM.trace(ENDLESS), "steps"),
    "steps of a stream": (lambda: LSTM.stream().push(ENDLESS), ""),
}


@pytest.mark.parametrize("what", SIZES)
def test_sizes_that_no_machine_has_are_refused(what):
    ask, named = SIZES[what]
    with cases.refusal(named, by=(gw.CapacityError, gw.OptionError)) as caught:
        ask()
    assert len(str(caught.value)) < 200


ASKED = {"call": LSTM, "trace": LSTM.trace, "push": lambda x: LSTM.stream().push(x)}


def test_what_a_projection_makes_small_fits(monkeypatch):
    monkeypatch.setattr(arrays, "available_memory", lambda: 2**28)
    lstm = gw.LSTM(2, 4000, projection_size=2, num_layers=5, rng=0)  # 4000² weights for each gate would not
    assert lstm.num_layers == 5


@pytest.mark.parametrize("nothing", [None, {}, object(), "0.5"])
@pytest.mark.parametrize("ask", ASKED)
def test_what_is_no_array_is_refused(ask, nothing):
    with cases.refusal("x must hold real numbers", by=gw.OptionError):
        ASKED[ask](nothing)


MASKS = {
    "x": lambda: LSTM(MASKED),
    "x of a trace": lambda: LSTM.trace(MASKED),
    "x of a stream": lambda: LSTM.stream().push(MASKED),
    "one step of a stream": lambda: LSTM.stream().push(MASKED[0]),
    "mask": lambda: LSTM(X, mask=np.ma.array([True, True, False], mask=[1, 0, 0])),
    "weight": lambda: LSTM.layers[0][0].parameters.replace(
        weight=np.ma.masked_greater(LSTM.layers[0][0].parameters.weight, 0)
    ),
    "y": lambda: gw.verify(LSTM, X, np.ma.masked_less(LSTM(X)[0], 0.1)),
    "dy": lambda: gw.backward(LSTM.trace(X), np.ma.masked_less(LSTM(X)[0], 0.1)),
}


@pytest.mark.parametrize("what", MASKS)
def test_what_is_under_a_mask_is_not_computed_with(what):
    with cases.refusal("has masked entries", by=gw.OptionError):
        MASKS[what]()


def test_a_masked_array_without_a_masked_entry_is_an_array():
    whole = np.ma.array(X)
    np.testing.assert_array_equal(LSTM(whole)[0], LSTM(X)[0])
    np.testing.assert_array_equal(LSTM.stream().push(whole), LSTM.stream().push(X))
    assert type(LSTM.trace(whole)[0].input) is np.ndarray


class Tensor:
    """As one of PyTorch's, which NumPy asks for its numbers."""

    def __init__(self, problem):
        self.problem = problem

    def __len__(self):
        return 2

    def __getitem__(self, place):
        return 0.5

    def __array__(self, dtype=None, copy=None):
        raise self.problem


TENSORS = {
    "a gradient": RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."),
    "bf16": TypeError("Got unsupported ScalarType BFloat16"),
}


@pytest.mark.parametrize("what", TENSORS)
@pytest.mark.parametrize("given", [lambda one: one, lambda one: [one, one]], ids=("alone", "in a list"))
def test_tensors_that_numpy_cannot_take_are_refused_with_the_way_out(what, given):
    for ask in (LSTM, LSTM.trace, LSTM.stream().push):
        with cases.refusal("x cannot be read ", " give .detach().float()", by=gw.OptionError):
            ask(given(Tensor(TENSORS[what])))


def test_masked_arrays_are_looked_for_without_importing_them():
    code = """
        import sys, numpy as np
        before = "numpy.ma" in sys.modules
        import gatewise as gw
        lstm = gw.LSTM(2, 3, rng=0)
        lstm.stream().push(lstm.trace(np.ones((4, 2)))[0].input[0, 0])
        print(before == ("numpy.ma" in sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize("options", [{}, {"keep": ["forget_gate"]}, {"mask": [True, False, True]}], ids=str)
def test_an_unpickled_trace_is_as_read_only_as_the_trace(options):
    trace = LSTM.trace(X, **options)
    again = pickle.loads(pickle.dumps(trace))
    for one in (trace, again):
        cell = one[0]
        assert not any(array.flags.writeable for array in (*cell.arrays.values(), *cell.final, *cell.initial))
    np.testing.assert_array_equal(again[0].forget_gate, trace[0].forget_gate)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="a later Python makes sub-interpreters in another way")
def test_a_sub_interpreter_is_refused_by_the_extension_and_runs_on_the_reference_engine():
    inner = """
        import warnings
        warnings.simplefilter("ignore")  # NumPy's, that it is not made for this
        import numpy as np, gatewise as gw
        engine = gw.engines()[0]
        print(engine.available, "sub-interpreter" in engine.why_not, gw.LSTM(2, 3, rng=0)(np.ones((3, 2)))[0].shape)
    """
    outer = f"""
        import _xxsubinterpreters as interpreters
        one = interpreters.create()
        interpreters.run_string(one, {textwrap.dedent(inner)!r})
        interpreters.destroy(one)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(outer)], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.split("\n")[0] == "False True (3, 3)"
