"""ONNX files: the operator LSTM in every form, where its weights come from, what is refused, and what is written."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from functools import partial
from pathlib import Path

import cases
import numpy as np
import pytest
from agreement import assert_agree
from fuzzing import everything, fuzz

import gatewise as gw
from gatewise.interop.onnx.file import NODES

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_fuzz import in_model, messages  # noqa: E402

from gatewise.interop import onnx as door  # noqa: E402
from gatewise.interop.containers import protobuf  # noqa: E402
from gatewise.interop.onnx.reading import looked_at  # noqa: E402

REFEREES = Path(os.environ.get("GATEWISE_REFEREES") or Path(__file__).parents[2] / "shared" / "referees")
CLOSE = 2e-5  # float32, two runtimes that sum in different orders


def contents_of(model, **omitted):
    """Return what is in a model that lies in memory."""
    return looked_at(model, None, omitted)[0]


def found_in(model, **omitted):
    """Return the one LSTM in a model."""
    (found,) = contents_of(model, **omitted).found
    return found


def refused_in(model, *words, **omitted):
    """Require that a model's LSTM is refused, in one sentence with the words."""
    contents = contents_of(model, **omitted)
    assert not contents.found
    with pytest.raises(gw.FileError) as caught:
        contents.pick()
    cases.one_sentence(caught.value, *words)


def small(seed=0, **options):
    return models.random_arrays(np.random.default_rng(seed), **options)


# The operator.


def node_tests():
    """Return every node test of LSTM that the installed onnx package has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases("LSTM")

    def array(one):
        return numpy_helper.to_array(one) if isinstance(one, onnx.TensorProto) else np.asarray(one)

    return [(one, [array(a) for a in ins], [array(a) for a in outs]) for one in found for ins, outs in one.data_sets]


@pytest.mark.parametrize("baked", [False, True])
def test_all_node_tests_of_the_onnx_package_pass(baked):
    tests = node_tests()
    assert len(tests) >= 4
    for case, inputs, outputs in tests:
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        (node,) = model.graph.node
        given = {one.name: array for one, array in zip(model.graph.input, inputs, strict=True)}
        omitted = {node.input[n]: given[node.input[n]] for n in (1, 2, 3, 7) if n < len(node.input) and node.input[n]}
        if baked:
            rest = [one for one in model.graph.input if one.name not in omitted]
            del model.graph.input[:]
            model.graph.input.extend(rest)
            model.graph.initializer.extend(numpy_helper.from_array(one, name) for name, one in omitted.items())
            omitted = {}
        found = found_in(model, **omitted)
        formal = {models.INPUTS[n]: given[one] for n, one in enumerate(node.input) if one}
        layout = next((one.i for one in node.attribute if one.name == "layout"), 0)
        answers = models.run_ours(found, formal, layout=layout)
        got = {name: one for name, one in zip(node.output, answers, strict=False) if name}
        want = {one.name: array for one, array in zip(model.graph.output, outputs, strict=True)}
        assert_agree(got, want, CLOSE)


def test_the_referees_suite_passes(tmp_path):
    if not (REFEREES / "onnx_suite.py").is_file():
        pytest.skip("referees not present: they are not part of this project; GATEWISE_REFEREES says where they are")
    spec = importlib.util.spec_from_file_location("onnx_suite", REFEREES / "onnx_suite.py")
    suite = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the onnx package's own tests divide by zero, and the like
        spec.loader.exec_module(suite)

        def run(path, inputs):
            model = onnx.load(path)
            given = {one.name: array for one, array in zip(model.graph.input, inputs, strict=True) if array is not None}
            (node,) = (one for one in model.graph.node if one.op_type == "LSTM")
            weights = {node.input[n] for n in (1, 2, 3, 7) if n < len(node.input)}
            found = door.contents(Path(path), {name: one for name, one in given.items() if name in weights}).found[0]
            formal = {models.INPUTS[n]: given[one] for n, one in enumerate(node.input) if one in given}
            answers = models.run_ours(found, formal, layout=int(found.batch_first))
            by_name = dict(zip(node.output, answers, strict=False))
            return [by_name[one.name] for one in model.graph.output]

        results = suite.run_suite(run)
    assert len(results) >= 8
    assert all(passed for _, _, passed, _ in results), results


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("lengths", [None, (5, 2, 1)])
def test_in_float64_the_operators_own_equations_are_met_exactly(direction, layout, lengths):
    arrays = small(
        directions=1 + (direction == "bidirectional"),
        dtype=np.float64,
        lengths=lengths,
        layout=layout,
        state=True,
        peepholes=True,
    )
    attributes = {"direction": direction, "hidden_size": 4, "layout": layout, "clip": 0.5}
    found = found_in(models.lstm_model(arrays, **attributes))
    want = dict(zip("yhc", models.spec(arrays, **attributes), strict=True))
    assert_agree(dict(zip("yhc", models.run_ours(found, arrays, layout=layout), strict=True)), want, 1e-13)
    assert found.batch_first == bool(layout)
    assert any("lengths" in one for one in found.notes) == (lengths is not None)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("typed", [False, True])
def test_weights_of_every_precision_are_read_without_changing_a_number(dtype, typed):
    arrays = small()
    ml = dtype == "bfloat16"
    kind = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16) if ml else np.dtype(dtype)
    narrow = {one: arrays[one].astype(kind) for one in "WRB"}
    tensors = {name: numpy_helper.from_array(one, name) for name, one in narrow.items()}
    if typed:
        bits = {"float16": np.uint16, "bfloat16": np.uint16}.get(dtype)
        for name, one in narrow.items():
            values = (one.view(bits).astype(np.int32) if bits else one).reshape(-1)
            tensors[name] = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(kind), dims=one.shape)
            field = "int32_data" if bits else {"float32": "float_data", "float64": "double_data"}[dtype]
            getattr(tensors[name], field).extend(values.tolist())
    model = models.lstm_model(arrays, hidden_size=4)
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors.values())
    found = found_in(model)
    assert found.lstm.dtype == (np.float64 if dtype == "float64" else np.float32)
    want = narrow["W"].astype(np.float64)[0].reshape(4, 4, 3)[[0, 2, 3, 1]]  # i o f g to i f g o
    np.testing.assert_array_equal(found.lstm[0].parameters.input_weight, want)
    assert any(dtype in one for one in found.notes) == (dtype in ("float16", "bfloat16"))


@pytest.mark.parametrize("wrapped", models.WRAPPED)
@pytest.mark.parametrize("how", models.STORED)
def test_weights_are_the_same_however_they_are_stored(how, wrapped):
    arrays = small(directions=2, peepholes=True)
    if how == "cast":
        arrays |= {one: arrays[one].astype(np.float16).astype(np.float32) for one in models.WEIGHTS}
    attributes = {"direction": "bidirectional", "hidden_size": 4}
    found = found_in(models.lstm_model(arrays, how=how, wrapped=wrapped, **attributes))
    want = found_in(models.lstm_model(arrays, **attributes))
    for cell, other in zip(found.lstm.layers[0], want.lstm.layers[0], strict=True):
        for name, array in other.parameters.arrays().items():
            np.testing.assert_array_equal(cell.parameters.arrays()[name], array)
    assert found.name == "rnn"


def older(array, how):
    """Return the nodes and the tensor that give W as opsets before 13 wrote it: with attributes for inputs."""
    node, part = helper.make_node, array
    match how:
        case "Unsqueeze":
            nodes, part = [node("Unsqueeze", ["part"], ["W"], axes=[0])], array[0]
        case "Squeeze":
            nodes, part = [node("Squeeze", ["part"], ["W"], axes=[0])], array[None]
        case "Slice":
            nodes, part = (
                [node("Slice", ["part"], ["W"], axes=[1], starts=[1], ends=[17])],
                np.pad(array, 1)[1:2, :, 1:-1],
            )
        case "Reshape":
            nodes, part = [node("Reshape", ["part"], ["W"], shape=[1, -1, 3])], array.reshape(-1)
        case "Split":
            nodes, part = [node("Split", ["part"], ["W", "V"], split=[1, 2])], np.concatenate([array, array, array])
        case "Concat":
            nodes, part = [node("Concat", ["part"], ["W"])], array
        case "value_floats":
            values = [float(one) for one in array.reshape(-1)]
            nodes = [
                node("Constant", [], ["flat"], value_floats=values),
                node("Constant", [], ["s"], value_ints=[1, 16, 3]),
            ]
            nodes += [node("Reshape", ["flat", "s"], ["W"])]
    return nodes, numpy_helper.from_array(np.ascontiguousarray(part), "part")


@pytest.mark.parametrize("opset", [1, 7, 11])
@pytest.mark.parametrize("how", ["Unsqueeze", "Squeeze", "Slice", "Reshape", "Split", "Concat", "value_floats"])
def test_weights_and_nodes_of_older_opsets_are_read(how, opset):
    arrays = small()
    model = models.lstm_model(arrays, hidden_size=4, opset=opset, **({"output_sequence": 1} if opset == 1 else {}))
    nodes, tensor = older(arrays["W"], how)
    model.graph.initializer.remove(tensor_of(model))
    model.graph.initializer.append(tensor)
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    found = found_in(model)
    assert f"opset {opset}" in found.convention
    want = door.read(models.lstm_model(arrays, hidden_size=4))
    np.testing.assert_array_equal(found.lstm[0].parameters.weight, want[0].parameters.weight)


@pytest.mark.parametrize("operator", ["Loop", "Scan"])
def test_a_node_in_the_body_of_a_loop_is_read_with_weights_from_around_it(operator):
    arrays = small()
    inner = models.lstm_model(arrays, hidden_size=4)
    body = helper.make_graph([inner.graph.node[0]], "body", [helper.make_tensor_value_info("X", 1, None)], [])
    node = helper.make_node(operator, ["trips"], ["out"], name="again", body=body)
    del inner.graph.node[:]
    inner.graph.node.append(node)
    found = found_in(inner)
    assert "again.body" in found.where
    np.testing.assert_array_equal(
        found.lstm(arrays["X"])[0], door.read(models.lstm_model(arrays, hidden_size=4))(arrays["X"])[0]
    )


def test_two_nodes_of_one_name_are_told_apart_by_the_way_to_them(tmp_path):
    arrays = small()
    model = models.lstm_model(arrays, wrapped="If", hidden_size=4)
    model.graph.node.append(models.lstm_model(arrays, hidden_size=4).graph.node[0])
    assert [one.name for one in contents_of(model).found] == ["choice0.then_branch/rnn", "rnn"]
    with pytest.raises(gw.OptionError) as caught:
        door.read(model)
    cases.one_sentence(caught.value, "choice0.then_branch/rnn", "'rnn'")
    assert door.read(model, "rnn").hidden_size == 4


def test_a_node_without_a_name_is_called_as_its_output():
    model = models.lstm_model(small(), name="", hidden_size=4)
    assert found_in(model).name == "Y"


# Activations.


def test_alpha_and_beta_go_to_those_that_take_them_in_their_order():
    names = ["HardSigmoid", "Tanh", "Elu", "Sigmoid", "Affine", "ScaledTanh"]
    model = models.lstm_model(
        small(directions=2),
        direction="bidirectional",
        hidden_size=4,
        activations=names,
        activation_alpha=[0.25, 0.5, 2.0, 1.5],
        activation_beta=[0.75, 0.125, 0.5],
    )
    (forward, backward) = (cell.variant for cell in found_in(model).lstm.layers[0])
    assert forward.input_activation == forward.output_activation == gw.Activation("hard_sigmoid", 0.25, 0.75)
    assert (forward.candidate_activation.name, forward.cell_activation) == ("tanh", gw.Activation("elu", 0.5))
    assert backward.forget_activation.name == "sigmoid"
    assert backward.candidate_activation == gw.Activation("affine", 2.0, 0.125)
    assert backward.cell_activation == gw.Activation("scaled_tanh", 1.5, 0.5)


def test_what_is_left_of_a_list_gives_a_note_and_defaults_fill_what_is_missing():
    model = models.lstm_model(
        small(), hidden_size=4, activations=["hardsigmoid", "TANH", "LeakyRelu"], activation_alpha=[0.2, 0.3, 0.4]
    )
    found = found_in(model)
    variant = found.lstm[0].variant
    assert variant.input_activation == gw.Activation("hard_sigmoid", 0.2, 0.5)  # 0.2, not float32's 0.20000000298
    assert variant.cell_activation == gw.Activation("leaky_relu", 0.3)
    assert any("activation_alpha" in one for one in found.notes)


@pytest.mark.parametrize("name", ["Affine", "ScaledTanh", "ThresholdedRelu"])
def test_an_activation_that_runtimes_compute_differently_without_its_constants_is_refused(name):
    refused_in(models.lstm_model(small(), hidden_size=4, activations=["Sigmoid", name, "Tanh"]), name, "alpha")


# The initial state.


@pytest.mark.parametrize("layout", [0, 1])
def test_a_constant_initial_state_comes_with_what_was_found(layout):
    arrays = small(state=True, directions=2, layout=layout)
    model = models.lstm_model(arrays, direction="bidirectional", hidden_size=4, layout=layout)
    assert found_in(model).state is None
    h, c = arrays["initial_h"], arrays["initial_c"]
    found = found_in(model, initial_h=h, initial_c=c)
    for place in range(2):
        np.testing.assert_array_equal(found.state[0][place].h, h[:, place] if layout else h[place])
        np.testing.assert_array_equal(found.state[0][place].c, c[:, place] if layout else c[place])
    assert found.lstm(np.zeros((2, 3, 3)), found.state)[0].shape == (2, 3, 8)
    (note,) = (one for one in found_in(model).notes if "state" in one)
    assert "'initial_h'" in note
    assert "'initial_c'" in note


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_zeros_of_a_shape_that_is_known_when_the_model_runs_are_no_state_to_tell_of(value):
    model = models.lstm_model(small(state=True), hidden_size=4)
    del model.graph.input[-2:]
    tensor = numpy_helper.from_array(np.array([value], np.float32), "value")
    zeros = helper.make_node("ConstantOfShape", ["shape"], ["zeros"], value=tensor)
    ends = [helper.make_node("Identity", ["zeros"], [name]) for name in ("initial_h", "initial_c")]
    shape = helper.make_node("Shape", ["X"], ["shape"])
    for place, node in enumerate([shape, zeros, *ends]):
        model.graph.node.insert(place, node)
    found = found_in(model)
    assert found.state is None
    assert any("state" in one for one in found.notes) == bool(value)


def test_where_one_half_of_the_initial_state_is_missing_it_is_zeros():
    arrays = small(state=True, batch=2)
    c = arrays.pop("initial_c")
    found = found_in(models.lstm_model(arrays, hidden_size=4), initial_h=arrays["initial_h"])
    np.testing.assert_array_equal(found.state[0][0].c, np.zeros_like(c[0]))


def test_a_row_of_length_0_ends_where_it_began_and_a_note_says_that_onnxruntimes_ends_in_zeros():
    arrays = small(state=True, lengths=(5, 0, 2))
    found = found_in(models.lstm_model(arrays, hidden_size=4))
    _, h, c = models.run_ours(found, arrays)
    np.testing.assert_array_equal(h[0, 1], arrays["initial_h"][0, 1])
    np.testing.assert_array_equal(c[0, 1], arrays["initial_c"][0, 1])
    assert any("length 0" in one and "zeros" in one for one in found.notes)


# Weights that come in from outside.


def test_weights_that_come_in_from_outside_are_taken_by_name(tmp_path):
    arrays = small(peepholes=True)
    path = models.save(models.lstm_model(arrays, given=models.WEIGHTS, hidden_size=4), tmp_path / "model.onnx")
    with pytest.raises(gw.FileError) as caught:
        door.read(path)
    cases.one_sentence(caught.value, "W", "from outside", "by that name")
    lstm = door.read(path, **{one: arrays[one] for one in models.WEIGHTS})
    want = door.read(models.lstm_model(arrays, hidden_size=4))
    np.testing.assert_array_equal(lstm(arrays["X"])[0], want(arrays["X"])[0])
    with pytest.raises(gw.OptionError) as caught:
        door.read(path, V=arrays["W"])
    cases.one_sentence(caught.value, "'V'", "W", "R")
    for wrong in ("words", [[1.0], [1.0, 2.0]]):
        with pytest.raises(gw.OptionError) as caught:
            door.read(path, W=wrong)
        cases.one_sentence(caught.value, "W")


# The quantised kind.


def quantised(*, directions=1, per_channel=False, kind=np.int8, **changes):
    """Return a model of onnxruntime's quantised LSTM, and the numbers that its weights stand for."""
    rng = np.random.default_rng(4)
    inputs, hidden = 3, 4
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    arrays, meant = {"X": small()["X"]}, {}
    for name, rows in (("W", inputs), ("R", hidden)):
        numbers = rng.integers(low, high + 1, (directions, rows, 4 * hidden)).astype(kind)
        shape = (directions, 4 * hidden) if per_channel else (directions,)
        scale = rng.uniform(0.001, 0.01, shape).astype(np.float32)
        zero = rng.integers(low // 2, high // 2, shape).astype(kind)
        arrays |= {name: numbers, f"{name}_scale": scale, f"{name}_zero_point": zero}
        spread = scale.reshape(directions, 1, -1), zero.reshape(directions, 1, -1).astype(np.int32)
        meant[name] = ((numbers.astype(np.int32) - spread[1]).astype(np.float32) * spread[0]).swapaxes(1, 2)
    meant["B"] = arrays["B"] = rng.normal(size=(directions, 8 * hidden)).astype(np.float32)
    arrays |= changes
    places = ("X", "W", "R", "B", "", "", "", "", "W_scale", "W_zero_point", "R_scale", "R_zero_point")
    names = [one if arrays.get(one) is not None else "" for one in places]
    direction = "bidirectional" if directions == 2 else "forward"
    options = {"hidden_size": hidden, "direction": direction, "domain": "com.microsoft", "name": "rnn"}
    node = helper.make_node("DynamicQuantizeLSTM", names, ["Y"], **options)
    held = [numpy_helper.from_array(one, name) for name, one in arrays.items() if name != "X" and one is not None]
    graph = helper.make_graph([node], "g", [models.info("X", arrays["X"])], [models.info("Y", arrays["X"])], held)
    return helper.make_model(graph), meant | {"X": arrays["X"]}


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_the_quantised_lstm_is_read_as_the_numbers_that_its_integers_stand_for(directions, per_channel, kind):
    model, meant = quantised(directions=directions, per_channel=per_channel, kind=kind)
    found = found_in(model)
    options = {"direction": "bidirectional"} if directions == 2 else {}
    want = found_in(models.lstm_model(meant, hidden_size=4, **options))
    for cell, other in zip(found.lstm.layers[0], want.lstm.layers[0], strict=True):
        np.testing.assert_array_equal(cell.parameters.weight, other.parameters.weight)
        np.testing.assert_array_equal(cell.parameters.bias, other.parameters.bias)
    (note,) = (one for one in found.notes if "8 bits" in one)
    worst = max(np.sqrt((meant["R"] ** 2).sum(-1)).max(axis=None), 0) * 2 / 255 / np.sqrt(12)
    assert f"{worst:.2g} of the hidden state" in note
    assert found.warns == (note,)


def test_loading_a_quantised_lstm_warns_of_the_error_to_expect(tmp_path):
    path = models.save(quantised()[0], tmp_path / "model.onnx")
    with pytest.warns(gw.WeightsWarning, match=r"rnn: its weights are 8-bit integers.*differ from these by about"):
        gw.load(path)
    with pytest.warns(gw.WeightsWarning, match="8-bit integers"):
        door.read(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"W_scale": None}, ["lacks its W_scale"]),
        ({"R_scale": np.ones(3, np.float32)}, ["R_scale", "(3,)", "do not fit"]),
        ({"W_zero_point": np.zeros(1, np.uint8)}, ["W_zero_point", "uint8"]),
        ({"W": np.zeros((1, 3, 16), np.int32)}, ["int32", "int8 or uint8"]),
    ],
)
def test_a_quantised_lstm_whose_scales_do_not_fit_is_refused(changes, words):
    refused_in(quantised(**changes)[0], "rnn", *words)


# What cannot be read.


def with_attribute(**attributes):
    return models.lstm_model(small(), **({"hidden_size": 4} | attributes))


def with_array(**changes):
    return models.lstm_model(small(peepholes=True) | changes, hidden_size=4)


def edited(edit, how="raw", **options):
    model = models.lstm_model(small(**options), how=how, hidden_size=4)
    edit(model)
    return model


def tensor_of(model, name="W"):
    return next(one for one in model.graph.initializer if one.name == name)


def another_operator(name, domain=""):
    def edit(model):
        model.graph.node[-1].op_type, model.graph.node[-1].domain = name, domain

    return edit


def from_a(operator):
    def edit(model):
        tensor_of(model).name = "before"
        model.graph.node.insert(0, helper.make_node(operator, ["before"], ["W"], name="strange"))

    return edit


def sparse(model):
    array = numpy_helper.to_array(tensor_of(model)).reshape(-1)
    model.graph.initializer.remove(tensor_of(model))
    values = numpy_helper.from_array(array, "W")
    places = numpy_helper.from_array(np.arange(len(array)), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1, 16, 3]))


REFUSED = {
    "a GRU": (edited(another_operator("GRU")), ["GRU", "not an LSTM"]),
    "an RNN": (edited(another_operator("RNN")), ["RNN", "not an LSTM"]),
    "an LSTM of another domain": (edited(another_operator("AttnLSTM", "com.microsoft")), ["AttnLSTM", "com.microsoft"]),
    "an unknown activation": (with_attribute(activations=["Sigmoid", "Swish", "Tanh"]), ["'Swish'", "Sigmoid"]),
    "too few activations": (with_attribute(activations=["Sigmoid", "Tanh"]), ["2 activations", "3"]),
    "an unknown direction": (with_attribute(direction="sideways"), ["'sideways'", "bidirectional"]),
    "an unknown layout": (with_attribute(layout=2), ["layout is 2"]),
    "a clip of zero": (with_attribute(clip=0.0), ["gate_clip", "positive"]),
    "another hidden_size": (with_attribute(hidden_size=5), ["hidden_size is 5", "4"]),
    "an unknown attribute": (with_attribute(temperature=1.0), ["'temperature'"]),
    "an attribute of another type": (with_attribute(clip="much"), ["clip", "FLOAT"]),
    "no R": (edited(lambda model: model.graph.node[0].input.__setitem__(2, "")), ["lacks its R"]),
    "W with two axes": (with_array(W=small()["W"][0]), ["W", "(16, 3)"]),
    "W of other units": (with_array(W=small(hidden=5)["W"]), ["W", "(1, 20, 3)", "(1, 16, 3)"]),
    "B of other units": (with_array(B=np.zeros((1, 7), np.float32)), ["B", "(1, 7)", "(1, 32)"]),
    "P of other units": (with_array(P=np.zeros((1, 5), np.float32)), ["P", "(1, 5)", "(1, 12)"]),
    "two types": (with_array(R=small()["R"].astype(np.float64)), ["float64", "one floating-point type"]),
    "whole numbers": (with_array(**{one: small()[one].astype(np.int32) for one in "WRB"}), ["int32"]),
    "fewer bytes than the shape": (edited(lambda model: tensor_of(model).dims.__setitem__(2, 30)), ["1920", "192"]),
    "a huge shape": (edited(lambda model: tensor_of(model).dims.__setitem__(2, 2**60)), ["bytes", "192"]),
    "a negative shape": (edited(lambda model: tensor_of(model).dims.__setitem__(2, -3)), ["-3"]),
    "an unknown type": (edited(lambda model: setattr(tensor_of(model), "data_type", 8)), ["type 8"]),
    "no such name": (edited(lambda model: model.graph.node[0].input.__setitem__(1, "V")), ["'V'"]),
    "an operator that is not computed": (edited(from_a("Softmax")), ["Softmax", "strange"]),
    "sparse weights": (edited(sparse), ["sparse"]),
    "a name made of itself": (
        edited(lambda model: model.graph.node[0].input.__setitem__(0, "W"), how="identity"),
        ["made of itself"],
    ),
    "tensors that lie outside a model in memory": (
        edited(lambda model: setattr(tensor_of(model), "data_location", TensorProto.EXTERNAL)),
        ["another file"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_and_told_why(case):
    model, words = REFUSED[case]
    refused_in(model, "rnn", *words)


def test_a_file_without_any_lstm_says_what_it_holds():
    weight = numpy_helper.from_array(np.zeros((3, 2), np.float32), "fc.weight")
    node = helper.make_node("Gemm", ["X", "fc.weight"], ["Y"])
    with pytest.raises(gw.FileError) as caught:
        contents_of(helper.make_model(helper.make_graph([node], "g", [], [], [weight]))).pick()
    cases.one_sentence(caught.value, "no LSTM", "fc.weight", "linear layer")


# Hostile files.


def chain(operator, count, **attributes):
    """Return a model whose W goes through an operator many times, each giving it both its inputs."""

    def edit(model):
        tensor_of(model).name = "w0"
        inputs = 2 if operator == "Concat" else 1
        for n in range(count):
            out = "W" if n + 1 == count else f"w{n + 1}"
            model.graph.node.insert(n, helper.make_node(operator, [f"w{n}"] * inputs, [out], **attributes))

    return edited(edit)


def nested(depth):
    """Return a model with its LSTM so deep in branches of If; protobuf itself ends at 100 messages."""
    model = models.lstm_model(small(), hidden_size=4)
    node = model.graph.node[0]
    for n in range(depth):
        node = helper.make_node("If", ["yes"], [], name=f"if{n}", then_branch=helper.make_graph([node], "b", [], []))
    del model.graph.node[:]
    model.graph.node.append(node)
    return model


def nested_bytes(depth):
    """Return a file whose graphs lie in attributes of nodes of graphs, so deep, as bytes."""
    data = b""
    for _ in range(depth):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            length, left = b"", len(data)
            while left >= 128:
                length, left = length + bytes([left % 128 + 128]), left // 128
            data = tag + length + bytes([left]) + data
    length = len(data).to_bytes(4, "little")
    whole = b"".join(bytes([(int.from_bytes(length, "little") >> 7 * n) % 128 + 128 * (n < 4)]) for n in range(5))
    return b"\x08\x08\x3a" + whole + data


def many_functions(depth, wide):
    """Return a model of functions each of which calls the next several times."""
    model = models.lstm_model(small(), hidden_size=4)
    for n in range(depth):
        calls = [helper.make_node(f"f{n + 1}", [], [f"y{k}"], domain="local") for k in range(wide)]
        model.functions.append(helper.make_function("local", f"f{n}", [], [], calls, []))
    model.graph.node.append(helper.make_node("f0", [], ["z"], domain="local"))
    return model


def calling_itself():
    model = models.lstm_model(small(), hidden_size=4)
    call = helper.make_node("f", [], ["y"], domain="local")
    model.functions.append(helper.make_function("local", "f", [], [], [call], []))
    model.graph.node.append(call)
    return model


def expanded(*shape):
    def edit(model):
        tensor_of(model).name = "w0"
        model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), "shape"))
        model.graph.node.insert(0, helper.make_node("Expand", ["w0", "shape"], ["W"]))

    return edited(edit)


def test_weights_that_double_at_every_step_are_refused_before_they_take_memory():
    refused_in(chain("Concat", 60, axis=2), "grow", "64 times")
    refused_in(expanded(2**20, 16, 3), "grow", "64 times")
    refused_in(expanded(2**62, 16, 3), "W")


def test_a_node_may_lie_in_many_graphs():
    found = found_in(nested(20))
    assert found.where.count("then_branch") == 20


def test_weights_that_are_made_in_too_many_steps_are_refused():
    refused_in(chain("Identity", 5000), "100 steps")
    assert found_in(chain("Identity", 90)).lstm.hidden_size == 4


def many_nodes(count, hidden):
    """Return a model of many nodes LSTM that share their arrays."""
    model = models.lstm_model(small(hidden=hidden), hidden_size=hidden)
    node = model.graph.node[0]
    del model.graph.node[:]
    for n in range(count):
        node.name = str(n)
        model.graph.node.add().CopyFrom(node)
    return model


def test_nodes_that_share_their_weights_do_not_fill_the_memory():
    contents = contents_of(many_nodes(400, 64))
    assert len(contents.found) > 64
    assert "64 times" in contents.refused[-1].reason


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (many_nodes(5000, 1), ["5,000 recurrent nodes", "4,096"]),
        (calling_itself(), ["100 deep"]),
        (many_functions(40, 4), [f"{NODES:,} nodes"]),
    ],
    ids=["many nodes", "calling itself", "many functions"],
)
def test_graphs_without_end_are_refused(model, words):
    with pytest.raises(gw.FileError) as caught:
        contents_of(model)
    cases.one_sentence(caught.value, *words)


WRONG_FILES = {
    "text": (b"this is no model", ["no whole ONNX model"]),
    "cut short": (models.lstm_model(small(), hidden_size=4).SerializeToString()[:-9], ["no whole ONNX model"]),
    "no graph": (onnx.ModelProto(ir_version=8).SerializeToString(), ["no graph"]),
    "onnxruntime's own format": (b"\x08\x00\x00\x00ORTM" + bytes(60), ["onnxruntime's own format"]),
    "nested without end": (nested_bytes(5000), ["no whole ONNX model"]),
    "a name that is no text": (
        models.lstm_model(small(), hidden_size=4).SerializeToString().replace(b"rnn", b"\xff\xfe\xfd"),
        ["no whole ONNX model", "not text"],
    ),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_is_no_model_is_refused_in_one_sentence(case, tmp_path):
    data, words = WRONG_FILES[case]
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert door.recognises(path, data[:4096])
    with pytest.raises(gw.FileError) as caught:
        door.read(path)
    cases.one_sentence(caught.value, str(path), *words)


def pieces(message):
    """Count the stretches of bytes that a message is made of: messages, texts, bytes, arrays that are packed."""
    count = 0
    for one in messages(message):
        count += one is not message
        for field, value in one.ListFields():
            if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                count += len(value) if hasattr(value, "append") else 1
            elif field.message_type is None and field.GetOptions().packed:
                count += 1
    return count


@pytest.mark.parametrize("how", models.STORED)
def test_the_pieces_of_a_file_are_counted_before_they_take_memory(how, tmp_path, monkeypatch):
    wrapped = models.WRAPPED[models.STORED.index(how) % len(models.WRAPPED)]
    model = models.lstm_model(small(), how=how, wrapped=wrapped, hidden_size=4)
    path, count = models.save(model, tmp_path / "model.onnx"), pieces(model)
    monkeypatch.setattr(protobuf, "PIECES", count)
    assert door.read(path).hidden_size == 4
    monkeypatch.setattr(protobuf, "PIECES", count - 1)
    with pytest.raises(gw.FileError) as caught:
        door.read(path)
    cases.one_sentence(caught.value, str(path), f"more than {count - 1:,} pieces")


def test_a_small_file_of_millions_of_messages_is_refused_before_it_is_parsed(tmp_path):
    size = 8 * 10**6  # four million empty nodes, which would take more than a gigabyte
    length = bytes([size >> 7 * n & 127 | 128 * (n < 3) for n in range(4)])
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08\x3a" + length + b"\x0a\x00" * (size // 2))
    with pytest.raises(gw.FileError) as caught:
        door.read(path)
    cases.one_sentence(caught.value, str(path), f"more than {protobuf.PIECES:,} pieces")


def test_a_model_is_recognised_by_its_first_bytes_whatever_its_name():
    data = models.lstm_model(small(), hidden_size=4).SerializeToString()
    assert door.recognises("model.bin", data[:4096])
    assert not door.recognises("model.json", b'{"layers": []}')
    assert not door.recognises("model.bin", b"\x80\x02}q\x00.")


@pytest.mark.parametrize("package", ["onnx"])
def test_without_the_onnx_package_one_sentence_names_what_to_install(package, monkeypatch, tmp_path):
    path = models.save(models.lstm_model(small(), hidden_size=4), tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, package, None)
    for ask in (lambda: door.read(path), lambda: door.write(gw.LSTM(2, 3))):
        with pytest.raises(gw.MissingExtraError) as caught:
            ask()
        cases.one_sentence(caught.value, 'pip install "gatewise[onnx]"')


def test_weights_that_are_not_finite_are_read_with_a_warning_that_names_them(tmp_path):
    arrays = small()
    arrays["W"][0, 0, :2] = np.nan, np.inf
    path = models.save(models.lstm_model(arrays, hidden_size=4), tmp_path / "model.onnx")
    with pytest.warns(gw.WeightsWarning) as said:
        door.read(path)
    assert "rnn" in str(said[0].message)
    assert "2 of 112" in str(said[0].message)


# Tensors that lie outside the file.


def external(tmp_path, location, *, arrays=None, hidden_size=4, **more):
    model = models.lstm_model(arrays or small(), hidden_size=hidden_size)
    tensor = tensor_of(model)
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    (tmp_path / "beside").mkdir()
    return models.save(model, tmp_path / "beside" / "model.onnx"), data


@pytest.mark.parametrize("more", [{}, {"offset": "64", "length": "192"}], ids=str)
def test_tensors_beside_the_file_are_read(more, tmp_path):
    path, data = external(tmp_path, "weights.bin", **more)
    (path.parent / "weights.bin").write_bytes(bytes(int(more.get("offset", 0))) + data)
    np.testing.assert_array_equal(
        door.read(path)[0].parameters.weight, door.read(models.lstm_model(small(), hidden_size=4))[0].parameters.weight
    )


def test_what_lies_beside_the_file_counts_as_its_constants(tmp_path, monkeypatch):
    monkeypatch.setattr("gatewise.interop.onnx.file.LEAST", 0)
    arrays = small(inputs=20_000, hidden=1, time=1, batch=1)
    path, data = external(tmp_path, "weights.bin", arrays=arrays, hidden_size=1)
    (path.parent / "weights.bin").write_bytes(data)
    assert len(data) > 64 * path.stat().st_size
    assert door.read(path).input_size == 20_000


@pytest.mark.parametrize("way", ["../secret.bin", "absolute", "link", "", "nothing.bin", "short.bin", "a\0b"])
def test_tensors_anywhere_else_are_refused(way, tmp_path):
    secret = tmp_path / "secret.bin"
    location = {"absolute": str(secret), "link": "link.bin"}.get(way, way)
    path, data = external(tmp_path, location)
    secret.write_bytes(data)
    (path.parent / "short.bin").write_bytes(data[:-1])
    (path.parent / "link.bin").symlink_to(secret)
    with pytest.raises(gw.FileError) as caught:
        door.read(path)
    cases.one_sentence(caught.value, "rnn", "W")


def test_a_declared_length_is_held_against_the_shape(tmp_path):
    path, data = external(tmp_path, "weights.bin", length=str(2**50))
    (path.parent / "weights.bin").write_bytes(data)
    with pytest.raises(gw.FileError) as caught:
        door.read(path)
    cases.one_sentence(caught.value, "192 bytes", str(2**50))


# Written-out cells, parts, stacks.


def written_out(order="ifgo", *, product="Gemm", inputs=3, apart=True, swap=False):
    """Return a model of one step of a cell in standard operators, and its cell."""
    rng = np.random.default_rng(3)
    p = cases.parameters({}, rng, inputs=inputs, dtype=np.float32)
    places = ["ifgo".index(letter) for letter in order]
    U, W = (array[places].reshape(16, -1) for array in (p.recurrent_weight, p.input_weight))
    b = p.bias[places].reshape(-1)
    raw = numpy_helper.from_array
    tensors = [raw(np.ascontiguousarray(W.T), "W"), raw(np.ascontiguousarray(U.T), "U"), raw(b, "b")]
    tensors += [raw(np.array(n, np.int64), f"n{n}") for n in (0, 1)]
    node = helper.make_node
    nodes = [node("Gather", ["state", f"n{n}"], [name], axis=0) for n, name in enumerate(("h", "c"))]
    if not apart:
        tensors[0] = raw(np.ascontiguousarray(np.concatenate([U, W] if swap else [W, U], 1).T), "W")
        nodes += [node("Concat", ["h", "x"] if swap else ["x", "h"], ["z"], axis=1), node("MatMul", ["z", "W"], ["zw"])]
        nodes += [node("Add", ["zw", "b"], ["a"])]
    elif product == "Gemm":
        nodes += [node("Gemm", ["x", "W", "b"], ["xw"]), node("Gemm", ["h", "U"], ["hu"])]
        nodes += [node("Add", ["hu", "xw"] if swap else ["xw", "hu"], ["a"])]
    else:
        nodes += [node("MatMul", ["x", "W"], ["xw"]), node("MatMul", ["h", "U"], ["hu"])]
        nodes += [node("Add", ["xw", "hu"], ["s"]), node("Add", ["b", "s"], ["a"])]
    nodes += [node("Split", ["a"], [f"a_{k}" for k in order], axis=1)]
    nodes += [node("Tanh" if k == "g" else "Sigmoid", [f"a_{k}"], [k]) for k in "ifgo"]
    nodes += [node("Mul", ["c", "f"] if swap else ["f", "c"], ["kept"]), node("Mul", ["i", "g"], ["new"])]
    nodes += [node("Add", ["kept", "new"], ["c_new"]), node("Tanh", ["c_new"], ["t"])]
    nodes += [node("Mul", ["t", "o"] if swap else ["o", "t"], ["h_new"], name="cell")]
    given = [helper.make_tensor_value_info(name, 1, None) for name in ("x", "state")]
    return helper.make_model(helper.make_graph(nodes, "g", given, [], tensors)), gw.LSTM.from_cells(p)


@pytest.mark.parametrize("order", ["ifgo", "iofg", "gfoi"])
@pytest.mark.parametrize("inputs", [3, 4])  # as many as units: then only the state tells what recurs
@pytest.mark.parametrize("form", [{}, {"product": "MatMul"}, {"apart": False}], ids=str)
@pytest.mark.parametrize("swap", [False, True])
def test_a_written_out_cell_is_recognised_by_its_equations(order, inputs, form, swap):
    model, lstm = written_out(order, inputs=inputs, swap=swap, **form)
    found = found_in(model)
    np.testing.assert_array_equal(found.lstm[0].parameters.weight, lstm[0].parameters.weight)
    np.testing.assert_array_equal(found.lstm[0].parameters.bias, lstm[0].parameters.bias)
    assert found.name == "cell"
    assert "written out" in found.convention


def test_a_written_out_cell_of_another_form_is_refused_by_the_names_of_its_operators():
    model, _ = written_out()
    model.graph.node[-1].op_type = "Div"
    refused_in(model, "written out of Gemm, Split", "Sigmoid", "Tanh")
    model, _ = written_out(inputs=4)
    model.graph.node[1].input[0] = "cells"  # another tensor than that of the hidden states
    refused_in(model, "cell", "does not tell its hidden state from its input")


def network():
    arrays = small(directions=2)
    model = models.lstm_model(arrays, direction="bidirectional", hidden_size=4)
    rng = np.random.default_rng(1)
    table, weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((7, 3), (8, 2), (2,)))
    raw = numpy_helper.from_array
    model.graph.initializer.extend([raw(table, "words"), raw(weight, "fc.weight"), raw(bias, "fc.bias")])
    model.graph.initializer.extend([raw(weight.T.copy(), "gemm.weight"), raw(np.array([0, 0, -1]), "shape")])
    model.graph.node.insert(0, helper.make_node("Gather", ["words", "tokens"], ["X"]))
    model.graph.node.extend(
        [
            helper.make_node("Transpose", ["Y"], ["turned"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", ["turned", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "fc.weight"], ["product"]),
            helper.make_node("Add", ["fc.bias", "product"], ["out"]),
            helper.make_node("Gemm", ["flat", "gemm.weight", "fc.bias"], ["other"], transB=1),
        ]
    )
    return model, table, weight, bias


@pytest.mark.parametrize("head", ["fc.weight", "gemm.weight"])
def test_linear_layers_and_embeddings_make_a_network(head, tmp_path):
    model, table, weight, bias = network()
    path = models.save(model, tmp_path / "model.onnx")
    contents = door.contents(path, {})
    assert {(one.name, one.kind, one.shape) for one in contents.parts} == {
        ("words", "embedding", (7, 3)),
        ("fc.weight", "linear layer", (2, 8)),
        ("gemm.weight", "linear layer", (2, 8)),
    }
    with pytest.warns(gw.WeightsWarning, match="made without"):  # the other of the two
        whole = contents.made(None, "words", head, "every")
    tokens = np.array([[1, 2], [3, 6], [0, 5]])
    y, _ = contents.pick().lstm(table[tokens])
    np.testing.assert_allclose(whole(tokens)[0], y @ weight + bias, atol=1e-6)


def test_the_doors_lead_to_onnx_files_whatever_they_are_called(tmp_path):
    model, table, weight, bias = network()
    path = models.save(model, tmp_path / "model.net")
    assert gw.inspect(path).format.startswith("ONNX, opset 15")
    y, _ = gw.load(path)(table[[[1], [2]]])
    with pytest.warns(gw.WeightsWarning, match=r"made without 'gemm\.weight'"):
        whole = gw.load_network(path, embedding="words", head="fc.weight")
    np.testing.assert_allclose(whole(np.array([[1], [2]]))[0], y @ weight + bias, atol=1e-6)
    arrays = small()
    path = models.save(models.lstm_model(arrays, given=("W", "R"), hidden_size=4), tmp_path / "outside")
    assert gw.load(path, W=arrays["W"], R=arrays["R"]).hidden_size == 4


def test_a_head_whose_numbers_are_missing_is_refused_when_it_is_wanted():
    model, *_ = network()
    tensor_of(model, "gemm.weight").raw_data = b""
    contents = contents_of(model)
    with pytest.raises(gw.FileError) as caught:
        contents.made(None, None, "gemm.weight", "every")
    cases.one_sentence(caught.value, "gemm.weight")


def test_directions_that_are_merged_in_two_ways_are_told_as_apart():
    pair = [("Concat", ["forth", "back"], ["joined"], {"axis": 2}), ("Add", ["forth", "back"], ["sum"], {})]
    contents = contents_of(models.one_upon_another(pair, directions=2)[0])
    assert [one.name for one in contents.found] == ["a", "b", "a → b"]
    assert any("apart" in note for note in contents.found[0].notes)
    assert contents.found[2].notes == contents.found[1].notes  # in the stack it is known which of them was taken


def test_a_stack_is_taken_without_its_name_where_it_is_all_of_the_files_lstms():
    lstm = gw.LSTM(3, 4, num_layers=3, rng=0)
    model = door.write(lstm)
    model.producer_name = "another"
    assert_same_lstm(door.read(model), lstm)
    for change in ("another", "refused"):  # one more that stands apart, or one that cannot be read
        more = onnx.ModelProto.FromString(model.SerializeToString())
        node = more.graph.node.add()
        node.CopyFrom(more.graph.node[0])
        node.name, node.input[0] = "more", "other"
        node.output[:] = ["z"]
        if change == "refused":
            node.input[1] = "nothing"
        with pytest.raises(gw.OptionError) as caught:
            door.read(more)
        cases.one_sentence(caught.value, "lstm_0 → lstm_1 → lstm_2", "name one")


# What is written.


def assert_same_lstm(found, expected):
    assert (found.directions, found.merge) == (expected.directions, expected.merge)
    for row, other in zip(found.layers, expected.layers, strict=True):
        for cell, that in zip(row, other, strict=True):
            assert cell.variant == that.variant
            assert set(cell.parameters.arrays()) == set(that.parameters.arrays())
            for name, array in that.parameters.arrays().items():
                assert cell.parameters.arrays()[name].dtype == array.dtype
                np.testing.assert_array_equal(cell.parameters.arrays()[name], array)


SHAPES = [
    {},
    {"direction": "backward"},
    {"num_layers": 3},
    {"num_layers": 2, "direction": "backward"},
    {"bidirectional": True},
    *({"bidirectional": True, "num_layers": 2, "merge": one} for one in ("concat", "sum", "mul", "average")),
    {"bidirectional": True, "merge": "none"},
    {"bidirectional": True, "num_layers": 3, "merge": ["sum", "concat", "none"]},
]
EXPRESSIBLE = ("plain", "peephole", "forget=1-input", "gate clip", "hard sigmoid of Keras 2", "softsign, relu")


@pytest.mark.parametrize("opset", [14, 17, 22])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_written_is_what_is_read(shape, dtype, opset, tmp_path):
    lstm = gw.LSTM(3, 4, rng=0, dtype=dtype, **shape)
    model = door.write(lstm, tmp_path / "lstm.onnx", opset=opset)
    onnx.checker.check_model(model, full_check=True)
    assert_same_lstm(door.read(tmp_path / "lstm.onnx"), lstm)
    assert_same_lstm(door.read(model), lstm)
    (found,) = door.contents(tmp_path / "lstm.onnx", {}).found
    assert found.name == "lstm" if lstm.num_layers > 1 else "lstm" in found.name
    door.write(door.read(model), tmp_path / "again.onnx", opset=opset)
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "lstm.onnx").read_bytes()


@pytest.mark.parametrize("variant", EXPRESSIBLE)
def test_every_variant_that_the_operator_has_is_what_is_read(variant):
    lstm = cases.run_of(variant).lstm.astype("float32")
    assert_same_lstm(door.read(door.write(lstm)), lstm)


def test_a_stack_of_another_exporter_is_found_whole_and_by_its_nodes():
    lstm = gw.LSTM(3, 4, num_layers=2, bidirectional=True, merge=["concat", "sum"], rng=0)
    model = door.write(lstm)
    model.producer_name = "another"
    names = [one.name for one in contents_of(model).found]
    assert names == ["lstm_0", "lstm_1", "lstm_0 → lstm_1"]
    assert_same_lstm(door.read(model, names[-1]), lstm)
    assert_same_lstm(door.read(model, "lstm_1"), gw.LSTM.from_cells([lstm.layers[1]], merge="sum"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("direction", cases.DIRECTIONS)
@pytest.mark.parametrize("inputs", [3, 4])  # as many as units: then only what a Scan carries tells what recurs
def test_every_cell_that_is_written_with_its_gates_is_what_is_read(inputs, direction, dtype, tmp_path):
    lstm = gw.LSTM(inputs, 4, direction=direction, rng=0, dtype=dtype)
    path = tmp_path / "lstm.onnx"
    door.write(lstm, path, gates=True)
    assert_same_lstm(gw.load(path), lstm)
    (found,) = gw.inspect(path).found
    assert found.name == "cell"
    assert "in the body of a Scan" in found.notes[0]
    lstm = gw.LSTM(inputs, 4, num_layers=2, bidirectional=True, rng=0, dtype=dtype)
    contents = contents_of(door.write(lstm, gates=True))
    assert [one.name for one in contents.found] == [
        f"cell_{n}_{one}" for n in (0, 1) for one in ("forward", "backward")
    ]
    cells = [(cell, one) for row in lstm.layers for cell, one in zip(row, lstm.directions, strict=True)]
    for found, (cell, one) in zip(contents.found, cells, strict=True):
        assert_same_lstm(found.lstm, gw.LSTM.from_cells(cell, direction=one))


def test_a_variant_that_is_written_with_its_gates_is_none_that_is_recognised():
    lstm = gw.LSTM(3, 4, rng=0, variant=gw.Variant(peephole="full"))
    refused_in(door.write(lstm, gates=True), "may be an LSTM cell written out")


CANNOT = {
    "a projection": gw.LSTM(3, 4, projection_size=2, rng=0),
    "cell_clip": gw.LSTM(3, 4, rng=0, variant=gw.Variant(cell_clip=2.0)),
    "input=1-forget": gw.LSTM(3, 4, rng=0, variant=gw.Variant(coupling="input=1-forget")),
    "layer norm": gw.LSTM(3, 4, rng=0, variant=gw.Variant(layer_norm="haste", epsilon=1e-5)),
    "selu": gw.LSTM(3, 4, rng=0, variant=gw.Variant(candidate_activation="selu")),
    "different activations": gw.LSTM(3, 4, rng=0, variant=gw.Variant(output_activation="softsign")),
    "0.1": gw.LSTM(
        3, 4, rng=0, dtype="float64", variant=gw.Variant(candidate_activation=gw.Activation("elu", 0.1 + 1e-12))
    ),
    "differ in gate_clip": gw.LSTM.from_cells(
        [[gw.LSTM(3, 4, rng=0, variant=gw.Variant(gate_clip=clip))[0] for clip in (1.0, 2.0)]]
    ),
    "differ in hidden_size": gw.LSTM.from_cells([[gw.LSTM(3, size, rng=0)[0] for size in (4, 5)]]),
}


@pytest.mark.parametrize("reason", CANNOT)
def test_what_the_operator_cannot_express_is_refused_by_name_before_anything_is_written(reason, tmp_path):
    path = tmp_path / "lstm.onnx"
    path.write_text("as it was")
    with pytest.raises(gw.OptionError) as caught:
        door.write(CANNOT[reason], path)
    cases.one_sentence(caught.value, reason, "gates=True")
    assert path.read_text() == "as it was"
    if "hidden_size" not in reason:
        onnx.checker.check_model(door.write(CANNOT[reason], gates=True), full_check=True)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((gw.LSTM(3, 4, rng=0),), {"opset": 13}, ["opset", "14", "22"]),
        ((gw.LSTM(3, 4, rng=0),), {"opset": "17"}, ["opset"]),
        ((gw.LSTM(3, 4, rng=0)[0],), {}, ["LSTM", "LSTMCell"]),
        ((CANNOT["differ in hidden_size"],), {"gates": True}, ["sizes", "[4, 5]"]),
    ],
)
def test_what_write_does_not_take_is_told_in_one_sentence(arguments, options, words):
    with pytest.raises(gw.OptionError) as caught:
        door.write(*arguments, **options)
    cases.one_sentence(caught.value, *words)


def test_read_takes_nothing_but_a_path_or_a_model():
    with pytest.raises(gw.OptionError) as caught:
        door.read(3)
    cases.one_sentence(caught.value, "ModelProto", "int")


@pytest.mark.parametrize("gates", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_written_runs_in_the_onnx_packages_own_evaluator(gates, dtype):
    from onnx.reference import ReferenceEvaluator

    lstm = gw.LSTM(3, 4, num_layers=2, rng=0, dtype=dtype, variant=gw.Variant(peephole="full"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 1, 3)).astype(dtype)
    given = {"X": x} | {f"{one}0_{n}": rng.normal(size=(1, 1, 4)).astype(dtype) for n in range(2) for one in "hc"}
    evaluator = ReferenceEvaluator(door.write(lstm, gates=gates))
    answers = dict(zip(evaluator.output_names, evaluator.run(None, given), strict=True))
    state = tuple((gw.State(given[f"h0_{n}"][0], given[f"c0_{n}"][0]),) for n in range(2))
    trace = lstm.trace(x, state)
    close = CLOSE if dtype == "float32" else 1e-12
    assert_agree({"y": answers["Y"]}, {"y": trace.output}, close)
    for n in range(2) if gates else ():
        for name in ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state"):
            assert_agree({name: answers[f"{name}_{n}_forward"]}, {name: getattr(trace[n], name)}, close)


# Other people's models.


@pytest.fixture
def silero():
    folder = REFEREES / "cases" / "silero_vad"
    if not folder.is_dir():
        pytest.skip("referees not present: they are not part of this project; GATEWISE_REFEREES says where they are")
    with np.load(folder / "case.npz", allow_pickle=False) as file:
        return folder, {name: file[name] for name in file.files}


@pytest.mark.parametrize("name", ["silero_vad_16k_sequence.onnx", "silero_vad.onnx", "silero_vad_op18_ifless.onnx"])
def test_silero_gives_the_outputs_and_states_of_its_own_runtime(silero, name):
    folder, case = silero
    found = door.contents(folder / name, {}).found
    agreeing = 0
    for one in found:
        trace = one.lstm.trace(case["L0.x"], ((gw.State(case["L0.h0"][0], case["L0.c0"][0]),),))
        if np.abs(trace.output - case["L0.y"][:, 0]).max() <= CLOSE:
            agreeing += 1
            for call in (0, 1):
                of = {key[3:]: array for key, array in case.items() if key.startswith(f"L{call}.")}
                y, ((state,),) = one.lstm(of["x"], ((gw.State(of["h0"][0], of["c0"][0]),),))
                want = {"y": of["y"][:, 0], "h": of["hn"][0], "c": of["cn"][0]}
                assert_agree({"y": y, **state._asdict()}, want, CLOSE)
            steps = np.stack([trace[0].hidden_state[:, 0], trace[0].cell_state[:, 0]], axis=1)
            assert_agree({"steps": steps}, {"steps": case["step_states"]}, CLOSE)
    # Those for 8 kHz have other weights; in the nested file each rate has its cell twice.
    assert (agreeing, len(found)) == {"silero_vad.onnx": (2, 4), "silero_vad_op18_ifless.onnx": (1, 2)}.get(
        name, (1, 1)
    )


# Fuzzing.


def test_mutated_files_are_answered_or_refused_and_nothing_else(tmp_path):
    paths = []
    for number, how in enumerate(models.STORED):
        arrays = small(number, directions=2, peepholes=True, state=True, hidden=2, inputs=2, lengths=(5, 2, 1))
        options = {"direction": "bidirectional", "hidden_size": 2, "clip": 1.0, "activation_alpha": [0.2, 0.3]}
        model = models.lstm_model(
            arrays,
            how=how,
            wrapped=models.WRAPPED[number % len(models.WRAPPED)],
            activations=["HardSigmoid", "Tanh", "Elu"] * 2,
            **options,
        )
        paths.append(models.save(model, tmp_path / f"{number}.onnx"))
    lstm = gw.LSTM(3, 2, num_layers=2, bidirectional=True, rng=0)
    for gates in (False, True):
        paths.append(tmp_path / f"written{gates}.onnx")
        door.write(lstm, paths[-1], gates=gates)
    for model in (network()[0], written_out()[0], quantised(directions=2)[0]):
        paths.append(models.save(model, tmp_path / f"more{len(paths)}.onnx"))
    subjects = [path.read_bytes() for path in paths]
    tally = fuzz(subjects, partial(everything, door="onnx"), 2000, tmp_path, also=[in_model])
    assert tally.answered + tally.refused == 2000
    assert min(tally.answered, tally.refused) > 250


def test_mutations_of_silero_are_answered_or_refused(silero, tmp_path):
    folder, _ = silero
    subjects = [path.read_bytes() for path in sorted(folder.glob("*.onnx"))]
    tally = fuzz(subjects, partial(everything, door="onnx"), 2000, tmp_path, seed=1, also=[in_model])
    assert tally.answered + tally.refused == 2000
    assert min(tally.answered, tally.refused) > 250
