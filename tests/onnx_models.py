"""ONNX models with one LSTM in every form that files have it in, and what ONNX's own words say it computes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CLOSE = 2e-5  # float32, two runtimes that sum in different orders
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
WEIGHTS = ("W", "R", "B", "P")
STORED = (
    *("raw", "typed", "constant", "identity", "unsqueeze", "squeeze", "transpose", "reshape", "slice", "concat"),
    *("split", "cast", "expand", "an input with a value"),
)
WRAPPED = ("no", "If", "If in If", "function")
OUTPUTS = ("Y", "Y_h", "Y_c")


def element(array):
    return helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)


def info(name, array, shape=None):
    return helper.make_tensor_value_info(name, element(array), shape)


def typed(array, name):
    """Return a tensor whose numbers lie in the field of their type."""
    values = array.reshape(-1)
    if array.dtype == np.float16:
        values = values.view(np.uint16).astype(np.int32)
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT16, dims=array.shape)
        tensor.int32_data.extend(values.tolist())
        return tensor
    return helper.make_tensor(name, element(array), array.shape, values.tolist())


def stored(name, array, how):
    """Return (nodes, initializers, inputs) that give an array by its name."""
    raw = numpy_helper.from_array
    ints = lambda label, *values: raw(np.array(values, np.int64), f"{name}.{label}")  # noqa: E731
    node = lambda operator, inputs, **attributes: helper.make_node(operator, inputs, [name], **attributes)  # noqa: E731
    part = f"{name}.part"
    match how:
        case "raw":
            return [], [raw(array, name)], []
        case "typed":
            return [], [typed(array, name)], []
        case "an input with a value":
            return [], [raw(array, name)], [info(name, array, array.shape)]
        case "constant":
            return [node("Constant", [], value=raw(array, "value"))], [], []
        case "identity":
            return [node("Identity", [part])], [raw(array, part)], []
        case "unsqueeze":
            if len(array) == 1:
                return [node("Unsqueeze", [part, f"{name}.axes"])], [raw(array[0], part), ints("axes", 0)], []
            return stored(name, array, "concat")
        case "squeeze":
            return [node("Squeeze", [part, f"{name}.axes"])], [raw(array[None], part), ints("axes", 0)], []
        case "transpose":
            turned = np.ascontiguousarray(array.T)
            return [node("Transpose", [part], perm=list(range(array.ndim))[::-1])], [raw(turned, part)], []
        case "reshape":
            shape = ints("shape", *array.shape[:-1], -1)
            return [node("Reshape", [part, f"{name}.shape"])], [raw(array.reshape(-1), part), shape], []
        case "slice":
            wide = np.concatenate([array[:, ::-1], array[:, :1]], axis=1)
            bounds = [ints("starts", -2), ints("ends", -(2**40)), ints("axes", 1), ints("steps", -1)]
            return [node("Slice", [part, *(one.name for one in bounds)])], [raw(wide, part), *bounds], []
        case "concat":
            half = array.shape[1] // 2
            parts = [raw(np.ascontiguousarray(one), f"{part}{n}") for n, one in enumerate(np.split(array, [half], 1))]
            return [node("Concat", [one.name for one in parts], axis=1)], parts, []
        case "split":
            both = np.concatenate([np.zeros_like(array), array])
            split = helper.make_node("Split", [part, f"{name}.lengths"], [f"{name}.other", name], axis=0)
            return [split], [raw(both, part), ints("lengths", len(array), len(array))], []
        case "cast":
            kind = np.float32 if array.dtype == np.float64 else np.float16
            return [node("Cast", [part], to=element(array))], [raw(array.astype(kind), part)], []
        case "expand":
            return [node("Expand", [part, f"{name}.shape"])], [raw(array, part), ints("shape", *array.shape)], []
    raise AssertionError(how)


def lstm_model(arrays, *, how="raw", wrapped="no", given=(), opset=15, name="rnn", half=False, **attributes):
    """Return a model of one node LSTM.

    `arrays` are by their names in INPUTS; the weights lie in the file as `how` says, but those in `given` and the
    others are inputs of the graph. With `half` the weights lie there in float16 and are cast.
    """
    present = [one for one in INPUTS if one in arrays]
    inputs = [one if one in arrays else "" for one in INPUTS]
    while not inputs[-1]:
        inputs.pop()
    nodes, held, declared = [], [], []
    for one in present:
        array = np.asarray(arrays[one])
        if one not in WEIGHTS or one in given:
            declared.append(info(one, array, array.shape))
        elif half:
            more, tensors, extra = stored(f"{one}.half", array.astype(np.float16), how)
            nodes += [*more, helper.make_node("Cast", [f"{one}.half"], [one], to=element(array))]
            held, declared = held + tensors, declared + extra
        else:
            more, tensors, extra = stored(one, array, how)
            nodes, held, declared = nodes + more, held + tensors, declared + extra
    lstm = helper.make_node("LSTM", inputs, list(OUTPUTS), name=name, **attributes)
    opsets, functions = [helper.make_opsetid("", opset)], []
    x = arrays["X"]
    if wrapped == "no":
        nodes.append(lstm)
    elif wrapped == "function":
        opsets.append(helper.make_opsetid("local", 1))
        formal = [one for one in inputs if one]
        functions.append(helper.make_function("local", "Recurrent", formal, OUTPUTS, [lstm], opsets[:1]))
        nodes.append(helper.make_node("Recurrent", formal, list(OUTPUTS), name="call", domain="local"))
    else:
        nodes.append(helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True), "v")))
        body, outer = [lstm], OUTPUTS
        for depth in range(2 if wrapped == "If in If" else 1):
            inner = [f"{one}.{depth}" for one in OUTPUTS]
            graphs = []
            for branch in ("then", "else"):
                ends = [f"{one}.{branch}" for one in inner]
                source = outer if branch == "then" else ["none"] * 3
                copies = [helper.make_node("Identity", [a], [b]) for a, b in zip(source, ends, strict=True)]
                if branch == "else":
                    nothing = numpy_helper.from_array(np.zeros((0, 0, 0), x.dtype), "v")
                    copies.insert(0, helper.make_node("Constant", [], ["none"], value=nothing))
                steps = [*body, *copies] if branch == "then" else copies
                graphs.append(helper.make_graph(steps, branch, [], [info(one, x) for one in ends]))
            branches = dict(zip(("then_branch", "else_branch"), graphs, strict=True))
            body, outer = [helper.make_node("If", ["yes"], inner, name=f"choice{depth}", **branches)], inner
        nodes += body + [helper.make_node("Identity", [a], [b]) for a, b in zip(outer, OUTPUTS, strict=True)]
    graph = helper.make_graph(nodes, "g", declared, [info(one, x) for one in OUTPUTS], held)
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)


def answers(lstm, x, state=None, lengths=None, *, layout=0):
    """Return Y, Y_h and Y_c as the operator puts them out, of one layer; x and the state in gatewise's axes."""
    trace = lstm.trace(x, state, lengths=lengths)
    valid = np.ones(x.shape[:2], bool) if lengths is None else np.arange(len(x))[:, None] < lengths
    hidden = [np.where(valid[..., None], trace[0, one].hidden_state, 0) for one in lstm.directions]
    y = np.stack(hidden, axis=1)
    finals = [np.stack([getattr(one, what) for one in trace.state[0]]) for what in "hc"]
    if layout:
        return [y.transpose(2, 0, 1, 3), *(one.swapaxes(0, 1) for one in finals)]
    return [y, *finals]


FUNCTIONS = {
    "Sigmoid": lambda a, alpha, beta: 1 / (1 + np.exp(-a)),
    "Tanh": lambda a, alpha, beta: np.tanh(a),
    "Relu": lambda a, alpha, beta: np.maximum(0, a),
    "Affine": lambda a, alpha, beta: alpha * a + beta,
    "LeakyRelu": lambda a, alpha, beta: np.where(a >= 0, a, alpha * a),
    "ThresholdedRelu": lambda a, alpha, beta: np.where(a > alpha, a, 0),
    "ScaledTanh": lambda a, alpha, beta: alpha * np.tanh(beta * a),
    "HardSigmoid": lambda a, alpha, beta: np.minimum(np.maximum(alpha * a + beta, 0), 1),
    "Elu": lambda a, alpha, beta: np.where(a >= 0, a, alpha * (np.exp(a) - 1)),
    "Softsign": lambda a, alpha, beta: a / (1 + np.abs(a)),
    "Softplus": lambda a, alpha, beta: np.log(1 + np.exp(a)),
}
TAKES = {"Affine": "ab", "ScaledTanh": "ab", "HardSigmoid": "ab"} | dict.fromkeys(
    ("LeakyRelu", "ThresholdedRelu", "Elu"), "a"
)
DEFAULTS = {"HardSigmoid": (0.2, 0.5), "LeakyRelu": (0.01, 0), "ThresholdedRelu": (1.0, 0), "Elu": (1.0, 0)}


def spec(arrays, *, direction="forward", hidden_size, activations=None, activation_alpha=(), activation_beta=(),
         clip=None, input_forget=0, layout=0):  # fmt: skip
    """Return Y, Y_h, Y_c by the equations of the operator's page, step by step and row by row."""
    backward = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    names = activations or ["Sigmoid", "Tanh", "Tanh"] * len(backward)
    alphas, betas, functions = list(activation_alpha), list(activation_beta), []
    for one in names:
        alpha, beta = DEFAULTS.get(one, (0, 0))
        alpha = alphas.pop(0) if "a" in TAKES.get(one, "") and alphas else alpha
        beta = betas.pop(0) if "b" in TAKES.get(one, "") and betas else beta
        functions.append(lambda a, one=one, alpha=alpha, beta=beta: FUNCTIONS[one](a, alpha, beta))
    x = arrays["X"].swapaxes(0, 1) if layout else arrays["X"]
    time, batch, n = *x.shape[:2], hidden_size
    y = np.zeros((time, len(backward), batch, n), x.dtype)
    finals = [np.zeros((len(backward), batch, n), x.dtype) for _ in range(2)]
    bound = (lambda a: a) if clip is None else (lambda a: np.clip(a, -clip, clip))
    for d, reverse in enumerate(backward):
        f, g, k = functions[3 * d : 3 * d + 3]
        w, r = arrays["W"][d], arrays["R"][d]
        b = arrays["B"][d, : 4 * n] + arrays["B"][d, 4 * n :] if "B" in arrays else np.zeros(4 * n, x.dtype)
        p = arrays["P"][d].reshape(3, n) if "P" in arrays else np.zeros((3, n), x.dtype)
        for row in range(batch):
            start = [arrays[one] for one in ("initial_h", "initial_c") if one in arrays]
            start = [one.swapaxes(0, 1)[d, row] if layout else one[d, row] for one in start]
            h, c = start if start else (np.zeros(n, x.dtype), np.zeros(n, x.dtype))
            length = int(arrays["sequence_lens"][row]) if "sequence_lens" in arrays else time
            for t in range(length)[::-1] if reverse else range(length):
                i, o, forget, cell = np.split(w @ x[t, row] + r @ h + b, 4)
                i = f(bound(i + p[0] * c))
                forget = 1 - i if input_forget else f(bound(forget + p[2] * c))
                c = forget * c + i * g(bound(cell))
                o = f(bound(o + p[1] * c))
                h = o * k(c)
                y[t, d, row] = h
            finals[0][d, row], finals[1][d, row] = h, c
    return [y.transpose(2, 0, 1, 3), *(one.swapaxes(0, 1) for one in finals)] if layout else [y, *finals]


def random_arrays(rng, *, directions=1, time=5, batch=3, inputs=3, hidden=4, dtype=np.float32, bias=True,
                  peepholes=False, state=False, lengths=None, layout=0):  # fmt: skip
    """Return the arrays of a node LSTM, by their names."""
    draw = lambda *shape: rng.normal(0, 0.4, shape).astype(dtype)  # noqa: E731
    found = {"X": 3 * draw(time, batch, inputs), "W": draw(directions, 4 * hidden, inputs)}
    found["R"] = draw(directions, 4 * hidden, hidden)
    if bias:
        found["B"] = draw(directions, 8 * hidden)
    if lengths is not None:
        found["sequence_lens"] = np.array(lengths, np.int32)
    if state:
        found |= {one: draw(directions, batch, hidden) for one in ("initial_h", "initial_c")}
    if peepholes:
        found["P"] = draw(directions, 3 * hidden)
    if layout:
        found |= {one: found[one].swapaxes(0, 1) for one in ("X", "initial_h", "initial_c") if one in found}
    return found


def run_ours(found, arrays, *, layout=0):
    """Return the operator's answers by what was found in a file, at the arrays that are no weights."""
    from gatewise import State

    x = arrays["X"].swapaxes(0, 1) if layout else arrays["X"]
    state = None
    if "initial_h" in arrays:
        h, c = (arrays[one].swapaxes(0, 1) if layout else arrays[one] for one in ("initial_h", "initial_c"))
        state = (tuple(State(*one) for one in zip(h, c, strict=True)),)
    return answers(found.lstm, x, state, arrays.get("sequence_lens"), layout=layout)


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def graph_model(nodes, held, given, outputs=("Y",), *, functions=(), opset=17):
    """Return a model of nodes; `held` are arrays that lie in the file, `given` those that come in, by their names."""
    inputs = [info(name, array, np.shape(array)) for name, array in given.items()]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    graph = helper.make_graph(nodes, "g", inputs, infos, tensors)
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)


def one_upon_another(between, *, directions=1, states=(), outside=(), inputs=None, reached="joined", seed=0):
    """Return a model of the nodes LSTM "a" and "b", with other nodes between, and what may be asked of it.

    `between` are (operator, inputs, outputs, attributes), from the name Y0, or turned (time, batch, direction, ·) or
    the directions forth and back, to the name `reached`; `states` says which of the two have an initial state in the
    file, `outside` which have one that comes in. `inputs` are those of b: as many as a puts out side by side, where
    nothing else is said.
    """
    rng, hidden = np.random.default_rng(seed), 3
    given = {"X": rng.normal(size=(4, 2, 3)).astype(np.float32)}
    held = {"one": np.array([1]), "first": np.array(0), "second": np.array(1), "half": np.float32(0.5)}
    held |= {"two": np.float32(2), "yes": np.array(True), "ints": np.array([1.0, 2.0], np.float32)}
    held |= {"swapped": np.array([2, 4, -1]), "kept": np.array([0, 0, -1]), "counted": np.array([4, 2, -1])}
    nodes = []
    for name, x, y, width in (("a", "X", "Y0", 3), ("b", reached, "Y", inputs or hidden * directions)):
        for what, columns in (("W", width), ("R", hidden)):
            held[f"{what}{name}"] = rng.normal(0, 0.5, (directions, 4 * hidden, columns)).astype(np.float32)
        names = [x, f"W{name}", f"R{name}"]
        if name in states or name in outside:
            start = rng.normal(size=(2, directions, 2, hidden)).astype(np.float32)
            (held if name in states else given).update({f"h{name}": start[0], f"c{name}": start[1]})
            names += ["", "", f"h{name}", f"c{name}"]
        direction = "bidirectional" if directions == 2 else "forward"
        nodes.append(helper.make_node("LSTM", names, [y], name=name, hidden_size=hidden, direction=direction))
    middle = [
        helper.make_node("Squeeze", ["Y0", "one"], ["flat"])
        if directions == 1
        else helper.make_node("Transpose", ["Y0"], ["turned"], perm=[0, 2, 1, 3])
    ]
    middle += [helper.make_node("Gather", ["Y0", n], [name], axis=1) for n, name in PLACES] if directions == 2 else []
    middle += [helper.make_node(operator, ins, outs, **more) for operator, ins, outs, more in between]
    return graph_model([nodes[0], *middle, nodes[1]], held, given), given


PLACES = (("first", "forth"), ("second", "back"))
