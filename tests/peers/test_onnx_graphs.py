"""onnxruntime, live: functions, stacks and heads around the operator LSTM compute there what they do here."""

from __future__ import annotations

import numpy as np
import onnx_models as models
import pytest
from agreement import assert_agree
from onnx_reading import contents_of
from peers.onnx_running import CLOSE, ask, weights

import gatewise as gw
from tests import test_onnx_graph

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.peers


# Sequences of constant lengths, and Scans.


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("after", [[], [("Squeeze", ["Y", "one"], ["Z"])], [("MatMul", ["Y", "w"], ["Z"])]], ids=len)
@pytest.mark.parametrize("lengths", [(5, 3), (1, 5), (5, 5), (0, 4)])
def test_lengths_in_the_file_are_applied(direction, after, lengths, tmp_path):
    rng, ways = np.random.default_rng(0), 1 + (direction == "bidirectional")
    held = {name: rng.normal(size=shape) for name, shape in {"W": (ways, 16, 3), "R": (ways, 16, 4)}.items()}
    held = {name: array.astype(np.float32) for name, array in held.items()}
    held |= {"one": np.array([1]), "w": rng.normal(size=(4, 2)).astype(np.float32), "lengths": np.int32(lengths)}
    if after and after[0][0] == "Squeeze" and ways == 2:
        after = [("Transpose", ["Y"], ["Z"])]
    inputs = ["X", "W", "R", "", "lengths"]
    nodes = [onnx.helper.make_node("LSTM", inputs, ["Y", "hn"], hidden_size=4, direction=direction)]
    nodes += [onnx.helper.make_node(*one) for one in after]
    given = {"X": rng.normal(size=(5, 2, 3)).astype(np.float32)}
    model = models.graph_model(nodes, held, given, ("Z" if after else "Y", "hn"))
    path = models.save(model, tmp_path / "model.onnx")
    outputs = dict(zip(("Z" if after else "Y", "hn"), gw.load_network(path)(**given)[0], strict=True))
    assert_agree(outputs, ask(model, given), CLOSE)
    run = gw.open_run(path, given["X"]).trace.lstm.output.reshape(5, 2, -1)
    merged = ask(models.graph_model(nodes, held, given, ("Y",)), given)["Y"].transpose(0, 2, 1, 3).reshape(5, 2, -1)
    assert_agree({"Y": run}, {"Y": merged}, CLOSE)


@pytest.mark.parametrize("cell", [test_onnx_graph.CELL, test_onnx_graph.GATED], ids=["LSTM", "gated"])
@pytest.mark.parametrize("read", [0, 1])
@pytest.mark.parametrize("made", [0, 1])
def test_a_scan_goes_through_its_sequences_as_in_onnxruntime(cell, read, made, tmp_path):
    rng = np.random.default_rng(1)
    shapes = {"x": (5, 2, 2), "h": (2, 3), "c": (2, 3)}
    given = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    model = test_onnx_graph.scan_of(cell, scan_input_directions=[read], scan_output_directions=[made])
    model.ir_version = 8
    outputs = gw.load_network(models.save(model, tmp_path / "model.onnx"))(**given)[0]
    assert_agree(dict(zip(("y", "h_n", "c_n"), outputs, strict=True)), ask(model, given), CLOSE)


# Graphs around the operator.


def function_of(name="F", *, overload="", defaults=(), **attributes):
    """Return a function (x, w, r) of one LSTM; its direction is the caller's where none is given here."""
    node = onnx.helper.make_node("LSTM", ["x", "w", "r"], ["y"], name="rnn", hidden_size=3, **attributes)
    if "direction" not in attributes:
        taken = node.attribute.add(name="direction", ref_attr_name="direction")
        taken.type = onnx.AttributeProto.STRING
    opsets = [onnx.helper.make_opsetid("", 17)]
    made = onnx.helper.make_function(
        "local", name, ["x", "w", "r"], ["y"], [node], opsets, [], list(defaults), overload=overload
    )
    if "direction" not in attributes and not defaults:
        made.attribute.append("direction")
    return made


@pytest.mark.parametrize("said", [{}, {"direction": "forward"}, {"direction": "reverse"}], ids=str)
def test_a_functions_own_attributes_hold_where_its_caller_gives_none(said):
    rng = np.random.default_rng(0)
    default = onnx.helper.make_attribute("direction", "reverse")
    call = onnx.helper.make_node("F", ["X", "w", "r"], ["Y"], name="call", domain="local", **said)
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32)}
    held = weights(rng, "w", "r")
    model = models.graph_model([call], held, given, functions=[function_of(defaults=[default])])
    (found,) = contents_of(model).lstms
    assert found.lstm.directions == (("forward",) if said.get("direction") == "forward" else ("backward",))
    assert_agree({"Y": found.lstm(given["X"])[0]}, {"Y": ask(model, given)["Y"][:, 0]}, CLOSE)


@pytest.mark.parametrize("called", ["", "other"])
def test_functions_of_one_name_are_told_apart_by_their_overload(called):
    rng = np.random.default_rng(0)
    functions = [function_of(direction="reverse"), function_of(overload="other", direction="forward")]
    call = onnx.helper.make_node("F", ["X", "w", "r"], ["Y"], name="call", domain="local", overload=called)
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32)}
    for order in (functions, functions[::-1]):
        model = models.graph_model([call], weights(rng, "w", "r"), given, functions=order)
        (found,) = contents_of(model).lstms
        assert_agree({"Y": found.lstm(given["X"])[0]}, {"Y": ask(model, given)["Y"][:, 0]}, CLOSE)


def test_each_call_of_a_function_has_a_stack_of_its_own():
    rng, make = np.random.default_rng(0), onnx.helper.make_node
    nodes = [make("LSTM", ["x", "w", "r"], ["y0"], name="a", hidden_size=3), make("Squeeze", ["y0", "axes"], ["s"])]
    nodes += [make("LSTM", ["s", "v", "q"], ["y"], name="b", hidden_size=3)]
    nodes.insert(0, make("Constant", [], ["axes"], value_ints=[1]))
    function = onnx.helper.make_function(
        "local", "Two", ["x", "w", "r", "v", "q"], ["y"], nodes, [onnx.helper.make_opsetid("", 17)]
    )
    held = weights(rng, *(f"{one}{n}" for n in (1, 2) for one in ("w", "r", "v", "rq")))
    calls = [
        make("Two", ["X", f"w{n}", f"r{n}", f"v{n}", f"rq{n}"], [f"Y{n}"], name=f"call{n}", domain="local")
        for n in (1, 2)
    ]
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32)}
    model = models.graph_model(calls, held, given, ("Y1", "Y2"), functions=[function])
    contents, want = contents_of(model), ask(model, given)
    assert len(contents.lstms) == 6
    for n in (1, 2):
        lstm = contents.pick(f"call{n}/a → call{n}/b").lstm
        assert_agree({"Y": lstm(given["X"])[0]}, {"Y": want[f"Y{n}"][:, 0]}, CLOSE)


@pytest.mark.parametrize("states", ["", "a", "b", "ab"])
def test_a_stack_starts_from_zeros_in_the_layers_whose_state_the_file_does_not_tell(states):
    model, given = models.one_upon_another([("Identity", ["flat"], ["joined"], {})], states=states)
    found = contents_of(model).pick("a → b")
    assert (found.state is None) == (not states)
    assert_agree({"Y": found.lstm(given["X"], found.state)[0]}, {"Y": ask(model, given)["Y"][:, 0]}, CLOSE)
    model, given = models.one_upon_another(
        [("Identity", ["flat"], ["joined"], {})], states=states.replace("b", ""), outside="b"
    )
    found = contents_of(model).find("a → b")
    assert found.state is None
    assert "'hb'" in str(found.notes)


BOTH = ["forth", "back"]
SUM = ("Add", BOTH, ["sum"], {})
STACKED = {  # what stands between two LSTMs: the directions, the inputs of the upper one, and how they are merged
    "squeezed": (1, 3, "concat", [("Cast", ["flat"], ["cast"], {"to": 11}), ("Cast", ["cast"], ["joined"], {"to": 1})]),
    "dropout": (1, 3, "concat", [("Dropout", ["flat", "half"], ["joined"], {})]),
    "reshaped": (2, 6, "concat", [("Reshape", ["turned", "kept"], ["joined"], {})]),
    "next to each other": (2, 6, "concat", [("Concat", BOTH, ["joined"], {"axis": 2})]),
    "sum": (2, 3, "sum", [("Add", BOTH, ["joined"], {})]),
    "half of it": (2, 3, "average", [SUM, ("Mul", ["sum", "half"], ["joined"], {})]),
    "half first": (2, 3, "average", [SUM, ("Mul", ["half", "sum"], ["joined"], {})]),
    "divided": (2, 3, "average", [SUM, ("Div", ["sum", "two"], ["joined"], {})]),
}


@pytest.mark.parametrize("case", STACKED)
def test_what_only_moves_or_merges_numbers_stands_between_two_lstms_of_a_stack(case):
    directions, inputs, merge, between = STACKED[case]
    model, given = models.one_upon_another(between, directions=directions, inputs=inputs)
    contents, want = contents_of(model), ask(model, given)["Y"]
    found = contents.pick()
    assert found.name == "a → b"
    assert found.lstm.merge == (merge, "concat")
    y = np.split(found.lstm(given["X"])[0], directions, axis=2)
    assert_agree({"Y": np.stack(y, axis=1)}, {"Y": want}, CLOSE)


APART = {
    "rounded": (1, 3, [("Cast", ["flat"], ["cast"], {"to": 6}), ("Cast", ["cast"], ["joined"], {"to": 1})]),
    "training": (1, 3, [("Dropout", ["flat", "half", "yes"], ["joined"], {})]),
    "exchanged": (2, 6, [("Reshape", ["turned", "swapped"], ["joined"], {})]),
    "divides by it": (2, 3, [SUM, ("Div", ["two", "sum"], ["joined"], {})]),
    "doubled": (2, 3, [SUM, ("Mul", ["sum", "two"], ["joined"], {})]),
    "squared": (2, 3, [SUM, ("Mul", ["sum", "sum"], ["joined"], {})]),
}


@pytest.mark.parametrize("case", APART)
def test_what_changes_the_numbers_between_two_lstms_makes_no_stack(case):
    directions, inputs, between = APART[case]
    model, given = models.one_upon_another(between, directions=directions, inputs=inputs)
    assert [one.name for one in contents_of(model).lstms] == ["a", "b"]
    assert ask(model, given)["Y"].shape[1:] == (directions, 4 if case == "exchanged" else 2, 3)


# Heads.

FLAT = [("Reshape", ["flat", "rows"], ["f"], {}), ("MatMul", ["f", "w"], ["p"], {})]
HEADS = {  # nodes from flat to Z, and the activation that is found
    "alone": ([("MatMul", ["flat", "w"], ["Z"], {})], None),
    "bias": ([("MatMul", ["flat", "w"], ["p"], {}), ("Add", ["p", "b"], ["Z"], {})], None),
    "sigmoid": (
        [("MatMul", ["flat", "w"], ["p"], {}), ("Add", ["b", "p"], ["a"], {}), ("Sigmoid", ["a"], ["Z"], {})],
        "sigmoid",
    ),
    "reshaped": (
        [*FLAT, ("Reshape", ["p", "back"], ["q"], {}), ("Add", ["q", "b"], ["a"], {}), ("Tanh", ["a"], ["Z"], {})],
        "tanh",
    ),
    "reshaped after": (
        [*FLAT, ("Add", ["p", "b"], ["a"], {}), ("Reshape", ["a", "back"], ["q"], {}), ("Softmax", ["q"], ["Z"], {})],
        "softmax",
    ),
    "gemm": (
        [
            ("Reshape", ["flat", "rows"], ["f"], {}),
            ("Gemm", ["f", "w", "b"], ["a"], {}),
            ("Softmax", ["a"], ["s"], {"axis": 1}),
            ("Reshape", ["s", "back"], ["Z"], {}),
        ],
        "softmax",
    ),
    "turned": (
        [
            ("MatMul", ["flat", "w"], ["p"], {}),
            ("Transpose", ["p"], ["t"], {"perm": [1, 0, 2]}),
            ("Add", ["t", "b"], ["a"], {}),
            ("Relu", ["a"], ["on"], {}),
            ("Transpose", ["on"], ["Z"], {"perm": [1, 0, 2]}),
        ],
        "relu",
    ),
}
UNTOLD = {
    "another function": (
        [("MatMul", ["flat", "w"], ["p"], {}), ("Add", ["p", "b"], ["a"], {}), ("Sin", ["a"], ["Z"], {})],
        "Sin",
    ),
    "across time": (
        [("MatMul", ["flat", "w"], ["p"], {}), ("Add", ["p", "b"], ["a"], {}), ("Softmax", ["a"], ["Z"], {"axis": 0})],
        "Softmax",
    ),
    "two readers": (
        [
            ("MatMul", ["flat", "w"], ["p"], {}),
            ("Add", ["p", "b"], ["a"], {}),
            ("Sigmoid", ["a"], ["s"], {}),
            ("Add", ["a", "s"], ["Z"], {}),
        ],
        "Sigmoid, Add",
    ),
}


def headed(steps, outputs=("Z",)):
    rng, make = np.random.default_rng(0), onnx.helper.make_node
    held = weights(rng, "wx", "r") | {"axes": np.array([1]), "rows": np.array([-1, 3]), "back": np.array([4, 2, 2])}
    held |= {"w": rng.normal(size=(3, 2)).astype(np.float32), "b": rng.normal(size=2).astype(np.float32)}
    nodes = [make("LSTM", ["X", "wx", "r"], ["Y"], name="rnn", hidden_size=3), make("Squeeze", ["Y", "axes"], ["flat"])]
    nodes += [make(operator, ins, outs, **more) for operator, ins, outs, more in steps]
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32)}
    return models.graph_model(nodes, held, given, outputs), given


@pytest.mark.parametrize("case", HEADS)
def test_a_head_is_read_with_its_bias_and_its_nonlinearity(case, tmp_path):
    steps, activation = HEADS[case]
    model, given = headed(steps)
    path = models.save(model, tmp_path / "model.onnx")
    (part,) = gw.inspect(path).parts
    found = None if part.activation is None else str(part.activation)
    assert (part.name, part.kind, found) == ("w", "linear layer", activation)
    network = gw.load_network(path, head="w")
    assert_agree({"Z": network(given["X"])[0]}, {"Z": ask(model, given)["Z"]}, CLOSE)


@pytest.mark.parametrize("case", UNTOLD)
def test_a_head_says_where_its_output_goes_if_that_is_no_nonlinearity_that_it_can_have(case):
    steps, words = UNTOLD[case]
    (part,) = contents_of(headed(steps)[0]).parts
    assert (part.kind, part.activation) == (f"linear layer, whose output goes to {words}", None)
    assert part.bias is not None


def test_a_head_whose_logits_the_model_puts_out_has_no_nonlinearity():
    steps = HEADS["sigmoid"][0]
    (part,) = contents_of(headed(steps, ("Z", "a"))[0]).parts
    assert part.activation is None
    assert "Sigmoid" in part.kind
