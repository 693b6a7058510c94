"""Streams of networks: fed in whatever blocks, one puts out what a call over all of it does, bit for bit."""

from __future__ import annotations

import copy
import itertools
import pathlib
import pickle
import subprocess
import sys

import cases
import numpy as np
import program
import pytest
from native_subjects import ENGINES, needs_native
from stacks import assert_same_state, fed

import gatewise as gw
from gatewise.engine import native
from gatewise.network import dense, network
from tests.test_network_parts import made

SIZES = [(12,), (1,) * 12, (5, 0, 1, 6), (3, 4, 5)]


def amplifier(dtype=np.float32, **options):
    """Return a network as those of amplifiers are: two layers, a learned state, a head, a skip connection."""
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(2, 7, num_layers=2, rng=1, dtype=dtype)
    initial = [[gw.State(rng.normal(size=7), rng.normal(size=7))] for _ in range(2)]
    head = gw.Linear(rng.normal(size=(1, 7)).astype(dtype), rng.normal(size=1).astype(dtype))
    return gw.Network(lstm, head=head, skip=1, initial=initial, **options)


@cases.meeting(sizes=SIZES, batch=[None, 1, 3], dtype=[np.float32, np.float64], engine=ENGINES)
def test_a_stream_in_whatever_blocks_is_the_whole_call(sizes, batch, dtype, engine):
    model = amplifier(dtype)
    x = np.random.default_rng(2).normal(size=(12, 2) if batch is None else (12, batch, 2)).astype(dtype)
    whole, end = model(x, engine=engine)
    stream = model.stream(batch, engine=engine)
    assert (stream.engine, stream.batch_size) == (engine, batch)
    found = fed(stream, x, sizes)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, whole)
    assert_same_state(stream.state, end)


@cases.meeting(
    kind=["hidden", "skip", "branches", "branches hidden inputs outputs", "skip inputs outputs", "added inputs"],
    sizes=SIZES,
    batch=[None, 2],
    dtype=[np.float32, np.float64],
)
def test_what_lies_around_the_lstm_is_in_the_stream(kind, sizes, batch, dtype):
    model = made(np.random.default_rng(3), kind=kind, dtype=dtype)
    x = np.random.default_rng(4).normal(size=(12, 4) if batch is None else (12, batch, 4))
    np.testing.assert_array_equal(fed(model.stream(batch), x, sizes), model(x)[0])


def without_nonlinearities(kind, dtype, hidden=5):
    """Return a network whose parts around the LSTM are products, sums and scaling alone."""
    rng = np.random.default_rng(6)

    def chain(*sizes):
        return [
            gw.Linear(rng.normal(size=(size, features)).astype(dtype), rng.normal(size=size).astype(dtype))
            for features, size in itertools.pairwise(sizes)
        ]

    parts = {
        "before": {"branches": [gw.Branch(range(4), chain(4, 9, 2))]},
        "inputs": {"inputs": gw.Scaling(rng.normal(size=4), rng.uniform(1, 3, 4))},
        "after": {"head": chain(hidden, 8, 3, 2)},
        "outputs": {"outputs": gw.Scaling([1, -2], [3, -4], [-np.inf, -2])},
        "floor": {"outputs": gw.Scaling([0.1, 2], [0.3, 4])},
        "skip": {"skip": 2},
        "one skip": {"skip": 1},
        "state": {"initial": [[gw.State(*rng.normal(size=(2, hidden)))]]},
    }
    options = {"head": chain(hidden, 2)}
    for name, part in parts.items():
        if name in kind:
            options |= part
    return gw.Network(gw.LSTM(2 if "before" in kind else 4, hidden, rng=1, dtype=dtype), **options)


WITHOUT = [
    *("none", "before", "inputs", "after", "outputs", "floor", "skip", "one skip", "state"),
    *("before inputs after outputs skip state", "before one skip floor", "inputs skip outputs", "before after inputs"),
]


def assert_same_bits(y, expected):
    """Assert that two arrays hold the same numbers, also of zeros the sign; a NaN is a NaN."""
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y[y == 0]), np.signbit(expected[y == 0]))


@needs_native
@cases.meeting(kind=WITHOUT, sizes=SIZES, batch=[None, 0, 1, 3], dtype=[np.float32, np.float64], out=[False, True])
def test_a_network_without_nonlinearities_is_pushed_in_one_native_call(kind, sizes, batch, dtype, out, monkeypatch):
    model = without_nonlinearities(kind, dtype)
    x = np.random.default_rng(2).normal(size=(12, 4) if batch is None else (12, batch, 4)).astype(dtype)
    x[4:5] = np.inf
    x[9:, ..., 1] = np.nan
    whole, end = model(x)
    monkeypatch.setattr("gatewise.network.stream._push", lambda *_: pytest.fail("it went through NumPy"))
    stream, options = model.stream(batch), {"out": np.empty_like(whole)} if out else {}
    pushed = fed(stream, x, sizes, **options)
    assert pushed.dtype == dtype
    for blocks in (pushed, *options.values()):
        assert_same_bits(blocks, whole)
    assert_same_state(stream.state, end)


@cases.meeting(
    kind=WITHOUT, given=["list", "float64", "strided", "read-only", "mask", "subclass"], single=[False, True]
)
def test_what_needs_a_conversion_is_pushed_as_it_is_called(kind, given, single):
    model = without_nonlinearities(kind, np.float32)
    x = np.random.default_rng(2).normal(size=(5, 4))
    mask = np.array([True, False, True, True, False])
    forms = {
        "list": x.tolist(),
        "float64": x,
        "strided": np.repeat(x.astype(np.float32), 2, axis=0)[::2],
        "read-only": np.broadcast_to(x.astype(np.float32), (5, 4)),
        "mask": x,
        "subclass": np.ma.array(x),
    }
    block, options = forms[given], {"mask": mask} if given == "mask" else {}
    whole, end = model(block, **options)
    stream, out = model.stream(), np.empty_like(whole)
    if single:
        for at, step in enumerate(block):
            assert stream.push(step, out=out[at], **{name: array[at] for name, array in options.items()}).base is out
    else:
        assert stream.push(block, out=out, **options) is out
    assert_same_bits(out, whole)
    assert_same_state(stream.state, end)


@cases.meeting(batch=[None, 3], kind=["skip", "inputs skip outputs"])
def test_a_long_block_is_the_same_as_steps_one_by_one(batch, kind):
    """The native engine takes it in blocks of its own, of some 65,000 hidden states."""
    model = without_nonlinearities(kind, np.float32, hidden=100)
    x = np.random.default_rng(2).normal(size=(700, 4) if batch is None else (700, batch, 4)).astype(np.float32)
    stream = model.stream(batch)
    pushed = stream.push(x)
    assert_same_bits(pushed, model(x)[0])
    stream.reset()
    assert_same_bits(np.stack([stream.push(step) for step in x]), pushed)


@pytest.mark.parametrize("first", [0, 3, 11, 12, 24])
def test_a_network_may_write_over_what_it_reads(first):
    model = amplifier()
    memory = np.random.default_rng(0).normal(size=40).astype(np.float32)
    x = memory[12:24].reshape(6, 2)
    whole = model(x.copy())[0]
    np.testing.assert_array_equal(model.stream().push(x, out=memory[first : first + 6].reshape(6, 1)), whole)


@cases.meeting(sizes=SIZES, batch=[None, 2], masked=[None, 0])
def test_a_network_with_an_embedding_is_fed_tokens(sizes, batch, masked):
    rng = np.random.default_rng(0)
    table, head = rng.normal(size=(6, 3)), gw.Linear(rng.normal(size=(5, 4)), None, "softmax")
    model = gw.Network(gw.LSTM(3, 4, rng=0, dtype=np.float64), embedding=table, head=head, masked=masked)
    tokens = rng.integers(0, 6, size=(12,) if batch is None else (12, batch))
    whole, end = model(tokens)
    stream = model.stream(batch)
    np.testing.assert_array_equal(fed(stream, tokens, sizes), whole)
    assert_same_state(stream.state, end)


@cases.meeting(sizes=SIZES, kind=["skip", "branches", "skip inputs outputs"], batch=[None, 2])
def test_a_stream_takes_a_mask_and_an_array_for_its_output(sizes, kind, batch):
    rng, model = np.random.default_rng(5), made(np.random.default_rng(3), kind=kind)
    x = rng.normal(size=(12, 4) if batch is None else (12, batch, 4))
    mask = rng.random(x.shape[:-1]) < 0.6
    whole, end = model(x, mask=mask)
    stream, out = model.stream(batch), np.empty_like(whole)
    found = fed(stream, x, sizes, mask=mask, out=out)
    np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(out, whole)
    assert_same_state(stream.state, end)


def test_a_stream_starts_from_the_initial_state_and_goes_back_to_it():
    model, x = amplifier(), np.ones((3, 2), np.float32)
    stream = model.stream()
    assert_same_state(stream.state, model.initial)
    first = stream.push(x)
    assert (stream.push(x) != first).any()
    stream.reset()
    np.testing.assert_array_equal(stream.push(x), first)
    batch = model.stream(2)
    np.testing.assert_array_equal(batch.push(np.ones((3, 2, 2)))[:, 1], first)
    taken = stream.state
    other = pickle.loads(pickle.dumps(stream))
    copied = copy.deepcopy(stream)
    after = stream.push(x)
    stream.state = taken
    for one in (other, copied, stream):
        np.testing.assert_array_equal(one.push(x), after)
    assert "NetworkStream(<Network" in repr(stream)


@cases.meeting(
    kind=["hidden", "skip", "branches", "branches hidden inputs outputs", "skip inputs outputs"],
    strange=[np.nan, np.inf, -np.inf],
    batch=[None, 2],
    engine=ENGINES,
)
def test_a_nan_in_the_input_of_a_network_stays_until_the_reset(kind, strange, batch, engine):
    model = made(np.random.default_rng(3), kind=kind)
    x = np.random.default_rng(4).normal(size=(6, 4) if batch is None else (6, batch, 4))
    stream = model.stream(batch, engine=engine)
    for feature in range(4):
        assert stream.is_finite is True
        bad = x.copy()
        bad[2, ..., feature] = strange
        stream.push(bad)
        state = [array for layer in stream.state for one in layer for array in one]
        assert stream.is_finite is all(np.isfinite(array).all() for array in state)
        if np.isnan(strange):
            assert stream.is_finite is False
            assert np.isnan(stream.push(x)).all()
        stream.reset()


def test_what_is_fed_at_a_masked_step_never_enters_the_state():
    stream = amplifier().stream()
    stream.push([np.nan, 1], mask=np.array(False))
    assert stream.is_finite


LAST = gw.Network(gw.LSTM(1, 2, rng=0), reads="last")
BOTH = gw.Network(gw.LSTM(1, 2, bidirectional=True, rng=0))
REPEATED = gw.Network(gw.LSTM(1, 2, rng=0), masked=0, masked_output="repeat")


@pytest.mark.parametrize(
    ("model", "words"),
    [(LAST, ["last"]), (BOTH, ["only runs forward", "backward"]), (REPEATED, ["masked", "repeats"])],
)
def test_a_network_that_no_stream_runs_is_refused_by_name(model, words):
    with cases.refusal(*words, by=gw.OptionError):
        model.stream()


def test_only_a_network_has_a_stream_of_a_network():
    with cases.refusal("Network", "LSTM", by=gw.OptionError):
        gw.network.NetworkStream(gw.LSTM(1, 2, rng=0))


@pytest.mark.parametrize("kind", ["plain", "scaled"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros(3), ["(3,)", "(2,) or (time, 2)"]),
        (np.zeros((4, 1, 2)), ["(4, 1, 2)", "(2,) or (time, 2)"]),
        (5.0, ["()", "(2,)"]),
        ("text", ["x", "real numbers"]),
        ([[1, 2], [3]], ["x", "equal lengths"]),
    ],
    ids=str,
)
def test_a_wrong_block_is_refused_in_one_sentence_and_the_state_left_as_it_was(kind, given, words):
    stream = amplifier(inputs=gw.Scaling([0, 1], [1, 2]) if kind == "scaled" else None).stream()
    stream.push([1, 2])
    before = stream.state
    for options in ({}, {"out": np.empty(3, np.float32)}):
        with cases.refusal(*([] if options else words), by=gw.GatewiseError):
            stream.push(given, **options)
    with cases.refusal("out", "(1,)", "(2,)", by=gw.ShapeError):
        stream.push([1, 2], out=np.empty(2, np.float32))
    assert_same_state(stream.state, before)


@pytest.mark.parametrize(("token", "words"), [(6, ["0 and 5"]), (0.5, ["integers"]), ([[0]], ["(1, 1)", "(time,)"])])
def test_a_token_that_is_none_is_refused(token, words):
    model = gw.Network(gw.LSTM(3, 4, rng=0), embedding=np.ones((6, 3)))
    with cases.refusal(*words, by=gw.GatewiseError):
        model.stream().push(token)


@pytest.mark.parametrize("missing", [None, "it is missing"])
@cases.meeting(features=[1, 3, 7, 8, 21, 40], outputs=[1, 5], dtype=[np.float32, np.float64])
def test_a_small_layer_sums_each_row_by_itself(features, outputs, dtype, missing, monkeypatch):
    monkeypatch.setattr(dense.native, "MISSING", missing or dense.native.MISSING)
    rng = np.random.default_rng(0)
    h = rng.normal(size=(9, 2, features)).astype(dtype)
    layer = gw.Linear(rng.normal(size=(outputs, features)).astype(dtype), rng.normal(size=outputs).astype(dtype))
    y = layer(h)
    exact = np.float64(h) @ np.float64(layer.weight).T + layer.bias
    bound = np.abs(h) @ np.abs(np.float64(layer.weight)).T + np.abs(layer.bias)
    assert y.dtype == dtype
    assert (np.abs(y - exact) <= (features + 2) * np.finfo(dtype).eps * bound).all()
    for row, one in zip(h.reshape(-1, features), y.reshape(-1, outputs), strict=True):
        np.testing.assert_array_equal(layer(row), one)
    np.testing.assert_array_equal(layer(h.transpose(1, 0, 2)), y.transpose(1, 0, 2))
    h[3, 1, 0] = np.nan
    assert np.isnan(layer(h)[3, 1]).all()
    assert layer(h[:0]).shape == (0, 2, outputs)


def check_both_sides_of_the_limit(engine):
    """Assert what `NetworkStream` says of dense layers of at most 1,024 weights, and of larger ones."""
    rng = np.random.default_rng(0)
    shapes = [(32, 32), (16, 64), (1024, 1), (33, 32), (1025, 1), (41, 25), (70, 80)]
    for (outputs, features), before, dtype in itertools.product(shapes, (False, True), (np.float32, np.float64)):
        weight, bias = rng.normal(size=(outputs, features)) / np.sqrt(features), rng.normal(size=outputs)
        layer = gw.Linear(weight.astype(dtype), bias.astype(dtype))
        if before:
            lstm, parts = gw.LSTM(outputs, 5, rng=0, dtype=dtype), {"branches": [gw.Branch(range(features), [layer])]}
        else:
            lstm, parts = gw.LSTM(2, features, rng=0, dtype=dtype), {"head": layer}
        model = gw.Network(lstm, **parts)
        x = rng.normal(size=(12, model.num_features)).astype(dtype)
        whole, end = model(x, engine=engine)
        read = x if before else lstm(x, engine=engine)[0]
        eps = np.finfo(dtype).eps
        bound = 2 * (features + 2) * eps * (np.abs(read) @ np.abs(layer.weight).T + np.abs(layer.bias))
        for sizes in [(1,) * 12, (5, 0, 1, 6)]:
            stream = model.stream(engine=engine)
            found = fed(stream, x, sizes)
            if weight.size <= 1024:
                np.testing.assert_array_equal(found, whole)
            if weight.size <= 1024 or not before:
                assert_same_state(stream.state, end)
            if before:
                np.testing.assert_allclose(found, whole, rtol=0, atol=100 * bound.max())
            else:
                assert (np.abs(found - whole) <= bound).all()


@pytest.mark.parametrize("kernel", [*native.kernels(), None])
def test_the_limit_of_equal_bits_is_the_same_on_every_kernel(kernel, monkeypatch):
    if kernel:
        monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    check_both_sides_of_the_limit("native" if kernel else "reference")


CPUINFO = pathlib.Path("/proc/cpuinfo")
FLAGS = CPUINFO.read_text(encoding="utf-8").split() if CPUINFO.exists() else []
BLAS = {"Prescott": "sse3", "Haswell": "avx2", "SkylakeX": "avx512f"}  # OpenBLAS's kernels and what they need


@pytest.mark.subjects(1)
@pytest.mark.parametrize("core", [core for core, flag in BLAS.items() if flag in FLAGS or core == "Prescott"])
def test_the_limit_of_equal_bits_is_the_same_with_every_product_of_blas(core):
    script = "import test_network_stream; test_network_stream.check_both_sides_of_the_limit('auto')"
    environment = program.environment() | {"OPENBLAS_CORETYPE": core}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


# Long calls.


@cases.meeting(batch=[None, 2], reads=["every", "last"], engine=ENGINES)
def test_a_long_call_in_blocks_is_the_call_at_once(batch, reads, engine, monkeypatch):
    model = amplifier()
    if reads == "last":
        model = gw.Network(model.lstm, head=model.head, initial=model.initial, reads="last")
    x = np.random.default_rng(2).normal(size=(50, 2) if batch is None else (50, batch, 2)).astype(np.float32)
    y, state = model(x, engine=engine)
    monkeypatch.setattr(network, "BLOCK", 1)
    monkeypatch.setattr(network, "MIN_STEPS", 7)
    found, end = model(x, engine=engine)
    np.testing.assert_array_equal(found, y)
    assert_same_state(end, state)
    found, end = model(x[10:], model(x[:10], engine=engine)[1], engine=engine)
    np.testing.assert_array_equal(found, y[10:] if reads == "every" else y)


@pytest.mark.parametrize("kind", ["hidden last two", "skip inputs outputs two", "branches hidden inputs outputs last"])
def test_every_kind_of_network_is_the_same_in_blocks(kind, monkeypatch):
    model = made(np.random.default_rng(3), kind=kind)
    x = np.random.default_rng(4).normal(size=(20, 2, 4))
    mask = np.random.default_rng(5).random((20, 2)) < 0.5
    whole, masked = model(x)[0], model(x, mask=mask, masked_output="repeat")[0]
    monkeypatch.setattr(network, "BLOCK", 1)
    monkeypatch.setattr(network, "MIN_STEPS", 6)
    np.testing.assert_array_equal(model(x)[0], whole)
    np.testing.assert_array_equal(model(x, mask=mask, masked_output="repeat")[0], masked)


def test_a_wrong_long_input_is_refused_as_a_whole(monkeypatch):
    monkeypatch.setattr(network, "MIN_STEPS", 6)
    monkeypatch.setattr(network, "BLOCK", 1)
    with cases.refusal("(100, 3)", by=gw.ShapeError):
        amplifier()(np.zeros((100, 3)))
