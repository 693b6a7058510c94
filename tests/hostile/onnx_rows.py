"""Small ONNX files that are made to be expensive: each function returns the bytes of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hostile.row import Hostile
from onnx import TensorProto, helper, numpy_helper

SMALL_BUDGETS = False  # those of `budgets`
LARGEST = 5 * 10**6  # bytes of a file
MOST = 500 * 2**20  # bytes of the process that reads them, Python and its packages included
node = helper.make_node


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def lstm(number=0, x="X", given=("W", "R"), **attributes):
    """Return a node LSTM."""
    return node("LSTM", [x, *given], [f"Y{number}"], name=f"rnn{number}", **attributes)


def held(*shape, name="W"):
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


W, R = held(1, 4, 1), held(1, 4, 1, name="R")


def model(nodes, tensors=(), functions=(), outputs=()):
    """Return a model as bytes."""
    information = [helper.make_tensor_value_info(name, 1, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", [], information, list(tensors))
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10).SerializeToString()


def function(name, inputs, outputs, nodes):
    return helper.make_function("local", name, inputs, outputs, nodes, [helper.make_opsetid("", 15)])


def call(name, inputs=(), number=0):
    return node(name, list(inputs), [f"out{number}"], domain="local", name=f"call{number}")


# Weights.


def shared_zeros(count=200, hidden=1000):
    """LSTMs that share one ConstantOfShape: each has weights of its own, as Parameters."""
    nodes = [node("ConstantOfShape", [f"shape{name}"], [name]) for name in "WR"]
    shapes = [ints("shapeW", 1, 4 * hidden, 1), ints("shapeR", 1, 4 * hidden, hidden)]
    return model([*nodes, *(lstm(n) for n in range(count))], shapes)


def shared_states(count=4000, batch=1_000_000):
    """LSTMs that start from one ConstantOfShape."""
    zeros = [node("ConstantOfShape", ["shape"], ["h"])]
    nodes = [node("LSTM", ["X", "W", "R", "", "", "h", "h"], [f"Y{n}"]) for n in range(count)]
    return model([*zeros, *nodes], [W, R, ints("shape", 1, batch, 1)])


def constants_of_a_function(calls=4000, numbers=262_144):
    """A Constant of a function, which every call computes again."""
    weights = numpy_helper.from_array(np.zeros((1, 4, numbers // 4), np.float32))
    body = [node("Constant", [], ["w"], value=weights), node("LSTM", ["x", "w", "r"], ["y"])]
    return model([call("f", ["X", "R"], n) for n in range(calls)], [R], [function("f", ["x", "r"], ["y"], body)])


def numbers_of_a_function(calls=4000, hidden=500):
    """What every call of a function computes, of a few numbers."""
    body = [node("ConstantOfShape", ["s"], ["w"]), node("LSTM", ["x", "w", "w"], ["y"])]
    held = [ints("s", 1, 4 * hidden, hidden)]
    return model([call("f", ["X", "s"], n) for n in range(calls)], held, [function("f", ["x", "s"], ["y"], body)])


def doubling(steps=60):
    """A Concat of itself, and again."""
    nodes = [node("Concat", [f"w{n}"] * 2, [f"w{n + 1}"], axis=2) for n in range(steps)]
    return model([*nodes, lstm(given=(f"w{steps}", "R"))], [held(1, 4, 1, name="w0"), R])


def zeros_expanded(steps=30):
    """ConstantOfShape, Expand and Reshape in turns, each of which takes as much again."""
    nodes, name = [node("ConstantOfShape", ["shape"], ["w"])], "w"
    for n in range(steps):
        nodes += [node("Expand", [name, "wide"], [f"e{n}"]), node("Reshape", [f"e{n}", "shape"], [f"w{n}"])]
        name = f"w{n}"
    tensors = [ints("shape", 1, 4, 2_000_000), ints("wide", 1, 4, 2_000_000), R]
    return model([*nodes, lstm(given=(name, "R"))], tensors)


def huge_shapes():
    """Shapes whose product is 0, or more than an integer of 64 bits."""
    nodes, tensors = [], [R]
    for n, shape in enumerate(([0, 2**62], [2**62, 0, 2**62], [2**62] * 31, [1, 2**40, 2**40], [1, -1, 3])):
        tensors.append(ints(f"s{n}", *shape))
        tensors.append(TensorProto(name=f"t{n}", data_type=1, dims=shape, raw_data=b""))
        tensors.append(TensorProto(name=f"u{n}", data_type=1, dims=shape))
        for k, made in enumerate(("ConstantOfShape", "Expand", "Reshape")):
            nodes += [node(made, [f"s{n}"] if k == 0 else ["R", f"s{n}"], [f"w{n}.{k}"])]
            nodes.append(lstm(f"{n}.{k}", given=(f"w{n}.{k}", "R")))
        nodes += [lstm(f"t{n}", given=(f"t{n}", "R")), lstm(f"u{n}", given=(f"u{n}", "R"))]
    tensors.append(ints("many", *[2**62] * 1000))
    return model([*nodes, node("ConstantOfShape", ["many"], ["w"]), lstm("many", given=("w", "R"))], tensors)


def cell(n, a):
    """Return the nodes of a cell from its pre-activations on."""
    nodes = [node("Split", [a], [f"a{n}{k}" for k in "ifgo"], axis=1)]
    nodes += [node("Tanh" if k == "g" else "Sigmoid", [f"a{n}{k}"], [f"{k}{n}"]) for k in "ifgo"]
    nodes += [node("Mul", [f"f{n}", "c"], [f"k{n}"]), node("Mul", [f"i{n}", f"g{n}"], [f"n{n}"])]
    nodes += [node("Add", [f"k{n}", f"n{n}"], [f"c{n}"]), node("Tanh", [f"c{n}"], [f"t{n}"])]
    return [*nodes, node("Mul", [f"o{n}", f"t{n}"], [f"h{n}"])]


def sums(n):
    """Return the nodes of a cell's pre-activations."""
    products = [node("Gemm", ["x", "W"], [f"xw{n}"]), node("Gemm", ["h", "U"], [f"hu{n}"])]
    return [*products, node("Add", [f"xw{n}", f"hu{n}"], [f"z{n}"])]


def cells(count=1000, hidden=500):
    """Cells of standard operators that share their weights, which are one number each."""
    nodes = [node("ConstantOfShape", [f"shape{name}"], [name]) for name in "WU"]
    for n in range(count):
        nodes += [*sums(n), *cell(n, f"z{n}")]
    return model(nodes, [ints("shapeW", 3, 4 * hidden), ints("shapeU", hidden, 4 * hidden)])


def products(count=40_000):
    """One cell of standard operators, whose last product is there many times."""
    nodes = [*sums(0), *cell(0, "z0"), *[node("Mul", ["o0", "t0"], ["h0"])] * count]
    return model(nodes, [held(3, 4, name="W"), held(1, 4, name="U")])


def numbers_as_text(count=3_000_000):
    """One number in a byte, of which NumPy and Python make many."""
    tensor = TensorProto(name="W", data_type=7, dims=[1, 4, count // 4], int64_data=[0] * count)
    return model([lstm()], [tensor, R])


# Graphs.


def one_chain(count=600):
    """LSTMs each of which is given what the one before puts out."""
    nodes = []
    for n in range(count):
        nodes += [lstm(n, x=f"s{n - 1}" if n else "X"), node("Squeeze", [f"Y{n}", "axis"], [f"s{n}"])]
    return model(nodes, [W, R, ints("axis", 1)], outputs=[f"s{count - 1}"])


def one_trunk(count=3000, trunk=200):
    """LSTMs most of which stand on the same others."""
    nodes = []
    for n in range(count):
        below = f"s{min(n, trunk) - 1}" if n else "X"
        nodes += [lstm(n, x=below)] + ([node("Squeeze", [f"Y{n}", "axis"], [f"s{n}"])] if n < trunk else [])
    return model(nodes, [W, R, ints("axis", 1)])


def many_outputs(count=3000):
    """LSTMs whose states go through an Identity each, to outputs of the graph."""
    nodes = [node("LSTM", ["X", "W", "R"], [f"Y{n}", f"h{n}", f"c{n}"]) for n in range(count)]
    nodes += [node("Identity", [f"{k}{n}"], [f"{k}o{n}"]) for n in range(count) for k in "Yhc"]
    return model(nodes, [W, R], outputs=[f"{k}o{n}" for n in range(count) for k in "Yhc"])


def deep_identities(count=3000, depth=99, name="x"):
    """LSTMs whose input, and whose state, comes through one chain of Identity."""
    nodes = [node("Identity", [f"{name}{n}"], [f"{name}{n + 1}"]) for n in range(depth)]
    end = f"{name}{depth}"
    nodes += [node("LSTM", [end, "W", "R", "", end, end, end], [f"Y{n}"]) for n in range(count)]
    return model(nodes, [W, R])


def long_names(count=20_000, length=1_000_000):
    """A name of a million letters, in a function that is called many times."""
    name = "n" * length
    body = [node("LSTM", ["x", "w", "r"], ["y"], name=name), node(name, ["x"], [name], domain=name)]
    calls = [call("f", ["X", "W", "R"], n) for n in range(count)]
    return model(calls, [W, R], [function("f", ["x", "w", "r"], ["y"], body)])


def long_directions(calls=4000, length=1_000_000):
    """An attribute of a million letters that is none of those that are allowed."""
    body = [node("LSTM", ["x", "w", "r"], ["y"], direction="f" * length)]
    calls = [call("f", ["X", "W", "R"], n) for n in range(calls)]
    return model(calls, [W, R], [function("f", ["x", "w", "r"], ["y"], body)])


def long_lists(count=3000, length=300_000):
    """Transposes before every LSTM that have a list of many axes; and one node with as many inputs."""
    nodes = [node("Transpose", ["X"], ["x"], perm=[1] * length), *(lstm(n, x="x") for n in range(count))]
    return model([*nodes, node("Sum", ["W"] * length, ["sum"])], [W, R])


def many_attributes(count=3000, length=100_000):
    """One node of many attributes, which is asked for one of them by every LSTM."""
    one = node("Transpose", ["X"], ["x"], perm=[1, 0, 2])
    for n in range(length):
        one.attribute.add(name=f"{n:x}")
    return model([one, *(lstm(n, x="x") for n in range(count))], [W, R])


def many_inputs_of_a_function(calls=4000, length=50_000):
    """A function whose one node has many inputs."""
    body = [node("Sum", ["x"] * length, ["y"])]
    return model([call("f", ["X"], n) for n in range(calls)], [], [function("f", ["x"], ["y"], body)])


def calls_of_calls(depth=40, wide=4):
    """Functions each of which calls the next several times."""
    functions = [
        function(f"f{n}", [], ["y0"], [node(f"f{n + 1}", [], [f"y{k}"], domain="local") for k in range(wide)])
        for n in range(depth)
    ]
    return model([call("f0"), lstm()], [W, R], functions)


def deep_graphs(depth=28, count=5000):
    """Products deep in graphs, whose names lie in the outermost."""
    inner = [node("Mul", [f"a{n % 2}", "b"], [f"m{n}"]) for n in range(count)]
    for n in range(depth):
        inner = [node("If", ["yes"], [], name=f"if{n}", then_branch=helper.make_graph(inner, "b", [], []))]
    given = [node(one, ["X"], [name]) for one, name in (("Sigmoid", "a0"), ("Tanh", "a1"), ("Tanh", "b"))]
    return model([*given, *inner], [W, R])


def deep_calls(depth=95, count=4000):
    """Products deep in calls, each name of which is another's."""
    inner = [node("Mul", ["a", "b"], [f"m{n}"]) for n in range(count)]
    functions = [function(f"f{depth}", ["a", "b"], ["m0"], inner)]
    functions += [function(f"f{n}", ["a", "b"], ["m0"], [call(f"f{n + 1}", ["a", "b"])]) for n in range(depth)]
    given = [node("Sigmoid", ["X"], ["a"]), node("Tanh", ["X"], ["b"])]
    return model([*given, call("f0", ["a", "b"])], [W, R], functions)


def many_graphs(count=100_000):
    """Attributes that hold many graphs, each a scope."""
    many = node("Loop", [], ["y"])
    attribute = many.attribute.add(name="graphs")
    for _ in range(count):
        attribute.graphs.add()
    return model([many, lstm()], [W, R])


def pieces(count=250_000, empty=b"\x0a\x00"):
    """Nodes of two bytes each."""
    length, body = b"", empty * count
    left = len(body)
    while left >= 128:
        length, left = length + bytes([left % 128 + 128]), left // 128
    return b"\x08\x08\x3a" + length + bytes([left]) + body


def adds(count=1000, length=20_000):
    """Cells whose pre-activations come from one chain of additions."""
    nodes = [node("Add", [f"z{n}", f"z{n}"], [f"z{n + 1}"]) for n in range(length)]
    for n in range(count):
        nodes += cell(n, f"z{length}")
    return model(nodes)


def splits(length=60_000, count=2000):
    """A Split into many parts, each of which an LSTM asks for."""
    nodes = [node("Split", ["w"], [f"p{n}" for n in range(length)], axis=0)]
    nodes += [lstm(n, given=(f"p{length - 1 - n}", "R")) for n in range(count)]
    return model(nodes, [held(0, 4, 1, name="w"), R])


def same_names(count=30_000):
    """Tensors that all bear one name, sparse ones among them, and texts."""
    graph = helper.make_graph([lstm()], "g", [], [], [W, R, *[helper.make_tensor("W", 8, [1], [b"text"])] * count])
    sparse = helper.make_sparse_tensor(numpy_helper.from_array(np.ones(1, np.float32), "R"), ints("i", 0), [4])
    graph.sparse_initializer.extend([sparse] * count)
    return helper.make_model(graph).SerializeToString()


LONG = "would take too long"
ALLOWED = "64 MiB are allowed"
ANSWERS = {
    shared_zeros: ALLOWED,
    shared_states: ALLOWED,
    constants_of_a_function: ALLOWED,
    numbers_of_a_function: "",
    doubling: ALLOWED,
    zeros_expanded: ALLOWED,
    huge_shapes: ALLOWED,
    cells: ALLOWED,
    products: LONG,
    numbers_as_text: "one floating-point type",
    one_chain: "600 found",
    one_trunk: LONG,
    many_outputs: "3000 found",
    deep_identities: LONG,
    long_names: LONG,
    long_directions: LONG,
    long_lists: LONG,
    many_attributes: LONG,
    many_inputs_of_a_function: LONG,
    calls_of_calls: LONG,
    deep_graphs: LONG,
    deep_calls: LONG,
    many_graphs: LONG,
    pieces: "too many pieces",
    adds: LONG,
    splits: LONG,
    same_names: "two initializers named 'W'",
}
FEW = (huge_shapes, pieces, deep_calls)  # the others where time is not short


def row(make: Callable[[], bytes], answer: str) -> Hostile:
    """Return a file's row; what takes too long ends in the same way with a fifth of the work that is allowed."""
    return Hostile(
        "ONNX",
        make.__name__.replace("_", " "),
        lambda path: path.write_bytes(make()),
        answer,
        work=200_000 if answer == LONG else None,
        peers=make not in FEW,
    )


ROWS = [row(make, answer) for make, answer in ANSWERS.items()]
