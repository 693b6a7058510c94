"""Causal networks that are graphs, step by step: equal to whole runs, or refused by the node that is not causal."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import OptionError, ShapeError
from gatewise.network.graph import Builder
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.step_graph import step_graph

STEPS = 9
RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.normal(size=shape).astype(np.float32)


W, V, KERNEL = drawn(4, 5), drawn(5, 4), drawn(3, 3, 3)


def lstm(build, x, hidden=4, inputs=3, **options):
    return build.add("lstm", x, *options.pop("state", ()), lstm=gw.LSTM(inputs, hidden, rng=1, **options), name="rnn")


def every_step(build, x):
    return build.add("matmul", lstm(build, x)[0], W)


def last_step(build, x):
    return build.add("gather", lstm(build, x)[0], np.array(-1), axis=0)


def final_state(build, x):
    return build.add("linear", lstm(build, x)[1], V, name="head")


def last_by_slice(build, x):
    bounds = [np.array([number]) for number in (-1, 2**62, 0, 1)]
    return build.add("slice", lstm(build, x)[0], *bounds)


def stored_state(build, x):
    return lstm(build, x, state=(drawn(1, 1, 4), drawn(1, 1, 4)))[0]


def causal_convolution(build, x, before=2, after=0):
    channels = build.add("transpose", x, order=(1, 2, 0))
    padded = build.add("pad", channels, np.array([0, 0, before, 0, 0, after]))
    y = build.add("conv", padded, KERNEL, strides=(1,), dilations=(1,), groups=1, name="conv")
    return every_step(build, build.add("transpose", build.add("relu", y), order=(2, 0, 1)))


def chomped(build, x):
    channels = build.add("transpose", x, order=(1, 2, 0))
    padded = build.add("pad", channels, np.array([0, 0, 4, 0, 0, 4]))
    y = build.add("conv", padded, KERNEL, strides=(1,), dilations=(2,), groups=1, name="conv")
    y = build.add("slice", y, *(np.array([number]) for number in (0, -4, 2, 1)))
    return every_step(build, build.add("transpose", y, order=(2, 0, 1)))


def residual(build, x):
    y = lstm(build, x, hidden=3)[0]
    return build.add("normalise", build.add("add", y, x), axes=(-1,), epsilon=1e-5)


def delayed_difference(build, x):
    y = lstm(build, x, hidden=3)[0]
    shifted = build.add("pad", x, np.array([1, 0, 0, 0, 0, 0]))
    shifted = build.add("slice", shifted, *(np.array([number]) for number in (0, -1, 0, 1)))
    return build.add("sub", y, shifted)


def running_sums(build, x):
    return build.add("cumsum", lstm(build, x)[0], axis=0)


def merged_axes(build, x):
    y = build.add("reshape", lstm(build, x)[0], np.array([-1, 4]))
    return build.add("matmul", y, W)


CAUSAL = [every_step, last_step, final_state, last_by_slice, stored_state, causal_convolution, chomped, residual]
CAUSAL += [delayed_difference, running_sums, merged_axes]


def network(make, *shape):
    build = Builder()
    return GraphNetwork(build.graph([make(build, build.input("x", shape or (None, None, 3)))]))


@pytest.mark.parametrize("make", CAUSAL)
@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_a_stream_equals_whole_runs_in_steps_and_in_blocks(make, engine):
    net, x = network(make), drawn(STEPS, 1, 3)
    steps, blocks = net.stream(1, engine=engine), net.stream(1, engine=engine)
    rows = [steps.push(x[step]) for step in range(STEPS)]
    whole, _ = net(x)
    (time,) = step_graph(net.graph).outputs.values()
    together = [blocks.push(x[:4]), blocks.push(x[4:])]
    if time is None:
        for step in range(STEPS):
            np.testing.assert_allclose(rows[step], net(x[: step + 1])[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(together[1], rows[-1])
    else:
        np.testing.assert_allclose(np.stack(rows).reshape(whole.shape), whole, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.concatenate(together, time), np.stack(rows).reshape(whole.shape))


@pytest.mark.parametrize("make", [every_step, residual, causal_convolution])
def test_sequences_of_a_batch_are_streamed_by_themselves(make):
    net, x = network(make), drawn(STEPS, 2, 3)
    both = net.stream(2).push(x)
    for place in range(2):
        np.testing.assert_allclose(net.stream().push(x[:, place]), both[:, place], rtol=1e-5, atol=1e-6)


def test_states_and_outputs_of_an_lstm_are_those_of_a_whole_run_bit_for_bit():
    net, x = network(stored_state), drawn(STEPS, 1, 3)
    stream = net.stream()
    np.testing.assert_array_equal(stream.push(x[:, 0]), net(x)[0][:, 0])
    np.testing.assert_array_equal(stream.state["rnn.h0"], net(x)[1][0][0].h[None])


def test_a_stream_is_copied_set_and_reset_with_its_state():
    net, x = network(chomped), drawn(STEPS, 3)
    stream = net.stream()
    first = stream.push(x)
    other = pickle.loads(pickle.dumps(stream))
    third = net.stream()
    third.state = stream.state
    after = stream.push(x)
    for one in (other, third):
        np.testing.assert_array_equal(one.push(x), after)
    stream.reset()
    np.testing.assert_array_equal(stream.push(x), first)
    stream.push(np.full(3, np.nan))
    assert not stream.is_finite
    stream.reset()
    assert stream.is_finite


def test_an_initial_state_among_the_inputs_is_carried():
    build = Builder()
    x, h, c = build.input("x", (None, None, 3)), build.input("h", (1, 1, 4)), build.input("c", (1, 1, 4))
    y, h, c = lstm(build, x, state=(h, c))
    net = GraphNetwork(build.graph([y, h, c], names=["y", "hn", "cn"]))
    stream, x = net.stream(), drawn(STEPS, 1, 3)
    zeros = np.zeros((1, 1, 4), np.float32)
    np.testing.assert_array_equal(stream.push(x[:, 0]), net(x, zeros, zeros)[0][0][:, 0])


def backward(build, x):
    return lstm(build, x, bidirectional=True)[0]


def mean_of_steps(build, x):
    return build.add("reduce_mean", lstm(build, x)[0], axes=(0,))


def centred_convolution(build, x):
    return causal_convolution(build, x, 1, 1)


def reversed_steps(build, x):
    return build.add("flip", lstm(build, x)[0], axes=(0,), name="mirror")


def softmax_over_time(build, x):
    return build.add("softmax", lstm(build, x)[0], axis=0)


def second_step(build, x):
    return build.add("gather", lstm(build, x)[0], np.array(1), axis=0)


def attention(build, x):
    y = build.add("transpose", lstm(build, x)[0], order=(1, 0, 2))
    return build.add("matmul", y, build.add("transpose", y, order=(0, 2, 1)), name="scores")


NOT_CAUSAL = {
    backward: r"^node 'rnn' \(lstm\) runs from the last step to the first",
    mean_of_steps: r"^node 'reduce_mean' \(reduce_mean\) needs all steps at once",
    centred_convolution: r"^node 'rnn' \(lstm\) needs 1 later steps",
    reversed_steps: r"^node 'mirror' \(flip\) needs steps that are not there yet",
    softmax_over_time: r"^node 'softmax' \(softmax\) needs steps that are not there yet",
    second_step: r"^node 'gather' \(gather\) takes some of the steps",
    attention: r"^node 'scores' \(matmul\) relates steps to all others",
}


@pytest.mark.parametrize("make", NOT_CAUSAL)
def test_what_is_not_causal_is_refused_by_its_node_as_a_stream_and_as_c(make, tmp_path):
    net = network(make)
    with pytest.raises(OptionError, match=NOT_CAUSAL[make]):
        net.stream()
    with pytest.raises(OptionError, match=NOT_CAUSAL[make]):
        gw.write_c(net, tmp_path / "net.h")
    assert not (tmp_path / "net.h").exists()


def test_a_wrong_shape_leaves_the_state_as_it_was():
    stream = network(chomped).stream()
    before = stream.state
    for x in (np.zeros(2), np.zeros((2, 2, 3)), np.zeros((3, 3, 3, 3))):
        with pytest.raises(ShapeError, match=r"^x has shape"):
            stream.push(x)
    with pytest.raises(OptionError, match="takes 1 inputs"):
        stream.push(np.zeros(3), np.zeros(3))
    assert all(np.array_equal(before[name], array) for name, array in stream.state.items())
