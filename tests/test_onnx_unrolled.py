"""An LSTM whose steps an ONNX graph has one after another is read as one LSTM, as Keras writes it by PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_reading import contents_of  # noqa: E402

make = onnx.helper.make_node
TIME, BATCH, INPUTS, HIDDEN = 3, 2, 3, 4


def unrolled(*, steps=range(TIME), weights=("U",) * TIME, start="zeros", order="ifgo", bias=True, every=True):
    """Return a model of a written-out LSTM, a dense layer behind it, and its arrays by name."""
    rng = np.random.default_rng(4)
    shapes = {"W": (INPUTS, 4 * HIDDEN), "U": (HIDDEN, 4 * HIDDEN), "U2": (HIDDEN, 4 * HIDDEN), "b": (4 * HIDDEN,)}
    held = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in (shapes | {"v": (HIDDEN, 2)}).items()}
    held |= {f"n{n}": np.array([n]) for n in range(9)} | {f"at{n}": np.array(n) for n in range(4)}
    held |= {"zeros": np.zeros((BATCH, HIDDEN), np.float32), "ones": np.ones((BATCH, HIDDEN), np.float32)}
    nodes = [make("MatMul", ["X", "W"], ["xw"], name="all steps")]
    nodes += [make("Add", ["xw", "b"], ["sums"])] if bias else []
    h = c = start
    for t, (step, weight) in enumerate(zip(steps, weights, strict=True)):
        nodes += [
            make("Gather", ["sums" if bias else "xw", f"at{step}"], [f"x{t}"]),
            make("Cast", [h], [f"before{t}"], to=1),
            make("MatMul", [f"before{t}", weight], [f"hu{t}"]),
            make("Add", [f"x{t}", f"hu{t}"], [f"z{t}"]),
            make("Shape", [f"z{t}"], [f"shape{t}"]),
            make("Gather", [f"shape{t}", "n1"], [f"wide{t}"]),
            make("Add", [f"wide{t}", "n3"], [f"more{t}"]),
            make("Div", [f"more{t}", "n4"], [f"each{t}"]),
        ]
        for place, letter in enumerate(order):
            nodes += [make("Mul", [f"each{t}", f"n{end}"], [f"end{t}{end}"]) for end in (place, place + 1)]
            nodes += [make("Slice", [f"z{t}", f"end{t}{place}", f"end{t}{place + 1}", "n1"], [f"{letter}_{t}"])]
        nodes += [make("Sigmoid", [f"{letter}_{t}"], [f"{letter}{t}"]) for letter in "ifo"]
        nodes += [
            make("Tanh", [f"g_{t}"], [f"g{t}"]),
            make("Mul", [f"f{t}", c], [f"fc{t}"]),
            make("Mul", [f"i{t}", f"g{t}"], [f"ig{t}"]),
            make("Add", [f"fc{t}", f"ig{t}"], [f"c{t}"]),
            make("Tanh", [f"c{t}"], [f"t{t}"]),
            make("Mul", [f"o{t}", f"t{t}"], [f"h{t}"], name=f"end of {t}"),
        ]
        h, c = f"h{t}", f"c{t}"
    if every:
        nodes += [make("Unsqueeze", [f"h{t}", "n0"], [f"u{t}"]) for t in range(len(weights))]
        nodes += [make("Concat", [f"u{t}" for t in range(len(weights))], ["y"], axis=0)]
    nodes += [make("MatMul", ["y" if every else h, "v"], ["Z"])]
    distinct = list({node.output[0]: node for node in nodes}.values())  # a gate's end is the next one's start
    return models.graph_model(distinct, held, {"X": np.zeros((TIME, BATCH, INPUTS), np.float32)}, ("Z",)), held


@pytest.mark.parametrize("options", [{}, {"order": "igfo"}, {"bias": False}, {"every": False}], ids=str)
def test_written_out_steps_are_one_lstm_and_a_network_of_any_number_of_steps(options):
    model, held = unrolled(**options)
    contents = contents_of(model)
    (stored,) = contents.lstms
    assert (stored.name, any("3 steps" in note for note in stored.notes)) == ("all steps", True)
    order, network = options.get("order", "ifgo"), contents.network()
    places = [order.index(letter) for letter in "ifgo"]
    p = network.lstm.layers[0][0].parameters
    np.testing.assert_array_equal(p.input_weight, held["W"].T.reshape(4, HIDDEN, INPUTS)[places])
    np.testing.assert_array_equal(p.recurrent_weight, held["U"].T.reshape(4, HIDDEN, HIDDEN)[places])
    bias = held["b"].reshape(4, HIDDEN)[places] if options.get("bias", True) else 0
    np.testing.assert_array_equal(p.bias, bias + np.zeros((4, HIDDEN), np.float32))
    x = np.random.default_rng(1).normal(size=(5, BATCH, INPUTS)).astype(np.float32)
    h = network.lstm(x)[0]
    assert network.reads == ("every" if options.get("every", True) else "last")
    np.testing.assert_allclose(network(x)[0], (h if network.reads == "every" else h[-1]) @ held["v"], rtol=0, atol=1e-6)


def others_of(model, held):
    """Return the nodes of a model with names of their own, but for its input and the arrays that it holds."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if name in held or name == "X" else f"other {name}" for name in names]
        node.name = f"other {node.name}"
    return [*model.graph.node]


@pytest.mark.parametrize("every", [True, False])
def test_steps_that_read_the_input_from_its_end_are_the_backward_direction(every):
    model, held = unrolled(every=every)
    others = others_of(unrolled(weights=("U2",) * TIME, every=every)[0], held)
    others[0].input[0], end = "from the end", "y" if every else f"h{TIME - 1}"
    held |= {"-1": np.array([-1]), "least": np.array([-(2**63) + 1]), "V": np.ones((2 * HIDDEN, 2), np.float32)}
    back = make("Slice", [f"other {end}", "-1", "least", "n0", "-1"], ["back"])
    nodes = [
        *model.graph.node[:-1],
        make("Slice", ["X", "-1", "least", "n0", "-1"], ["from the end"]),
        *others[:-1],
        *([back] if every else []),
        make("Concat", [end, "back" if every else f"other {end}"], ["both"], axis=-1),
        make("MatMul", ["both", "V"], ["Z"]),
    ]
    contents = contents_of(models.graph_model(nodes, held, {"X": np.zeros((TIME, BATCH, INPUTS), np.float32)}, ("Z",)))
    assert all(
        entry.used for entry in contents.ledger if entry.name in ("from the end", "back", "both", "other end of 0")
    )
    network = contents.network()
    assert network.lstm.directions == ("forward", "backward")
    found = [cell.parameters.recurrent_weight for cell in network.lstm.layers[0]]
    np.testing.assert_array_equal(found, [held[name].T.reshape(4, HIDDEN, HIDDEN) for name in ("U", "U2")])
    x = np.random.default_rng(1).normal(size=(5, BATCH, INPUTS)).astype(np.float32)
    h, state = network.lstm(x)
    h = h if every else np.concatenate([part.h for part in state[0]], axis=-1)
    np.testing.assert_allclose(network(x)[0], h @ held["V"], rtol=0, atol=1e-6)


def test_an_unrolled_lstm_beside_one_that_is_not_recognised_is_read_by_its_name_alone(tmp_path):
    model, held = unrolled(every=False)
    model.graph.node.extend(others_of(unrolled(start="ones", every=False)[0], held))
    model.graph.output.append(onnx.helper.make_tensor_value_info("other Z", 1, None))
    path = models.save(model, tmp_path / "model.onnx")
    words = "the main graph: it holds what may be an LSTM cell .* Choose an LSTM by its name: 'all steps'"
    with pytest.raises(gw.OptionError, match=words):
        gw.load(path)
    found = contents_of(model).find("all steps").lstm[0].parameters
    np.testing.assert_array_equal(found.recurrent_weight, held["U"].T.reshape(4, HIDDEN, HIDDEN))


def test_all_that_the_file_has_is_in_the_ledger_and_nothing_else():
    model, _ = unrolled()
    graph = model.graph
    expected = [node.name or node.output[0] for node in graph.node]
    expected += [part.name for part in (*graph.initializer, *graph.input)]
    entries = contents_of(model).ledger
    assert sorted(entry.name for entry in entries) == sorted(expected)
    left_out = {entry.name for entry in entries if not entry.used}
    assert left_out <= {"U2", "ones", "zeros", "at3", *(f"n{n}" for n in range(9))}


def test_a_node_without_inputs_beside_it_is_in_the_ledger_too():
    model, _ = unrolled()
    model.graph.node.extend([make("Identity", [], ["nothing"]), make("Gather", ["X", "nothing"], ["taken"])])
    assert {"nothing", "taken"} <= {entry.name for entry in contents_of(model).ledger}


@pytest.mark.parametrize(
    "options",
    [
        {"weights": ("U", "U2", "U")},  # another LSTM's step
        {"steps": (0, 2, 1)},
        {"steps": (0, 1), "weights": ("U", "U")},  # not the last step
        {"start": "ones"},
    ],
    ids=str,
)
def test_steps_that_are_not_those_of_one_lstm_are_refused(options):
    contents = contents_of(unrolled(**options)[0])
    assert not contents.lstms
    assert "not recognised" in contents.refused[0].reason
