"""onnxruntime, live: what it computes of an ONNX file, gatewise reads and computes; what gatewise writes, it runs."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import cases
import numpy as np
import onnx_models as models
import pytest
from agreement import assert_agree
from pairwise import cover, meetings

import gatewise as gw
from gatewise.gates import NAMES
from gatewise.interop import onnx as door

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.peers

CLOSE = 2e-5  # float32, two runtimes that sum in different orders


def session(model):
    """Return a session on one thread, without a word."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    data = model if isinstance(model, str) else model.SerializeToString()
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def ask(model, inputs):
    """Return onnxruntime's answers by their names."""
    live = session(model)
    names = [one.name for one in live.get_outputs()]
    wanted = {one.name for one in live.get_inputs()}
    return dict(zip(names, live.run(None, {k: v for k, v in inputs.items() if k in wanted}), strict=True))


# The space of the operator's attributes.

GATES = ("Sigmoid", "HardSigmoid", "Affine", "Relu", "Softsign", "LeakyRelu")
STATES = ("Tanh", "ScaledTanh", "Elu", "Softplus", "ThresholdedRelu", "Softsign")
FACTORS = {
    "direction": ("forward", "reverse", "bidirectional"),
    "gates": (None, *GATES),
    "states": STATES,
    "constants": ("all", "defaults", "fewer"),
    "clip": (None, 0.35),
    "input_forget": (0, 1),
    "peepholes": (False, True),
    "bias": (True, False),
    "lengths": (None, (5, 2, 1), (3, 0, 5)),
    "state": (False, True),
    "layout": (0, 1),
    "dtype": ("float32", "float64", "float16 weights"),
    "how": models.STORED,
    "wrapped": models.WRAPPED,
    "opset": (14, 22),
}


def constants_of(case, activations):
    """Return activation_alpha and activation_beta: of all that take one, of the first only, or none."""
    found = {}
    for letter, name in (("a", "activation_alpha"), ("b", "activation_beta")):
        values = [0.3 + 0.1 * n for n, one in enumerate(activations) if letter in models.TAKES.get(one, "")]
        if values and case["constants"] != "defaults":
            found[name] = values if case["constants"] == "all" else values[:1]
    return found


def allowed(case):
    """Leave out activations without constants of which ONNX and onnxruntime do not say the same what they are.

    Without a list of activations there are no others than the usual ones.
    """
    if case["gates"] is None:
        return case["states"] == "Tanh" and case["constants"] == "all"
    return case["constants"] == "all" or not {"Affine", "ScaledTanh", "ThresholdedRelu"} & {
        case["gates"],
        case["states"],
    }


def small_cover():
    """Return a pairwise cover, found among random cases: the whole product is too large to walk through."""
    rng = np.random.default_rng(0)
    drawn = []
    while len(drawn) < 6000:
        case = {name: values[rng.integers(len(values))] for name, values in FACTORS.items()}
        if allowed(case):
            drawn.append(case)
    new = {one for case in drawn for one in meetings(case, 2)}
    chosen = []
    while new:
        best = max(drawn, key=lambda case: len(new.intersection(meetings(case, 2))))
        new -= set(meetings(best, 2))
        chosen.append(best)
    return chosen


CASES = small_cover()


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_node_lstm_is_read_as_onnxruntime_runs_it(number):
    case = CASES[number]
    rng = np.random.default_rng(number)
    both = case["direction"] == "bidirectional"
    attributes = {"direction": case["direction"], "hidden_size": 4}
    if case["gates"]:
        activations = [case["gates"], case["states"], ("Tanh", "Elu", "Softsign")[number % 3]]
        if both:  # the two directions have different ones
            activations += ["Sigmoid", "LeakyRelu", "Tanh"]
        attributes |= {"activations": activations, **constants_of(case, activations)}
    if case["clip"]:
        attributes["clip"] = case["clip"]
    if case["input_forget"]:
        attributes["input_forget"] = 1
    arrays = models.random_arrays(
        rng,
        directions=1 + both,
        dtype=np.float64 if case["dtype"] == "float64" else np.float32,
        bias=case["bias"],
        peepholes=case["peepholes"],
        state=case["state"],
        lengths=case["lengths"],
    )
    half = case["dtype"] == "float16 weights"
    if half or case["how"] == "cast":
        narrow = np.float16 if half or case["dtype"] != "float64" else np.float32
        arrays |= {one: arrays[one].astype(narrow).astype(arrays[one].dtype) for one in models.WEIGHTS if one in arrays}
    given = {**arrays}
    if case["layout"]:
        given |= {one: arrays[one].swapaxes(0, 1) for one in ("X", "initial_h", "initial_c") if one in arrays}
    form = {"how": case["how"], "wrapped": case["wrapped"], "opset": case["opset"]}
    if half and case["how"] == "cast":
        form["how"] = "raw"  # cast once is enough
    ours = models.lstm_model(given, half=half, **form, **attributes, **({"layout": 1} if case["layout"] else {}))
    (found,) = door._contents(ours, None, {}).found
    assert (found.batch_first, found.lstm.dtype) == (bool(case["layout"]), arrays["X"].dtype)
    got = models.run_ours(found, given, layout=case["layout"])
    if case["layout"]:
        got = [got[0].transpose(1, 2, 0, 3), *(one.swapaxes(0, 1) for one in got[1:])]
    if case["layout"] or case["dtype"] == "float64":
        # onnxruntime's kernel runs neither: it is asked in float32, with the axes moved …
        narrow = {name: one.astype(np.float32) if one.dtype == np.float64 else one for name, one in arrays.items()}
        want = [*ask(models.lstm_model(narrow, opset=case["opset"], **attributes), narrow).values()]
    else:
        want = [*ask(ours, given).values()]
    lengths = arrays.get("sequence_lens")
    if lengths is not None and 0 in lengths:  # a row of length 0 ends in zeros there, and where it began in gatewise
        dead = lengths == 0
        for array, start in zip(got[1:], ("initial_h", "initial_c"), strict=True):
            np.testing.assert_array_equal(array[:, dead], arrays[start][:, dead] if start in arrays else 0)
        assert not any(np.any(one[:, dead]) for one in want[1:])
        got[1:] = [one[:, ~dead] for one in got[1:]]
        want[1:] = [one[:, ~dead] for one in want[1:]]
    assert_agree(dict(zip("yhc", got, strict=True)), dict(zip("yhc", want, strict=True)), CLOSE)
    if case["dtype"] == "float64":  # … and the operator's own equations in float64
        want = models.spec(arrays, **attributes)
        if lengths is not None and 0 in lengths:
            want[1:] = [one[:, ~dead] for one in want[1:]]
        assert_agree(dict(zip("yhc", got, strict=True)), dict(zip("yhc", want, strict=True)), 1e-11)


def test_the_cases_are_many_and_every_two_values_meet():
    assert len(CASES) >= 60
    met = {(a, b) for case in CASES for a in case.items() for b in case.items()}
    for one, values in FACTORS.items():
        for other, others in FACTORS.items():
            for value in values:
                for that in others if one != other else ():
                    rest = [{"gates": gate, "states": "Tanh", "constants": "all"} for gate in (None, "Sigmoid")]
                    could = any(allowed(case | {one: value, other: that}) for case in rest)
                    assert not could or ((one, value), (other, that)) in met


@pytest.mark.parametrize("refused", [{"layout": 1}, {"dtype": np.float64}], ids=str)
def test_onnxruntimes_kernel_still_refuses_what_is_compared_another_way(refused):
    rng = np.random.default_rng(0)
    arrays = models.random_arrays(rng, layout=refused.get("layout", 0), dtype=refused.get("dtype", np.float32))
    model = models.lstm_model(arrays, hidden_size=4, **({"layout": 1} if "layout" in refused else {}))
    with pytest.raises(Exception, match="LSTM"):  # onnxruntime's errors have no base of their own
        ask(model, arrays)


# What gatewise writes.


def inputs_of(lstm, rng, time=5, batch=3):
    """Return a model's inputs by their names, and the state that they make."""
    draw = lambda *shape: rng.normal(size=shape).astype(lstm.dtype)  # noqa: E731
    given, state = {"X": draw(time, batch, lstm.input_size)}, []
    for layer, row in enumerate(lstm.layers):
        end = f"_{layer}" if lstm.num_layers > 1 else ""
        h = given[f"h0{end}"] = draw(len(row), batch, row[0].recurrent_size)
        c = given[f"c0{end}"] = draw(len(row), batch, row[0].hidden_size)
        state.append(tuple(gw.State(*one) for one in zip(h, c, strict=True)))
    return given, tuple(state)


def expected(lstm, x, state, *, gates):
    """Return what a written model must put out, by its outputs' names."""
    trace = lstm.trace(x, state, engine="reference")
    want = {"Y": trace.output}
    for layer, row in enumerate(trace.state):
        end = f"_{layer}" if lstm.num_layers > 1 else ""
        want |= {f"{one}n{end}": np.stack([getattr(state, one) for state in row]) for one in "hc"}
        for direction in lstm.directions if gates else ():
            end = "" if lstm.num_layers * len(row) == 1 else f"_{layer}_{direction}"
            of = trace[layer, direction]
            names = (*NAMES, "cell_state", "hidden_state")
            want |= {f"{name}{end}": getattr(of, name) for name in names}
    return want


def lstm_of(variant, *, projection=None, directions=1, layers=1, merge="concat", direction="forward", dtype="float32"):
    rng = np.random.default_rng(7)
    rows, inputs = [], 3
    for layer in range(layers):
        row = [
            cases.parameters(
                cases.VARIANTS[variant], rng, inputs=inputs, projection=projection, dtype=np.dtype(dtype).type
            )
            for _ in range(directions)
        ]
        rows.append([gw.LSTMCell(p) for p in row])
        out = row[0].recurrent_size
        inputs = out * (directions if merge == "concat" or layer + 1 == layers else 1)
    ways = merge if merge != "none" else ["concat"] * (layers - 1) + ["none"]
    return gw.LSTM.from_cells(rows, direction=direction, merge=ways)


SHAPES = cover(
    {
        "directions": (1, 2),
        "layers": (1, 2, 3),
        "merge": ("concat", "sum", "mul", "average", "none"),
        "direction": ("forward", "backward"),
    },
    allowed=lambda case: (
        (case["directions"] == 2 or case["merge"] == "concat")
        and (case["directions"] == 1 or case["direction"] == "forward")
        and not (case["merge"] == "none" and case["layers"] > 1)
    ),
)


def expressible(variant):
    from gatewise.interop.onnx.writing import plain_reason

    return not plain_reason(lstm_of(variant))


@pytest.mark.parametrize("variant", [name for name in cases.VARIANTS if expressible(name)])
def test_a_written_variant_runs_in_onnxruntime_as_in_gatewise(variant):
    lstm = lstm_of(variant, directions=2)
    given, state = inputs_of(lstm, np.random.default_rng(0))
    model = door.write(lstm)
    onnx.checker.check_model(model, full_check=True)
    assert_agree(ask(model, given), expected(lstm, given["X"], state, gates=False), CLOSE)


@pytest.mark.parametrize("gates", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda case: "-".join(map(str, case.values())))
def test_a_written_stack_runs_in_onnxruntime_as_in_gatewise(shape, gates):
    lstm = lstm_of("plain", **shape)
    given, state = inputs_of(lstm, np.random.default_rng(1))
    model = door.write(lstm, gates=gates, opset=17 if gates else 21)
    onnx.checker.check_model(model, full_check=True)
    assert_agree(ask(model, given), expected(lstm, given["X"], state, gates=gates), CLOSE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("direction", cases.DIRECTIONS)
@pytest.mark.parametrize("projection", [None, 2])
@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_every_gate_of_every_step_runs_in_onnxruntime_as_the_trace_has_it(variant, projection, direction, dtype):
    lstm = lstm_of(variant, projection=projection, direction=direction, dtype=dtype)
    given, state = inputs_of(lstm, np.random.default_rng(2))
    found = ask(door.write(lstm, gates=True), given)
    close = CLOSE if dtype == "float32" else 1e-10
    assert_agree(found, expected(lstm, given["X"], state, gates=True), close)
    assert found["forget_gate"].shape == (5, 3, 4)


@pytest.mark.parametrize("opset", range(14, 23))
@pytest.mark.parametrize("gates", [False, True])
def test_every_opset_that_is_offered_runs(opset, gates):
    lstm = lstm_of("peephole", directions=2, layers=2)
    given, state = inputs_of(lstm, np.random.default_rng(3))
    model = door.write(lstm, gates=gates, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    assert_agree(ask(model, given), expected(lstm, given["X"], state, gates=gates), CLOSE)


def test_a_written_file_may_be_run_with_any_time_and_batch(tmp_path):
    lstm = lstm_of("plain")
    door.write(lstm, tmp_path / "lstm.onnx")
    for time, batch in ((1, 1), (9, 2)):
        given, state = inputs_of(lstm, np.random.default_rng(4), time, batch)
        assert_agree(ask(str(tmp_path / "lstm.onnx"), given), expected(lstm, given["X"], state, gates=False), CLOSE)


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


def weights(rng, *names, inputs=3):
    return {name: rng.normal(0, 0.5, (1, 12, 3 if "r" in name else inputs)).astype(np.float32) for name in names}


@pytest.mark.parametrize("said", [{}, {"direction": "forward"}, {"direction": "reverse"}], ids=str)
def test_a_functions_own_attributes_hold_where_its_caller_gives_none(said):
    rng = np.random.default_rng(0)
    default = onnx.helper.make_attribute("direction", "reverse")
    call = onnx.helper.make_node("F", ["X", "w", "r"], ["Y"], name="call", domain="local", **said)
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32)}
    held = weights(rng, "w", "r")
    model = models.graph_model([call], held, given, functions=[function_of(defaults=[default])])
    (found,) = door._contents(model, None, {}).found
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
        (found,) = door._contents(model, None, {}).found
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
    contents, want = door._contents(model, None, {}), ask(model, given)
    assert len(contents.found) == 6
    for n in (1, 2):
        lstm = contents.pick(f"call{n}/a → call{n}/b").lstm
        assert_agree({"Y": lstm(given["X"])[0]}, {"Y": want[f"Y{n}"][:, 0]}, CLOSE)


@pytest.mark.parametrize("states", ["", "a", "b", "ab"])
def test_a_stack_starts_from_zeros_in_the_layers_whose_state_the_file_does_not_tell(states):
    model, given = models.one_upon_another([("Identity", ["flat"], ["joined"], {})], states=states)
    found = door._contents(model, None, {}).pick("a → b")
    assert (found.state is None) == (not states)
    assert_agree({"Y": found.lstm(given["X"], found.state)[0]}, {"Y": ask(model, given)["Y"][:, 0]}, CLOSE)
    model, given = models.one_upon_another(
        [("Identity", ["flat"], ["joined"], {})], states=states.replace("b", ""), outside="b"
    )
    found = door._contents(model, None, {}).pick("a → b")
    assert found.state is None
    assert "'hb'" in str(found.notes)


BOTH = ["forth", "back"]
SUM = ("Add", BOTH, ["sum"], {})
STACKED = {  # what stands between two LSTMs: the directions, the inputs of the upper one, and how they are merged
    "squeezed": (1, 3, "concat", [("Cast", ["flat"], ["cast"], {"to": 11}), ("Cast", ["cast"], ["joined"], {"to": 1})]),
    "dropout": (1, 3, "concat", [("Dropout", ["flat", "half"], ["joined"], {})]),
    "reshaped": (2, 6, "concat", [("Reshape", ["turned", "kept"], ["joined"], {})]),
    "side by side": (2, 6, "concat", [("Concat", BOTH, ["joined"], {"axis": 2})]),
    "sum": (2, 3, "sum", [("Add", BOTH, ["joined"], {})]),
    "half of it": (2, 3, "average", [SUM, ("Mul", ["sum", "half"], ["joined"], {})]),
    "half first": (2, 3, "average", [SUM, ("Mul", ["half", "sum"], ["joined"], {})]),
    "divided": (2, 3, "average", [SUM, ("Div", ["sum", "two"], ["joined"], {})]),
}


@pytest.mark.parametrize("case", STACKED)
def test_what_only_moves_or_merges_numbers_stands_between_two_lstms_of_a_stack(case):
    directions, inputs, merge, between = STACKED[case]
    model, given = models.one_upon_another(between, directions=directions, inputs=inputs)
    contents, want = door._contents(model, None, {}), ask(model, given)["Y"]
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
    assert [one.name for one in door._contents(model, None, {}).found] == ["a", "b"]
    assert ask(model, given)["Y"].shape[1:] == (directions, 4 if case == "exchanged" else 2, 3)


# Heads.

FLAT = [("Reshape", ["flat", "rows"], ["f"], {}), ("MatMul", ["f", "w"], ["p"], {})]
HEADS = {  # nodes from flat to Z, the activation that is found, and what is said besides
    "alone": ([("MatMul", ["flat", "w"], ["Z"], {})], None, ""),
    "bias": ([("MatMul", ["flat", "w"], ["p"], {}), ("Add", ["p", "b"], ["Z"], {})], None, ""),
    "sigmoid": (
        [("MatMul", ["flat", "w"], ["p"], {}), ("Add", ["b", "p"], ["a"], {}), ("Sigmoid", ["a"], ["Z"], {})],
        "sigmoid",
        "",
    ),
    "reshaped": (
        [*FLAT, ("Reshape", ["p", "back"], ["q"], {}), ("Add", ["q", "b"], ["a"], {}), ("Tanh", ["a"], ["Z"], {})],
        "tanh",
        "",
    ),
    "reshaped after": (
        [*FLAT, ("Add", ["p", "b"], ["a"], {}), ("Reshape", ["a", "back"], ["q"], {}), ("Softmax", ["q"], ["Z"], {})],
        "softmax",
        "",
    ),
    "gemm": (
        [
            ("Reshape", ["flat", "rows"], ["f"], {}),
            ("Gemm", ["f", "w", "b"], ["a"], {}),
            ("Softmax", ["a"], ["s"], {"axis": 1}),
            ("Reshape", ["s", "back"], ["Z"], {}),
        ],
        "softmax",
        "",
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
        "",
    ),
}
UNTOLD = {
    "another function": (
        [("MatMul", ["flat", "w"], ["p"], {}), ("Add", ["p", "b"], ["a"], {}), ("Elu", ["a"], ["Z"], {})],
        "Elu",
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
            ("Mul", ["a", "s"], ["Z"], {}),
        ],
        "Sigmoid, Mul",
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
    steps, activation, said = HEADS[case]
    model, given = headed(steps)
    path = models.save(model, tmp_path / "model.onnx")
    (part,) = gw.inspect(path).parts
    assert (part.name, part.kind, part.activation) == ("w", f"linear layer{said}", activation)
    network = gw.load_network(path, head="w")
    assert_agree({"Z": network(given["X"])[0]}, {"Z": ask(model, given)["Z"]}, CLOSE)


@pytest.mark.parametrize("case", UNTOLD)
def test_a_head_says_where_its_output_goes_if_that_is_no_nonlinearity_that_it_can_have(case):
    steps, words = UNTOLD[case]
    (part,) = door._contents(headed(steps)[0], None, {}).parts
    assert (part.kind, part.activation) == (f"linear layer, whose output goes to {words}", None)
    assert part.bias is not None


def test_a_head_whose_logits_the_model_puts_out_has_no_nonlinearity():
    steps = HEADS["sigmoid"][0]
    (part,) = door._contents(headed(steps, ("Z", "a"))[0], None, {}).parts
    assert part.activation is None
    assert "Sigmoid" in part.kind


# Capture.


@pytest.mark.parametrize("wrapped", ["no", "If", "If in If"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("more", [{}, {"lengths": (3, 0, 5), "state": True}, {"peepholes": True}], ids=str)
def test_capture_gives_every_gate_at_the_models_real_inputs(wrapped, direction, more, tmp_path):
    rng = np.random.default_rng(5)
    arrays = models.random_arrays(rng, directions=1 + (direction == "bidirectional"), **more)
    model = models.lstm_model(arrays, wrapped=wrapped, direction=direction, hidden_size=4)
    path = models.save(model, tmp_path / "model.onnx")
    given = {name: one for name, one in arrays.items() if name not in models.WEIGHTS}
    (record,) = door.capture(path, given)
    assert (record.name, record.call) == ("rnn", 0)
    assert record.difference <= CLOSE
    assert bool(record.notes) == ("lengths" in more)
    want = models.run_ours(door.contents(path, {}).found[0], arrays)
    np.testing.assert_array_equal(record.trace.output[:, 0, :4], want[0][:, 0, 0])
    forget = record.trace[0].forget_gate
    assert 0 < np.nanmin(forget) < np.nanmax(forget) < 1  # NaN past the end of a row


def test_capture_of_a_stack_gives_each_node_the_output_of_the_one_before(tmp_path):
    lstm = lstm_of("plain", directions=2, layers=2)
    path = tmp_path / "model.onnx"
    door.write(lstm, path)
    given, state = inputs_of(lstm, np.random.default_rng(6))
    records = door.capture(path, given)
    assert [one.name for one in records] == ["lstm_0", "lstm_1"]
    trace = lstm.trace(given["X"], state)
    for layer, record in enumerate(records):
        assert record.difference <= CLOSE
        assert_agree({"f": record.trace[0].forget_gate}, {"f": trace[layer].forget_gate}, CLOSE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Z": 1}, ["no input 'Z'", "X"]),
        ({"X": None}, ["needs an input 'X'"]),
        ({"X": np.zeros((2, 2), np.float32)}, ["onnxruntime cannot run"]),
    ],
)
def test_capture_says_in_one_sentence_what_is_wrong_with_its_inputs(change, words, tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0))
    path = models.save(models.lstm_model(arrays, hidden_size=4), tmp_path / "model.onnx")
    given = {name: one for name, one in ({"X": arrays["X"]} | change).items() if one is not None}
    with pytest.raises((gw.OptionError, gw.FileError)) as caught:
        door.capture(path, given)
    cases.one_sentence(caught.value, *words)


def test_capture_names_an_lstm_that_it_cannot_look_at(tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0))
    path = models.save(models.lstm_model(arrays, wrapped="function", hidden_size=4), tmp_path / "model.onnx")
    with pytest.raises(gw.FileError) as caught:
        door.capture(path, {"X": arrays["X"]})
    cases.one_sentence(caught.value, "no LSTM", "the function Recurrent")


def branches_of_one_name(rng):
    """Return an If both of whose branches have an LSTM of the same name."""
    held = weights(rng, "w1", "r1", "w2", "r2")
    graphs = {}
    for n, branch in ((1, "then_branch"), (2, "else_branch")):
        node = onnx.helper.make_node("LSTM", ["X", f"w{n}", f"r{n}"], [f"T{n}"], name="n", hidden_size=3)
        out = onnx.helper.make_tensor_value_info(f"T{n}", 1, None)
        graphs[branch] = onnx.helper.make_graph([node], branch, [], [out])
    nodes = [onnx.helper.make_node("If", ["c"], ["Y"], name="if", **graphs)]
    return nodes, held


@pytest.mark.parametrize("taken", [True, False])
def test_capture_takes_the_weights_of_the_branch_that_ran(taken, tmp_path):
    rng = np.random.default_rng(0)
    nodes, held = branches_of_one_name(rng)
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32), "c": np.array(taken)}
    path = models.save(models.graph_model(nodes, held, given), tmp_path / "model.onnx")
    (record,) = door.capture(path, given)
    assert record.name == f"if.{'then' if taken else 'else'}_branch/n"
    assert record.difference <= CLOSE


@pytest.mark.parametrize("names", [("x/n", "n"), ("n", "x/n"), ("", "")], ids=str)
def test_capture_takes_each_nodes_own_weights_whatever_their_names(names, tmp_path):
    rng = np.random.default_rng(0)
    nodes = [
        onnx.helper.make_node("LSTM", ["X", f"w{n}", f"r{n}"], [f"Y{n}"], name=name, hidden_size=3)
        for n, name in enumerate(names)
    ]
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32)}
    model = models.graph_model(nodes, weights(rng, "w0", "r0", "w1", "r1"), given, ("Y0", "Y1"))
    path = models.save(model, tmp_path / "model.onnx")
    records = door.capture(path, given)
    assert [one.name for one in records] == [one.name for one in door.contents(path, {}).found]
    assert max(one.difference for one in records) <= CLOSE
    assert np.abs(records[0].trace.output - records[1].trace.output).max() > 0.01


@pytest.mark.parametrize("default", [False, True])
def test_capture_takes_the_weights_that_are_among_the_inputs(default, tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0))
    options = {"how": "an input with a value"} if default else {"given": ("W",)}
    path = models.save(models.lstm_model(arrays, hidden_size=4, **options), tmp_path / "model.onnx")
    given = {"X": arrays["X"], "W": 2 * arrays["W"]}
    (record,) = door.capture(path, given)
    assert record.difference <= CLOSE


# A published model.


@pytest.fixture(scope="module")
def silero_files():
    import importlib.util

    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("could not import 'silero_vad': it is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"


@pytest.mark.parametrize(
    ("name", "count", "rate"),
    [("silero_vad.onnx", 4, 16000), ("silero_vad_16k_op15.onnx", 2, 16000), ("silero_vad_16k_sequence.onnx", 1, None)],
)
def test_every_lstm_of_silero_is_read_and_captured(silero_files, name, count, rate):
    path = silero_files / name
    contents = door.contents(path, {})
    assert len(contents.found) == count
    rng = np.random.default_rng(0)
    if rate:
        given = {"input": 0.1 * rng.normal(size=(1, 576)), "state": rng.normal(size=(2, 1, 128)), "sr": np.array(rate)}
        given = {key: one.astype(np.int64 if key == "sr" else np.float32) for key, one in given.items()}
    else:
        given = {"h": np.zeros((1, 1, 128)), "c": np.zeros((1, 1, 128)), "input": 0.1 * rng.normal(size=(7, 576))}
        given = {key: one.astype(np.float32) for key, one in given.items()}
    (record,) = door.capture(path, given)
    assert record.difference <= CLOSE
    assert record.name in {one.name for one in contents.found}


def test_silero_has_the_same_weights_in_every_container(silero_files):
    def cells(name):
        found = door.contents(silero_files / name, {}).found
        return {one.lstm[0].parameters.weight.tobytes() + one.lstm[0].parameters.bias.tobytes() for one in found}

    (sequence,) = cells("silero_vad_16k_sequence.onnx")
    assert all(sequence in cells(one) for one in ("silero_vad.onnx", "silero_vad_16k_op15.onnx"))


def test_sileros_written_out_cell_computes_what_its_node_does(silero_files):
    written = {
        one.lstm[0].parameters.weight.tobytes(): one
        for one in door.contents(silero_files / "silero_vad_op18_ifless.onnx", {}).found
    }
    node = door.read(silero_files / "silero_vad_16k_sequence.onnx")
    x = np.random.default_rng(0).normal(size=(6, 1, 128)).astype(np.float32)
    answers = [node(x)[0] - one.lstm(x)[0] for one in written.values()]
    assert min(np.abs(one).max() for one in answers) <= CLOSE


# What PyTorch exports.


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_network_that_pytorch_exports_is_read_whole(bidirectional, batch_first, tmp_path):
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(11, 5)
            self.rnn = torch.nn.LSTM(5, 6, 2, bidirectional=bidirectional, batch_first=batch_first)
            self.head = torch.nn.Linear(6 + 6 * bidirectional, 3)

        def forward(self, tokens):
            return self.head(self.rnn(self.words(tokens))[0])

    torch.manual_seed(0)
    model, tokens, path = Model().eval(), torch.randint(0, 11, (7, 2)), tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch speaks of its next exporter, which needs another package
        torch.onnx.export(
            model, (tokens,), path, dynamo=False, input_names=["tokens"], dynamic_axes={"tokens": {0: "a", 1: "b"}}
        )
    contents = door.contents(path, {})
    names = [one.name for one in contents.found]
    assert len(names) == 3
    assert names[2] == " → ".join(names[:2])
    assert not any("state" in note for one in contents.found for note in one.notes)  # it starts from zeros
    assert contents.pick() is contents.found[2]
    table, head = (next(one.name for one in contents.parts if kind in one.kind) for kind in ("embedding", "linear"))
    given = tokens.numpy().T if batch_first else tokens.numpy()
    y, _ = contents.made(names[2], table, head, "every")(given)
    want = model(tokens).detach().numpy()
    assert_agree({"y": y.swapaxes(0, 1) if batch_first else y}, {"y": want}, CLOSE)


# The quantised kind.


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_quantised_lstm_is_read_and_lies_as_near_as_its_note_says(direction, signed, per_channel, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    rng = np.random.default_rng(8)
    both = direction == "bidirectional"
    arrays = models.random_arrays(rng, directions=1 + both, time=20, inputs=16, hidden=24, state=True)
    arrays |= {one: arrays[one] / 4 for one in "WR"}
    model = models.lstm_model(arrays, direction=direction, hidden_size=24)
    source, target = models.save(model, tmp_path / "float.onnx"), tmp_path / "int8.onnx"
    kind = quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8
    quantization.quantize_dynamic(
        source, target, weight_type=kind, per_channel=per_channel, op_types_to_quantize=["LSTM"]
    )
    (found,) = door.contents(target, {}).found
    assert "DynamicQuantizeLSTM" in found.convention
    (note,) = [one for one in found.notes if "8 bits" in one]
    assert found.warns == (note,)
    of_x, of_h = map(float, re.search(r"by about (\S+) times .* and (\S+) of the hidden", note).groups())
    exact = door.read(source)
    for cell, that, place in zip(found.lstm.layers[0], exact.layers[0], range(2), strict=False):
        step = np.abs(arrays["W"][place]).max() / 127  # at most a whole step, where zero points are rounded too
        assert np.abs(cell.parameters.input_weight - that.parameters.input_weight).max() <= step
    want = [*ask(onnx.load(target), arrays).values()]
    got = models.run_ours(found, arrays)
    # Pre-activations are off by about that much; a gate's slope is at most 1/4, the candidate's 1.
    typical = of_x * np.ptp(arrays["X"]) + of_h * 2
    errors = [float(np.abs(a - b).max()) for a, b in zip(got, want, strict=True)]
    assert 0 < max(errors) <= 4 * typical
    assert float(np.sqrt(np.mean((got[0] - want[0]) ** 2))) <= typical
    given = {name: one for name, one in arrays.items() if name not in models.WEIGHTS}
    (record,) = door.capture(target, given)
    assert record.difference == pytest.approx(max(errors), rel=1e-3)


def test_capture_runs_a_model_whose_tensors_lie_beside_it(tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0), hidden=16, inputs=16)
    model = models.lstm_model(arrays, hidden_size=16)
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="model.data")
    assert (tmp_path / "model.data").stat().st_size >= arrays["W"].nbytes
    (record,) = door.capture(tmp_path / "model.onnx", {"X": arrays["X"]})
    assert record.difference <= CLOSE
