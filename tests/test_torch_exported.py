"""Programs of torch.export, without PyTorch: weights, axes and initial states, and programs that are no LSTM's."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from torch_programs import exported, graph, lstm_node, node, stack, tensor

import gatewise as gw
from gatewise.interop import torch
from tests.test_interop import assert_same_lstm

LAYOUTS = ("raw", "2.8", "before")
LSTM = gw.LSTM(3, 4, rng=0)
ARRAYS = {f"rnn.{name}": array for name, array in torch.state_dict(LSTM).items()}


def listed(tmp_path, document, arrays=ARRAYS, layout="raw", **options):
    (tmp_path / "net.pt2").write_bytes(exported(arrays, document, layout, **options))
    return gw.inspect(tmp_path / "net.pt2")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_program_is_read_in_each_layout_with_the_axes_of_its_lstm(tmp_path, layout):
    for batch_first in (False, True):
        contents = listed(tmp_path, graph(ARRAYS, lstm_node(ARRAYS, "rnn", batch_first=batch_first)), layout=layout)
        assert contents.format == "torch.export, by PyTorch 2.13.0"
        (found,) = contents.lstms
        assert (found.name, found.batch_first, found.notes, found.state) == ("rnn", batch_first, (), None)
        assert_same_lstm(found.lstm, LSTM)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_learned_initial_states_come_along(tmp_path, layout):
    arrays = ARRAYS | {name: np.full((1, 1, 4), at, np.float32) for at, name in enumerate(("h0", "c0"))}
    expanded = node("aten.expand.default", ("wide",), self=tensor("p_h0"), size=[1, 2, 4])
    document = graph(arrays, expanded, lstm_node(arrays, "rnn", hx=("wide", "p_c0")))
    contents = listed(tmp_path, document, arrays, layout)
    (found,) = contents.lstms
    assert [part.tolist() for part in found.state[0][0]] == [[[0.0] * 4], [[1.0] * 4]]
    assert {entry.name: entry.layer for entry in contents.ledger if entry.kind == "tensor"} == dict.fromkeys(
        arrays, "rnn"
    )
    assert [(entry.name, entry.effect) for entry in contents.ledger if not entry.used] == [("zeros", "")]


def test_initial_states_that_are_computed_are_a_warning(tmp_path):
    tanh = node("aten.tanh.default", ("bent",), self=tensor("x"))
    (found,) = listed(tmp_path, graph(ARRAYS, tanh, lstm_node(ARRAYS, "rnn", hx=("bent", "bent")))).lstms
    assert found.state is None
    made = r"its initial states are computed in the program \(tanh.default\), runs here start from zeros"
    with pytest.warns(gw.WeightsWarning, match=f"left out: y .lstm.input: {made}"):
        gw.load(tmp_path / "net.pt2")
    arrays = ARRAYS | {"c0": np.ones((1, 4), np.float32)}
    (found,) = listed(tmp_path, graph(arrays, lstm_node(arrays, "rnn", hx=("zeros", "p_c0"))), arrays).lstms
    assert [part.tolist() for part in found.state[0][0]] == [[[0.0] * 4], [[1.0] * 4]]
    (found,) = listed(tmp_path, graph(ARRAYS, lstm_node(ARRAYS, "rnn", hx=("x", "zeros")))).lstms
    assert found.notes == ("its initial states are inputs of the program",)
    arrays = ARRAYS | {"h0": np.zeros((2, 1, 3), np.float32)}
    listed(tmp_path, graph(arrays, lstm_node(arrays, "rnn", hx=("p_h0", "p_h0"))), arrays)
    with pytest.warns(gw.WeightsWarning, match=r"h0 \(its initial state, of shape \(2, 1, 3\), does not fit the LSTM"):
        gw.load(tmp_path / "net.pt2")


def test_random_dropout_of_a_program_is_said(tmp_path):
    stacked = gw.LSTM(3, 4, num_layers=2, rng=0)
    arrays = {f"rnn.{name}": array for name, array in torch.state_dict(stacked).items()}
    document = graph(arrays, lstm_node(arrays, "rnn", layers=2, dropout=0.5, train=True))
    (found,) = listed(tmp_path, document, arrays).lstms
    assert found.notes == ("its program applies random dropout of 0.5 between its layers; a run here applies none",)
    assert_same_lstm(found.lstm, stacked)


def swapped():
    wrong = lstm_node(ARRAYS, "rnn")
    wrong["inputs"][2]["arg"]["as_tensors"].reverse()
    return wrong


def computed():
    made = lstm_node(ARRAYS, "rnn")
    made["inputs"][2]["arg"]["as_tensors"][1] = {"name": "out"}
    return node("aten.mul.Tensor", self=tensor("p_rnn.weight_hh_l0"), other=2.0), made


REFUSED = {
    "its LSTM rnn.bias_hh_l0 in the place of rnn.weight_ih_l0": [swapped()],
    "its LSTM a tensor that it computes in the place of rnn.weight_hh_l0": [*computed()],
    r"weights in operators that are no LSTM \(mm.default\)": [
        node("aten.mm.default", self=tensor("x"), mat2=tensor("p_rnn.weight_ih_l0"))
    ],
    "its class is mine.Rnn, which may compute something else": [
        node("aten.mm.default", stack=stack("rnn", "mine.Rnn"), self=tensor("x"), mat2=tensor("p_rnn.weight_ih_l0"))
    ],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_weights_that_a_program_uses_otherwise_are_refused(tmp_path, sentence):
    listed(tmp_path, graph(ARRAYS, *REFUSED[sentence]))
    with pytest.raises(gw.FileError, match=sentence):
        gw.load(tmp_path / "net.pt2")


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_decomposed_lstm_says_its_axes_by_the_operators_inside(tmp_path, exchanged):
    inside = [node("aten.permute.default", ("turned",), stack("rnn"), self=tensor("x"), dims=[1, 0, 2])] * exchanged
    first = tensor("turned" if exchanged else "x")
    inside += [node("aten.bmm.default", stack=stack("rnn"), self=first, mat2=tensor("p_rnn.weight_ih_l0"))]
    contents = listed(tmp_path, graph(ARRAYS, *inside))
    assert contents.lstms[0].batch_first is exchanged
    assert contents.cautions(contents.lstms[0]) == ()
    inside += [node("aten.mm.default", stack=stack("rnn"), self=tensor("z"), mat2=tensor("p_rnn.weight_hh_l0"))]
    listed(tmp_path, graph(ARRAYS, *inside))
    with pytest.warns(gw.WeightsWarning, match="given initial states, which are not carried, runs here start from"):
        gw.load(tmp_path / "net.pt2")


@pytest.mark.parametrize("batch_first", [False, True])
def test_axes_that_are_exchanged_before_the_lstm_are_said(tmp_path, batch_first):
    turned = node("aten.transpose.int", ("turned",), self=tensor("x"), dim0=0, dim1=1)
    scaled = node("aten.relu.default", ("scaled",), self=tensor("turned"))
    lstm = lstm_node(ARRAYS, "rnn", x="scaled", batch_first=batch_first)
    (found,) = listed(tmp_path, graph(ARRAYS, turned, scaled, lstm)).lstms
    begins = "time" if batch_first else "the batch"
    assert found.batch_first is None
    assert found.notes == (
        f"its program exchanges time and batch before it: the program's own input begins with {begins}",
    )


def values(*ranks, integers=False):
    """Return the values of a graph: tensors of these ranks by their names."""
    return {name: {"dtype": 5 if integers else 7, "sizes": [{"as_int": 2}] * rank} for name, rank in ranks}


EXCHANGES = {
    "transpose(1, 0)": ("aten.transpose.int", {"dim0": 1, "dim1": 0}, 3, True),
    "transpose(-3, -2)": ("aten.transpose.int", {"dim0": -3, "dim1": -2}, 3, True),
    "transpose(1, 2)": ("aten.transpose.int", {"dim0": 1, "dim1": 2}, 3, False),
    "permute(-2, 0, 2)": ("aten.permute.default", {"dims": [-2, 0, 2]}, 3, True),
    "permute(1, 2, 0)": ("aten.permute.default", {"dims": [1, 2, 0]}, 3, False),
    "t of words": ("aten.t.default", {}, 2, True),
    "transpose of words": ("aten.transpose.int", {"dim0": -1, "dim1": -2}, 2, True),
}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_axes_that_are_exchanged_in_another_way_are_as_well(tmp_path, exchange):
    target, setting, rank, expected = EXCHANGES[exchange]
    arrays = ARRAYS | {"embed.weight": np.ones((5, 3), np.float32)}
    nodes = [node(target, ("turned",), self=tensor("x"), **setting)]
    if rank == 2:
        words = {"weight": tensor("p_embed.weight"), "indices": tensor("turned")}
        nodes.append(node("aten.embedding.default", ("turned3",), **words))
    document = graph(arrays, *nodes, lstm_node(arrays, "rnn", x="turned3" if rank == 2 else "turned"))
    document["graph_module"]["graph"]["tensor_values"] = values(("x", rank), integers=rank == 2)
    contents = listed(tmp_path, document, arrays)
    (found,) = contents.lstms
    assert (found.batch_first is None) == expected
    entries = {entry.name: entry.lstms for entry in contents.ledger if not entry.used}
    assert entries == ({} if expected else {"turned": ("rnn",)})


BETWEEN = {  # nodes before or behind an LSTM that takes `a` and gives y, h and c
    "scaled": [node("aten.mul.Tensor", ("a",), self=tensor("x"), other=2.0)],
    "later steps": [node("aten.slice.Tensor", ("a",), self=tensor("x"), dim=0, start=2)],
    "reshaped": [node("aten.reshape.default", ("a",), self=tensor("x"), shape=[2, 5, 3])],
    "repeated": [node("aten.repeat.default", ("a",), self=tensor("x"), repeats=[2, 1, 1])],
    "the last step": [node("aten.select.int", ("z",), self=tensor("y"), dim=0, index=-1)],
    "a bent output": [node("aten.relu.default", ("z",), self=tensor("y"))],
    "the cell state": [node("aten.select.int", ("z",), self=tensor("c"), dim=0, index=-1)],
    "a head on the final state": [node("aten.linear.default", ("z",), input=tensor("h"), weight=tensor("p_fc.weight"))],
    "a head of other weights": [node("aten.linear.default", ("z",), input=tensor("y"), weight=tensor("x"))],
    "in place": [node("aten.mul_.Tensor", ("z",), self=tensor("q"), other=2.0)],
    "a hook of the head": [
        node("aten.mul.Tensor", ("z",), stack("fc", "torch.nn.modules.linear.Linear"), self=tensor("y"), other=2.0)
    ],
}


@pytest.mark.parametrize("between", BETWEEN)
def test_what_is_on_the_way_of_an_lstm_and_no_layer_is_a_warning(tmp_path, between):
    (made,) = BETWEEN[between]
    arrays = ARRAYS | {"fc.weight": np.ones((2, 4), np.float32)}
    is_before = made["outputs"] == [tensor("a")]
    lstm = lstm_node(arrays, "rnn", x="a" if is_before else "x")
    contents = listed(tmp_path, graph(arrays, *([made, lstm] if is_before else [lstm, made])), arrays)
    (entry,) = [entry for entry in contents.ledger if not entry.used]
    assert (entry.name, entry.kind, entry.lstms) == ("a" if is_before else "z", "node", ("rnn",))
    with pytest.warns(gw.WeightsWarning, match=f"left out: {entry.name} \\("):
        gw.load(tmp_path / "net.pt2")
    with pytest.raises(gw.FileError, match=r"strict=True: left out"):
        gw.load(tmp_path / "net.pt2", strict=True)


RUN = {  # what some of these nodes compute of the input, of the LSTM's output and its final cell state
    "scaled": lambda x: LSTM(2 * x)[0],
    "later steps": lambda x: LSTM(x[2:])[0],
    "the last step": lambda x: LSTM(x)[0][-1],
    "a bent output": lambda x: np.maximum(LSTM(x)[0], 0),
    "the cell state": lambda x: LSTM(x)[1][0][0].c,
}


@pytest.mark.parametrize("between", RUN)
def test_what_is_between_layers_is_a_part_of_the_graph(tmp_path, between):
    (more,) = BETWEEN[between]
    is_before = more["outputs"] == [tensor("a")]
    lstm = lstm_node(ARRAYS, "rnn", x="a" if is_before else "x", batch_first=False)
    document = graph(ARRAYS, *([more, lstm] if is_before else [lstm, more]), outputs=["y" if is_before else "z"])
    free = {"dtype": 7, "sizes": [{"as_expr": {"expr_str": "s0"}}] * 3}
    document["graph_module"]["graph"]["tensor_values"] = dict.fromkeys(("zeros", "x", "a", "y", "z"), free)
    listed(tmp_path, document)
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    y, _ = gw.load_network(tmp_path / "net.pt2")(x)
    np.testing.assert_allclose(y, RUN[between](x), rtol=0, atol=1e-6)


def test_a_program_that_does_not_state_its_types_is_refused_by_the_operator(tmp_path):
    scaled = node("aten.mul.Tensor", ("a",), self=tensor("x"), other=2.5)  # and not by 2, as a whole number
    document = graph(ARRAYS, scaled, lstm_node(ARRAYS, "rnn", x="a"), outputs=["y"])
    document["graph_module"]["graph"]["tensor_values"] = values(("zeros", 3), ("x", 3))
    listed(tmp_path, document)
    with pytest.raises(gw.FileError, match=r"mul.Tensor is not supported: the program does not state the type"):
        gw.load_network(tmp_path / "net.pt2", strict=True)


def test_what_changes_no_number_is_no_warning(tmp_path):
    arrays = ARRAYS | {"fc.weight": np.ones((2, 4), np.float32)}
    before = [
        node("aten.detach.default", ("a",), self=tensor("x")),
        node("aten.dropout.default", ("b",), input=tensor("a"), p=0.5, train=False),
    ]
    after = [
        node("aten.transpose.int", ("turned",), self=tensor("y"), dim0=0, dim1=1),
        node("aten.linear.default", ("z",), input=tensor("turned"), weight=tensor("p_fc.weight")),
    ]
    listed(tmp_path, graph(arrays, *before, lstm_node(arrays, "rnn", x="b"), *after), arrays)
    assert_same_lstm(gw.load(tmp_path / "net.pt2", strict=True), LSTM)
    with pytest.warns(gw.WeightsWarning, match="inferred: gatewise does not read how a program connects its layers"):
        gw.load_network(tmp_path / "net.pt2")


LAST = {  # what takes the last step of y, or what is none, and what the head reads then
    "of the batch first": (True, {"self": tensor("y"), "dim": 1, "index": -1}, "last"),
    "of the time first": (False, {"self": tensor("y"), "dim": -3, "index": -1}, "last"),
    "by its number": (True, {"self": tensor("y"), "dim": 1, "index": 4}, "last"),
    "of the final state": (True, {"self": tensor("h"), "dim": 0, "index": -1}, "last"),
    "a step before": (True, {"self": tensor("y"), "dim": 1, "index": 3}, None),
    "of the sequences": (False, {"self": tensor("y"), "dim": 1, "index": -1}, None),
    "of the cell state": (True, {"self": tensor("c"), "dim": 0, "index": -1}, None),
}


@pytest.mark.parametrize("what", LAST)
def test_a_head_on_the_last_step_reads_it_alone(tmp_path, what):
    batch_first, setting, reads = LAST[what]
    arrays = ARRAYS | {"fc.weight": np.ones((2, 4), np.float32)}
    taken = node("aten.select.int", ("taken",), **setting)
    dropped = node("aten.dropout.default", ("dropped",), input=tensor("taken"), p=0.5, train=False)
    head = node("aten.linear.default", ("z",), input=tensor("dropped"), weight=tensor("p_fc.weight"))
    document = graph(arrays, lstm_node(arrays, "rnn", batch_first=batch_first), taken, dropped, head)
    shapes = {"y": (2, 5, 4), "h": (1, 2, 4), "c": (1, 2, 4), "taken": (2, 4), "dropped": (2, 4)}
    document["graph_module"]["graph"]["tensor_values"] = {
        name: {"dtype": 7, "sizes": [{"as_int": size} for size in shape]} for name, shape in shapes.items()
    }
    contents = listed(tmp_path, document, arrays)
    assert [part.reads for part in contents.parts] == [reads]
    if reads is None:
        assert "left out: taken" in contents.cautions(contents.lstms[0])[0]
        return
    assert contents.cautions(contents.lstms[0]) == ()
    with pytest.warns(gw.WeightsWarning, match=r"inferred: .*; it reads the last step alone, as the file says; --head"):
        assert gw.load_network(tmp_path / "net.pt2").reads == "last"
    with pytest.warns(gw.WeightsWarning, match=r"the network reads every, as asked for; in the file, it is last"):
        assert gw.load_network(tmp_path / "net.pt2", head="fc", reads="every").reads == "every"
    assert gw.load_network(tmp_path / "net.pt2", head="fc", strict=True).reads == "last"


def test_a_head_that_reads_all_steps_too_reads_every_one(tmp_path):
    arrays = ARRAYS | {"fc.weight": np.ones((2, 4), np.float32)}
    taken = node("aten.select.int", ("taken",), self=tensor("y"), dim=1, index=-1)
    heads = [
        node("aten.linear.default", (f"z{x}",), input=tensor(x), weight=tensor("p_fc.weight")) for x in ("y", "taken")
    ]
    for order in (heads, heads[::-1]):
        contents = listed(tmp_path, graph(arrays, lstm_node(arrays, "rnn"), taken, *order), arrays)
        assert [part.reads for part in contents.parts] == ["every"]


def test_a_circle_of_thousands_of_tensors_is_followed_once(tmp_path):
    """Thousands of tensors that one operator makes of thousands and of one of them."""
    slow = node("aten.cat.default", [f"a{at}" for at in range(16_000)], tensors=tensor("x"))
    slow["inputs"][0]["arg"] = {"as_tensors": [{"name": "p_rnn.weight_ih_l0"}] * 16_000 + [{"name": "a0"}]}
    contents = listed(tmp_path, graph(ARRAYS, slow, lstm_node(ARRAYS, "rnn", x="a0")))
    assert [entry.name for entry in contents.ledger if entry.lstms] == ["a0"]


def test_an_lstm_under_no_grad_is_found(tmp_path):
    """Its operators are in a graph of their own, whose names are inputs of the block outside."""
    inner_node = lstm_node({name.replace("rnn.", "q."): array for name, array in ARRAYS.items()}, "q")
    names = [f"p_{name.replace('rnn.', 'q.')}" for name in ARRAYS]
    inner = {"name": "block", "graph": {"nodes": [inner_node], "inputs": [tensor(name) for name in names]}}
    block = node("higher_order.wrap_with_set_grad_enabled", enter=False, body={"as_graph": inner})
    block["inputs"] += [{"name": "", "arg": tensor(f"p_{name}")} for name in ARRAYS]
    (found,) = listed(tmp_path, graph(ARRAYS, block)).lstms
    assert found.batch_first is True


def test_what_a_program_does_not_run_is_said(tmp_path):
    (found,) = listed(tmp_path, graph(ARRAYS)).lstms
    assert found.notes == ("its program does not run it",)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda meta: meta.update(dtype=9), "of a type or a layout that is not supported"),
        (lambda meta: meta.update(layout=1), "of a type or a layout that is not supported"),
        (lambda meta: meta.update(strides=[]), "its shape or its strides are invalid"),
        (lambda meta: meta["sizes"][0].update(as_int=-1), "its shape or its strides are invalid"),
        (lambda meta: meta["storage_offset"].update(as_int=1), "it reaches beyond the 48 numbers of its storage"),
        (lambda meta: meta["sizes"][0].update(as_int=2**40), "it reaches beyond the 48 numbers"),
    ],
)
def test_a_tensor_that_is_not_as_described_is_refused_by_name(tmp_path, change, sentence):
    def spoil(config):
        change(config["rnn.weight_ih_l0"]["tensor_meta"])

    (refused,) = listed(tmp_path, graph(ARRAYS, lstm_node(ARRAYS, "rnn")), change=spoil).refused
    assert refused.reason.startswith("rnn.weight_ih_l0: ")
    assert sentence in refused.reason


def test_a_member_that_is_missing_is_named(tmp_path):
    def rename(config):
        config["rnn.bias_ih_l0"]["path_name"] = "../weight_2"

    (refused,) = listed(tmp_path, graph(ARRAYS, lstm_node(ARRAYS, "rnn")), change=rename).refused
    assert refused.reason == (
        "rnn.bias_ih_l0: its numbers are missing: there is no member 'net/data/weights/../weight_2'"
    )


def test_a_compiled_program_is_refused_with_the_way_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("net/data/aotinductor/model/c.so", b"")
    with pytest.raises(gw.FileError, match=r"AOTInductor compiled.*torch\.export\.save"):
        gw.load(tmp_path / "net.pt2")
