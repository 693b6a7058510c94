"""Heads of ONNX graphs: nonlinearities of one operator or several, Reshapes, final states, computed weights."""

from __future__ import annotations

import math

import cases
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx_reading import contents_of  # noqa: E402
from test_onnx_networks import TOKENS, chained, make  # noqa: E402

AFTER = [("MatMul", ["y", "w"], ["p"]), ("Add", ["p", "b"], ["a"])]
NUMBERS = {
    "R2": np.float32(math.sqrt(0.5)),
    "S2": np.float32(math.sqrt(2)),
    "K": np.float32(math.sqrt(2 / math.pi)),
    "M": np.float32(0.044715),
    "Q": np.float32(1.702),
    "SLOPE": np.array([0.25], np.float32),
    **{str(number): np.float32(number) for number in (0, 0.5, 1, 2, 3, 5, 6, 20)},
}


def steps(text):
    """Return nodes written as ``operator input … > output``, one after another, from `a` to `Z`."""
    halves = [part.split(" > ") for part in text.split("; ")]
    return [(*(words.split(" ", 1)[0:1]), words.split(" ")[1:], [name]) for words, name in halves]


def network_of(after, *, held=None, tokens=None, **options):
    """Return the network of a model of the LSTM and nodes after it, and its arrays; it may take tokens of a shape."""
    model, arrays = chained(after, **options)
    if tokens is not None:
        model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, tokens))
    for name, array in {**NUMBERS, **(held or {})}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    contents = contents_of(model)
    return contents.network(), arrays, contents


ONE = {
    "relu": ("Relu", {}),
    "elu:0.5": ("Elu", {"alpha": 0.5}),
    "elu:1": ("Celu", {}),
    "selu:1.6732632423543772,1.0507009873554805": ("Selu", {}),
    "leaky_relu:0.2": ("LeakyRelu", {"alpha": 0.2}),
    "leaky_relu:0.01": ("LeakyRelu", {}),
    "hard_sigmoid:0.2,0.5": ("HardSigmoid", {}),
    "hard_sigmoid:0.25,0.5": ("HardSigmoid", {"alpha": 0.25}),
    "thresholded_relu:1": ("ThresholdedRelu", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "mish": ("Mish", {}),
    "hard_swish": ("HardSwish", {}),
    "gelu": ("Gelu", {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "silu": ("Swish", {}),
}


@pytest.mark.parametrize("name", ONE)
def test_an_operator_is_its_nonlinearity_with_its_constants(name):
    operator, attributes = ONE[name]
    network, _, contents = network_of([*AFTER, (operator, ["a"], ["Z"], attributes)])
    assert str(network.head.activation) == name
    assert str(contents.parts[-1].activation) == name


SEVERAL = {
    "gelu": [
        "Div a S2 > n; Erf n > e; Add e 1 > f; Mul a f > g; Mul g 0.5 > Z",
        "Mul a 0.5 > h; Mul a R2 > n; Erf n > e; Add 1 e > f; Mul h f > Z",
        "Mul a R2 > n; Erf n > e; Add e 1 > f; Mul f 0.5 > g; Cast1 g > c1; Mul c1 a > Z",
    ],
    "gelu_tanh": [
        "Pow a 3 > c1; Mul c1 M > d; Add a d > e; Mul K e > f; Tanh f > t; Add 1 t > u; Mul 0.5 a > v1; Mul v1 u > Z",
        "Mul a a > c1; Mul c1 a > c3; Mul M c3 > d; Add a d > e; Mul K e > f; Tanh f > t; Add 1 t > u; Mul a u > v1;"
        " Mul v1 0.5 > Z",
    ],
    "silu": ["Sigmoid a > s; Mul a s > Z", "Neg a > n; Exp n > e; Add e 1 > f; Div a f > Z"],
    "mish": ["Softplus a > s; Tanh s > t; Mul a t > Z", "Exp a > e; Add 1 e > f; Log f > s; Tanh s > t; Mul t a > Z"],
    "hard_swish": ["Add a 3 > c1; Clip c1 0 6 > d; Mul a d > e; Div e 6 > Z"],
    "softplus": ["Softplus a > s; Greater a 20 > g; Where g a s > Z", "Exp a > e; Add e 1 > f; Log f > Z"],
    "softsign": ["Abs a > n; Add 1 n > d; Div a d > Z"],
    "leaky_relu:0.25": ["PRelu a SLOPE > Z"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SEVERAL.items() for text in texts])
def test_a_nonlinearity_of_several_operators_is_recognised_in_a_chain_and_by_the_layer_s_name(name, text):
    nodes = [
        ("Cast", *node[1:], {"to": onnx.TensorProto.FLOAT}) if node[0] == "Cast1" else node for node in steps(text)
    ]
    network, _, contents = network_of([*AFTER, *nodes])
    assert str(network.head.activation) == str(contents.parts[-1].activation) == name
    (head,) = network.dense
    assert head.weight.shape == (5, 4)


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("Mul a Q > n; Sigmoid n > s; Mul a s > Z", "Mul"),  # another slope than SiLU's
        ("Clip a 0 6 > Z", "Clip"),
        ("Add a > Z", "Add"),  # as no runtime takes it
        ("Add a 3 > c1; Clip c1 0 5 > d; Mul a d > e; Div e 6 > Z", "Div"),
        ("Softplus a > s; Greater a 2 > g; Where g a s > Z", "Where"),  # with a jump at 2
        ("Sigmoid a > s; Mul p s > Z", "Mul"),  # of what was there before the bias
        ("Sigmoid a > s; Mul a s > t; Mul t 2 > Z", "Mul"),
    ],
)
def test_what_is_only_like_a_nonlinearity_is_refused_by_name(text, operator):
    with cases.refusal("'Z'", operator, "after the LSTM"):
        network_of([*AFTER, *steps(text)])
    model, _ = chained([*AFTER, *steps(text)])
    named = "silu" if text.endswith("Mul t 2 > Z") else None  # with something after it
    assert contents_of(model).parts[-1].activation == named


def test_onnxruntime_s_fused_operators_are_a_product_its_bias_and_a_nonlinearity():
    domain = {"domain": "com.microsoft"}
    leaky = {"activation": "LeakyRelu", "activation_alpha": 0.3, "alpha": 2.0, **domain}
    after = [
        ("FusedMatMul", ["y", "w"], ["p"], {"alpha": 0.5, **domain}),
        ("BiasGelu", ["p", "b"], ["g"], domain),
        ("Reshape", ["g", "flat"], ["n"]),
        ("FusedGemm", ["n", "v", "c"], ["z"], {"transB": 1, **leaky}),
        ("Reshape", ["z", "rows"], ["Z"]),
    ]
    held = {"flat": np.array([6, 5]), "rows": np.array([3, 2, 2])}
    network, arrays, _ = network_of(after, held=held)
    first, second = network.dense
    assert (first.activation, str(second.activation)) == ("gelu", "leaky_relu:0.3")
    np.testing.assert_array_equal(first.weight, arrays["w"].T / 2)
    np.testing.assert_array_equal(second.weight, 2 * arrays["v"])
    np.testing.assert_array_equal((first.bias, second.bias)[1], arrays["c"])
    with cases.refusal("'z'", "FusedGemm"):
        network_of(
            [*after[:3], ("FusedGemm", ["n", "v", "c"], ["z"], {"activation": "Sine", **domain})], outputs=("z",)
        )


FLAT = [
    ("Reshape", ["y", "flat"], ["n"]),
    ("Gemm", ["n", "v4", "c"], ["m"], {"transB": 1}),
    ("Reshape", ["m", "rows"], ["Z"]),
]


@pytest.mark.parametrize("sizes", [([6, 4], [3, 2, 2]), ([-1, 4], [3, -1, 2]), ([6, -1], [-1, 2, 2])])
def test_steps_and_sequences_may_be_one_axis_between_two_reshapes(sizes):
    held = {"flat": np.array(sizes[0]), "rows": np.array(sizes[1]), "v4": np.ones((2, 4), np.float32)}
    network, _, _ = network_of(FLAT, held=held)
    assert (network.reads, len(network.dense)) == ("every", 1)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (([6, 4], [2, 3, 2]), ["'n'", "Reshape"]),  # steps become sequences
        (([3, 8], [3, 2, 2]), ["'n'", "Reshape"]),
        (([6, 4], [6, 1, 2]), ["'n'", "Reshape"]),
        (([6, 4], [3, 4, 1]), ["'v4'"]),
        (([6, 4], [12, 1]), ["'Z'", "Reshape"]),
    ],
)
def test_reshapes_that_move_numbers_are_refused_by_name(sizes, words):
    held = {"flat": np.array(sizes[0]), "rows": np.array(sizes[1]), "v4": np.ones((2, 4), np.float32)}
    with cases.refusal(*words):
        network_of(FLAT, held=held)


def keras_exported():
    """Return a model as Keras writes it by TensorFlow: negative tokens from the end, directions apart, a Tensordot."""
    tokens = [
        make("Cast", ["tokens"], ["floats"], to=onnx.TensorProto.FLOAT),
        make("Less", ["floats", "nought"], ["negative"]),
        make("Not", ["negative"], ["others"]),
        make("Cast", ["others"], ["kept"], to=onnx.TensorProto.INT64),
        make("Cast", ["negative"], ["moved"], to=onnx.TensorProto.INT64),
        make("Add", ["tokens", "shift"], ["from_end"]),
        make("Mul", ["tokens", "kept"], ["k"]),
        make("Mul", ["moved", "from_end"], ["m"]),
        make("Add", ["m", "k"], ["words_at"]),
        make("Gather", ["words", "words_at"], ["batch_first"]),
        make("Transpose", ["batch_first"], ["x"], perm=[1, 0, 2]),
    ]
    after = steps(
        "Slice Y one two one > b1; Squeeze b1 one > b2; Slice Y zero one one > f1; Squeeze f1 one > f2;"
        " Concat f2 b2 > y; Transpose y > t; Shape y > s1; Gather s1 i102 > s; Gather s two > s2; ReduceProd s2 > p2;"
        " Unsqueeze p2 zero > q2; Gather s i01 > s01; ReduceProd s01 > p01; Unsqueeze p01 zero > q01;"
        " Concat q01 q2 > n; Concat s01 two > r; Reshape t n > flat; MatMul flat w8 > z; Reshape z r > Z"
    )
    attributes = {"ReduceProd": {"axes": [0], "keepdims": 0}, "Transpose": {"perm": [1, 0, 2]}}
    after = [
        (*node, {"axis": 2 if node[2] == ["y"] else 0} if node[0] == "Concat" else attributes.get(node[0], {}))
        for node in after
    ]
    held = {**POSITIONS, "i102": np.array([1, 0, 2]), "shift": np.array(7), "nought": np.float32(0)}
    held["w8"] = np.random.default_rng(4).normal(size=(8, 2)).astype(np.float32)
    return network_of(after, before=tokens, held=held, directions=2, tokens=["batch", 3]), held["w8"]


def test_what_keras_exports_by_tensorflow_is_a_network():
    (network, arrays, _), weight = keras_exported()
    y = network.lstm(arrays["words"][TOKENS])[0]
    np.testing.assert_allclose(network(TOKENS)[0], y @ weight, rtol=0, atol=1e-6)
    assert (network.reads, len(network.embedding)) == ("every", 7)


def test_tokens_that_are_not_taken_as_they_are_are_refused_by_name():
    before = [make("Add", ["tokens", "more"], ["t"], name="t"), make("Gather", ["words", "t"], ["x"])]
    with cases.refusal("'t'", "Add", "before the LSTM"):
        network_of(AFTER, before=before, held={"more": np.array(1)}, outputs=("a",), tokens=[3, 2])


STATES = {
    "gathered": ("Gather hn end > h", 1),
    "squeezed": ("Squeeze hn zero > h", 1),
    "reshaped": ("Reshape hn r4 > h", 1),
    "sliced": ("Slice hn minus big zero > s; Squeeze s zero > h", 1),
    "last of y": ("Slice y minus big zero > s; Squeeze s zero > h", 1),
    "last of y, reshaped": ("Slice y two three zero > s; Reshape s r4 > h", 1),
    "concatenated": ("Gather hn i0 > a; Gather hn i1 > b2; Concat a b2 > h", 2),
    "of an array": ("Gather hn i01 > g; Gather g i0 > a; Gather g i1 > b2; Concat a b2 > h", 2),
    "turned": ("Transpose hn > t; Flatten t > h", 2),
    "turned and reshaped": ("Transpose hn > t; Reshape t r8 > h", 2),
    "sum": ("Gather hn i0 > a; Gather hn i1 > b2; Add a b2 > h", 2),
    "average": ("Gather hn i0 > a; Gather hn i1 > b2; Add a b2 > s; Mul s half > h", 2),
    "first and last of Y": (
        "Slice Y zero one one > f; Squeeze f one > f1; Slice Y one two one > g; Squeeze g one > g1;"
        " Slice f1 minus big zero > f2; Squeeze f2 zero > a; Gather g1 i0 > b2; Concat a b2 > h",
        2,
    ),
}
ATTRIBUTES = {"Concat": {"axis": -1}, "Transpose": {"perm": [1, 0, 2]}}
POSITIONS = {
    **{name: np.array([number]) for number, name in enumerate(("zero", "one", "two", "three"))},
    "i0": np.array(0),
    "i1": np.array(-1),
    "i01": np.array([0, 1]),
    "minus": np.array([-1]),
    "big": np.array([2**31 - 1]),
    "r4": np.array([-1, 4]),
    "r8": np.array([2, -1]),
}


def head_of_states(text, directions, **options):
    nodes = [(*node, ATTRIBUTES.get(node[0], {})) for node in steps(text)]
    width = 8 if directions == 2 and nodes[-1][0] not in ("Add", "Mul") else 4
    wide = np.random.default_rng(5).normal(size=(2, width)).astype(np.float32)
    after = [*nodes, ("Gemm", ["h", "wide", "c"], ["Z"], {"transB": 1})]
    return network_of(after, held={**POSITIONS, "wide": wide}, directions=directions, **options), wide


@pytest.mark.parametrize("kind", STATES)
def test_a_head_on_the_final_state_reads_the_last_step(kind):
    (network, arrays, _), wide = head_of_states(*STATES[kind])
    assert network.reads == "last"
    _, state = network.lstm(arrays["words"][TOKENS])
    parts = [part.h for part in state[-1]]
    h = sum(parts) / (2 if kind == "average" else 1) if kind in ("sum", "average") else np.concatenate(parts, -1)
    np.testing.assert_allclose(network(TOKENS)[0], h @ wide.T + arrays["c"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "directions"),
    [
        ("Gather cn end > h", 1),  # the cell state
        ("Gather hn i1 > a; Gather hn i0 > b2; Concat a b2 > h", 2),  # the other way round
        ("Reshape hn r8 > h", 2),  # sequences mixed with directions
        ("Gather y i0 > h", 1),  # the first step
        ("Gather hn i0 > h", 2),  # one direction alone
        ("Slice y minus big one > s; Squeeze s one > h", 1),  # the last sequence
    ],
)
def test_a_head_on_something_else_than_the_final_state_is_refused(text, directions):
    with cases.refusal("make a network"):
        head_of_states(text, directions)


def test_a_network_has_no_lengths_of_sequences():
    with cases.refusal("it fixes the lengths of its sequences"):
        head_of_states(*STATES["gathered"], lengths=[3, 2])
    with cases.refusal("the last step", "zeros"):
        head_of_states(*STATES["last of y"], lengths=[3, 2])


def integers(rng, shape):
    return rng.integers(-128, 128, shape, np.int8)


def computed_weights(kind, rng, shape):
    """Return nodes that compute an array `out` of constants, these by their names, and the array."""
    draw = lambda *size: rng.normal(size=size).astype(np.float32)  # noqa: E731
    if kind == "product":
        a, b = draw(*shape[:-1], 2), draw(*shape[:-2], 2, shape[-1])
        return [make("MatMul", ["a#", "b#"], ["out"])], {"a#": a, "b#": b}, a @ b
    if kind == "scaled sum":
        a, b, c = draw(*shape), draw(1), draw(*shape)
        return (
            [make("Mul", ["a#", "b#"], ["d#"]), make("Add", ["d#", "c#"], ["out"])],
            {"a#": a, "b#": b, "c#": c},
            a * b + c,
        )
    q = integers(rng, shape)
    if kind == "per tensor":
        held = {"q#": q, "s#": np.float32(0.01), "z#": np.int8(3)}
        return [make("DequantizeLinear", ["q#", "s#", "z#"], ["out"])], held, (q.astype("f4") - 3) * np.float32(0.01)
    axis = len(shape) - 2
    if kind == "per axis":
        s, z = np.abs(draw(shape[axis])), integers(rng, shape[axis])
        full = [-1 if place == axis else 1 for place in range(len(shape))]
        nodes = [make("DequantizeLinear", ["q#", "s#", "z#"], ["out"], axis=axis)]
        return nodes, {"q#": q, "s#": s, "z#": z}, (q.astype("f4") - z.reshape(full)) * s.reshape(full)
    sizes = [-(-size // 2) if place == axis else size for place, size in enumerate(shape)]
    s = np.abs(draw(*sizes))
    spread = np.repeat(s, 2, axis).take(range(shape[axis]), axis)
    return [make("DequantizeLinear", ["q#", "s#"], ["out"], axis=axis, block_size=2)], {"q#": q, "s#": s}, q * spread


def named(kind, rng, shape, name):
    """Return `computed_weights` under a name of their own."""
    nodes, held, array = computed_weights(kind, rng, shape)
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [name if one == "out" else one.replace("#", name) for one in names]
    return nodes, {key.replace("#", name): value for key, value in held.items()}, array


KINDS = ("product", "scaled sum", "per tensor", "per axis", "blocks")


def computed_model(kind):
    """Return a model whose LSTM and head have computed weights, and these."""
    rng, nodes, held, arrays = np.random.default_rng(8), [], {}, {}
    for name, shape in {"W": (1, 16, 3), "R": (1, 16, 4), "B": (1, 32), "w": (4, 5), "b": (5,)}.items():
        made, constants, arrays[name] = named(kind if len(shape) > 1 else "scaled sum", rng, shape, name)
        nodes, held = [*nodes, *made], held | constants
    nodes += [make("LSTM", ["X", "W", "R", "B"], ["Y"], name="rnn", hidden_size=4)]
    nodes += [make("Squeeze", ["Y", "axis"], ["y"]), make("MatMul", ["y", "w"], ["p"]), make("Add", ["p", "b"], ["Z"])]
    held["axis"] = np.array([1])
    from onnx_models import graph_model

    return graph_model(nodes, held, {"X": np.zeros((3, 2, 3), np.float32)}, ("Z",), opset=21), arrays


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_computed_of_constants_are_read(kind):
    model, arrays = computed_model(kind)
    contents = contents_of(model)
    network = contents.network()
    assert ("dequantised (onnxruntime" in contents.parts[0].kind) == (kind not in ("product", "scaled sum"))
    np.testing.assert_allclose(network.head.weight, arrays["w"].T, rtol=1e-6)
    np.testing.assert_allclose(network.head.bias, arrays["b"], rtol=1e-6)
    p, weights = network.lstm.layers[0][0].parameters, arrays["W"][0].reshape(4, 4, 3)
    np.testing.assert_allclose(p.input_weight, weights[[0, 2, 3, 1]], rtol=1e-6)
    named_head = next(part for part in contents.parts if part.name == "w")
    np.testing.assert_allclose(named_head.weight(), arrays["w"].T, rtol=1e-6)
    assert named_head.shape == (5, 4)


def test_a_sum_that_depends_on_the_input_is_no_weight():
    model, _ = computed_model("scaled sum")
    model.graph.node[0].input[0] = "X"
    assert not contents_of(model).lstms
