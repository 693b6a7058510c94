"""The ledger of an ONNX file: each node, tensor, attribute and input is used, or left out with its reason."""

from __future__ import annotations

from collections import Counter

import pytest

import gatewise as gw

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_exported import Exported  # noqa: E402
from onnx_reading import contents_of, network, quantised, small, written_out  # noqa: E402
from test_onnx_networks import HEAD, TAKEN, chained  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402

make = onnx.helper.make_node


def counts_in(model):
    """Return how many nodes, attributes of LSTMs, tensors and inputs a model has, functions at every call."""
    functions = {(function.domain, function.name): function for function in model.functions}
    counts, graphs = Counter(input=len(model.graph.input)), [model.graph]
    while graphs:
        graph = graphs.pop()
        if not isinstance(graph, onnx.FunctionProto):
            counts["tensor"] += len(graph.initializer) + len(graph.sparse_initializer)
        for node in graph.node:
            if (node.domain, node.op_type) in functions:
                graphs.append(functions[node.domain, node.op_type])
                continue
            counts["node"] += 1
            counts["attribute"] += len(node.attribute) if "LSTM" in node.op_type else 0
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return +counts


def written(**options):
    gates = options.pop("gates", False)
    return gw_onnx.write(gw.LSTM(3, 4, rng=0, **options), gates=gates)


MODELS = {
    **{f"stored as {how}": lambda how=how: models.lstm_model(small(), how=how, hidden_size=4) for how in models.STORED},
    **{f"in {how}": lambda how=how: models.lstm_model(small(), wrapped=how, hidden_size=4) for how in models.WRAPPED},
    **{
        f"exported {shape} {state}": lambda shape=shape, state=state: Exported(2, shape=shape, state=state).model
        for shape, state in zip(
            ("fixed", "open", "copied", "computed", "computed"),
            (None, "zeros", "given", "expanded", None),
            strict=True,
        )
    },
    "batch first": lambda: Exported(1, 1, batch_first=True).model,
    "written": lambda: written(num_layers=2, bidirectional=True, merge="sum"),
    "average": lambda: written(bidirectional=True, merge="average"),
    "apart": lambda: written(bidirectional=True, merge="none"),
    "gates": lambda: written(gates=True),
    "gates both ways": lambda: written(gates=True, bidirectional=True),
    "cell": lambda: written_out()[0],
    "cell of one matrix": lambda: written_out(apart=False)[0],
    "network": lambda: network()[0],
    "chain": lambda: chained([*HEAD[:3], TAKEN, *HEAD[3:]], outputs=("Z", "hn", "cn"), start=1)[0],
    "quantised": lambda: quantised()[0],
    "refused": lambda: models.lstm_model(small(), hidden_size=5),
}
UNUSED = {  # by the model, what is left out; of the others, nothing
    "in If": "yes choice0 choice0.else_branch choice0.then_branch Y Y_h Y_c",
    "in If in If": "yes choice1 choice1.else_branch choice1.then_branch Y Y_h Y_c",
    **dict.fromkeys(("exported fixed None", "exported open zeros"), "n0 n1 n2 n3 n4 n5 n6 n7 n8 end all"),
    "exported copied given": "n1 n3 n4 n5 n6 n7 n8 all",
    **dict.fromkeys(("exported computed expanded", "exported computed None"), "n5 n6 n7 n8 end"),
    "batch first": "n0 n1 n2 n3 n4 n5 n6 n7 n8 end all hn cn",
    "gates": "cell.body unsqueeze_8 unsqueeze_10 hn cn Y constant_7 constant_9",
    "gates both ways": "cell_0_forward.body cell_0_backward.body unsqueeze_14 unsqueeze_15 unsqueeze_17 unsqueeze_18 hn"
    " cn layer_output Y constant_13 constant_16",
    "cell of one matrix": "U",
    "chain": "first half",
    "refused": "rnn rnn.hidden_size W R B X",
}


@pytest.mark.parametrize("case", MODELS)
def test_everything_is_used_or_left_out(case):
    model = MODELS[case]()
    contents = contents_of(model)
    assert Counter(entry.kind for entry in contents.ledger) == counts_in(model)
    layers = {layer.name: {*layer.entries} for layer in (*contents.lstms, *contents.parts)}
    for entry in contents.ledger:
        assert not entry.lstms or (entry.reason and entry.effect)
        assert not entry.used or entry.name in layers[entry.layer]
    left_out = {entry.name.partition("/")[0] for entry in contents.ledger if not entry.used}
    assert left_out == {*UNUSED.get(case, "").split()}
    assert {entry.name.rpartition("/")[2][:6] for entry in contents.ledger if entry.lstms} == {"choice"} & {
        name[:6] for name in left_out
    }


# What is on the way to an LSTM or from it.


def told(model, tmp_path, name=None):
    """Return the one warning with which an LSTM of a model is read."""
    with pytest.warns(gw.WeightsWarning) as caught:
        gw.load(models.save(model, tmp_path / "model.onnx"), name)
    (warning,) = caught
    text = str(warning.message)
    assert len(text.splitlines()) == 1
    return text


CONV = [make("Conv", ["X", "W"], ["x"], name="conv")]


def test_what_is_before_and_after_an_lstm_is_one_warning(tmp_path):
    model, _ = chained(
        [*HEAD[:2], ("Mul", ["a", "half"], ["m"]), ("Gemm", ["m", "v", "c"], ["Z"], {"transB": 1})], before=CONV
    )
    text = told(model, tmp_path)
    assert "rnn: left out: conv (a Conv before 'rnn', it changes the numbers that the LSTM receives)" in text
    assert "m (a Mul after 'rnn', it changes the numbers that the LSTM puts out)" in text
    contents = contents_of(model)
    reasons = {entry.name: entry.reason for entry in contents.ledger if not entry.used}
    assert reasons["half"] == "no LSTM, and no layer that is read, reads it"
    assert {entry.name for entry in contents.ledger if entry.lstms} == {"conv", "m"}
    with pytest.raises(gw.FileError, match="with strict=True: left out: conv"):
        gw.load(tmp_path / "model.onnx", strict=True)


def test_a_network_of_the_file_leaves_nothing_out(tmp_path):
    model, _ = chained([*HEAD[:3], TAKEN, *HEAD[3:]])
    gw.load(models.save(model, tmp_path / "model.onnx"))
    gw.load_network(tmp_path / "model.onnx", strict=True)


def test_of_a_large_graph_the_rest_is_listed_without_a_warning(tmp_path):
    model, _ = chained(HEAD[:2], outputs=("a", "other"))
    model.graph.node.extend(
        [make("Sqrt", ["half"], ["root"]), make("Exp", ["root"], ["other"]), make("Exp", ["root"], ["dead"])]
    )
    gw.load(models.save(model, tmp_path / "model.onnx"))
    reasons = {entry.name: entry.reason for entry in contents_of(model).ledger if not entry.used}
    assert reasons["other"] == "an Exp on no way to or from an LSTM"
    assert reasons["dead"] == "an Exp on which no output of the graph depends"


def test_many_operators_are_one_short_sentence(tmp_path):
    kinds = ["Exp", "Log", "Neg", "Abs", "Sin", "Cos", "Tan", "Erf", "Ceil", "Floor"]
    nodes = [make(kind, ["X" if n == 0 else f"e{n - 1}"], ["x" if n == 9 else f"e{n}"]) for n, kind in enumerate(kinds)]
    text = told(chained(HEAD[:2], outputs=("a",), before=nodes)[0], tmp_path)
    assert "left out: e0, e1, e2 and 7 more (an Exp before 'rnn' and others, " in text
