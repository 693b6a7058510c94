"""A network that is a graph: called, traced and differentiated by the names of its layers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from test_graph import X, Y, encoder_decoder

import gatewise as gw
from gatewise.network.graph import Builder
from gatewise.network.graph_network import GraphNetwork

RNG = np.random.default_rng(0)
FILE_AXES = "batch,time,feature"  # said, so that the network does not warn of them


def network() -> GraphNetwork:
    return GraphNetwork(encoder_decoder())


def stacked(axes: tuple[int, ...] = (1, 0, 2)) -> tuple[GraphNetwork, gw.LSTM]:
    """Return a network with an LSTM of two layers, which reads its input on other axes, and the LSTM alone."""
    whole = gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0, dtype=np.float64)
    build = Builder()
    y = build.add("transpose", build.input("x", (None, None, 3), np.float64), order=axes)
    with build.layer("rnn"):
        for place, row in enumerate(whole.layers):
            y, *_ = build.add("lstm", y, lstm=gw.LSTM.from_cells([row]), name=f"rnn.{place}")
    return GraphNetwork(build.graph([build.add("transpose", y, order=axes, name="y")])), whole


def test_a_network_returns_its_outputs_and_the_final_states_by_name():
    (scores, normed), state = network()(X, Y)
    assert scores.shape == (6, 2, 5)
    assert normed.shape == (6, 2, 4)
    assert [*state] == ["encoder", "decoder"]
    lstm = network().lstms["encoder"]
    for a, b in zip(state["encoder"][0][0], lstm(X)[1][0][0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_inputs_come_in_order_or_by_name():
    first = network()(X, Y)[0][0]
    for args, named in (((X,), {"y": Y}), ((), {"y": Y, "x": X})):
        np.testing.assert_array_equal(network()(*args, **named)[0][0], first)


def test_a_trace_answers_by_the_names_of_lstms_layers_and_nodes():
    trace = network().trace(X, Y)
    assert trace["encoder"][0].forget_gate.shape == (6, 2, 4)
    np.testing.assert_array_equal(trace["layer_norm"], trace.output[1])
    np.testing.assert_array_equal(trace["softmax"], trace.output[0])
    assert [*trace.outputs] == ["softmax", "layer_norm"]
    assert "encoder" in repr(trace)
    with pytest.raises(gw.OptionError, match=r"has 2 LSTMs, not one\. Choose one by its name, as in trace"):
        trace[0]
    with pytest.raises(gw.OptionError, match="no value 'colour'"):
        trace["colour"]


def test_an_lstm_of_several_layers_is_one():
    net, whole = stacked()
    assert [*net.lstms] == ["rnn"]
    assert repr(net.lstms["rnn"]) == repr(whole)
    x = RNG.standard_normal((2, 5, 3))
    trace, expected = net.trace(x, axes=FILE_AXES), whole.trace(x.transpose(1, 0, 2))
    assert [*trace.lstm.cells()] == [*expected.cells()]
    for cell, other in zip(trace.lstm.cells().values(), expected.cells().values(), strict=True):
        np.testing.assert_array_equal(cell.cell_state, other.cell_state)
    np.testing.assert_array_equal(trace[1, "backward"].forget_gate, expected[1, "backward"].forget_gate)
    np.testing.assert_array_equal(trace.output, expected.output.transpose(1, 0, 2))
    gradients, others = gw.backward(trace, np.ones((2, 5, 8))), gw.backward(expected, np.ones((5, 2, 8)))
    np.testing.assert_allclose(gradients.x, others.x.transpose(1, 0, 2), rtol=1e-12)
    np.testing.assert_allclose(gradients.lstms["rnn"][0, "forward"].weight, others[0, "forward"].weight, rtol=1e-12)


def test_gradients_are_given_and_taken_by_names():
    net = network()
    trace = net.trace(X, Y)
    ones = [np.ones_like(one) for one in trace.output]
    both = gw.backward(trace, ones)
    alone = gw.backward(trace, {"layer_norm": ones[1]})
    np.testing.assert_allclose(both["x"] - alone["x"], gw.backward(trace, {"softmax": ones[0]})["x"], atol=1e-12)
    assert both["encoder"].shape == (6, 2, 4)
    assert isinstance(both.x, tuple)
    assert [*both.lstms] == ["encoder", "decoder"]
    np.testing.assert_allclose(both.lstms["encoder"].x, both["x"], rtol=1e-12)
    ends = gw.backward(trace, dstate={"decoder": [[gw.State(np.ones((2, 4)), np.zeros((2, 4)))]]})
    expected = gw.backward(trace["decoder"], None, [[gw.State(np.ones((2, 4)), np.zeros((2, 4)))]])
    np.testing.assert_allclose(ends["y"], expected.x, rtol=1e-12)
    with pytest.raises(gw.ShapeError, match="1 gradients for 2 outputs"):
        gw.backward(trace, ones[:1])
    with pytest.raises(gw.ShapeError, match=r"gradient of softmax has shape \(2,\); it must be \(6, 2, 5\)"):
        gw.backward(trace, {"softmax": [1.0, 2.0]})


def test_a_run_continues_from_the_state_of_another():
    net, whole = stacked()
    x = RNG.standard_normal((2, 6, 3))
    _, state = whole(x.transpose(1, 0, 2))
    y, end = net(x, state=state, axes=FILE_AXES)
    expected, last = whole(x.transpose(1, 0, 2), state)
    np.testing.assert_array_equal(y, expected.transpose(1, 0, 2))
    np.testing.assert_array_equal(end[1][0].c, last[1][0].c)
    np.testing.assert_array_equal(net(x, state, axes=FILE_AXES)[0], y)
    np.testing.assert_array_equal(net.trace(x, state=state, axes=FILE_AXES)[0, "forward"].initial.h, state[0][0].h)
    with pytest.raises(gw.ShapeError, match="must have 2 layers of 2 directions"):
        net(x, state=state[:1], axes=FILE_AXES)
    with pytest.raises(gw.OptionError, match="needs the name of an LSTM"):
        network()(X, Y, state=state)
    with pytest.raises(gw.OptionError, match="no LSTM 'rnn'"):
        network()(X, Y, state={"rnn": state})


def test_values_of_a_run_can_be_replaced():
    trace = network().trace(X, Y)
    again = trace.rerun(encoder=np.zeros((6, 2, 4)))
    assert not np.array_equal(again["layer_norm"], trace["layer_norm"])
    np.testing.assert_array_equal(again["decoder"].output, trace["decoder"].output)


def test_a_network_says_whether_its_outputs_are_affine_in_those_of_an_lstm():
    assert stacked()[0].is_affine_after("rnn")
    assert not network().is_affine_after("decoder")
    with pytest.raises(gw.OptionError, match="no LSTM 'x'"):
        network().is_affine_after("x")


# Axes.


def test_axes_that_do_not_begin_with_time_are_said_once_and_can_be_given_in_another_order():
    net, _ = stacked()
    x = RNG.standard_normal((2, 5, 3))
    with pytest.warns(UserWarning, match="takes x as batch,time,feature, as its file does; axes= gives another order"):
        y, _ = net(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(x)
        again, _ = net(x.transpose(1, 0, 2), axes="time,batch,feature")
        one, _ = net(x=x.transpose(2, 1, 0), axes=["feature", "time", "batch"])
    np.testing.assert_array_equal(again, y.transpose(1, 0, 2))
    np.testing.assert_array_equal(one, y.transpose(2, 1, 0))
    assert net.inputs["x"].axes == ("batch", "time", "feature")
    assert net.outputs["y"].axes == ("batch", "time", "feature")
    with pytest.raises(gw.ShapeError, match=r"shape \(2, 5\) on the axes time,batch; in the file it has batch,time,f"):
        net(x[..., 0], axes="time,batch")


def test_the_axes_of_tokens_order_the_outputs_too():
    build, rng = Builder(), np.random.default_rng(0)
    tokens = build.input("tokens", (None, None), np.int64)
    x = build.add("transpose", build.add("gather", rng.normal(size=(7, 3)), tokens, axis=0), order=(1, 0, 2))
    y = build.add("lstm", x, lstm=gw.LSTM(3, 4, rng=0, dtype=np.float64))[0]
    net = GraphNetwork(build.graph([build.add("transpose", y, order=(1, 0, 2))]))
    x = rng.integers(0, 7, (2, 5))
    with pytest.warns(UserWarning, match="takes tokens as batch,time, as its file does"):
        y = net(x)[0]
    np.testing.assert_array_equal(net(x.T, axes="time,batch")[0], y.transpose(1, 0, 2))


def test_axes_that_cannot_be_told_are_not_put_in_another_order():
    build = Builder()
    x = build.add("transpose", build.input("x", (5, 5, 3)), order=(1, 0, 2))  # of fixed sizes, which run in both orders
    net = GraphNetwork(build.graph([build.add("lstm", x, lstm=gw.LSTM(3, 4, rng=0))[0]]))
    net(np.ones((5, 5, 3)))
    with pytest.raises(gw.OptionError, match=r"cannot tell the axes of the input 'x'\. Pass it as in its file"):
        net(np.ones((5, 5, 3)), axes="time,batch,feature")


def test_axes_that_begin_with_time_are_not_said():
    net = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(X, Y)
    assert net.inputs["y"].axes == ("time", "batch", "feature")


def test_a_network_without_an_lstm_is_a_network_too():
    build = Builder()
    net = GraphNetwork(build.graph([build.add("tanh", build.input("x", (None, 3)), name="y")]))
    y, state = net(np.ones((2, 3)))
    np.testing.assert_allclose(y, np.tanh(np.ones((2, 3))), rtol=1e-6)
    assert state == {}
    assert net.inputs["x"].axes is None
    with pytest.raises(gw.OptionError, match="has 0 LSTMs, not one"):
        net.trace(np.ones((2, 3)))[0]


def test_what_an_unknown_operation_makes_is_refused_where_it_is_asked_for():
    build = Builder()
    x = build.input("x", (None, None, 3))
    y, *_ = build.add("lstm", x, lstm=gw.LSTM(3, 2, rng=0), name="first")
    (z,) = build.unknown("GRU", "gatewise has no GRU", y, name="gru")
    end, *_ = build.add("lstm", z, lstm=gw.LSTM(2, 2, rng=0), name="second")
    net = GraphNetwork(build.graph([end]))
    trace = net.trace(X)
    assert trace["first"][0].forget_gate.shape == (6, 2, 2)
    for ask in (lambda: trace["second"], lambda: trace.output, lambda: trace["gru"]):
        with pytest.raises(gw.NotKeptError, match=r"node 'gru' \(GRU\): GRU is not supported: gatewise has no GRU"):
            ask()
    with pytest.raises(gw.OptionError, match=r"node 'gru' \(GRU\): GRU is not supported"):
        net(X)
    assert "first" in repr(trace)


# How it is shown.


def test_a_network_is_printed_as_a_person_draws_it():
    assert str(network()).splitlines() == [
        "x: input (*, *, 3), float64",
        "y: input (*, *, 2), float64",
        "encoder: LSTM(input_size=3, hidden_size=4, dtype=float64) of x",
        "layer_norm: normalise, mul of encoder",
        "decoder: LSTM(input_size=2, hidden_size=4, dtype=float64) of y and encoder",
        "concat: concat of decoder and layer_norm",
        "linear: linear of concat",
        "softmax: softmax of linear",
        "softmax: output, softmax",
        "layer_norm: output, layer_norm",
    ]
    assert repr(network()) == "<GraphNetwork: 2 LSTMs, 7 nodes, 289 parameters>"


def test_sizes_are_not_printed_and_paths_are_layers():
    build = Builder()
    x = build.input("x", (None, None, 4))
    sizes = build.add("concat", build.add("shape", x), np.int64([1]), axis=0)
    y = build.add("relu", build.add("reshape", x, sizes, name="/head/Reshape"), name="/head/Relu")
    lines = str(GraphNetwork(build.graph([build.add("exp", y, name="/Exp")]))).splitlines()
    assert lines[1:] == ["head: relu of x", "Exp: exp of head", "/Exp: output, Exp"]


def test_long_paths_are_told_apart_and_lstms_of_one_layer_are_counted():
    build = Builder()
    x = build.input("x", (None, None, 4))
    path = "/model/a_long_name_of_a_part/and_another_part"
    y = build.add("relu", x, name=f"{path}/first/Relu")
    y = build.add("exp", y, name=f"{path}/second/Exp")
    lstm = gw.LSTM(4, 4, rng=0)
    with build.layer("rnn"):
        for place in range(2):
            y = build.add("lstm", y, name=f"rnn.{place}", lstm=lstm)[0]
            y = build.add("abs", y)
    y = build.add("neg", y, name=f"/another{path}/first/Neg")
    lines = str(GraphNetwork(build.graph([y]))).splitlines()
    whole = path.lstrip("/")
    assert lines[1] == f"{whole}/first: relu of x"  # since another path ends so
    assert lines[2] == f"…/and_another_part/second: exp of {whole}/first"
    assert lines[3].startswith("rnn: 2 × LSTM(input_size=4, hidden_size=4, dtype=float32), abs of …/and_another_part/s")
    assert lines[4] == f"another{path}/first: neg of rnn"


def test_a_long_network_is_cut():
    build = Builder()
    y: Any = build.input("x", (None,))
    for place in range(100):
        y = build.add("tanh", y, name=f"layer_{place}")
    lines = str(GraphNetwork(build.graph([y]))).splitlines()
    assert len(lines) == 63
    assert lines[-2] == "… and 40 more layers"
