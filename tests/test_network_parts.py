"""What a network has around its LSTM: dense layers before and after, a skip connection, scaled inputs and outputs."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw

FEATURES, OUTPUTS = 4, 2


def made(rng, *, kind, dtype=np.float64):
    """Return a network of a kind, in whose parts there is no number that another has."""

    def linear(size, features, activation=None):
        weight, bias = rng.normal(size=(size, features)), rng.normal(size=size)
        return gw.Linear(weight.astype(dtype), bias.astype(dtype), activation)

    branches = (
        gw.Branch((0, 2), (linear(3, 2, "tanh"), linear(2, 3))),
        gw.Branch((3, 1, 0)),  # passed on, one of them twice
    )
    lstm = gw.LSTM(5 if "branches" in kind else FEATURES, 3, bidirectional="two" in kind, rng=1, dtype=dtype)
    head = [linear(4, lstm.output_size, "tanh"), linear(3, 4, "sigmoid"), linear(OUTPUTS, 3)]
    parts = {
        "hidden": {"head": head},
        "skip": {"head": head[-2:] if "hidden" in kind else linear(OUTPUTS, lstm.output_size), "skip": OUTPUTS},
        "added": {"head": linear(OUTPUTS, lstm.output_size, "tanh"), "skip": 1},
        "branches": {"branches": branches},
        "inputs": {"inputs": gw.Scaling(rng.normal(size=FEATURES), rng.uniform(1, 3, FEATURES))},
        "outputs": {"outputs": gw.Scaling(rng.normal(size=OUTPUTS), rng.uniform(2, 3, OUTPUTS), [0, -np.inf])},
        "last": {"reads": "last"},
    }
    options = {"head": head[-1:] if lstm.output_size == 3 else [linear(OUTPUTS, lstm.output_size)]}
    for name, part in parts.items():
        if name in kind:
            options |= part
    return gw.Network(lstm, **options)


KINDS = [
    "hidden",
    "hidden last two",
    "skip",
    "added two",
    "branches",
    "branches hidden inputs outputs last",
    "inputs outputs",
    "skip inputs outputs two",
    "added branches inputs",
]


def by_hand(network, x):
    """Return the output of a network, one part after another."""
    scaled = x if network.inputs is None else (x - network.inputs.center) / network.inputs.scale
    features = scaled
    if network.branches:
        given = []
        for branch in network.branches:
            part = np.stack([scaled[..., place] for place in branch.features], -1)
            for layer in branch.layers:
                part = layer(part)
            given.append(part)
        features = np.concatenate(given, -1)
    y, state = network.lstm(features)
    if network.reads == "last":
        y = np.concatenate([one.h for one in state[-1]], -1)
    for layer in network.dense:
        y = layer(y)
    if network.skip:
        y = y + scaled[..., : network.skip]
    if network.outputs is not None:
        y = network.outputs.center + network.outputs.scale * y
        y[..., 0] = np.maximum(y[..., 0], 0)
    return y


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_its_parts_one_after_another(kind):
    rng = np.random.default_rng(3)
    network = made(rng, kind=kind)
    x = rng.normal(size=(5, 2, FEATURES))
    expected = by_hand(network, x)
    np.testing.assert_allclose(network(x)[0], expected, rtol=0, atol=1e-13)
    trace = network.trace(x)
    np.testing.assert_array_equal(trace.output, network(x)[0])
    alone = network.trace(x[:, 1])
    np.testing.assert_allclose(alone.output, expected[..., 1, :], rtol=0, atol=1e-13)
    single = made(np.random.default_rng(3), kind=kind, dtype=np.float32)
    y = single(x)[0]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradients_of_every_part_equal_central_differences(kind):
    rng = np.random.default_rng(3)
    network = made(rng, kind=kind)
    x = rng.normal(size=(4, 2, FEATURES))
    trace = network.trace(x)
    dy = rng.normal(size=trace.output.shape)
    found = gw.backward(trace, dy)

    def loss(x=x, head=network.dense, branches=network.branches):
        parts = {name: getattr(network, name) for name in ("reads", "skip", "inputs", "outputs")}
        return np.sum(dy * gw.Network(network.lstm, head=head, branches=branches, **parts)(x)[0])

    cases.assert_gradient(found.x, cases.differences(lambda x: loss(x=x), x), "x")
    alone = gw.backward(network.trace(x[:, 0]), dy[..., 0, :])
    np.testing.assert_allclose(alone.x, found.x[:, 0], rtol=0, atol=1e-12)
    for place, layer in enumerate(network.dense):
        one = [*found.hidden, (found.head_weight, found.head_bias)][place]

        def with_layer(weight, bias, place=place, layer=layer):
            other = gw.Linear(weight, bias, layer.activation)
            return loss(head=[*network.dense[:place], other, *network.dense[place + 1 :]])

        expected = cases.differences(lambda weight: with_layer(weight, layer.bias), layer.weight)  # noqa: B023
        cases.assert_gradient(one[0], expected, f"weight of layer {place}")
        expected = cases.differences(lambda bias: with_layer(layer.weight, bias), layer.bias)  # noqa: B023
        cases.assert_gradient(one[1], expected, f"bias of layer {place}")
    if network.branches:
        branch, other = network.branches
        for place, layer in enumerate(branch.layers):

            def with_weight(weight, place=place, layer=layer):
                changed = gw.Linear(weight, layer.bias, layer.activation)
                layers = [*branch.layers[:place], changed, *branch.layers[place + 1 :]]
                return loss(branches=[gw.Branch(branch.features, layers), other])

            expected = cases.differences(with_weight, layer.weight)
            cases.assert_gradient(found.branches[0][place].weight, expected, f"branch, layer {place}")


def test_an_output_at_its_least_has_no_gradient():
    network = made(np.random.default_rng(0), kind="outputs")
    low = gw.Network(network.lstm, head=network.head, outputs=gw.Scaling([-100, 0], [1, 1], [0, 0]))
    x = np.ones((3, FEATURES))
    assert not low(x)[0][:, 0].any()
    found = gw.backward(low.trace(x), np.ones((3, 2)))
    assert not found.head_weight[0].any()
    assert found.head_weight[1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_network_comes_back_with_all_its_parts(kind, tmp_path):
    rng = np.random.default_rng(3)
    network = made(rng, kind=kind)
    names = gw.Labels(features=list("abcd"), outputs=["q", "r"], measures={"a": ("rain", "mm"), "q": ("flow", "m3/s")})
    parts = {name: getattr(network, name) for name in ("reads", "skip", "inputs", "outputs", "branches")}
    network = gw.Network(network.lstm, head=network.dense, labels=names, **parts)
    gw.save(network, tmp_path / "network.safetensors")
    again = gw.load_network(tmp_path / "network.safetensors")
    x = rng.normal(size=(5, 2, FEATURES))
    np.testing.assert_array_equal(again(x)[0], network(x)[0])
    assert repr(again) == repr(network)
    assert again.labels == names
    assert again.num_parameters == network.num_parameters


def test_labels_go_where_they_are_true():
    rng = np.random.default_rng(3)
    names = gw.Labels(features=list("abcd"), outputs=["q", "r"], measures={"a": ("rain", "mm"), "q": ("flow", "m3/s")})
    x = rng.normal(size=(5, 2, FEATURES))
    for kind, own in (
        ("hidden", gw.Labels(features=list("abcd"), measures={"a": ("rain", "mm")})),
        ("inputs outputs", gw.Labels(features=list("abcd"), measures=dict.fromkeys("abcd", "scaled"))),  # no longer mm
        ("branches", gw.Labels()),
    ):
        plain = made(rng, kind=kind)
        parts = {name: getattr(plain, name) for name in ("inputs", "outputs", "branches")}
        network = gw.Network(plain.lstm, head=plain.dense, labels=names, **parts)
        trace = network.trace(x)
        assert trace.labels == names
        assert trace.lstm.labels == own
        dates = np.arange("2001-01-01", "2001-01-06", dtype="datetime64[D]")
        dated = network.trace(x, labels=gw.Labels(times=dates, outputs=["s", "t"]))
        assert dated.labels.times == tuple(dates)
        assert dated.lstm.labels.times == tuple(dates)
        assert dated.labels.outputs == ("s", "t")
        assert dated.labels.features == names.features


def test_what_is_asked_of_a_scaled_output_is_answered_in_its_units():
    rng = np.random.default_rng(0)
    plain = made(rng, kind="")
    scaling = gw.Scaling([9, -50], [2, 3], [0, 0])
    network = gw.Network(plain.lstm, head=plain.head, outputs=scaling, labels=gw.Labels(outputs=["q", "low"]))
    x = rng.normal(size=(6, FEATURES))
    one, other = plain.trace(x), network.trace(x)
    found, expected = (gw.insight.attribution(run, 0, method="gradient_input") for run in (other, one))
    np.testing.assert_allclose(found.scores, 2 * expected.scores, rtol=1e-12)
    assert found.sentence.startswith("Output q at step 5 is ")
    assert "before its lower bound" in gw.insight.attribution(other, "low", method="gradient_input").sentence
    most, plainly = gw.insight.ceiling(other), gw.insight.ceiling(one)
    np.testing.assert_allclose(most.ceiling, np.maximum(scaling.undo(plainly.ceiling), 0), rtol=1e-12)
    np.testing.assert_allclose(most.output, other.output, rtol=1e-12)
    near, far = (gw.insight.influence(run) for run in (other, one))
    assert near.residual < 1e-12
    assert np.all(near.inputs <= 2 * far.inputs + 1e-12), "an output at its bound answers to nothing"


def test_what_needs_one_linear_layer_says_so_of_several():
    network = made(np.random.default_rng(0), kind="hidden")
    trace = network.trace(np.ones((3, FEATURES)))
    for ask in (gw.insight.ceiling, gw.insight.attribution):
        with cases.refusal("one linear layer", "3", by=gw.OptionError):
            ask(trace)
    assert gw.insight.influence(trace).residual < 1e-12


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"head": [gw.Linear(np.ones((2, 3))), gw.Linear(np.ones((1, 3)))]}, ["the head", "3", "2"]),
        ({"head": 5}, ["the head", "int"]),
        ({"head": [5]}, ["the head", "int"]),
        ({"skip": 3}, ["skip", "2", "3"]),
        ({"skip": -1}, ["skip", "-1"]),
        ({"skip": 1, "reads": "last"}, ["skip", "every"]),
        ({"branches": [gw.Branch([0, 1])]}, ["branches", "2", "4"]),
        ({"branches": [gw.Branch([0, 1, 3, 3])]}, ["feature 2"]),
        ({"inputs": gw.Scaling([0, 0], [1, 1])}, ["inputs", "2", "4"]),
        ({"outputs": gw.Scaling([0], [1])}, ["outputs", "1", "2"]),
        ({"inputs": gw.Scaling([0] * 4, [1] * 4), "masked": 0}, ["masked", "inputs"]),
        ({"labels": gw.Labels(features=["a"])}, ["features", "4", "1"]),
        (lambda: gw.Scaling([1, 2], [1]), ["scale"]),
        (lambda: gw.Scaling([1, 2], [1, 0]), ["scale", "0"]),
        (lambda: gw.Scaling([np.nan], [1]), ["finite"]),
        (lambda: gw.Scaling([1], [1], [np.nan]), ["least", "NaN"]),
        (lambda: gw.Branch([]), ["branch"]),
        (lambda: gw.Branch([-1]), ["branch", "-1"]),
        (lambda: gw.Branch([0], [gw.Linear(np.ones((2, 3)))]), ["branch", "3", "1"]),
        (lambda: made(np.random.default_rng(0), kind="inputs")(np.ones((5, 3))), ["x", "(5, 3)"]),
        (lambda: made(np.random.default_rng(0), kind="branches")(np.ones(5)), ["x", "(5,)"]),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_one_sentence(given, words):
    with cases.refusal(*words, by=gw.GatewiseError):
        if callable(given):
            given()
        else:
            options = {"head": gw.Linear(np.ones((2, 3))), **given}
            gw.Network(gw.LSTM(FEATURES, 3, dtype=np.float64, rng=0), **options)
