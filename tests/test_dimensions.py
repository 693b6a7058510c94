"""The axes of an input: named by the dimensions of labelled data, by ``axes``, or else by position."""

from __future__ import annotations

import itertools

import cases
import numpy as np
import pytest

import gatewise as gw

xarray = pytest.importorskip("xarray")

AXES = ("time", "batch", "feature")
LSTM = gw.LSTM(4, 4, num_layers=2, rng=0)
APART = gw.LSTM(4, 4, bidirectional=True, merge="none", rng=0)
CELL = gw.LSTMCell(4, 4, rng=0)
NETWORK = gw.Network(LSTM, head=gw.Linear(np.ones((4, 4), np.float32), np.zeros(4, np.float32)))
SCALED = gw.Network(LSTM, inputs=gw.Scaling(np.zeros(4), np.full(4, 2.0)))
MASKED = gw.Network(LSTM, masked=0.0)
TOKENS = gw.Network(gw.LSTM(4, 4, rng=0), embedding=np.eye(4, dtype=np.float32))
LAST = gw.Network(LSTM, head=gw.Linear(np.ones((4, 4), np.float32), np.zeros(4, np.float32)), reads="last")
X = np.random.default_rng(0).normal(size=(4, 4, 4))  # any order of its axes fits
Y = LSTM(X)[0]


def labelled(*dims, array=X):
    return xarray.DataArray(array[(0,) * (array.ndim - len(dims))], dims=dims)


READERS = {  # of an input: each returns what has its axes
    "a call": lambda x, **axes: LSTM(x, **axes)[0],
    "a network": lambda x, **axes: NETWORK(x, **axes)[0],
    "a network with a scaling": lambda x, **axes: SCALED(x, **axes)[0],
    "directions apart": lambda x, **axes: APART(x, **axes)[0],
}
TRACES = {  # and what has time first, whatever the order of the input was
    "a trace": lambda x, **axes: LSTM.trace(x, **axes).output,
    "the input of a trace": lambda x, **axes: LSTM.trace(x, **axes)[0].input,
    "a network's trace": lambda x, **axes: NETWORK.trace(x, **axes).output,
    "a scaled network's input": lambda x, **axes: SCALED.trace(x, **axes).input,
    "a gradient": lambda x, **axes: gw.backward(LSTM.trace(X), x, **axes).x,
    "a cell's gradient": lambda x, **axes: gw.backward(LSTM.trace(X)[1], x, **axes).x,
    "a network's gradient": lambda x, **axes: gw.backward(NETWORK.trace(X), x, **axes).x,
    "an ablation": lambda x, **axes: gw.insight.ablation(LSTM, x, np.sum, "gates", **axes).metrics,
    "an opened run": lambda x, **axes: gw.open_run(LSTM, x, **axes).trace.output,
}
STREAMS = {  # which are read by position alone
    "a network's stream": (lambda x: SCALED.stream(4).push(x), AXES),
    "a plain network's stream": (lambda x: NETWORK.stream(4).push(x), AXES),
    "a stream": (lambda x: LSTM.stream(4).push(x), AXES),
    "the reference's stream": (lambda x: LSTM.stream(4, engine="reference").push(x), AXES),
    "a block of a stream": (lambda x: LSTM.stream().push(x), ("time", "feature")),
    "a step of a stream": (lambda x: LSTM.stream(4).push(x), ("batch", "feature")),
    "tokens of a stream": (lambda x: TOKENS.stream(4).push(x.astype(int) * 0), ("time", "batch")),
    "a state": (lambda h: LSTM(X, [[(h, X[0])], [(X[0], X[0])]]), ("batch", "feature")),
}
ORDERS = [dims for dims in itertools.permutations(AXES) if dims != AXES]


def in_order(array, dims):
    """Return an array (time, batch, feature) on its axes in another order; two directions stay before the features."""
    places = {"time": [0], "batch": [1], "feature": [*range(2, array.ndim)]}
    return array.transpose([place for dim in dims for place in places[dim]])


@pytest.mark.parametrize("dims", ORDERS, ids=",".join)
@pytest.mark.parametrize("way", [*READERS, *TRACES])
def test_the_axes_of_an_input_are_those_that_its_dimensions_or_an_option_name(way, dims):
    read, own = (READERS | TRACES)[way], in_order(X, dims)
    expected = read(X) if way in TRACES else in_order(read(X), dims)
    results = [read(own, axes=",".join(dims)), read(own.tolist(), axes=dims), read(xarray.DataArray(own, dims=dims))]
    if way != "an opened run":
        results.append(read(xarray.Variable(dims, own)))
        for other in AXES:  # the one dimension whose name is none of these is the axis that is left
            results.append(read(xarray.DataArray(own, dims=[dim.replace(other, "m") for dim in dims])))
    for result in results:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dims", ORDERS, ids=",".join)
def test_what_goes_with_an_input_has_its_axes(dims):
    own, axes = in_order(X, dims), ",".join(dims)
    mask, lengths = X[..., 0] > -0.5, [1, 4, 2, 3]
    masks = [(mask if dims.index("time") < dims.index("batch") else mask.T), labelled("batch", "time", array=mask.T)]
    expected = LSTM.trace(X, mask=mask).output
    for each in masks:
        np.testing.assert_array_equal(LSTM.trace(own, mask=each, axes=axes).output, expected)
        np.testing.assert_array_equal(LSTM(own, mask=each, axes=axes)[0], in_order(expected, dims))
        np.testing.assert_array_equal(MASKED.trace(own, mask=each, axes=axes).lstm.output, expected)
    np.testing.assert_array_equal(LSTM(X, mask=labelled("batch", "time", array=mask.T))[0], expected)
    np.testing.assert_array_equal(
        LSTM.trace(own, lengths=lengths, axes=axes).output, LSTM.trace(X, lengths=lengths).output
    )
    for model in (LSTM, NETWORK, LAST):
        y = model(own, axes=axes)[0]
        assert gw.verify(model, own, y, axes=axes).verdict == "rounding"
        data = xarray.DataArray(own, dims=dims)
        assert gw.verify(model, data, y).verdict == "rounding"
        if model is not LAST:
            assert gw.verify(model, X, xarray.DataArray(y, dims=dims)).verdict == "rounding"
            swapped = y.swapaxes(dims.index("time"), dims.index("batch"))
            assert gw.verify(model, data, swapped).verdict == "mistake"
    assert gw.verify(LSTM, own, in_order(expected, dims), mask=masks[0], axes=axes).verdict == "rounding"
    with cases.refusal("out has time first", by=gw.OptionError):
        LSTM(own, axes=axes, out=np.empty((4, 4, 4), np.float32))


def test_the_last_output_of_a_network_has_the_axes_that_are_left():
    last = LAST(X)[0]
    for dims in ORDERS:
        y = LAST(in_order(X, dims), axes=dims)[0]
        np.testing.assert_array_equal(y, last if dims.index("batch") < dims.index("feature") else last.T)
    trace, dy = LAST.trace(X), X[0]
    expected = gw.backward(trace, dy).x
    np.testing.assert_array_equal(gw.backward(trace, dy.T, axes="feature,batch,time").x, expected)
    np.testing.assert_array_equal(gw.backward(trace, labelled("feature", "batch", array=dy.T)).x, expected)


def test_one_sequence_and_tokens_have_fewer_axes():
    x = X[0]
    for other in ({"axes": "feature,time"}, {"axes": "feature,batch,time"}):
        np.testing.assert_array_equal(LSTM(x.T, **other)[0], LSTM(x)[0].T)
        np.testing.assert_array_equal(LSTM.trace(x.T, **other).output, LSTM(x)[0])
    np.testing.assert_array_equal(LSTM(labelled("feature", "time", array=x.T))[0], LSTM(x)[0].T)
    trace = LSTM.trace(x)
    for dy, other in ((x.T, {"axes": "feature,time"}), (labelled("feature", "time", array=x.T), {})):
        np.testing.assert_array_equal(gw.backward(trace, dy, **other).x, gw.backward(trace, x).x)
    tokens = np.arange(8).reshape(4, 2) % 4
    expected = TOKENS(tokens)[0]
    for own, other in (
        (tokens.T, {"axes": "batch,time"}),
        (tokens.T, {"axes": "batch,time,feature"}),
        (labelled("batch", "time", array=tokens.T), {}),
        (labelled("basin", "time", array=tokens.T), {}),
    ):
        np.testing.assert_array_equal(TOKENS(own, **other)[0], expected.swapaxes(0, 1))
        trace = TOKENS.trace(own, **other)
        np.testing.assert_array_equal(trace.output, expected)
        np.testing.assert_array_equal(trace.tokens, tokens)
        assert gw.verify(TOKENS, own, expected.swapaxes(0, 1), **other).verdict == "rounding"
    np.testing.assert_array_equal(TOKENS(tokens[:, 0], axes="time")[0], TOKENS(tokens[:, 0])[0])


@pytest.mark.parametrize("way", [*READERS, *(way for way in TRACES if way != "an opened run")])
def test_dimensions_that_say_nothing_are_read_by_position_and_those_that_contradict_it_are_refused(way):
    read = (READERS | TRACES)[way]
    for dims in (("day", "basin", "variable"), ("time", "basin", "variable"), ("day", "basin", "feature")):
        np.testing.assert_array_equal(read(labelled(*dims)), read(X))
    for dims in (("basin", "time", "variable"), ("feature", "basin", "day"), ("time", "Time", "feature")):
        with cases.refusal(f"are {', '.join(dims)}. Say what they are with axes=", by=gw.OptionError):
            read(labelled(*dims))


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_and_a_state_are_held_to_their_order(way):
    read, dims = STREAMS[way]
    read(labelled(*dims))
    with pytest.raises(gw.OptionError, match="has the dimensions") as caught:
        read(labelled(*dims[::-1]))
    cases.one_sentence(caught.value)


@pytest.mark.parametrize("axes", ["batch,time", "time,time,feature", "a,b,c", "", 5, ["batch", 3], "feature,batch"])
def test_axes_that_are_none_are_refused_in_one_sentence(axes):
    for ask in (LSTM, LSTM.trace, NETWORK, NETWORK.trace, lambda x, axes: gw.verify(LSTM, x, Y, axes=axes)):
        with cases.refusal(by=(gw.OptionError, gw.ShapeError)):
            ask(X, axes=axes)


def test_an_input_that_is_opened_goes_by_the_names():
    run = gw.open_run(LSTM, labelled("batch", "feature", "time"))
    np.testing.assert_array_equal(run.trace.output, LSTM(X.transpose(2, 0, 1))[0])


def test_a_batch_in_the_place_of_features_is_refused():
    for ask in (LSTM, LSTM.trace, NETWORK, lambda x: CELL.step(x)):
        with pytest.raises((gw.OptionError, gw.ShapeError)):
            ask(labelled("time", "batch"))


def test_the_names_of_dimensions_count_in_any_case():
    np.testing.assert_array_equal(LSTM.trace(labelled("Batch", "Time", "Feature")).output, LSTM(X.swapaxes(0, 1))[0])
    assert LSTM(labelled("Time", "Batch", "Feature"))[0].tobytes() == LSTM(X)[0].tobytes()
