"""States and gradients in the shapes and under the names of PyTorch, Keras and ONNX; no framework runs."""

from __future__ import annotations

from importlib import import_module

import cases
import numpy as np
import pytest
from agreement import assert_agree

import gatewise as gw
from gatewise.interop import conventions
from gatewise.interop.torch.grouping import group_tensors

FRAMEWORKS = ("torch", "keras", "onnx")
KINDS = {
    "plain": {},
    "stacked": {"num_layers": 3},
    "backward": {"direction": "backward"},
    "bidirectional": {"num_layers": 2, "bidirectional": True},
    "projected": {"num_layers": 2, "bidirectional": True, "projection_size": 2},
}


def made(kind, **more):
    options = dict(KINDS[kind])
    direction = options.pop("direction", None)
    lstm = gw.LSTM(3, 4, rng=0, dtype=np.float64, **options, **more)
    return lstm if direction is None else gw.LSTM.from_cells(lstm.layers, direction=direction)


def interop(framework):
    return import_module(f"gatewise.interop.{framework}")


def drawn(lstm, batch, rng):
    return [
        [gw.State(*(rng.normal(size=part.shape).astype(lstm.dtype) for part in one)) for one in row]
        for row in lstm.zero_state(batch)
    ]


def expressible(framework, kind, batch):
    return framework == "torch" or (batch is not None and (framework, kind) != ("keras", "projected"))


ROUND = [
    (framework, kind, batch)
    for framework in FRAMEWORKS
    for kind in KINDS
    for batch in (None, 1, 3)
    if expressible(framework, kind, batch)
]


@pytest.mark.parametrize(("framework", "kind", "batch"), ROUND)
def test_a_state_that_is_written_and_read_again_is_the_same(framework, kind, batch):
    lstm, module = made(kind), interop(framework)
    state = drawn(lstm, batch, np.random.default_rng(0))
    again = module.read_state(module.write_state(state), lstm)
    assert len(again) == lstm.num_layers
    for row, other in zip(state, again, strict=True):
        for one, two in zip(row, other, strict=True):
            np.testing.assert_array_equal(one.h, two.h, strict=True)
            np.testing.assert_array_equal(one.c, two.c, strict=True)
    lstm(np.zeros((2, 3) if batch is None else (2, batch, 3)), again)


@pytest.mark.parametrize("kind", ["bidirectional", "projected"])
def test_each_framework_has_layers_and_directions_where_it_wants_them(kind):
    lstm = made(kind)
    state = drawn(lstm, 5, np.random.default_rng(0))
    h, c = interop("torch").write_state(state)
    assert (h.shape, c.shape) == ((4, 5, 2 if kind == "projected" else 4), (4, 5, 4))
    np.testing.assert_array_equal(h[3], state[1][1].h)
    (_, (h, c)) = interop("onnx").write_state(state)
    np.testing.assert_array_equal(h, [one.h for one in state[1]])
    np.testing.assert_array_equal(c, [one.c for one in state[1]])
    if kind == "bidirectional":
        (_, arrays) = interop("keras").write_state(state)
        for array, wanted in zip(arrays, [part for one in state[1] for part in one], strict=True):
            np.testing.assert_array_equal(array, wanted)


def test_the_state_of_one_layer_is_read_without_the_list_around_it():
    lstm = gw.LSTM(3, 4, rng=0)
    ((one,),) = drawn(lstm, 2, np.random.default_rng(0))
    for framework, given in (("keras", [one.h, one.c]), ("onnx", (one.h[None], one.c[None]))):
        ((found,),) = interop(framework).read_state(given, lstm)
        np.testing.assert_array_equal(found.c, one.c.astype(np.float32))


ZERO = np.zeros((1, 2, 4))


@pytest.mark.parametrize(
    ("framework", "given", "words"),
    [
        ("torch", ZERO[0, 0, 0], ["a pair (h, c)"]),
        ("torch", (ZERO, ZERO, ZERO), ["a pair (h, c)"]),
        ("torch", (ZERO[0, 0], ZERO), ["h has shape (4,)", "(1, batch, size)"]),
        ("torch", (ZERO, np.zeros((2, 2, 4))), ["c has shape (2, 2, 4)"]),
        ("torch", (ZERO, ZERO[:, :, :3]), ["c of layer 0, forward", "(2, 3)"]),
        ("torch", (ZERO, ["a"]), ["c must hold"]),
        ("keras", [ZERO[0]], ["1 array;", "must have 2"]),
        ("keras", [ZERO[0, 0], ZERO[0, 0]], ["(4,)", "(batch, size)"]),
        ("keras", [ZERO[0], ZERO[0, :1]], ["c of layer 0, forward"]),
        ("onnx", (ZERO[0], ZERO[0]), ["shape (2, 4)", "(1, batch, size)"]),
        ("onnx", [ZERO], ["1 array;"]),
        ("onnx", [ZERO] * 4, ["4 arrays", "must have 2"]),
    ],
)
def test_a_state_of_another_form_is_refused_in_one_sentence(framework, given, words):
    with cases.refusal(*words, by=(gw.OptionError, gw.ShapeError)):
        interop(framework).read_state(given, gw.LSTM(3, 4, rng=0))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("given", [3, [], [[]], [[3]], [[(1, 2, 3)]], gw.State(ZERO, ZERO)])
def test_what_is_no_state_is_not_written(framework, given):
    with cases.refusal("state", by=(gw.OptionError, gw.ShapeError)):
        interop(framework).write_state(given)


def test_what_a_framework_cannot_hold_is_refused_by_its_name():
    projected = made("projected").zero_state(3)
    with pytest.raises(gw.OptionError, match="no projection"):
        interop("keras").write_state(projected)
    for framework in ("keras", "onnx"):
        with pytest.raises(gw.ShapeError, match=r"\(batch, size\)"):
            interop(framework).write_state(made("plain").zero_state())
    uneven = gw.LSTM.from_cells([gw.LSTMCell(3, 4, rng=0), gw.LSTMCell(4, 2, rng=0)])
    with pytest.raises(gw.ShapeError, match="one shape"):
        interop("torch").write_state(uneven.zero_state(3))
    assert [h.shape for h, _ in interop("onnx").write_state(uneven.zero_state(3))] == [(1, 3, 4), (1, 3, 2)]


# Gradients: the loss goes along any small change of the framework's arrays as its gradients say.


def torch_arrays(lstm):
    return interop("torch").state_dict(lstm), lambda changed: group_tensors(changed)[0][0].lstm


def keras_arrays(lstm):
    from gatewise.interop.keras.writing import arrays

    names, cells = [], []
    for (layer, direction), cell in lstm.cells().items():
        tail = f"_{layer}" if layer else ""
        outer = f"bidirectional{tail}/{direction}_" if lstm.bidirectional else ""
        names += [f"{outer}lstm{tail}/lstm_cell/{role}" for role in ("kernel", "recurrent_kernel", "bias")]
        cells.append(cell.variant)

    def back(changed):
        flat, rows = list(changed.values()), []
        for place, variant in enumerate(cells):
            kernel, recurrent, bias = flat[3 * place : 3 * place + 3]
            rows.append(conventions.parameters("keras", kernel.T, recurrent.T, [bias], variant=variant))
        count = len(lstm.directions)
        layers = [rows[start : start + count] for start in range(0, len(rows), count)]
        return gw.LSTM.from_cells(layers, direction=lstm.directions[0], merge=lstm.merge)

    return dict(zip(names, [one for cell in lstm.cells().values() for one in arrays(cell)], strict=True)), back


def onnx_arrays(lstm):
    onnx = pytest.importorskip("onnx")
    model = interop("onnx").write(lstm)
    kinds = ("W", "R", "B", "P")
    held = {one.name: one for one in model.graph.initializer if one.name.partition("_")[0] in kinds}

    def back(changed):
        for name, array in changed.items():
            held[name].CopyFrom(onnx.numpy_helper.from_array(array, name))
        return interop("onnx").read(model)

    return {name: onnx.numpy_helper.to_array(one) for name, one in held.items()}, back


ARRAYS = {"torch": torch_arrays, "keras": keras_arrays, "onnx": onnx_arrays}
VARIANTS = {
    "plain": gw.Variant(),
    "relu": gw.Variant(candidate_activation=gw.Activation("relu"), cell_activation=gw.Activation("relu")),
    "peephole": gw.Variant(peephole="full"),
    "coupled": gw.Variant(peephole="full", coupling="forget=1-input", gate_clip=2.0),
}
LEARNT = [
    *[(framework, kind, "plain") for framework in FRAMEWORKS for kind in KINDS],
    *[("keras", kind, "relu") for kind in ("plain", "bidirectional")],
    *[("onnx", kind, variant) for kind in ("stacked", "bidirectional") for variant in ("peephole", "coupled")],
]
LEARNT = [
    one for one in LEARNT if one[:2] not in (("torch", "backward"), ("keras", "projected"), ("onnx", "projected"))
]


@pytest.mark.parametrize(("framework", "kind", "variant"), LEARNT)
def test_gradients_by_a_framework_s_names_are_those_of_its_arrays(framework, kind, variant):
    rng = np.random.default_rng(1)
    lstm = made(kind, variant=VARIANTS[variant])
    x, dy = rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 2, lstm.output_size))
    arrays, back = ARRAYS[framework](lstm)
    gradients = gw.backward(lstm.trace(x), dy)
    found = interop(framework).write_gradients(gradients, lstm)
    assert {name: array.shape for name, array in found.items()} == {name: one.shape for name, one in arrays.items()}
    assert list(found) == list(arrays)

    for name, array in arrays.items():
        along = rng.normal(size=array.shape)

        def loss(size, name=name, array=array, along=along):
            return float((back(arrays | {name: array + size * along})(x)[0] * dy).sum())

        slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
        assert_agree({name: (found[name] * along).sum()}, {name: np.array(slope)}, 1e-6)


@pytest.mark.parametrize(
    ("framework", "options", "words"),
    [
        ("torch", {"variant": VARIANTS["peephole"]}, "no peephole"),
        ("torch", {"bidirectional": True, "merge": "sum"}, "merge"),
        ("keras", {"variant": VARIANTS["peephole"]}, "no peepholes"),
        ("keras", {"projection_size": 2}, "no projection"),
        ("onnx", {"projection_size": 2}, "a projection"),
        ("onnx", {"variant": gw.Variant(coupling="input=1-forget")}, "coupling"),
    ],
)
def test_gradients_that_a_framework_cannot_express_are_refused_as_its_writer_does(framework, options, words):
    lstm = gw.LSTM(3, 4, rng=0, **options)
    gradients = gw.backward(lstm.trace(np.zeros((2, 3))), np.zeros((2, lstm.output_size)))
    with pytest.raises(gw.OptionError, match=words):
        interop(framework).write_gradients(gradients, lstm)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_gradients_of_another_lstm_are_refused_in_one_sentence(framework):
    lstm, write = gw.LSTM(3, 4, rng=0), interop(framework).write_gradients

    def of(other):
        return gw.backward(other.trace(np.zeros((2, 3))), np.zeros((2, other.output_size)))

    for given, words in (
        (of(gw.LSTM(3, 4, num_layers=2, rng=0)), "1 layer of 1 direction"),
        (of(gw.LSTM(3, 5, rng=0)), "layer 0, forward"),
        (of(lstm)[0], "not Gradients"),
    ):
        with cases.refusal(words, by=(gw.OptionError, gw.ShapeError)):
            write(given, lstm)
