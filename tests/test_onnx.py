"""ONNX's operator LSTM in every form, and wherever its weights come from."""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module

import cases
import numpy as np
import pytest
from agreement import assert_agree

import gatewise as gw

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_reading import contents_of, found_in, quantised, refused_in, small, tensor_of  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402


@cache
def node_tests():
    """Return every node test of LSTM that the installed onnx package has: to import their file makes them.

    The package's own function imports those of all operators, and takes seconds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node

        import_module("onnx.backend.test.case.node.lstm")
    found = [one for one in node._NodeTestCases if one.model.graph.node[0].op_type == "LSTM"]

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
        assert_agree(got, want, models.CLOSE)


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
    want = gw_onnx.read(models.lstm_model(arrays, hidden_size=4))
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
        found.lstm(arrays["X"])[0], gw_onnx.read(models.lstm_model(arrays, hidden_size=4))(arrays["X"])[0]
    )


def test_two_nodes_of_one_name_are_told_apart_by_the_way_to_them(tmp_path):
    arrays = small()
    model = models.lstm_model(arrays, wrapped="If", hidden_size=4)
    second = models.lstm_model(arrays, hidden_size=4).graph.node[0]
    second.output[:] = [f"second {name}" for name in second.output]
    model.graph.node.append(second)
    assert [one.name for one in contents_of(model).lstms] == ["choice0.then_branch/rnn", "rnn"]
    with cases.refusal("choice0.then_branch/rnn", "'rnn'", by=gw.OptionError):
        gw_onnx.read(model)
    assert gw_onnx.read(model, "rnn").hidden_size == 4


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


# Weights that are inputs of the graph.


def test_weights_that_are_inputs_of_the_graph_are_taken_by_name(tmp_path):
    arrays = small(peepholes=True)
    path = models.save(models.lstm_model(arrays, given=models.WEIGHTS, hidden_size=4), tmp_path / "model.onnx")
    with cases.refusal("W", "the graph's input", "by that name"):
        gw_onnx.read(path)
    lstm = gw.load(path, **{one: arrays[one] for one in models.WEIGHTS})
    want = gw_onnx.read(models.lstm_model(arrays, hidden_size=4))
    np.testing.assert_array_equal(lstm(arrays["X"])[0], want(arrays["X"])[0])
    with cases.refusal("'V'", "W", "R", by=gw.OptionError):
        gw_onnx.read(path, V=arrays["W"])
    for wrong in ("words", [[1.0], [1.0, 2.0]]):
        with cases.refusal("W", by=gw.OptionError):
            gw_onnx.read(path, W=wrong)


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
    assert f"{worst:.2g} times that of the hidden state" in note
    assert found.warns == (note,)


def test_loading_a_quantised_lstm_warns_of_the_error_to_expect(tmp_path):
    path = models.save(quantised()[0], tmp_path / "model.onnx")
    with pytest.warns(gw.WeightsWarning, match=r"rnn: its weights are 8-bit integers.*differ from gatewise's by about"):
        gw.load(path)
    with pytest.warns(gw.WeightsWarning, match="8-bit integers"):
        gw_onnx.read(path)


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
