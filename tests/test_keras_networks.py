"""Whole networks of Keras, those of named layers, and stacks of LSTMs that read one another."""

from __future__ import annotations

import re
import warnings
from functools import partial
from itertools import pairwise, permutations

import cases
import numpy as np
import pytest
from keras_files import (
    EMBEDDING,
    INPUTS,
    UNITS,
    dense,
    functional,
    kernels,
    layer,
    legacy,
    lstm_layer,
    named,
    network_file,
    new,
    tensor,
    wired,
)

import gatewise as gw
from gatewise import interop
from tests.test_interop import assert_same_lstm

TOKENS = np.array([[1, 2], [3, 0], [0, 0]])


def lstm(name, **config):
    return lstm_layer(name, return_sequences=True, **config)


def frame(path):
    """Return the network of a file as an LSTM with layers around it, or raise why it has not this shape."""
    return interop.inspect(path).network()


def test_a_network_is_its_layers_one_after_another(tmp_path):
    path = network_file(
        tmp_path / "file",
        layer("InputLayer", "input"),
        EMBEDDING,
        lstm("a"),
        layer("Dropout", "drop", rate=0.5),
        lstm_layer("b"),
        dense("head", activation="softmax"),
    )
    network = interop.load_network(path)
    assert (network.lstm.num_layers, network.reads, network.masked) == (2, "last", 0.0)
    x = network.embedding[TOKENS]
    for name in ("a", "b"):
        x, state = interop.load(path, name)(x, mask=TOKENS != 0, masked_output="repeat")
    a = state[0][0].h @ network.head.weight.T + network.head.bias
    expected = np.exp(a) / np.exp(a).sum(-1, keepdims=True)
    np.testing.assert_allclose(network(TOKENS)[0], expected, rtol=0, atol=1e-6)
    kept = gw.save(network, tmp_path / "own") or interop.load_network(tmp_path / "own")
    np.testing.assert_array_equal(kept(TOKENS)[0], network(TOKENS)[0])


def test_steps_that_masking_marks_do_not_take_place(tmp_path):
    path = network_file(tmp_path / "file", layer("Masking", "m", mask_value=-1.0), lstm("a"))
    network = interop.load_network(path)
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    x[1:3, 0] = -1
    y, _ = network(x)
    short, _ = network.lstm(x[[0, 3], :1])
    np.testing.assert_allclose(y[[0, 3], 0], short[:, 0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(y[1, 0], y[0, 0])
    (note,) = interop.inspect(path).pick().notes
    assert note.startswith("a mask arrives at it: give lengths=")
    assert note not in gw.open_run(path, x).notes  # of a network that masks itself


def test_the_advice_about_a_mask_works_as_written(tmp_path):
    path = network_file(tmp_path / "file", EMBEDDING, lstm("a"), dense("head"))
    network = interop.load_network(path)  # which masks itself
    (found,) = gw.inspect(path).lstms
    (note,) = found.notes
    advice = (
        r"a mask arrives at it: give (lengths=)… if the masked steps come last,"
        r" else run the LSTM with (mask=)… and (masked_output='repeat')"
    )
    at_end, anywhere, way = re.fullmatch(advice, note).groups()
    for tokens in (np.array([[1, 2], [3, 4], [0, 5]]), np.array([[1, 2], [0, 4], [3, 5]])):
        x, mask = network.embedding[tokens], tokens != 0
        options = eval(f"dict({anywhere}mask, {way})", {"mask": mask})
        y, _ = found.lstm(x, **options)
        expected = network(tokens)[0]
        np.testing.assert_allclose(y @ network.head.weight.T + network.head.bias, expected, rtol=0, atol=1e-6)
        if mask[:-1].all():
            options = eval(f"dict({at_end}[2, 3])")
            run = gw.open_run(found, x, axes="time,batch,feature", **options)
            valid = run.trace.first.valid
            np.testing.assert_array_equal(valid, mask)
            np.testing.assert_allclose(run.trace.output[valid], y[valid], rtol=0, atol=1e-6)


def test_an_input_that_fits_a_layer_and_the_whole_model_is_asked_about(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 6, INPUTS)).astype(np.float32)
    wide = layer("InputLayer", "input", batch_shape=[None, None, INPUTS])
    norm, gru = layer("LayerNormalization", "norm"), layer("GRU", "gru", units=3)
    path = network_file(tmp_path / "file", wide, norm, lstm("a"))
    sentence = r"fits both the LSTM and the whole model.*: say which it is with --input-of lstm or --input-of model"
    with pytest.raises(gw.OptionError, match=sentence):
        gw.open_run(path, x)
    with pytest.warns(gw.WeightsWarning, match="left out: norm"):
        run = gw.open_run(path, x, input_of="lstm")
    assert "the input of the LSTM" in run.interpretation
    path = network_file(tmp_path / "file", wide, lstm("a"), gru)  # the input of one is that of the other
    with pytest.warns(gw.WeightsWarning, match="left out: gru"):
        assert "the input of the LSTM" in gw.open_run(path, x).interpretation
    path = network_file(tmp_path / "file", layer("InputLayer", "input", batch_shape=[None, 7, INPUTS]), norm, lstm("a"))
    with pytest.warns(gw.WeightsWarning, match="left out: norm"):  # which takes 7 steps
        assert "the input of the LSTM" in gw.open_run(path, x).interpretation


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([layer("Conv1D", "conv"), lstm_layer("a")], ["'conv'", "Conv1D", "before the LSTM"]),
        ([lstm_layer("a"), layer("Attention", "look")], ["'look'", "Attention"]),
        ([lstm_layer("a"), dense("one"), layer("BatchNormalization", "norm")], ["'norm'", "after the head"]),
        ([lstm_layer("a"), dense("one"), lstm_layer("b")], ["'b'", "LSTM", "after the head"]),
        ([lstm_layer("a"), dense("one"), layer("Softmax", "soft", axis=0)], ["'soft'", "another axis"]),
        ([lstm_layer("a"), layer("Activation", "act", activation="tanh")], ["'act'", "after the LSTM"]),
        ([EMBEDDING, dense("one", INPUTS), lstm_layer("a")], ["'one'", "Dense", "before the LSTM"]),
        ([layer("Masking", "m"), dense("one", INPUTS), lstm_layer("a")], ["masked marks steps"]),
        ([lstm_layer("a"), dense("one", activation="celu")], ["'one'", "celu"]),
        ([lstm("a", go_backwards=True)], ["'a'", "go_backwards"]),
        ([lstm_layer("a"), lstm_layer("b")], ["'b'", "only its last step"]),
        ([lstm_layer("a", return_state=True)], ["'a'", "states"]),
        ([lstm("a"), lstm_layer("b", go_backwards=True)], ["'b'", "backward", "forward"]),
        ([dense("one")], ["no LSTM"]),
        ([layer("GRU", "g", units=2)], ["'g'", "GRU"]),
        ([], ["no LSTM"]),
    ],
)
def test_what_the_frame_cannot_express_is_refused_by_the_layer_s_name(layers, words, tmp_path):
    with cases.refusal(*words):
        frame(network_file(tmp_path / "file", *layers))


def stored_dense(path, name):
    """Return a dense layer of a file as a function."""
    (part,) = (part for part in interop.inspect(path).parts if part.name == name)
    return lambda x: x @ part.weight().T + part.bias()


def stored_lstm(path, name):
    (stored,) = (stored for stored in interop.inspect(path).lstms if stored.name == name)
    return stored.lstm


def after_two_lstms(path, x):
    y = stored_dense(path, "one")(stored_lstm(path, "a")(x)[0])
    return stored_lstm(path, "b")(y)[1][0][0].h


def after_mixed_tokens(path, tokens):
    """The mask of the tokens passes a dense layer between them and the LSTM."""
    table = interop.inspect(path).parts[0].weight()
    y = stored_dense(path, "one")(table[tokens])
    return stored_lstm(path, "a")(y, mask=tokens != 0, masked_output="repeat")[1][0][0].h


BEYOND_THE_FRAME = {
    "dense between": ([lstm("a"), dense("one"), lstm_layer("b")], after_two_lstms),
    "dense before": ([EMBEDDING, dense("one", INPUTS), lstm_layer("a")], after_mixed_tokens),
    "activation": (
        [lstm_layer("a"), layer("Activation", "act", activation="exponential")],
        lambda path, x: np.exp(stored_lstm(path, "a")(x)[1][0][0].h),
    ),
    "reversed": (
        [lstm("a", go_backwards=True)],
        lambda path, x: stored_lstm(path, "a")(x)[0][::-1].swapaxes(0, 1),
    ),
    "no LSTM": ([dense("one")], lambda path, x: stored_dense(path, "one")(x.swapaxes(0, 1))),
}


@pytest.mark.filterwarnings("ignore:the network takes:UserWarning")
@pytest.mark.parametrize("case", BEYOND_THE_FRAME)
def test_what_the_frame_cannot_express_is_read_as_a_graph(case, tmp_path):
    layers, expected = BEYOND_THE_FRAME[case]
    path = network_file(tmp_path / "file", *layers)
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    x = TOKENS if EMBEDDING in layers else x
    y, _ = gw.load_network(path)(x.swapaxes(0, 1))
    np.testing.assert_allclose(y, expected(path, x), rtol=0, atol=1e-6)


@pytest.mark.subjects(1)
@pytest.mark.parametrize("old", [True, False])
def test_a_chain_of_many_layers_is_read(old, tmp_path):
    names = ["in", "a", *(f"half{n}" for n in range(2000))]
    config = {"activation": "linear", "dtype": "float32"}
    layers = [layer("InputLayer", "in") | wired(old), lstm("a", dtype="float32") | wired(old, "in")]
    layers += [layer("Activation", name, **config) | wired(old, source) for source, name in pairwise(names[1:])]
    layers.append(layer("Rescaling", "times", scale=2.0, dtype="float32") | wired(old, names[-1]))
    weights = {name: {} for name in [*names, "times"]} | {"a": named("a/", kernels(new()[0]), ":0")}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers))
    x = np.ones((4, 2, INPUTS), np.float32)
    np.testing.assert_allclose(gw.load_network(path)(x.swapaxes(0, 1))[0], 2 * new()(x)[0].swapaxes(0, 1), rtol=1e-6)


def test_states_are_outputs_if_the_model_returns_them(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a", return_state=True))
    (y, h, c), state = gw.load_network(path)(np.ones((2, 4, INPUTS), np.float32))
    np.testing.assert_array_equal(y, h)
    np.testing.assert_array_equal(h, state[0][0].h)
    np.testing.assert_array_equal(c, state[0][0].c)


@pytest.mark.parametrize(
    ("layers", "kind"), [([lstm("a"), layer("GRU", "g", units=2)], "GRU"), ([dense("one", activation="celu")], "celu")]
)
def test_a_layer_that_gatewise_lacks_is_refused_by_its_name(layers, kind, tmp_path):
    path = network_file(tmp_path / "file", *layers)
    name = layers[-1]["config"]["name"]
    with cases.refusal(f"{name!r}", kind):
        gw.load_network(path, strict=True)


def test_a_run_of_the_lstm_alone_notes_why_its_file_gives_no_network(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a"), dense("one"), layer("BatchNormalization", "norm"))
    with pytest.warns(gw.WeightsWarning, match="left out: norm"):
        run = gw.open_run(path, np.ones((5, INPUTS)))
    assert run.network is None
    (note,) = (note for note in run.notes if note.startswith(f"cannot make a network of {path}: "))
    assert "'norm' is a BatchNormalization" in note
    assert "after the head" in note


def test_dense_layers_before_and_after_are_kept_in_their_order(tmp_path):
    path = network_file(
        tmp_path / "file",
        layer("TimeDistributed", "in", layer=dense("inner", 4)),
        layer("Activation", "act", activation="tanh"),
        layer("Dropout", "drop", rate=0.5),
        lstm("a"),
        dense("one", 5, activation="relu"),
        layer("Dropout", "drop2", rate=0.5),
        dense("two", 4),
        layer("LeakyReLU", "leaky", alpha=0.1),
        dense("three", 2),
        layer("Softmax", "soft"),
    )
    network = interop.load_network(path)
    assert [str(one.activation) for one in network.dense] == ["relu", "leaky_relu:0.1", "softmax"]
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    (before,) = network.branches[0].layers
    h, _ = network.lstm(np.tanh(x @ before.weight.T + before.bias))
    one, two, three = network.dense
    h = np.maximum(h @ one.weight.T + one.bias, 0) @ two.weight.T + two.bias
    h = np.exp(np.where(h > 0, h, 0.1 * h) @ three.weight.T + three.bias)
    np.testing.assert_allclose(network(x)[0], h / h.sum(-1, keepdims=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("case", ["direct", "identity", "scaled", "later", "inner", "inner later", "wide"])
def test_what_is_added_to_the_output_is_a_skip_connection_if_it_is_the_input_of_the_model(case, old, tmp_path):
    outputs = 2 if case == "wide" else INPUTS
    body = [lstm("a") | wired(old, "in"), dense("head", outputs) | wired(old, "a")]
    beside = {"identity": layer("Dropout", "side"), "scaled": layer("Rescaling", "side")}.get(case)
    layers = [layer("InputLayer", "in") | wired(old), *body]
    if beside is not None:
        layers.append(beside | wired(old, "in"))
    layers.append(layer("Add", "sum") | wired(old, "in" if beside is None else "side", "head"))
    weights = {"a": named("a/", kernels(new()[0]), ":0")}
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(size=(UNITS, outputs)).astype(np.float32), rng.normal(size=outputs).astype(np.float32)
    weights |= {"head": {"head/kernel:0": kernel, "head/bias:0": bias}}
    if case == "later":
        layers.append(dense("more", outputs) | wired(old, "sum"))
        weights["more"] = {"more/kernel:0": kernel[:1].repeat(outputs, 0), "more/bias:0": bias}
    config = functional(*layers)
    if case.startswith("inner"):
        config["config"]["name"] = "inner"
        outer = [layer("InputLayer", "top") | wired(old), config | {"name": "inner"} | wired(old, "top")]
        if case == "inner later":
            inner_lstm = lstm("b") | wired(old, "top")
            outer = [outer[0], inner_lstm, config | {"name": "inner"} | wired(old, "b")]
        config = functional(*outer)
        weights = {"inner": weights["a"] | weights["head"]}
        weights |= {"b": named("b/", kernels(new(units=INPUTS)[0]), ":0")} if case == "inner later" else {}
    path = legacy(tmp_path / "file", weights, "2.9.0", config)
    if case in ("scaled", "later", "inner later", "wide"):
        with pytest.raises(gw.FileError) as caught:
            frame(path)
        words = {"later": "after a skip connection", "wide": "adds 3 features to 2 outputs"}.get(case, "'sum'")
        cases.one_sentence(caught.value, words if case != "inner later" else "sum")
        return
    network = interop.load_network(path)
    assert network.skip == INPUTS
    x = rng.normal(size=(4, 2, INPUTS)).astype(np.float32)
    np.testing.assert_allclose(network(x)[0], x + new()(x)[0] @ kernel + bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize("old", [True, False])
def test_a_functional_model_is_followed_from_its_input_to_its_output(old, tmp_path):
    after = partial(wired, old)
    layers = [
        lstm_layer("a") | after("in"),  # not in the order of the way
        layer("InputLayer", "in") | after(),
        layer("Dropout", "drop") | after("a"),
    ]
    layers = [layers[1], layers[0], layers[2]]
    weights = {"in": {}, "a": named("a/", kernels(new()[0]), ":0"), "drop": {}, "b": named("b/", kernels(new(1)[0]))}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers))
    assert_same_lstm(interop.load_network(path).lstm, new())
    branched = [*layers, lstm_layer("b") | after("in")]
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*branched, ends=["a", "b"]))
    own = [*layers[:1], lstm_layer("a") | after("in", mask=["drop", 0, 0])]
    path_ = legacy(tmp_path / "own", weights, "2.9.0", functional(*own))
    with pytest.raises(gw.FileError, match=r"'a'.*an explicit mask"):
        frame(path_)
    with pytest.raises(gw.FileError, match="2 outputs"):
        frame(path)
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*branched, ends=["drop"]))
    with pytest.raises(gw.FileError, match=r"'b'.*no branches"):
        frame(path)
    joined = [*branched, layer("Add", "sum") | after("drop", "b")]
    path = legacy(tmp_path / "file", weights | {"sum": {}}, "2.9.0", functional(*joined))
    with pytest.raises(gw.FileError, match=r"'sum'.*2 inputs"):
        frame(path)
    circle = [layer("InputLayer", "in") | after("drop"), *layers[1:]]
    with pytest.raises(gw.FileError):
        frame(legacy(tmp_path / "file", weights, "2.9.0", functional(*circle)))


@pytest.mark.parametrize("old", [True, False])
def test_a_functional_model_may_list_its_layers_in_any_order(old, tmp_path):
    after = partial(wired, old)
    layers = {
        "in": layer("InputLayer", "in") | after(),
        "drop": layer("Dropout", "drop") | after("in"),
        "a": lstm_layer("a") | after("drop"),
        "head": dense("head") | after("a"),
    }
    weights = {"a": named("a/", kernels(new()[0]), ":0")}
    weights |= {"head": {"head/kernel:0": np.ones((UNITS, 2), np.float32), "head/bias:0": np.ones(2, np.float32)}}

    def write(*listed, more=()):
        config = functional(*(layers[name] for name in listed), *more, ends=["head"])
        config["config"]["input_layers"] = [["in", 0, 0]]
        return legacy(tmp_path / "file", weights, "2.9.0", config)

    for listed in permutations(layers):
        assert_same_lstm(interop.load_network(write(*listed)).lstm, new())
    other = layer("InputLayer", "other") | after()
    compared = layer("NotEqual", "drop") | after("in")
    for more, words in (
        ([layer("Dropout", "more") | after("in")], ["'more' (a Dropout) is not between its input and its output"]),
        ([other], ["'other' (an InputLayer) is not between its input and its output"]),
        ([compared], ["two of its layers have the same name"]),
    ):
        with cases.refusal(*words):
            frame(write(*layers, more=more))
    with cases.refusal("two of its layers have the same name"):
        interop.load_network(write(*layers, more=[compared]))
    layers["drop"] = layer("Dropout", "drop") | after("other")
    with cases.refusal("'other' (an InputLayer) reads no other layer, and is not the input of the model"):
        frame(write(*layers, more=[other]))
    with cases.refusal("'other' reads nothing, and is no input of the model"):
        interop.load_network(write(*layers, more=[other]))


def test_the_parts_of_a_file_can_be_named_for_a_network(tmp_path):
    path = network_file(tmp_path / "file", EMBEDDING, lstm_layer("a"), dense("head"))
    contents = interop.inspect(path)
    kinds = {one.name: (one.kind, one.shape) for one in contents.parts}
    assert kinds == {"embed": ("embedding", (7, INPUTS)), "head": ("linear layer", (2, UNITS))}
    whole = interop.load_network(path)
    named_ = interop.load_network(path, embedding="embed", head="head", reads="last")
    np.testing.assert_array_equal(named_.head.weight, whole.head.weight)
    np.testing.assert_array_equal(named_.embedding, whole.embedding)


def test_stacked_layers_are_taken_as_one_lstm_where_none_is_named(tmp_path):
    path = network_file(tmp_path / "file", lstm("a"), lstm_layer("b"), dense("head"))
    assert [(one.name, one.stacked) for one in interop.inspect(path).lstms] == [
        ("a", False),
        ("b", False),
        ("a → b", True),
    ]
    assert_same_lstm(interop.load(path), interop.load_network(path).lstm)


# Networks of named layers: what the file tells of them is kept, or refused by name.


def quietly(path, *args, **options):
    """Read a network of named parts, and return it with what was warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return gw.load_network(path, *args, **options), " | ".join(str(one.message) for one in said)


def test_named_layers_are_the_network_that_the_file_tells(tmp_path):
    layers = [EMBEDDING, lstm("a"), layer("Dropout", "drop"), lstm_layer("b"), dense("one", 4, activation="relu")]
    path = network_file(tmp_path / "file", *layers, dense("two", activation="softmax"))
    whole = gw.load_network(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = gw.load_network(path, embedding="embed", head="two")
    assert (network.masked, network.masked_output, network.reads) == (0.0, "repeat", "last")
    assert len(network.hidden) == 1
    np.testing.assert_array_equal(network(TOKENS)[0], whole(TOKENS)[0])
    half, said = quietly(path, embedding="embed", head="one")
    assert "leaves out 'two'" in said
    assert "drop" not in said
    assert str(half.head.activation) == "relu"


def test_what_is_read_against_the_file_is_obeyed_with_a_warning(tmp_path):
    path = network_file(tmp_path / "file", lstm_layer("a"), dense("head"))
    network, said = quietly(path, head="head", reads="every")
    assert (network.reads, "the network reads every, as asked for; in the file, it is last" in said) == ("every", True)
    network, said = quietly(path, head="head", reads="last")
    assert (network.reads, said) == ("last", "")
    run = gw.open_run(path, np.ones((5, network.num_features)), head="head")
    assert run.network.reads == "last"  # as in the file
    with pytest.raises(gw.OptionError, match="reads"):
        quietly(path, head="head", reads="first")
    with pytest.raises(gw.OptionError, match="itself says what its layers read"):
        gw.load_network(path, reads="every")


def test_a_mask_that_the_named_layers_do_not_make_is_warned_of(tmp_path):
    path = network_file(tmp_path / "file", EMBEDDING, lstm("a"), dense("head"))
    network, said = quietly(path, head="head")
    assert "give mask=… and masked_output='repeat' with each call" in said
    assert (network.masked, network.masked_output) == (None, "repeat")
    whole = interop.load_network(path)
    mask = np.array([[1, 1], [0, 1], [1, 0]], bool)
    y = network(whole.embedding[np.array([[1, 2], [0, 3], [4, 0]])], mask=mask, masked_output="repeat")[0]
    np.testing.assert_array_equal(y, whole(np.array([[1, 2], [0, 3], [4, 0]]))[0])
    path = network_file(tmp_path / "file", layer("Masking", "m", mask_value=-1.0), lstm("a"), dense("head"))
    network, said = quietly(path, head="head")
    assert (network.masked, said) == (-1.0, "")


CUSTOM_GELU = {"class_name": "function", "config": "gelu", "module": "mine", "registered_name": "mine>gelu"}


@pytest.mark.parametrize(
    ("layers", "options", "words"),
    [
        ([lstm("a"), layer("Activation", "act", activation="tanh"), dense("head")], {}, ["'act'", "Activation"]),
        ([lstm("a"), layer("GlobalMaxPooling1D", "pool"), dense("head")], {}, ["'pool'", "GlobalMaxPooling1D"]),
        ([lstm("a"), layer("BatchNormalization", "norm"), dense("head")], {}, ["'norm'"]),
        ([dense("head", INPUTS), lstm("a")], {}, ["'head' does not follow 'a'"]),
        ([lstm("a"), lstm("b"), dense("head")], {"name": "a"}, ["'head' reads 'b', and not 'a'"]),
        ([lstm("a"), dense("head", activation="celu")], {}, ["the activation of 'head'", "celu"]),
        ([lstm("a"), dense("head", activation=CUSTOM_GELU)], {}, ["the activation of 'head'", "'mine>gelu'", "custom"]),
        ([EMBEDDING, layer("Conv1D", "c"), lstm("a"), dense("head")], {"embedding": "embed"}, ["'c'", "Conv1D"]),
        ([EMBEDDING, dense("d", INPUTS), lstm("a"), dense("head")], {"embedding": "embed"}, ["'d'", "Dense"]),
    ],
)
def test_named_layers_that_are_no_plain_chain_are_refused_by_name(layers, options, words, tmp_path):
    path = network_file(tmp_path / "file", *layers)
    with cases.refusal(*words):
        gw.load_network(path, head="head", **options)


@pytest.mark.parametrize("old", [True, False])
def test_one_of_two_heads_can_be_named_and_a_sum_between_is_refused(old, tmp_path):
    layers = [
        layer("InputLayer", "in") | wired(old),
        layer("Conv1D", "conv") | wired(old, "in"),
        lstm("a") | wired(old, "conv"),
        dense("left") | wired(old, "a"),
        dense("right", activation="sigmoid") | wired(old, "a"),
        layer("Add", "sum") | wired(old, "conv", "a"),
        dense("after") | wired(old, "sum"),
    ]
    arrays = {"kernel:0": np.ones((UNITS, 2), np.float32), "bias:0": np.zeros(2, np.float32)}
    weights = {name: named(f"{name}/", arrays) for name in ("left", "right", "after")}
    weights |= {"a": named("a/", kernels(new()[0]), ":0")}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers, ends=["left", "right", "after"]))
    network, said = quietly(path, head="right")
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    want = 1 / (1 + np.exp(-new()(x)[0].sum(-1)))
    np.testing.assert_allclose(network(x)[0], np.stack([want, want], -1), rtol=0, atol=1e-6)
    assert all(f"'{one}' (" in said for one in ("left", "after"))
    assert all(said.count(f"{one} (") == 1 for one in ("conv", "sum"))
    with cases.refusal("'after' does not follow 'a'", "'sum' (an Add)"):
        gw.load_network(path, head="after")


# LSTMs that read one another are offered as one: what comes before and after does not matter.


def both(name):
    return layer("Bidirectional", name, merge_mode="sum", layer=lstm(f"of_{name}"))


NORM, DROPOUT = layer("BatchNormalization", "norm"), layer("Dropout", "drop", rate=0.5)
AROUND = {
    "convolution": ([layer("Conv1D", "conv"), layer("MaxPooling1D", "pool")], [dense("one"), dense("two")]),
    "embedding": ([EMBEDDING, layer("SpatialDropout1D", "drop")], [layer("GlobalMaxPooling1D", "max"), dense("one")]),
    "dense": ([dense("one", INPUTS), layer("Activation", "squashed", activation="tanh")], [NORM, dense("two")]),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("make", [lstm, both])
def test_a_stack_is_offered_whatever_comes_before_and_after_it(around, make, tmp_path):
    before, after = AROUND[around]
    path = network_file(tmp_path / "file", *before, make("a"), DROPOUT | {"name": "d"}, make("b"), *after)
    *singles, stack = interop.inspect(path).lstms
    assert (stack.name, stack.stacked, stack.masked) == ("a → b", True, around == "embedding")
    foreign = {"convolution": r"conv \(.*; pool ", "embedding": "max ", "dense": "norm "}[around]
    with pytest.warns(gw.WeightsWarning, match=f"a → b: left out: {foreign}"):
        assert gw.load(path).num_layers == 2
    x = np.random.default_rng(0).normal(size=(4, 2, INPUTS)).astype(np.float32)
    wanted = singles[1].lstm(singles[0].lstm(x)[0])[0]
    np.testing.assert_allclose(stack.lstm(x)[0], wanted, rtol=0, atol=1e-6)


def test_every_stack_of_a_model_is_offered_and_none_is_taken_without_its_name(tmp_path):
    layers = [both("a"), both("b"), lstm("c"), lstm("d"), layer("Conv1D", "conv"), lstm("e"), lstm("f")]
    contents = interop.inspect(network_file(tmp_path / "file", *layers))
    assert [one.name for one in contents.lstms][6:] == ["a → b", "c → d", "e → f"]
    assert not any(one.stacked for one in contents.lstms)
    with pytest.raises(gw.OptionError, match="Choose one by its name"):
        contents.pick()


def test_with_a_recurrent_layer_that_cannot_be_read_a_stack_is_offered_by_its_name_alone(tmp_path):
    contents = interop.inspect(network_file(tmp_path / "file", layer("GRU", "g", units=3), lstm("a"), lstm("b")))
    assert [(one.name, one.stacked) for one in contents.lstms][2:] == [("a → b", False)]


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("way", ["plain", "scaled", "skip", "states", "hidden", "twice", "masked", "own mask"])
def test_a_functional_model_is_followed_from_each_lstm_to_the_next(way, old, tmp_path):
    after = partial(wired, old)

    def mask(name):
        return {"mask": [name, 0, 0] if old else tensor(name)}

    layers = [layer("InputLayer", "in") | after(), layer("InputLayer", "m") | after()]
    layers += [layer("Conv1D", "conv") | after("in")]
    given = mask("m") if way in ("masked", "own mask") else {}
    layers += [lstm("a", return_state=way in ("states", "hidden")) | after("conv", **given)]
    sources, stacks = ["a"], way in ("plain", "masked")
    match way:
        case "plain":
            layers += [layer("Dropout", "drop") | after("a")]
            sources = ["drop"]
        case "scaled":
            layers += [layer("Rescaling", "times") | after("a")]
            sources = ["times"]
        case "skip":
            layers += [layer("Add", "sum") | after("a", "conv")]
            sources = ["sum"]
        case "states":  # as a decoder, which starts from those of its encoder
            sources = ["a", ("a", 1), ("a", 2)]
        case "hidden":
            sources = [("a", 1)]
    layers += [lstm("b") | after(*sources, **(mask("other" if way == "own mask" else "m") if given else {}))]
    if way == "twice":
        layers[-1]["inbound_nodes"] += after("conv")["inbound_nodes"]
    layers += [dense("x") | after("b"), dense("y") | after("b")]
    weights = {one["config"]["name"]: {} for one in layers}
    weights |= {name: named(f"{name}/", kernels(new(inputs=UNITS)[0]), ":0") for name in "ab"}
    path = legacy(tmp_path / "file", weights, "2.9.0", functional(*layers, ends=["x", "y"]))
    found = interop.inspect(path).lstms
    assert [one.name for one in found] == ["a", "b"] + ["a → b"] * stacks
    assert found[-1].stacked == stacks
    assert found[-1].masked == bool(given)


def test_a_stack_that_ends_in_reversed_steps_says_so(tmp_path):
    path = network_file(tmp_path / "file", dense("before"), lstm("a", go_backwards=True), lstm("b"))
    stack = interop.inspect(path).pick()
    assert (stack.lstm.directions, stack.time_reversed) == (("backward",), True)
    path = network_file(tmp_path / "file", dense("before"), lstm("a"), lstm("b", go_backwards=True))
    assert len(interop.inspect(path).lstms) == 2


def test_reversed_steps_that_another_lstm_does_not_take_leave_the_stack_before_as_it_is(tmp_path):
    layers = [lstm("a"), lstm("b"), layer("Flip", "flip", axis=1), both("c")]
    *_, stack = interop.inspect(network_file(tmp_path / "file", *layers)).lstms
    assert (stack.name, stack.time_reversed) == ("a → b", False)
