"""The graph of a network of parts computes the same outputs and gradients as the network."""

from __future__ import annotations

import numpy as np
import pytest
from written_networks import FACTORS, input_of, network_of, networks

import gatewise as gw
from gatewise.network.graph_network import GraphNetwork
from gatewise.network.parts_graph import graph_of

PLAIN = {name: values[0] for name, values in FACTORS.items()}
# The cell's variants are the LSTM's own matter: some of them stand for all.
WIRINGS = FACTORS | {"stream": (False,), "gates": (False,), "variant": ("plain", "peephole", "layer norm of the gates")}
TOLERANCES = {"float32": 2e-4, "float64": 1e-11}


@networks(WIRINGS)
def test_a_graph_computes_the_bits_and_gradients_of_the_network(case):
    network = network_of(case)
    x = input_of(network)
    graph = GraphNetwork(graph_of(network))
    y, state = network(x)
    again, states = graph(x)
    np.testing.assert_array_equal(again, y)
    assert again.dtype == y.dtype
    for row, others in zip(state, states, strict=True):
        for pair, other in zip(row, others, strict=True):
            np.testing.assert_array_equal(pair, other)
    trace, graph_trace = network.trace(x), graph.trace(x)
    for cell, other in zip(trace.cells().values(), graph_trace.lstm.cells().values(), strict=True):
        np.testing.assert_array_equal(cell.cell_state, other.cell_state)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype)
    require_equal_gradients(network, gw.backward(trace, dy), gw.backward(graph_trace, dy), TOLERANCES[case["dtype"]])


def require_equal_gradients(network, gradients, of_graph, tolerance):
    pairs = []
    for (layer, way), cell in gradients.lstm.cells().items():
        other = of_graph.lstms["lstm"][layer, way]
        pairs += [(array, other.parameters[name]) for name, array in cell.parameters.items()]
        pairs.append((cell.x, other.x))
    if network.embedding is not None:
        pairs.append((gradients.embedding, of_graph["embedding.weight"]))
    else:
        pairs.append((gradients.x, of_graph.x))
    heads = [*gradients.hidden, *([] if network.head is None else [(gradients.head_weight, gradients.head_bias)])]
    named = [(f"head.{place}", one) for place, one in enumerate(heads)]
    for number, branch in enumerate(gradients.branches):
        named += [(f"branches.{number}.{place}", one) for place, one in enumerate(branch)]
    for name, (weight, bias) in named:
        pairs += [(weight, of_graph[f"{name}.weight"]), (bias, of_graph[f"{name}.bias"])]
    for expected, got in pairs:
        scale = max(np.abs(expected).max(initial=0), 1e-3)
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("masked_output", ["zeros", "repeat"])
@pytest.mark.parametrize("tokens", [True, False])
def test_masked_steps_are_masked_in_the_graph(tokens, masked_output):
    lstm, rng = gw.LSTM(3, 4, bidirectional=True, rng=0, dtype=np.float64), np.random.default_rng(0)
    options = {"embedding": rng.standard_normal((5, 3))} if tokens else {}
    network = gw.Network(lstm, masked=0, masked_output=masked_output, **options)
    x = rng.integers(0, 3, (6, 2)) if tokens else rng.standard_normal((6, 2, 3)) * rng.integers(0, 2, (6, 2, 1))
    np.testing.assert_array_equal(GraphNetwork(graph_of(network))(x)[0], network(x)[0])


def test_the_output_of_a_linear_head_is_affine_in_that_of_the_lstm():
    for head, affine in (("one", True), ("tanh", False)):
        graph = GraphNetwork(graph_of(network_of(PLAIN | {"head": head})))
        assert graph.is_affine_after("lstm") == affine
