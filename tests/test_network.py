"""Embedding → LSTM → head: forward by hand, backward by central differences."""

from __future__ import annotations

import itertools

import cases
import numpy as np
import pytest
from pairwise import pairs

import gatewise as gw

RNG = 11


def random_network(*, embedding=True, head=True, reads="every", **options):
    """Return a small network in float64."""
    rng = np.random.default_rng(RNG)
    options = {"input_size": 2, "hidden_size": 3, "dtype": np.float64, **options}
    lstm = gw.LSTM(**options, rng=rng)
    return gw.Network(
        lstm,
        embedding=rng.normal(size=(5, 2)) if embedding else None,
        head=gw.Linear(rng.normal(size=(2, lstm.output_size)), rng.normal(size=2)) if head else None,
        reads=reads,
    )


TOKENS = np.array([[0, 3], [3, 3], [1, 4], [0, 2]])
every_reading = pytest.mark.parametrize("reads", ["every", "last"])
both_ways = pytest.mark.parametrize("bidirectional", [False, True])


@every_reading
@both_ways
@pytest.mark.parametrize("head", [False, True])
def test_a_network_is_its_parts_one_after_another(reads, bidirectional, head):
    network = random_network(reads=reads, bidirectional=bidirectional, head=head)
    y, state = network(TOKENS)
    features = np.array([[network.embedding[token] for token in row] for row in TOKENS])
    expected, ends = network.lstm(features)
    if reads == "last":
        expected = np.concatenate([one.h for one in ends[-1]], axis=-1)
    if head:
        expected = np.einsum("...f,of->...o", expected, network.head.weight) + network.head.bias
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-15)
    for one, other in zip(itertools.chain(*state), itertools.chain(*ends), strict=True):
        np.testing.assert_array_equal(one.c, other.c)
    trace = network.trace(TOKENS)
    np.testing.assert_array_equal(trace.output, y)
    np.testing.assert_array_equal(trace.tokens, TOKENS)
    np.testing.assert_array_equal(trace.lstm[0, "forward"].input, features)


@every_reading
@both_ways
def test_a_network_passes_on_what_its_lstm_is_told(reads, bidirectional):
    network = random_network(reads=reads, bidirectional=bidirectional)
    start = [[gw.State(np.ones((2, 3)), -np.ones((2, 3)))] * len(network.lstm.directions)]
    options = {"lengths": [4, 2], "masked_output": "repeat"}
    y, _ = network(TOKENS, start, **options)
    features, ends = network.lstm(network.embedding[TOKENS], start, **options)
    np.testing.assert_array_equal(
        y, network.head(features if reads == "every" else np.hstack([one.h for one in ends[0]]))
    )
    less = network.trace(TOKENS, start, **options, keep="forget_gate")
    np.testing.assert_array_equal(less.output, y)


@every_reading
def test_tokens_without_a_batch_are_a_batch_of_one(reads):
    network = random_network(reads=reads, bidirectional=True)
    y, state = network(TOKENS[:, 0])
    batched, _ = network(TOKENS[:, :1])
    expected = batched[:, 0] if reads == "every" else batched[0]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-15)
    assert state[0][0].h.shape == (3,)
    np.testing.assert_array_equal(network(TOKENS[:, 0].tolist())[0], y)
    trace = network.trace(TOKENS[:, 0])
    np.testing.assert_array_equal(trace.output, y)
    one = gw.backward(trace, np.ones_like(y))
    whole = gw.backward(network.trace(TOKENS[:, :1]), np.ones_like(batched))
    np.testing.assert_allclose(one.embedding, whole.embedding, rtol=0, atol=1e-14)
    np.testing.assert_allclose(one.head_weight, whole.head_weight, rtol=0, atol=1e-14)


ACTIVATIONS = [None, "softmax", "sigmoid", "tanh", "softplus", "elu:0.7", "exponential", "softsign"]


@pairs(
    rest=pytest.mark.peers,
    reads=["every", "last"],
    bidirectional=[False, True],
    lengths=[None, [4, 2], [0, 3]],
    merge=["concat", "sum", "mul", "average"],
    activation=ACTIVATIONS,
    masked_output=[None, "zeros", "repeat"],
)
def test_the_gradients_of_a_network_equal_central_differences(
    reads, bidirectional, lengths, merge, activation, masked_output
):
    """Token 3 comes again and again, within a sequence and across sequences: its gradients add up."""
    plain = random_network(reads=reads, bidirectional=bidirectional, num_layers=2, merge=merge)
    options = {"reads": reads} | ({} if masked_output is None else {"masked": 4, "masked_output": masked_output})
    head = gw.Linear(plain.head.weight, plain.head.bias, activation)
    network = gw.Network(plain.lstm, embedding=plain.embedding, head=head, **options)
    rng = np.random.default_rng(4)
    start = [[gw.State(*(rng.normal(size=a.shape) for a in s)) for s in row] for row in network.lstm.zero_state(2)]
    dend = [[gw.State(*(rng.normal(size=a.shape) for a in s)) for s in row] for row in start]
    given = {} if lengths is None else {"lengths": lengths}
    trace = network.trace(TOKENS, start, **given)
    dy = rng.normal(size=trace.output.shape)
    found = gw.backward(trace, dy, dend)

    def loss(start=start, lstm=network.lstm, **parts):
        parts = {"embedding": network.embedding, "head": head, **options, **parts}
        y, ends = gw.Network(lstm, **parts)(TOKENS, start, **given)
        pairs = zip(itertools.chain(*dend), itertools.chain(*ends), strict=True)
        return np.sum(dy * y) + sum(np.sum(d.h * s.h) + np.sum(d.c * s.c) for d, s in pairs)

    expected = cases.differences(lambda table: loss(embedding=table), network.embedding)
    cases.assert_gradient(found.embedding, expected, "embedding")
    assert found.embedding[3].any()
    marked = masked_output is not None and lengths is None  # a call's own lengths replace the mark
    assert found.embedding[4].any() == (not marked and lengths != [4, 2])
    expected = cases.differences(lambda weight: loss(head=gw.Linear(weight, head.bias, activation)), head.weight)
    cases.assert_gradient(found.head_weight, expected, "head weight")
    expected = cases.differences(lambda bias: loss(head=gw.Linear(head.weight, bias, activation)), head.bias)
    cases.assert_gradient(found.head_bias, expected, "head bias")

    def with_bias(bias):
        rows = [list(row) for row in network.lstm.layers]
        rows[0][-1] = rows[0][-1].parameters.replace(bias=bias)
        return loss(lstm=gw.LSTM.from_cells(rows, merge=merge))

    direction = network.lstm.directions[-1]
    expected = cases.differences(with_bias, network.lstm[0, direction].parameters.bias)
    cases.assert_gradient(found.lstm[0, direction].bias, expected, "bias")

    def with_h(h):
        return loss(start=[[gw.State(h, start[0][0].c), *start[0][1:]], *start[1:]])

    expected = cases.differences(with_h, start[0][0].h)
    cases.assert_gradient(found.lstm.state[0][0].h, expected, "h")


@every_reading
def test_a_network_without_a_part_has_no_gradient_of_it(reads):
    network = random_network(embedding=False, head=False, reads=reads)
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    trace = network.trace(x)
    found = gw.backward(trace, np.ones_like(trace.output))
    assert found.embedding is found.head_weight is found.head_bias is None
    if reads == "every":
        inner = gw.backward(trace.lstm, np.ones((4, 2, 3)))
    else:
        inner = gw.backward(trace.lstm, None, [[gw.State(np.ones((2, 3)), np.zeros((2, 3)))]])
    np.testing.assert_array_equal(found.lstm.x, inner.x)


@every_reading
@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
def test_a_network_runs_over_nothing_there_and_back(reads, shape):
    network = random_network(reads=reads)
    trace = network.trace(np.zeros(shape, int))
    assert trace.output.shape == (*(shape if reads == "every" else shape[1:]), 2)
    found = gw.backward(trace, np.ones_like(trace.output))
    assert not found.embedding.any()
    assert found.head_weight.shape == network.head.weight.shape
    if shape[1] == 0:
        assert not found.head_weight.any()


def test_the_output_of_unmerged_directions_is_the_network_s_where_there_is_no_head():
    network = random_network(head=False, bidirectional=True, merge="none", reads="last")
    y, state = network(TOKENS)
    np.testing.assert_array_equal(y, np.stack([one.h for one in state[-1]], axis=1))
    trace = network.trace(TOKENS)
    dy = np.random.default_rng(0).normal(size=y.shape)
    expected = cases.differences(
        lambda table: np.sum(dy * gw.Network(network.lstm, embedding=table, reads="last")(TOKENS)[0]), network.embedding
    )
    cases.assert_gradient(gw.backward(trace, dy).embedding, expected, "embedding")


# Activations of the head, and steps that are not valid.


def test_a_softmax_head_puts_out_shares_even_of_huge_numbers():
    head = gw.Linear(np.array([[1000.0], [999.0], [-1000.0]]), None, "softmax")
    y = head(np.array([[1.0], [0.0]]))
    np.testing.assert_allclose(y, [[1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0], [1 / 3] * 3], rtol=1e-12)


def test_a_head_with_an_activation_applies_it_to_what_it_would_put_out_without():
    plain, rng = random_network().head, np.random.default_rng(0)
    h = rng.normal(size=(4, 3))
    for name in ("tanh", "relu", "hard_sigmoid:0.2,0.5"):
        activation = gw.Activation.parse(name)
        np.testing.assert_array_equal(gw.Linear(plain.weight, plain.bias, name)(h), activation(plain(h)))
        np.testing.assert_array_equal(gw.Linear(plain.weight, plain.bias, activation)(h), activation(plain(h)))
    assert "softmax" in repr(gw.Network(random_network().lstm, head=gw.Linear(plain.weight, activation="softmax")))


@every_reading
@both_ways
@pytest.mark.parametrize("masked_output", ["zeros", "repeat"])
@pytest.mark.parametrize("embedding", [True, False])
def test_steps_that_are_marked_are_those_of_a_mask(reads, bidirectional, masked_output, embedding):
    plain = random_network(bidirectional=bidirectional, reads=reads, embedding=embedding, num_layers=2)
    options = {"masked": 3 if embedding else -1.5, "masked_output": masked_output}
    network = gw.Network(plain.lstm, embedding=plain.embedding, head=plain.head, reads=reads, **options)
    x, valid = TOKENS, TOKENS != 3
    if not embedding:
        x = np.random.default_rng(0).normal(size=(4, 2, 2))
        x[~valid] = -1.5
        x[0, 0, 0] = -1.5  # one feature alone marks nothing
    given = {"mask": valid, "masked_output": masked_output}
    np.testing.assert_array_equal(network(x)[0], plain(x, **given)[0])
    np.testing.assert_array_equal(network.trace(x).output, plain(x, **given)[0])
    np.testing.assert_array_equal(network(x[:, 0])[0], plain(x[:, 0], mask=valid[:, 0], masked_output=masked_output)[0])
    np.testing.assert_array_equal(network(x, lengths=[4, 2])[0], plain(x, lengths=[4, 2])[0])
    everywhere = np.ones((4, 2), bool)
    np.testing.assert_array_equal(network(x, mask=everywhere)[0], plain(x)[0])


@pytest.mark.parametrize("activation", [None, "softmax", "gelu", "hard_sigmoid:0.2,0.5"])
@pytest.mark.parametrize("masked", [None, 0, 2.5])
def test_the_head_s_activation_and_the_mark_are_kept_in_files(activation, masked, tmp_path):
    plain = random_network()
    head = gw.Linear(plain.head.weight, plain.head.bias, activation)
    network = gw.Network(plain.lstm, embedding=plain.embedding, head=head, masked=masked, masked_output="repeat")
    gw.save(network, tmp_path / "network")
    loaded = gw.load_network(tmp_path / "network")
    assert loaded.head.activation == head.activation
    assert (loaded.masked, loaded.masked_output) == (masked, "zeros" if masked is None else "repeat")
    np.testing.assert_array_equal(loaded(TOKENS)[0], network(TOKENS)[0])
    if activation is masked is None:  # nothing is written that is at its default: files from before are the same
        from gatewise.files import storage

        assert set(storage.read(tmp_path / "network")[1]) == {"format", "kind", "conventions", "lstm", "reads"}


# The parts.


def test_a_head_is_linear_with_a_bias_of_zeros_unless_told():
    head = gw.Linear([[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(head(np.array([[1.0, 10.0]])), [[21, 43, 65]])
    np.testing.assert_array_equal(head.bias, [0, 0, 0])
    np.testing.assert_array_equal(gw.Linear([[1, 2]], [5])(np.array([1.0, 1.0])), [8])


def test_the_parts_are_read_only_and_not_the_caller_s():
    weight, bias, table = np.ones((2, 3)), np.ones(2), np.ones((5, 2))
    network = gw.Network(random_network().lstm, embedding=table, head=gw.Linear(weight, bias))
    for mine in (weight, bias, table):
        mine[...] = 9
    for array in (network.embedding, network.head.weight, network.head.bias):
        assert (array == 1).all()
        assert not array.flags.writeable


def test_a_head_in_single_precision_takes_its_bias_along():
    head = gw.Linear(np.ones((2, 3), np.float32), np.ones(2))
    assert head.bias.dtype == np.float32
    assert random_network(dtype=np.float32, head=False).embedding.dtype == np.float32


def test_a_network_says_what_it_is():
    network = random_network(reads="last")
    parts = f"Embedding(vocabulary=5) -> {network.lstm!r} -> Linear(3, 2)"
    assert repr(network) == f"<Network: {parts}, reads last, {10 + network.lstm.num_parameters + 8} parameters>"
    bare = random_network(embedding=False, head=False)
    assert repr(bare) == f"<Network: {bare.lstm!r}, reads every, {bare.lstm.num_parameters} parameters>"


# What is refused.


def network_of(**parts):
    """Return a network of two features, one LSTM of three units and other parts."""
    return gw.Network(random_network().lstm, **parts)


UNMERGED = gw.LSTM(2, 3, bidirectional=True, merge="none", dtype=np.float64, rng=0)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: network_of(embedding=np.ones((5, 3))), gw.ShapeError, ["embedding", "(5, 3)", "(vocabulary, 2)"]),
        (lambda: network_of(embedding=np.ones(5)), gw.ShapeError, ["embedding", "(5,)"]),
        (lambda: network_of(embedding=np.ones((0, 2))), gw.ShapeError, ["embedding", "(0, 2)"]),
        (lambda: network_of(embedding=[["a", "b"]]), gw.OptionError, ["embedding", "real numbers"]),
        (lambda: network_of(head=gw.Linear(np.ones((2, 4)))), gw.ShapeError, ["head", "4", "3"]),
        (lambda: network_of(head=gw.Linear(np.ones((2, 3), "f4"))), gw.ShapeError, ["head", "float32", "float64"]),
        (lambda: network_of(head=np.ones((2, 3))), gw.OptionError, ["head", "Linear"]),
        (lambda: network_of(reads="first"), gw.OptionError, ["'first'", "every, last"]),
        (lambda: network_of(masked="0"), gw.OptionError, ["masked", "'0'"]),
        (lambda: network_of(masked=True), gw.OptionError, ["masked", "True"]),
        (lambda: network_of(masked=[0]), gw.OptionError, ["masked", "[0]"]),
        (lambda: gw.Network(UNMERGED, head=gw.Linear(np.ones((1, 3)))), gw.OptionError, ["head", "not merged"]),
        (lambda: gw.Linear(np.ones(3)), gw.ShapeError, ["head", "weight", "(3,)", "(output, features)"]),
        (lambda: gw.Linear(np.ones((0, 3))), gw.ShapeError, ["head", "weight", "(0, 3)"]),
        (lambda: gw.Linear(np.ones((2, 3)), np.ones(3)), gw.ShapeError, ["head", "bias", "(3,)", "(2,)"]),
        (lambda: gw.Linear("text"), gw.OptionError, ["head", "weight", "real numbers"]),
        (lambda: gw.Linear(np.ones((2, 3)), activation="celu"), gw.OptionError, ["celu"]),
        (lambda: gw.Linear(np.ones((2, 3)), activation=5), gw.OptionError, ["5"]),
        (lambda: gw.Linear(np.ones((2, 3)), activation="hard_sigmoid"), gw.OptionError, ["alpha"]),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_one_sentence(make, kind, words):
    with cases.refusal(*words, by=kind):
        make()


@pytest.mark.parametrize("make", [gw.Network, gw.Stream])
@pytest.mark.parametrize(
    "given",
    [None, "lstm.onnx", gw.LSTMCell(2, 3, rng=0), gw.LSTM(2, 3, rng=0).trace(np.ones((1, 2)))],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_lstm_is_refused_in_one_sentence(make, given):
    with cases.refusal("LSTM", type(given).__name__, by=gw.OptionError):
        make(given)


@pytest.mark.parametrize("given", [None, gw.LSTM(2, 3, rng=0).trace(np.ones((1, 2)))])
def test_what_has_no_answers_is_not_verified(given):
    with cases.refusal("LSTM", type(given).__name__, by=gw.OptionError):
        gw.verify(given, np.ones((1, 2)), np.ones((1, 2)))


@pytest.mark.parametrize(
    ("x", "kind", "words"),
    [
        ([[0.0, 1.0]], gw.ShapeError, ["integers", "float64"]),
        ([[True, False]], gw.ShapeError, ["integers", "bool"]),
        (3, gw.ShapeError, ["()", "(time, batch)"]),
        (np.zeros((2, 2, 2), int), gw.ShapeError, ["(2, 2, 2)"]),
        ([[0, 5]], gw.OptionError, ["0 and 4", "0 to 5"]),
        ([[-1, 4]], gw.OptionError, ["0 and 4", "-1 to 4"]),
        ([[0, 1], [2]], gw.ShapeError, ["x"]),
        ("text", gw.ShapeError, ["x", "integers"]),
    ],
)
def test_wrong_tokens_are_refused_in_one_sentence(x, kind, words):
    for verb in (random_network(), random_network().trace):
        with cases.refusal(*words, by=kind):
            verb(x)


@every_reading
@pytest.mark.parametrize(
    ("dy", "dstate", "words"),
    [
        (np.ones((4, 2, 3)), None, ["dy", "(4, 2, 3)"]),
        (np.ones(3), None, ["dy", "(3,)"]),
        (..., 5, ["dstate"]),
        (..., [[]], ["dstate", "1 layer of 1 direction"]),
        (..., [[gw.State(np.ones((1, 3)), np.ones((2, 3)))]], ["dh", "(1, 3)", "(2, 3)"]),
        (..., [[gw.State(np.ones((2, 3)), np.ones((2, 4)))]], ["dc", "(2, 4)", "(2, 3)"]),
    ],
)
def test_a_wrong_gradient_is_refused_in_one_sentence(reads, dy, dstate, words):
    trace = random_network(reads=reads).trace(TOKENS)
    with cases.refusal(*words, by=gw.GatewiseError):
        gw.backward(trace, np.ones_like(trace.output) if dy is ... else dy, dstate)


@every_reading
def test_a_network_s_gradient_of_nothing_is_zero(reads):
    """As of every other trace: what is not given from above is zero."""
    trace = random_network(reads=reads).trace(TOKENS)
    found = gw.backward(trace)
    assert not found.embedding.any()
    assert not found.head_weight.any()
