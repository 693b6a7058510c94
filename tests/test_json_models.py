"""Models in JSON: what RTNeural, Neural Amp Modeler and dumps of a state dict hold, and what is refused."""

from __future__ import annotations

import json
import time
from functools import partial

import cases
import numpy as np
import pytest
from agreement import assert_agree
from fuzzing import SOME, everything, fuzz, in_json
from json_documents import FORMATS, a_nam, cells_of, drawn, head_of, nam, rtneural, state_dict, states_of

import gatewise as gw
from gatewise.interop import json_models
from gatewise.interop.chosen_layers import chosen_network


def contents(path, document=None):
    if document is not None:
        path.write_text(json.dumps(document), encoding="utf-8")
    assert json_models.recognises(path, path.read_bytes()[:4096])
    return json_models.contents(path, {})


def assert_cells(lstm, *rows):
    assert lstm.dtype == np.float32
    assert len(lstm.layers) == len(rows)
    for row, expected in zip(lstm.layers, rows, strict=True):
        for cell, p in zip(row, expected, strict=True):
            assert cell.variant == gw.Variant()
            np.testing.assert_array_equal(cell.parameters.weight, p.weight)
            np.testing.assert_array_equal(cell.parameters.bias, p.bias)


# What is read.


@pytest.mark.parametrize("sizes", [(1, 1), (1, 8), (3, 2), (2, 5, 3), (4, 4, 4, 4)], ids=str)
@pytest.mark.parametrize("head", [True, False])
def test_rtneurals_layers_are_read_one_by_one_and_as_a_network(sizes, head, tmp_path):
    cells = cells_of(*sizes)
    linear = head_of(sizes[-1], 2) if head else None
    found = contents(tmp_path / "model", rtneural(cells, linear))
    assert found.format == "RTNeural"
    assert [one.name for one in found.lstms] == [f"layers.{n}" for n in range(len(cells))]
    for one, p in zip(found.lstms, cells, strict=True):
        assert_cells(one.lstm, [p])
        assert one.notes == ()
    network = found.network()
    assert_cells(network.lstm, *([p] for p in cells))
    assert (network.head is None, network.embedding, network.reads) == (not head, None, "every")
    if head:
        (part,) = found.parts
        assert (part.name, part.kind, part.shape) == (f"layers.{len(cells)}", "linear layer", (2, sizes[-1]))
        for weight, bias in ((part.weight(), part.bias()), (network.head.weight, network.head.bias)):
            np.testing.assert_array_equal(weight, linear.weight)
            np.testing.assert_array_equal(bias, linear.bias)


@pytest.mark.parametrize(
    ("activation", "function"),
    {
        "tanh": np.tanh,
        "relu": lambda a: np.maximum(a, 0),
        "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
        "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
        "softmax": lambda a: np.exp(a) / np.exp(a).sum(-1, keepdims=True),
    }.items(),
)
def test_rtneurals_head_has_its_activation(activation, function, tmp_path):
    document = rtneural(cells_of(1, 4), head_of(4, 3))
    x = drawn(0, 9, 1, 1)
    scores, _ = contents(tmp_path / "model", document).network()(x)
    document["layers"][1]["activation"] = activation
    found = contents(tmp_path / "model", document)
    for network in (found.network(), chosen_network(found, None, None, "layers.1", "every")):
        assert_agree({"y": network(x)[0]}, {"y": function(scores)}, 1e-6)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 3), (2, 4, 4), (1, 2, 2, 2)], ids=str)
def test_an_amp_model_is_read_with_its_learned_state(sizes, tmp_path):
    cells = cells_of(*sizes)
    states, head = states_of(cells), head_of(sizes[-1], 1)
    found = contents(tmp_path / "model", nam(cells, states, head))
    assert found.format == "Neural Amp Modeler 0.5.4"
    (one,) = found.lstms
    assert_cells(one.lstm, *([p] for p in cells))
    for (state,), expected in zip(one.state, states, strict=True):
        np.testing.assert_array_equal(state.h, expected.h)
        np.testing.assert_array_equal(state.c, expected.c)
    assert any("state" in note for note in one.notes)
    network = found.network()
    np.testing.assert_array_equal(network.head.weight, head.weight)
    np.testing.assert_array_equal(network.head.bias, head.bias)


def test_a_word_segmenter_of_icu_is_refused_by_name(tmp_path):
    matrices = {f"mat{number}": {"v": 1, "dim": [1], "data": [0.0]} for number in range(1, 10)}
    with pytest.raises(
        gw.FileError, match=r"word segmenter of ICU, which gatewise does not read. Put its matrices into a Keras"
    ):
        contents(tmp_path / "model", matrices)


@pytest.mark.parametrize("nested", [False, True])
def test_a_dump_of_a_state_dict_is_read_as_pytorchs_own_files_are(nested, tmp_path):
    document = {"model_data": {"epoch": 1}, "state_dict": state_dict()} if nested else state_dict()
    found = contents(tmp_path / "model", document)
    (one,) = found.lstms
    assert one.name == "rec"
    assert_cells(one.lstm, *([p] for p in cells_of(2, 3, 3)))
    assert one.notes == ()
    (part,) = found.parts
    assert (part.name, part.shape) == ("lin", (1, 3))
    assert found.network is None  # names alone do not tell the way
    np.testing.assert_array_equal(chosen_network(found, "rec", None, "lin", "every").head.weight, head_of(3, 1).weight)


def test_numbers_that_float32_does_not_hold_stay_as_they_are(tmp_path):
    document = state_dict()
    document["rec.bias_ih_l1"][0] = 0.1
    (one,) = contents(tmp_path / "model", document).lstms
    assert one.lstm.dtype == np.float64
    assert one.lstm[1].parameters.bias[0, 0] == 0.1


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_read_with_a_warning(kind, value, tmp_path):
    document = FORMATS[kind]()
    spoil = {
        "RTNeural": lambda: document["layers"][0]["weights"][1][2],
        "Neural Amp Modeler": lambda: document["weights"],
        "state dict": lambda: document["rec.weight_hh_l0"][1],
        "GuitarML": lambda: document["state_dict"]["rec.weight_hh_l0"][1],
    }[kind]()
    spoil[1] = value
    found = contents(tmp_path / "model", document)
    name = found.lstms[0].name
    if kind in ("state dict", "GuitarML") and value == 1e300:
        assert found.pick(name).lstm.dtype == np.float64
        return
    with pytest.warns(gw.WeightsWarning, match="not finite: 1 of"):
        found.pick(name)


@pytest.mark.parametrize("kind", FORMATS)
def test_blanks_and_a_byte_order_mark_before_the_document_do_no_harm(kind, tmp_path):
    (tmp_path / "model").write_bytes(b"\xef\xbb\xbf \r\n\t" + json.dumps(FORMATS[kind](), indent=1).encode())
    assert contents(tmp_path / "model").lstms


def test_a_model_for_another_activation_is_refused_and_an_empty_one_is_tanh(tmp_path):
    document = rtneural(cells_of(1, 2))
    document["layers"][0]["activation"] = ""
    (one,) = contents(tmp_path / "model", document).lstms
    assert one.lstm[0].variant == gw.Variant()
    assert "tanh" in one.notes[0]
    document["layers"][0]["activation"] = "relu"
    found = contents(tmp_path / "model", document)
    assert not found.lstms
    with cases.refusal("relu", "tanh"):
        found.pick()


# Ways that a network cannot go.

DENSE = {"type": "dense", "activation": "", "shape": [None, None, 1], "weights": [[[1.0]], [0.0]]}
OTHER = {"type": "conv1d", "activation": "", "shape": [None, None, 1], "weights": []}
GRU = {"type": "gru", "activation": "tanh", "shape": [None, None, 1], "weights": []}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([OTHER], [], ["layers.0", "'conv1d'"]),
        ([GRU], [], ["layers.0", "GRU"]),
        ([], [OTHER], ["layers.1", "'conv1d'"]),
        ([], [GRU], ["layers.1", "GRU"]),
        ([], [DENSE | {"activation": "swish"}], ["layers.1", "'swish'"]),
        ([], [DENSE, OTHER], ["layers.2", "'conv1d'"]),
    ],
)
def test_what_a_network_cannot_express_is_refused_by_name_and_its_lstm_is_read(before, after, words, tmp_path):
    document = rtneural(cells_of(1, 1), before=before)
    document["layers"] += after
    found = contents(tmp_path / "model", document)
    assert [one.name for one in found.lstms] == [f"layers.{len(before)}"]
    assert len(found.parts) + len(found.refused) == len(before) + len(after)
    with cases.refusal(str(tmp_path / "model"), *words):
        found.network()


# Spoiled documents.


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(document):
        for key in keys:
            document = document[key]
        if value is None:
            del document[last]
        else:
            document[last] = value(document[last]) if callable(value) else value

    return change


SPOILED = {
    "rtneural without layers": ("RTNeural", put("layers", 5), ["layers", "a list", "5"]),
    "rtneural with a layer that is none": ("RTNeural", put("layers", 0, "lstm"), ["layers.0", "'lstm'"]),
    "rtneural without a type": ("RTNeural", put("layers", 0, "type", None), ["layers.0", "'type'"]),
    "rtneural without a shape": ("RTNeural", put("layers", 0, "shape", None), ["layers.0", "'shape'"]),
    "rtneural with an empty shape": ("RTNeural", put("in_shape", lambda _: []), ["shape", "nothing"]),
    "rtneural with a shape of a fraction": ("RTNeural", put("in_shape", 2, 1.5), ["shape", "1.5"]),
    "rtneural with a shape of nothing": ("RTNeural", put("in_shape", 2, 0), ["shape", "0"]),
    "rtneural with an odd activation": ("RTNeural", put("layers", 0, "activation", 3), ["'activation'", "3"]),
    "nam without config": ("Neural Amp Modeler", put("config", None), ["'config'"]),
    "nam with config that is none": ("Neural Amp Modeler", put("config", [1]), ["'config'", "a list of 1"]),
    "nam without a size": ("Neural Amp Modeler", put("config", "hidden_size", None), ["'hidden_size'"]),
    "nam with a negative size": ("Neural Amp Modeler", put("config", "hidden_size", -3), ["'hidden_size'", "-3"]),
    "nam with a true size": ("Neural Amp Modeler", put("config", "num_layers", True), ["'num_layers'", "True"]),
    "nam with a huge size": ("Neural Amp Modeler", put("config", "hidden_size", 10**15), ["weights", str(10**15)]),
    "nam with huge layers": ("Neural Amp Modeler", put("config", "num_layers", 2**70), ["weights", str(2**70)]),
    "nam with a weight less": ("Neural Amp Modeler", put("weights", lambda w: w[:-1]), ["weights", "of 3 units"]),
    "nam with a weight more": ("Neural Amp Modeler", put("weights", lambda w: [*w, 1]), ["weights", "of 3 units"]),
    "nam with nested weights": ("Neural Amp Modeler", put("weights", lambda w: [w]), ["weights"]),
    "nam with a text among its weights": ("Neural Amp Modeler", put("weights", 4, "1.5"), ["weights", "'1.5'"]),
    "nam with null among its weights": ("Neural Amp Modeler", put("weights", 4, lambda _: None), ["nothing"]),
    "nam with true among its weights": ("Neural Amp Modeler", put("weights", 4, True), ["weights", "True"]),
    "nam with a list among its weights": ("Neural Amp Modeler", put("weights", 4, [1.0]), ["weights", "depth"]),
    "nam with a huge integer": ("Neural Amp Modeler", put("weights", 4, 10**400), ["weights", "too large"]),
    "state dict with a text": ("state dict", put("rec.bias_ih_l0", "zeros"), ["'rec.bias_ih_l0'", "'zeros'"]),
    "state dict with ragged rows": (
        "state dict",
        put("lin.weight", 0, lambda r: [r, [1]]),
        ["'lin.weight'", "lengths"],
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_document_that_disagrees_with_itself_is_refused_in_one_sentence(case, tmp_path):
    kind, change, words = SPOILED[case]
    document = FORMATS[kind]()
    change(document)
    with cases.refusal(str(tmp_path / "model"), *words):
        contents(tmp_path / "model", document)


REFUSED = {
    "a bias less": ("RTNeural", put("layers", 1, "weights", lambda w: w[:2]), ["2 arrays"]),
    "a ragged kernel": ("RTNeural", put("layers", 1, "weights", 0, 1, lambda row: row[:-1]), ["lengths", "11 to 12"]),
    "a kernel turned": ("RTNeural", put("layers", 1, "weights", 0, lambda k: np.array(k).T.tolist()), ["shapes"]),
    "a kernel flat": ("RTNeural", put("layers", 1, "weights", 0, lambda k: k[0]), ["two axes"]),
    "a kernel for other features": ("RTNeural", put("layers", 1, "weights", 0, lambda k: k[:-1]), ["3 features"]),
    "another shape": ("RTNeural", put("layers", 1, "shape", [None, None, 2]), ["3 units", "2"]),
    "a text": ("RTNeural", put("layers", 1, "weights", 2, 0, "0.5"), ["weights[2]", "'0.5'"]),
    "an empty bias": ("RTNeural", put("layers", 1, "weights", 2, lambda _: []), ["bias"]),
    "a dict for a bias": ("RTNeural", put("layers", 1, "weights", 2, {}), ["weights[2]", "an object"]),
    "a matrix of the state dict less": ("state dict", put("rec.weight_hh_l1", None), ["weight_hh_l1"]),
    "a shorter bias of the state dict": ("state dict", put("rec.bias_hh_l1", lambda b: b[:-1]), ["bias"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_lstm_whose_arrays_disagree_is_refused_and_the_rest_is_read(case, tmp_path):
    kind, change, words = REFUSED[case]
    document = FORMATS[kind]()
    change(document)
    found = contents(tmp_path / "model", document)
    (refused,) = [one for one in found.refused if one.name in ("layers.1", "rec")]
    with cases.refusal(*words):
        found.pick(refused.name)
    if kind == "RTNeural":
        assert [one.name for one in found.lstms] == ["layers.0"]
        with cases.refusal("layers.1"):
            found.network()
    assert found.parts or case == "another shape"  # with which the next layer disagrees in turn


TEXTS = {
    "nothing known": (b'{"a": 1, "b": 2}', ["'a', 'b'", "RTNeural", "GuitarAmp"]),
    "an empty object": (b"{}", ["nothing", "RTNeural"]),
    "a list": (b"[1, 2, 3]", ["a list of 3"]),
    "a description of Keras": (b'{"class_name": "Sequential", "config": {}}', ["Keras", "has no weights"]),
    "half of it": (b'{"in_shape": [1,', ["not valid JSON"]),
    "two of it": (b"{} {}", ["not valid JSON"]),
    "a name twice": (b'{"weights": [], "weights": [1]}', ["'weights' twice"]),
    "a deep list": (b"[" * 200_000, ["deep"]),
    "a deep object": (b'{"a":' * 200_000, ["deep"]),
    "a long number": (b'{"a": ' + b"9" * 5000 + b"}", ["too long"]),
    "no text": (b'{"a": "\xff\xfe"}', ["UTF-8"]),
    "an odd name": (b'{"a\\nb\\u2028": 1}', ["RTNeural"]),
}


@pytest.mark.parametrize("case", TEXTS)
def test_what_is_no_model_is_refused_in_one_sentence_that_says_what_it_is(case, tmp_path):
    text, words = TEXTS[case]
    (tmp_path / "model").write_bytes(text)
    with cases.refusal(str(tmp_path / "model"), *words):
        contents(tmp_path / "model")


@pytest.mark.parametrize("head", [b"", b" ", b"\x00{", b"PK\x03\x04{", b"\x93NUMPY", b"<html>{", b"5", b'"{"'])
def test_what_does_not_begin_like_json_is_not_recognised(head, tmp_path):
    assert not json_models.recognises(tmp_path / "model", head)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "model", "wb") as file:
        file.write(b"{")
        file.truncate(2**40)
    with cases.refusal("model", "1 TiB", by=gw.CapacityError):
        json_models.contents(tmp_path / "model", {})


def test_an_option_that_the_formats_do_not_leave_out_is_refused(tmp_path):
    (tmp_path / "model").write_text(json.dumps(a_nam()), encoding="utf-8")
    with cases.refusal("hidden_size", by=gw.OptionError):
        json_models.contents(tmp_path / "model", {"hidden_size": 3})


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["model.json", "model.nam", "model.h5", "model"])
def test_a_model_is_known_by_its_beginning_and_not_by_its_name(kind, name, tmp_path):
    (tmp_path / name).write_text(json.dumps(FORMATS[kind]()), encoding="utf-8")
    first = gw.inspect(tmp_path / name).lstms[0]
    expected = first.lstm.layers[0][0].parameters.weight
    np.testing.assert_array_equal(
        gw.inspect(tmp_path / name).find(first.name).lstm.layers[0][0].parameters.weight, expected
    )
    head = {"head": "lin"} if kind == "state dict" else {}
    np.testing.assert_array_equal(
        gw.load_network(tmp_path / name, **head).lstm.layers[0][0].parameters.weight, expected
    )


def spoil(kind, folder, count=SOME, seed=0):
    """Read so many spoiled files of a kind."""
    subjects = [json.dumps(FORMATS[kind]()).encode()]
    return fuzz(subjects, partial(everything, reader="json_models"), count, folder, seed=seed, also=[in_json])


@pytest.mark.parametrize(
    ("kind", "lstm", "place"),
    [("RTNeural", "layers.0", "layers.0.zoneout"), ("Neural Amp Modeler", None, "config.clip")],
)
def test_an_entry_that_no_reader_knows_is_left_out_with_a_warning(kind, lstm, place, tmp_path):
    document = FORMATS[kind]()
    *path, name = place.split(".")
    owner = document
    for step in path:
        owner = owner[int(step) if step.isdigit() else step]
    owner[name] = 1
    written = tmp_path / "model.json"
    written.write_text(json.dumps(document))
    with pytest.warns(gw.WeightsWarning, match=rf"left out: {place} \(no entry of this name is known in such a file"):
        gw.load_network(written)
    with pytest.warns(gw.WeightsWarning, match=rf"left out: {place} \("):
        gw.inspect(written).pick(lstm)
    with pytest.raises(gw.FileError, match=f"strict=True: left out: {place}"):
        gw.load_network(written, strict=True)
    owner.pop(name)
    document["author"] = "somebody"
    written.write_text(json.dumps(document))
    found = gw.inspect(written)
    found.pick(lstm)
    assert [(entry.name, entry.effect) for entry in found.ledger if not entry.used] == [("author", "")]


def test_many_entries_and_refused_layers_are_listed_in_little_time(tmp_path):
    document = {f"k{number}": 1 for number in range(6000)}
    document["state_dict"] = {f"g{number}.weight_ih_l0": [[1]] for number in range(1500)}
    document["state_dict"] |= {"g7.other": 1, "g700.other": 1}
    began = time.process_time()
    found = contents(tmp_path / "model.json", document)
    assert time.process_time() - began < 1
    layers = {entry.name: entry.layer for entry in found.ledger}
    assert (layers["state_dict.g7.other"], layers["state_dict.g700.other"], layers["k7"]) == ("g7", "g700", "")
