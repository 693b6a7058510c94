"""Which inputs and outputs of an ONNX graph belong to an LSTM is told by name, as data."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, fields
from functools import partial

import numpy as np
import pytest
from pairwise import pairs
from program import exit_code

import gatewise as gw

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_reading import contents_of, small  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402

HELPER = onnx.helper


def names_of(model, name=None):
    return contents_of(model).find(name).graph


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("merge", [None, "concat", "sum", "average", "none"])
def test_a_written_model_s_names_are_found_again(layers, merge):
    options = {} if merge is None else {"bidirectional": True, "merge": ["concat"] * (layers - 1) + [merge]}
    names = names_of(gw_onnx.write(gw.LSTM(3, 4, num_layers=layers, rng=0, **options)))
    ends = [f"_{layer}" if layers > 1 else "" for layer in range(layers)]
    for field in ("h0", "c0", "hn", "cn"):
        assert getattr(names, field) == tuple(f"{field}{end}" for end in ends)
    assert (names.x, names.y, names.lengths) == ("X", "Y", None)
    assert not names.x_batch_first
    assert not names.y_batch_first


def around(before=(), after=(), *, inputs=("X",), outputs=("Y",), more=("", "", ""), hidden=4):
    """Return a model of an LSTM of one direction between other nodes: from x and to y."""
    rng = np.random.default_rng(0)
    arrays = {"W": rng.normal(size=(1, 4 * hidden, 3)), "R": rng.normal(size=(1, 4 * hidden, hidden))}
    held = [onnx.numpy_helper.from_array(one.astype(np.float32), name) for name, one in arrays.items()]
    held.append(onnx.numpy_helper.from_array(np.array([1]), "axis"))
    node = HELPER.make_node("LSTM", ["x", "W", "R", "", *more], ["raw", "Y_h", "Y_c"], name="lstm", hidden_size=hidden)
    nodes = [*before, node, HELPER.make_node("Squeeze", ["raw", "axis"], ["y"]), *after]
    kinds = {"lengths": onnx.TensorProto.INT32}
    info = [HELPER.make_tensor_value_info(one, kinds.get(one, onnx.TensorProto.FLOAT), None) for one in inputs]
    out = [HELPER.make_tensor_value_info(one, onnx.TensorProto.FLOAT, None) for one in outputs]
    graph = HELPER.make_graph(nodes, "g", info, out, held)
    return HELPER.make_model(graph, opset_imports=[HELPER.make_opsetid("", 17)])


def node(operator, given, made, **attributes):
    return HELPER.make_node(operator, [given], [made], **attributes)


SWAP = {"perm": [1, 0, 2]}


def test_a_graph_that_is_batch_first_says_so():
    model = around([node("Transpose", "X", "x", **SWAP)], [node("Transpose", "y", "Y", **SWAP)])
    names = names_of(model)
    assert (names.x, names.y, names.x_batch_first, names.y_batch_first) == ("X", "Y", True, True)
    twice = [node("Transpose", "X", "a", **SWAP), node("Transpose", "a", "x", **SWAP)]
    names = names_of(around(twice, [node("Identity", "y", "Y")]))
    assert (names.x, names.y, names.x_batch_first, names.y_batch_first) == ("X", "Y", False, False)


@pytest.mark.parametrize(
    "between",
    [{"op": "Relu"}, {"op": "Transpose", "perm": [2, 0, 1]}, {"op": "Cast", "to": onnx.TensorProto.INT64}],
    ids=lambda one: one["op"],
)
def test_what_other_operators_stand_between_has_no_name(between):
    operator = between["op"]
    attributes = {name: value for name, value in between.items() if name != "op"}
    names = names_of(around([node(operator, "X", "x", **attributes)], [node(operator, "y", "Y", **attributes)]))
    assert (names.x, names.y) == (None, None)


def test_lengths_and_states_have_the_names_of_the_graph():
    model = around(
        [node("Identity", "X", "x"), node("Identity", "start", "h")],
        [node("Identity", "y", "Y"), node("Cast", "Y_c", "end", to=onnx.TensorProto.FLOAT)],
        inputs=("X", "lengths", "start", "cell"),
        outputs=("end", "Y_h"),
        more=("lengths", "h", "cell"),
    )
    names = names_of(model)
    assert (names.x, names.lengths, names.h0, names.c0) == ("X", "lengths", ("start",), ("cell",))
    assert (names.y, names.hn, names.cn) == (None, ("Y_h",), ("end",))


def test_an_lstm_in_a_branch_takes_the_inputs_around_it():
    arrays = models.random_arrays(np.random.default_rng(0), state=True)
    names = names_of(models.lstm_model(arrays, wrapped="If", hidden_size=4))
    assert (names.x, names.h0, names.y) == ("X", ("initial_h",), None)


def test_inspect_prints_the_names_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    gw_onnx.write(gw.LSTM(3, 4, rng=0), "model.onnx")
    gw.save(gw.LSTM(3, 4, rng=0), "model.safetensors")
    for name, graph in (("model.onnx", asdict(gw.inspect("model.onnx").pick().graph)), ("model.safetensors", None)):
        assert exit_code(["inspect", name, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["lstms"]
        assert found["graph"] == json.loads(json.dumps(graph))
        assert (found["masked"], found["masked_output"]) == (None, None)


def test_a_name_from_a_file_fits_on_a_line():
    ours = gw.interop.GraphNames(x="a\nb" + "c" * 500, h0=("d\x1b", None))
    assert ours.x.startswith("a?b")
    assert len(ours.x) < 200
    assert ours.h0 == ("d?", None)
    assert {field.name for field in fields(ours)} >= {"x", "lengths", "h0", "c0", "y", "hn", "cn"}


# What is said of hostile names.


def texts(message):
    """Give every text of a message: the message that has it, and its field."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if hasattr(value, "add") else [value]:
                yield from texts(one)
        elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            yield message, field


def asked(path):
    """Give every sentence that is said of a file."""
    asks = [lambda: gw.inspect(path), lambda: gw.inspect(path, nothing=0)]
    with contextlib.suppress(gw.GatewiseError):
        contents = gw.inspect(path)
        yield from (one.reason for one in contents.refused)
        yield from (note for one in contents.lstms for note in (one.name, one.where, *one.notes))
        names = [None, "other", *(one.name for one in contents.refused)]
        asks += [partial(contents.pick, name) for name in names]
    for ask in asks:
        try:
            ask()
        except gw.GatewiseError as problem:
            yield str(problem)


TEXTS = {"long": "n" * 50_000, "control": "\x1b[2J\n\r\0\u202e" * 30, "letters": "é" * 3000}


@pairs(case=TEXTS, wrapped=["no", "function"], thin=True)
def test_what_is_said_is_short_and_fit_for_a_line_whatever_is_named_so(case, wrapped, tmp_path):
    text = TEXTS[case]
    whole = models.lstm_model(small(), how="reshape", wrapped=wrapped, hidden_size=4, direction="forward")
    path, said = tmp_path / "model.onnx", 0
    for number in range(len([*texts(whole)])):
        model = onnx.ModelProto()
        model.CopyFrom(whole)
        message, field = [*texts(model)][number]
        value = text if field.type == field.TYPE_STRING else text.encode()
        if hasattr(getattr(message, field.name), "append"):
            getattr(message, field.name)[0] = value
        else:
            setattr(message, field.name, value)
        path.write_bytes(model.SerializeToString())
        for sentence in asked(path):
            assert len(sentence) <= 501, (field.name, sentence)  # one of them says that it is cut
            assert sentence.isprintable(), (field.name, sentence)
            said += 1
    assert said > 50
