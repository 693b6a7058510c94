"""Stacked LSTMs as PyTorch's exporters write them: shapes as numbers or computed, states as slices of one array."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_exported import BATCH, HIDDEN, INPUTS, Exported  # noqa: E402
from onnx_reading import contents_of  # noqa: E402

make = onnx.helper.make_node


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ("fixed", {"state": "zeros", "directions": 1}),
        ("fixed", {"state": "expanded", "batch_first": True}),
        ("open", {"state": "given", "layers": 3}),
        ("computed", {"state": "given", "batch_first": True, "sliced": False}),
        ("computed", {"state": "zeros", "directions": 1, "layers": 3}),
        ("copied", {"state": "given", "directions": 1, "sliced": False}),
    ],
    ids=str,
)
def test_a_stack_that_pytorch_exports_is_found_with_its_names(shape, options):
    contents = contents_of(Exported(shape=shape, **options).model)
    *singles, stack = contents.lstms
    layers = options.get("layers", 2)
    assert stack.stacked
    assert stack.lstm.num_layers == layers
    x = np.random.default_rng(1).normal(size=(3, 4, INPUTS)).astype(np.float32)  # of another length and batch
    y = x
    for one in singles:
        y, _ = one.lstm(y)
    np.testing.assert_allclose(stack.lstm(x, stack.state)[0], y, rtol=0, atol=1e-6)
    names, given = stack.graph, options["state"] == "given"
    first = options.get("batch_first", False)
    assert (names.x, names.y, names.x_batch_first, names.y_batch_first) == ("x", "y", first, first)
    assert (names.h0, names.c0) == (((("h0",) * layers), ("c0",) * layers) if given else ((None,) * layers,) * 2)
    assert (names.hn, names.cn) == (("hn",) * layers, ("cn",) * layers)
    assert (stack.state is None, bool(stack.notes)) == (True, given)
    assert {one.graph.h0 for one in singles} == {(None,)}


def test_zeros_for_one_batch_are_no_state_and_other_numbers_are_one():
    model = Exported(state="zeros").model
    assert {one.state for one in contents_of(model).lstms} == {None}
    (zeros,) = (one for one in model.graph.initializer if one.name == "zeros")
    some = onnx.numpy_helper.to_array(zeros) + np.float32(0.25)
    zeros.CopyFrom(onnx.numpy_helper.from_array(some, "zeros"))
    for one in contents_of(model).lstms:
        assert one.state[0][1].h.shape == (BATCH, HIDDEN)


def test_states_that_are_not_in_the_order_of_the_layers_have_no_name():
    model = Exported(state="given", sliced=False).model
    slices = [node for node in model.graph.node if node.op_type == "Slice" and node.input[0] == "h0"]
    (first, second) = [list(node.input) for node in slices]
    for node, inputs in zip(slices, (second, first), strict=True):
        del node.input[:]
        node.input.extend(inputs)
    (ends,) = (node for node in model.graph.node if node.output[0] == "cn")
    ends.input[0], ends.input[1] = ends.input[1], ends.input[0]
    names = contents_of(model).pick().graph
    assert (names.h0, names.c0) == ((None, None), ("c0", "c0"))
    assert (names.hn, names.cn) == (("hn", "hn"), (None, None))


@pytest.mark.parametrize("spoiled", ["exchanged", "other numbers", "open twice", "no sizes"])
def test_a_reshape_that_may_mix_time_and_batch_makes_no_stack(spoiled):
    exported = Exported(shape="exchanged" if spoiled == "exchanged" else "open")
    model = exported.model
    (numbers,) = [one for one in model.graph.initializer if one.name == "numbers"] or [None]
    given = {"other numbers": [BATCH, -1, 2 * HIDDEN], "open twice": [-1, -1, 2 * HIDDEN]}.get(spoiled)
    if given:
        numbers.CopyFrom(onnx.numpy_helper.from_array(np.array(given), "numbers"))
    if spoiled == "no sizes":
        for axis in (0, 1):
            model.graph.input[0].type.tensor_type.shape.dim[axis].Clear()
    contents = contents_of(model)
    assert [one.name for one in contents.lstms] == ["l0", "l1"]


@pytest.mark.parametrize("used", ["looked up", "cut", "narrowed"])
def test_a_shape_that_depends_on_a_number_of_steps_left_open_makes_no_stack(used):
    model = Exported(shape="computed").model
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    assert len(contents_of(model).lstms) == 3
    copied = [0, 0, 2 * HIDDEN]
    held = {"looked up": np.tile(copied, (12, 1)), "cut": np.array(copied), "narrowed": np.array([-1])}[used]
    model.graph.initializer.append(onnx.numpy_helper.from_array(held, "held"))
    (position,) = (n for n, node in enumerate(model.graph.node) if node.output[0] == "sizes0")
    del model.graph.node[position]
    nodes = {
        "looked up": [make("Gather", ["held", "part00"], ["row"]), make("Reshape", ["row", "all"], ["sizes0"])],
        "cut": [make("Slice", ["held", "part00", "end"], ["sizes0"])],
        "narrowed": [
            make("Cast", ["part00"], ["byte"], to=onnx.TensorProto.INT8),
            make("Cast", ["byte"], ["steps"], to=onnx.TensorProto.INT64),
            make("Concat", ["steps", "held", "wide0_"], ["sizes0"], axis=0),
        ],
    }[used]
    for number, node in enumerate(nodes):
        model.graph.node.insert(position + number, node)
    assert [one.name for one in contents_of(model).lstms] == ["l0", "l1"]


def test_where_the_directions_change_one_stack_ends_and_another_begins():
    model, _ = models.one_upon_another([("Identity", ["flat"], ["joined"], {})])
    both, _ = models.one_upon_another([("Reshape", ["turned", "kept"], ["joined"], {})], directions=2)
    assert [len(contents_of(one).lstms) for one in (model, both)] == [3, 3]
    (upper,) = (node for node in both.graph.node if node.name == "b")
    nodes = [make("Transpose", ["Y"], ["t"], perm=[0, 2, 1, 3]), make("Reshape", ["t", "kept"], ["v"])]
    rng, tensors = np.random.default_rng(0), both.graph.initializer
    for name, x in (("c", "v"), ("d", "u")):
        for what, width in (("W", 6 if name == "c" else 3), ("R", 3)):
            array = rng.normal(size=(1, 12, width)).astype(np.float32)
            tensors.append(onnx.numpy_helper.from_array(array, f"{what}{name}"))
        nodes += [make("LSTM", [x, f"W{name}", f"R{name}"], [f"Y{name}"], name=name, hidden_size=3)]
        nodes += [make("Squeeze", [f"Y{name}", "one"], ["u" if name == "c" else "Z"])]
    both.graph.node.extend(nodes)
    assert upper.output[0] == "Y"
    assert [one.name for one in contents_of(both).lstms] == ["a", "b", "c", "d", "a → b", "c → d"]
    with pytest.raises(gw.OptionError, match="Choose one by its name"):
        contents_of(both).pick()


@pytest.mark.parametrize("through", [[], ["Identity"], ["Identity", "Neg"]], ids=str)
def test_a_decoder_that_starts_from_its_encoder_is_no_upper_layer(through):
    first = Exported(state="zeros", directions=1).model
    lstms = [node for node in first.graph.node if node.op_type == "LSTM"]
    assert [one.name for one in contents_of(first).lstms if one.combines]
    second, state = lstms[1], lstms[0].output[1] or "end"
    lstms[0].output[1] = state
    nodes = []
    for n, kind in enumerate(through):
        nodes.append(make(kind, [state], [f"passed {n}"]))
        state = f"passed {n}"
    second.input[5] = state
    place = list(first.graph.node).index(second)
    for node in reversed(nodes):
        first.graph.node.insert(place, node)
    assert not [one.name for one in contents_of(first).lstms if one.combines]
