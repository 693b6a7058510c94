"""Keras 3 itself, live: whole models, of layers within models within models, and the masks that reach them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from agreement import assert_agree
from pairwise import cover
from peers import keras_live
from peers.keras_live import BATCH, CLOSE, INPUTS, MASKED, TIME, UNITS, L, Louder, flat, keras, random_weights, saved

import gatewise as gw
from gatewise import interop
from gatewise.interop import keras as gw_keras
from gatewise.network.graph_network import GraphNetwork

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def test_layers_within_models_within_models_are_found_by_their_names(tmp_path):
    inner = keras.Sequential(
        [L.LSTM(3, return_sequences=True, name="a"), L.LSTM(2, return_sequences=True, name="b")], name="in"
    )
    inputs = keras.Input((TIME, INPUTS))
    x = L.RNN([L.LSTMCell(3), L.LSTMCell(INPUTS)], return_sequences=True, name="stack")(inputs)
    model = keras.Model(inputs, L.LSTM(2, name="top")(inner(x)))
    data = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    want = flat(model(data))[0]
    for form in (".keras", ".h5"):
        path = saved(model, tmp_path, form)
        *names, all_of_them = [one.name for one in interop.inspect(path).lstms]
        assert names == ["stack", "in/a", "in/b", "top"]
        assert all_of_them == "stack → in/a → in/b → top"
        y = data.swapaxes(0, 1)
        for name in names:
            y, _ = interop.load(path, name)(y)
        np.testing.assert_allclose(y[-1], want, rtol=0, atol=CLOSE)
        assert interop.load(path, all_of_them).num_layers == interop.load(path).num_layers == 5
        assert [one.stacked for one in interop.inspect(path).lstms] == [False] * 4 + [True]
        whole = interop.load_network(path)
        assert whole.lstm.num_layers == 5
        np.testing.assert_allclose(whole(data.swapaxes(0, 1))[0], want, rtol=0, atol=CLOSE)


NETWORKS = cover(
    {
        "embedding": ("none", "plain", "mask_zero"),
        "merge": ("one way", "concat", "ave"),
        "last": (False, True),
        "backwards": (False, True),
        "head": (None, "softmax", "sigmoid", "linear", "hard_sigmoid"),
        "form": (".keras", ".h5"),
        "api": ("sequential", "functional"),
        "layers": (1, 2),
    },
    allowed=lambda case: not case["backwards"] or (case["last"] and case["merge"] == "one way" and case["layers"] == 1),
)


@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_a_whole_network_gives_keras_s_output(case, tmp_path):
    layers = []
    if case["embedding"] != "none":
        layers.append(L.Embedding(7, INPUTS, mask_zero=case["embedding"] == "mask_zero"))
    for number in range(case["layers"]):
        sequences = number < case["layers"] - 1 or not case["last"]
        layer = L.LSTM(UNITS, return_sequences=sequences, go_backwards=case["backwards"])
        layers.append(layer if case["merge"] == "one way" else L.Bidirectional(layer, merge_mode=case["merge"]))
        layers.append(L.Dropout(0.3))
    if case["head"] is not None:
        dense = L.Dense(2, activation=case["head"])
        layers.append(dense if case["last"] else L.TimeDistributed(dense))
    inputs = keras.Input((TIME,) if case["embedding"] != "none" else (TIME, INPUTS))
    model = (
        keras.Sequential([inputs, *layers])
        if case["api"] == "sequential"
        else keras_live.chained(*layers, inputs=inputs)
    )
    rng = np.random.default_rng(NETWORKS.index(case))
    model.set_weights([rng.normal(0, 0.5, one.shape).astype(np.float32) for one in model.get_weights()])
    if case["embedding"] == "none":
        x = rng.normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    else:
        x = np.array([[1, 2, 3, 0, 0], [4, 0, 5, 6, 1], [0, 0, 2, 2, 6]])
    network = interop.load_network(saved(model, tmp_path, case["form"]))
    got, _ = network(x.swapaxes(0, 1))
    got = got if case["last"] else got.swapaxes(0, 1)
    assert_agree({"y": got}, {"y": flat(model(x))[0]}, CLOSE)


HEADS = cover(
    {
        "before": ("nothing", "dense", "two", "embedding"),
        "layers": (1, 2, 3),
        "activation": ("relu", "tanh", "none"),
        "own layer": (False, True),
        "dropout": (False, True),
        "skip": ("none", "all", "one", "inner"),
        "last": (False, True),
        "form": (".keras", ".h5"),
    },
    allowed=lambda case: case["skip"] == "none" or not (case["last"] or case["before"] == "embedding"),
)


@pytest.mark.parametrize("case", HEADS, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_several_dense_layers_and_a_skip_connection_give_keras_s_output(case, tmp_path):
    def dense(units, last=False):
        name = "softmax" if last and case["own layer"] else None if case["activation"] == "none" else case["activation"]
        if not case["own layer"] or name is None:
            return [L.Dense(units, activation=name)]
        return [L.Dense(units), L.Softmax() if name == "softmax" else L.Activation(name)]

    features = 1 if case["skip"] == "one" else INPUTS
    layers = {"nothing": [], "dense": dense(5), "two": [*dense(5), *dense(2)], "embedding": [L.Embedding(7, INPUTS)]}[
        case["before"]
    ]
    layers.append(L.LSTM(UNITS, return_sequences=not case["last"]))
    for number in range(case["layers"]):
        last = number == case["layers"] - 1
        layers += [L.Dropout(0.4)] * case["dropout"] + dense(INPUTS if last else 6, last)
    inputs = keras.Input((TIME,) if case["before"] == "embedding" else (TIME, features))
    if case["skip"] == "none":
        model = keras.Sequential([inputs, *layers])
    elif case["skip"] == "inner":
        y = L.Add()([L.Dropout(0.1)(inputs), keras.Sequential([keras.Input((TIME, features)), *layers])(inputs)])
        inner = keras.Model(inputs, y)
        outer = keras.Input((TIME, features))
        model = keras.Model(outer, inner(outer))
    else:
        model = keras.Model(inputs, L.Add()([keras_live.chained(*layers, inputs=inputs).output, inputs]))
    random_weights(model)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, TIME, features)).astype(np.float32)
    if case["before"] == "embedding":
        x = rng.integers(0, 7, (BATCH, TIME))
    network = interop.load_network(saved(model, tmp_path, case["form"]))
    assert network.skip == (0 if case["skip"] == "none" else features)
    got, _ = network(x.swapaxes(0, 1))
    got = got if case["last"] else got.swapaxes(0, 1)
    assert_agree({"y": got}, {"y": flat(model(x))[0]}, CLOSE)


KERAS_NAMES = ("relu", "elu", "selu", "leaky_relu", "softplus", "softsign", "hard_sigmoid", "exponential")
KERAS_NAMES += ("gelu", "silu", "swish", "mish", "hard_silu", "hard_swish")


@pytest.mark.parametrize("name", KERAS_NAMES)
@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_a_head_with_any_nonlinearity_gives_keras_s_output(name, form, tmp_path):
    head = [L.Dense(5, activation=name)] if form == ".h5" else [L.Dense(5), L.Activation(name)]
    model = keras.Sequential([keras.Input((TIME, INPUTS)), L.LSTM(UNITS), *head, L.Dense(2, activation=name)])
    random_weights(model)
    x = np.random.default_rng(1).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    path = saved(model, tmp_path, form)
    assert_agree({"y": interop.load_network(path)(x.swapaxes(0, 1))[0]}, {"y": flat(model(x))[0]}, CLOSE)


def assert_graph(path, model, x):
    """Require that a file is read as a graph that computes what Keras computes."""
    network = interop.load_network(path)
    assert isinstance(network, GraphNetwork)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the network takes", UserWarning)
        y, _ = network(x)
    for ours, expected in zip(y if isinstance(y, tuple) else [y], flat(model(x)), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=CLOSE)


TOKENS = np.array([[1, 5, 2, 5, 0], [5, 3, 0, 0, 5], [4, 0, 5, 6, 1]])


@pytest.mark.parametrize("form", [".keras", ".h5"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("both", [True, False])
def test_named_layers_compute_what_the_model_computes(both, last, form, tmp_path):
    tokens = keras.Input((TIME,), dtype="int32")
    y = L.Embedding(7, INPUTS, mask_zero=True, name="words")(tokens)
    for number in range(2):
        layer = L.LSTM(UNITS, return_sequences=not (last and number), name=f"lstm{number}")
        y = (L.Bidirectional(layer, merge_mode="ave", name=f"both{number}") if both else layer)(L.Dropout(0.1)(y))
    ends = [L.Dense(2, activation=name, name=name)(L.Dense(4, name=f"to_{name}")(y)) for name in ("softmax", "tanh")]
    model = random_weights(keras.Model(tokens, ends))
    path = saved(model, tmp_path, form)
    assert_graph(path, model, TOKENS)
    for name, want in zip(("softmax", "tanh"), flat(model(TOKENS)), strict=True):
        with pytest.warns(gw.WeightsWarning, match="leaves out"):
            network = interop.load_network(path, embedding="words", head=name)
        got, _ = network(TOKENS.T)
        np.testing.assert_allclose(got if last else got.swapaxes(0, 1), want, rtol=0, atol=CLOSE)


def masked_by_hand(zero_too, number, *at):
    """Return a model of two LSTMs over an embedding; some of them are given the mask of a token by its number."""
    tokens = keras.Input((TIME,), dtype="int32")
    mask = keras.ops.not_equal(tokens, number)
    y = L.Embedding(7, INPUTS, mask_zero=zero_too)(tokens)
    for place, sequences in enumerate((True, False)):
        y = L.LSTM(UNITS, return_sequences=sequences)(y, **({"mask": mask} if place in at else {}))
    return random_weights(keras.Model(tokens, y))


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_a_mask_that_somebody_gives_is_not_taken_for_the_one_that_a_layer_makes(form, tmp_path):
    for case in ((False, 5, 0), (False, 0, 1), (True, 5, 0), (True, 5, 1), (True, 5, 0, 1)):
        model = masked_by_hand(*case)
        path = saved(model, tmp_path, form)
        with pytest.raises(gw.FileError, match="an explicit mask") as caught:
            interop.inspect(path).network()
        assert len(str(caught.value).splitlines()) == 1
        assert_graph(path, model, TOKENS)
        *_, last = interop.inspect(path).lstms
        assert last.stacked == (0 in case[2:])  # from the first LSTM on, the mask is the same for both
        if last.stacked:
            x = flat(model.layers[1 if model.layers[1].weights else 2](TOKENS))[0].swapaxes(0, 1)
            _, (*_, (top,)) = last.lstm(x, mask=case[1] != TOKENS.T)
            np.testing.assert_allclose(top.h, flat(model(TOKENS))[0], rtol=0, atol=CLOSE)
    for case in ((True, 0), (True, 0, 0), (True, 0, 1)):  # the embedding's own, by hand or not
        model = masked_by_hand(*case)
        network = interop.load_network(saved(model, tmp_path, form))
        np.testing.assert_allclose(network(TOKENS.T)[0], flat(model(TOKENS))[0], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("form", [".keras", ".h5"])
@pytest.mark.parametrize("over", ["axis", "value", "source"])
def test_a_mask_that_is_only_like_masking_s_is_not_taken_for_it(over, form, tmp_path):
    inputs = keras.Input((TIME, TIME if over == "axis" else INPUTS))
    y = L.Masking(MASKED)(inputs)
    axis, value = (1 if over == "axis" else -1), (0.5 if over == "value" else MASKED)
    mask = keras.ops.any(keras.ops.not_equal(y if over == "source" else inputs, value), axis=axis)
    model = random_weights(keras.Model(inputs, L.LSTM(UNITS)(y, mask=mask)))
    path = saved(model, tmp_path, form)
    with pytest.raises(gw.FileError, match="an explicit mask"):
        interop.inspect(path).network()
    x = np.random.default_rng(0).normal(size=(BATCH, *inputs.shape[1:])).astype(np.float32)
    x[0, [0, 2]] = x[1, 3:] = MASKED
    x[2, 1:3] = 0.5
    assert_graph(path, model, x)


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_masks_that_come_into_models_within_models_or_out_of_them_are_followed(form, tmp_path):
    def lstm():
        return L.LSTM(INPUTS, return_sequences=True)

    x = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    x[0, [0, 2]] = x[1, 3:] = 0
    for layers in (
        (L.Masking(), keras_live.chained(lstm()), lstm()),
        (keras_live.chained(L.Masking()), lstm()),
        (keras_live.chained(L.Masking(), lstm()), lstm()),
        (keras.Sequential([keras.Input((TIME, INPUTS)), L.Masking(), lstm()]), lstm()),
    ):
        model = random_weights(keras_live.chained(*layers))
        path = saved(model, tmp_path, form)
        assert all(any("mask" in note for note in one.notes) for one in interop.inspect(path).lstms)
        got = interop.load_network(path)(x.swapaxes(0, 1))[0].swapaxes(0, 1)
        np.testing.assert_allclose(got, flat(model(x))[0], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_the_notes_tell_a_mask_or_a_state_where_one_comes_and_only_there(form, tmp_path):
    first, second = keras.Input((TIME, INPUTS)), keras.Input((TIME, INPUTS))
    steps = keras.Input((TIME,), dtype="bool")
    _, *state = L.LSTM(UNITS, return_state=True, name="encoder")(L.Masking()(first))
    y = L.LSTM(UNITS, return_sequences=True, name="decoder")(second, initial_state=state)
    y = L.LSTM(UNITS, name="given")(y, mask=steps)
    y = L.LSTM(UNITS, name="repeated")(L.RepeatVector(TIME)(y))
    contents = interop.inspect(saved(keras.Model([first, second, steps], y), tmp_path, form))
    masked = {one.name: any("mask" in note for note in one.notes) for one in contents.lstms}
    assert masked == {"encoder": True, "decoder": False, "given": True, "repeated": False}
    given = {entry.name: entry.lstms for entry in contents.ledger if entry.kind == "input" and entry.lstms}
    assert given == {"decoder.initial_state": ("decoder",), "given.mask": ("given",)}
    layers = [L.Masking(), L.LSTM(3, name="a"), L.RepeatVector(TIME), L.LSTM(3, name="b")]
    found = interop.inspect(saved(keras.Sequential([keras.Input((TIME, INPUTS)), *layers]), tmp_path, form)).lstms
    assert {one.name: bool(one.notes) for one in found} == {"a": True, "b": False}


@pytest.mark.parametrize("form", [".keras", ".h5"])
@pytest.mark.parametrize("kind", ["LSTM", "Dense", "Flip"])
def test_a_class_of_somebody_s_own_is_not_taken_for_keras_s_of_the_same_name(kind, form, tmp_path):
    base = {"LSTM": Louder, "Dense": L.Dense, "Flip": L.Layer}[kind]
    config = {"get_config": lambda self: base.get_config(self) | {"axis": 1}} if kind == "Flip" else {}
    own = keras.saving.register_keras_serializable("Mine")(type(kind, (base,), config))
    plain = L.LSTM(UNITS, return_sequences=True)
    layers = {"LSTM": lambda: [own(UNITS)], "Dense": lambda: [plain, own(2)], "Flip": lambda: [plain, own()]}[kind]()
    path = saved(keras.Sequential([keras.Input((TIME, INPUTS)), *layers]), tmp_path, form)
    with pytest.raises(gw.FileError, match=f"{kind}, whose code is not in the file"):
        interop.inspect(path).network()
    with pytest.raises(gw.FileError, match=f"{kind} is not supported: its class is not one of Keras' own"):
        interop.load_network(path, strict=True)
    assert len(interop.inspect(path).lstms) == (kind != "LSTM")


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_a_model_of_a_custom_class_has_lstms_but_no_network(form, tmp_path):
    class Twice(keras.Model):
        def call(self, x, **options):
            return 2 * super().call(x, **options)

    inputs = keras.Input((TIME, INPUTS))
    within = Twice(inputs, L.LSTM(INPUTS, name="lstm")(inputs), name="within")
    for model, name in ((within, "lstm"), (keras.Sequential([inputs, within]), "within/lstm")):
        path = saved(model, tmp_path, form)
        np.testing.assert_array_equal(
            interop.load(path, name)[0].parameters.weight, gw_keras.read(model, name)[0].parameters.weight
        )
        with pytest.raises(gw.FileError, match="'within' is a model of a custom class"):
            interop.load_network(path)


def test_a_layer_shared_by_two_models_is_refused_where_the_file_has_no_weights_of_it(tmp_path):
    shared = L.LSTM(INPUTS, return_sequences=True, name="shared")
    inputs, inner = keras.Input((TIME, INPUTS)), keras.Input((TIME, INPUTS))
    model = keras.Model(inputs, shared(keras.Model(inner, shared(inner), name="inner")(inputs)))
    contents = interop.inspect(saved(model, tmp_path, ".keras"))
    assert [one.name for one in contents.lstms] == ["inner/shared"]
    assert "shared with another layer" in contents.refused[0].reason
    assert len(interop.inspect(saved(model, tmp_path, ".h5")).lstms) == 3  # which has them twice, and the two as one
