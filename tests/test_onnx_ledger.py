"""The ledger of an ONNX file: each node, tensor, attribute and input is used, or left out with its reason."""

from __future__ import annotations

import re
import warnings
from collections import Counter

import numpy as np
import pytest

import gatewise as gw

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_exported import Exported  # noqa: E402
from onnx_reading import contents_of, counts_in, network, quantised, small, written_out  # noqa: E402
from test_onnx_networks import HEAD, TAKEN, chained  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402
from gatewise.interop.ledger import concerning  # noqa: E402

make = onnx.helper.make_node


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
    for stored in contents.lstms:  # the same entries concern an LSTM, whether the ledger is made for it or entirely
        names = stored.name, *stored.combines
        assert concerning(contents.ledger, names) == concerning([*contents.ledger], names)
    for entry in contents.ledger:
        assert not entry.lstms or (entry.reason and entry.effect)
        assert not entry.used or entry.name in layers[entry.layer]
    left_out = {entry.name.partition("/")[0] for entry in contents.ledger if not entry.used}
    assert left_out == {*UNUSED.get(case, "").split()}
    assert {entry.name.rpartition("/")[2][:6] for entry in contents.ledger if entry.lstms} == {"choice"} & {
        name[:6] for name in left_out
    }


# What is on the way to an LSTM or from it.


def test_random_numbers_before_an_lstm_concern_it():
    noise = make("RandomNormal", [], ["noise"], name="noise", shape=[3, 2, 3])
    constant = make("Constant", [], ["two"], name="two", value_float=2.0)
    adding = [make("Add", ["X", "noise"], ["s"], name="add"), make("Mul", ["s", "two"], ["x"], name="mul")]
    contents = contents_of(chained(HEAD, before=[noise, constant, *adding])[0])
    entries = concerning(contents.ledger, ["rnn"])
    assert [entry.name for entry in entries if entry.effect.endswith("the LSTM receives")] == ["noise", "add", "mul"]
    assert entries == concerning([*contents.ledger], ["rnn"])


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


# States, lengths, and operators of others.


X = np.random.default_rng(1).normal(size=(3, 2, 3)).astype(np.float32)


def started(nodes, held, *, inputs=None, lengths=""):
    """Return a model of an LSTM whose initial states are called h0, made by nodes of arrays in the file."""
    model, arrays = chained([("Identity", ["y"], ["Z"])], before=[*nodes, make("Identity", ["X"], ["x"])])
    *_, lstm = [node for node in model.graph.node if node.op_type == "LSTM"]
    lstm.input.extend(["", lengths, *(inputs or ("h0", "h0"))])
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()
    )
    return model, arrays


ONE_STATE = np.random.default_rng(2).normal(size=(1, 1, 4)).astype(np.float32)
COMPUTED = {
    "from the input": [
        make("ReduceMean", ["X"], ["m"], axes=[0]),
        make("Gemm", ["m", "M"], ["g"]),
        make("Unsqueeze", ["g", "n0"], ["h0"]),
    ],
    "a slice of the input": [make("Slice", ["X", "n0", "n1", "n0"], ["s"]), make("Pad", ["s", "pads"], ["h0"])],
}
HELD = {
    "M": np.ones((3, 4), np.float32), "n0": np.array([0]), "n1": np.array([1]), "pads": np.array([0, 0, 0, 0, 0, 1]),
    "learned": ONE_STATE, "sizes": np.array([1, 2, 4]), "reps": np.array([1, 2, 1]),
}  # fmt: skip


@pytest.mark.parametrize("case", COMPUTED)
def test_a_state_that_the_graph_computes_is_a_warning_with_its_effect(case, tmp_path):
    text = told(started(COMPUTED[case], HELD)[0], tmp_path)
    assert "on the way to the initial state of 'rnn'" in text
    assert "it makes the state that the LSTM starts from, here zeros" in text


LEARNED = {
    "Expand": [make("Expand", ["learned", "sizes"], ["h0"])],
    "Expand by a Shape": [
        make("Shape", ["X"], ["batch"], start=1, end=2), make("Concat", ["n1", "batch", "n4"], ["shape"], axis=0),
        make("Expand", ["learned", "shape"], ["h0"]),
    ],
    "Tile": [make("Tile", ["learned", "reps"], ["h0"])],
    "Identity": [make("Identity", ["learned"], ["h0"])],
}  # fmt: skip


@pytest.mark.parametrize("case", LEARNED)
def test_a_learned_state_is_carried_and_the_lstm_alone_says_that_it_lacks_it(case, tmp_path):
    model, _ = started(LEARNED[case], HELD | {"n4": np.array([4])})
    (found,) = contents_of(model).lstms
    np.testing.assert_array_equal(found.state[0][0].h[:1], ONE_STATE[0])
    assert "the file has an initial state for 'rnn': a run starts from zeros unless it is given" in told(
        model, tmp_path
    )
    path = tmp_path / "model.onnx"
    state = [[gw.State(*[np.repeat(ONE_STATE[0], 2, 0)] * 2)]]
    expected = found.lstm(X, state)[0]
    run = gw.open_run(path, X, axes="time,batch,feature")
    np.testing.assert_array_equal(run.trace.output, expected)
    np.testing.assert_array_equal(gw.load_network(path)(X)[0], expected)


def test_equal_states_of_a_batch_are_one_state_for_all_sequences(tmp_path):
    state = np.repeat(ONE_STATE, 2, axis=1)
    path = models.save(started([], {"h0": state})[0], tmp_path / "model.onnx")
    x = np.concatenate([X, X[:, :1]], axis=1)
    expected = gw.inspect(path).find().lstm(x, [[gw.State(*[np.repeat(ONE_STATE[0], 3, 0)] * 2)]])[0]
    np.testing.assert_array_equal(gw.load_network(path)(x)[0], expected)
    state[0, 1, 0] += 1
    models.save(started([], {"h0": state})[0], path)
    with pytest.raises(gw.FileError, match="it starts from states that differ from sequence to sequence"):
        gw.inspect(path).network()
    states = [[gw.State(*[state[0]] * 2)]]
    expected = gw.inspect(path).find().lstm(X, states)[0]
    np.testing.assert_array_equal(gw.load_network(path)(X)[0], expected)


@pytest.mark.parametrize("how", ["tensor", "Constant"])
def test_lengths_in_the_file_are_applied_and_an_lstm_alone_warns(how, tmp_path):
    lengths = onnx.numpy_helper.from_array(np.array([3, 2], np.int32), "lengths")
    nodes = [make("Constant", [], ["lengths"], value=lengths)] if how == "Constant" else []
    held = {} if how == "Constant" else {"lengths": np.array([3, 2], np.int32)}
    model, _ = started(nodes, held, inputs=("", ""), lengths="lengths")
    sentence = (
        "the file fixes the lengths of the sequences of 'rnn' (3, 2): a run takes every step unless it is given"
        " lengths=…, as gatewise.open_run does"
    )
    path = tmp_path / "model.onnx"
    assert told(model, tmp_path).endswith(sentence)
    with pytest.raises(gw.FileError, match=f"strict=True: {re.escape(sentence)}"):
        gw.load(path, strict=True)
    assert all(entry.used for entry in gw.inspect(path).ledger if entry.name == "lengths")
    lstm = gw.inspect(path).find().lstm
    expected = [lstm(X[:, :1])[0], np.concatenate([lstm(X[:2, 1:])[0], np.zeros((1, 1, 4))])]
    expected = np.concatenate(expected, axis=1)
    for y in (gw.open_run(path, X).trace.output, gw.load_network(path)(X)[0]):  # the second one is a graph
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6)
    given = gw.open_run(path, X, lengths=[3, 3]).trace.output
    np.testing.assert_allclose(given, lstm(X)[0], rtol=0, atol=1e-6)
    with pytest.raises(gw.ShapeError, match="the file fixes the lengths of 2 sequences; this run has 1"):
        gw.open_run(path, X[:, :1])
    with pytest.raises(gw.FileError, match=r"cannot make a network of .* it fixes the lengths of its sequences"):
        gw.inspect(path).network()


def test_lengths_that_come_in_are_a_warning_of_a_network(tmp_path):
    model, _ = started([], {}, inputs=("", ""), lengths="lengths")
    model.graph.input.append(onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, [2]))
    path = models.save(model, tmp_path / "model.onnx")
    with pytest.warns(gw.WeightsWarning, match="it takes the lengths of its sequences as 'lengths': give lengths=… "):
        network = gw.load_network(path)
    np.testing.assert_array_equal(network(X, lengths=[3, 2])[0], gw.load(path)(X, lengths=[3, 2])[0])


ZEROS = {
    "Expand": [make("Expand", ["none", "sizes"], ["h0"])],
    "Tile": [make("Tile", ["blank", "reps"], ["h0"])],
    "Slice": [make("Slice", ["both", "n0", "n1", "n0"], ["h0"])],
    "Gather and Unsqueeze": [make("Gather", ["both", "one"], ["g"]), make("Unsqueeze", ["g", "n0"], ["h0"])],
    "ConstantOfShape and Cast": [make("ConstantOfShape", ["sizes"], ["z"]), make("Cast", ["z"], ["h0"], to=1)],
    "by a Shape": [
        make("Shape", ["X"], ["batch"], start=1, end=2), make("Concat", ["n1", "batch", "n4"], ["shape"], axis=0),
        make("Expand", ["none", "shape"], ["e"]), make("Identity", ["e"], ["h0"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", ZEROS)
def test_a_state_of_zeros_is_no_warning(case, tmp_path):
    held = HELD | {"none": np.float32(0), "blank": np.zeros((1, 1, 4), np.float32), "n4": np.array([4])}
    held |= {"both": np.zeros((2, 2, 4), np.float32), "one": np.array(1)}
    path = models.save(started(ZEROS[case], held)[0], tmp_path / "model.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lstm = gw.load(path, strict=True)
    assert gw.inspect(path).find().state is None
    np.testing.assert_allclose(gw.load_network(path)(X)[0], lstm(X)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("operator", ["LSTM", "GRU"])
def test_a_state_that_another_lstm_puts_out_is_a_warning_with_its_effect(operator, tmp_path):
    arrays = {"w0": np.zeros((1, 16 if operator == "LSTM" else 12, 3), np.float32)}
    arrays["r0"] = np.zeros((1, len(arrays["w0"][0]), 4), np.float32)
    encoder = make(operator, ["X", "w0", "r0"], ["", "h0"], name="encoder", hidden_size=4)
    path = models.save(started([encoder], arrays)[0], tmp_path / "model.onnx")
    with pytest.warns(gw.WeightsWarning, match="left out: rnn.initial_state .it comes from 'encoder', it makes the st"):
        gw.load(path, "rnn")
    with pytest.raises(gw.FileError, match=r"with strict=True: left out: rnn\.initial_state"):
        gw.load(path, "rnn", strict=True)


CASTS = {  # the types that numbers go through, before the LSTM: all but the last round them
    "int": ([6, 1], "left out: c0 .a Cast before 'rnn'"),
    "bool": ([9, 1], "left out: c0 .a Cast before 'rnn'"),
    "half": ([10, 1], "left out: c1 .a Cast before 'rnn'"),
    "wider": ([11, 1], None),
}


@pytest.mark.parametrize("case", CASTS)
def test_a_cast_that_rounds_the_numbers_of_an_lstm_is_said(case, tmp_path):
    types, words = CASTS[case]
    nodes = [make("Cast", [f"c{n - 1}" if n else "X"], [f"c{n}"], to=kind) for n, kind in enumerate(types)]
    nodes.append(make("Identity", [f"c{len(types) - 1}"], ["x"]))
    path = models.save(chained(HEAD[:2], outputs=("a",), before=nodes)[0], tmp_path / "model.onnx")
    if words is None:
        gw.load(path, strict=True)
        gw.load_network(path, strict=True)
        return
    with pytest.warns(gw.WeightsWarning, match=words):
        gw.load(path)
    with pytest.raises(gw.FileError, match="is a Cast, which a network does not have before the LSTM"):
        gw.inspect(path).network()


def test_a_cast_of_token_ids_only_moves_numbers():
    before = [make("Cast", ["X"], ["i"], to=7), make("Gather", ["words", "i"], ["x"])]
    ledger = contents_of(chained(HEAD[:2], outputs=("a",), before=before)[0]).ledger
    assert not any(entry.lstms for entry in ledger)


def test_an_if_whose_bodies_read_an_lstm_is_after_it(tmp_path):
    info = onnx.helper.make_tensor_value_info
    bodies = [
        onnx.helper.make_graph([make(kind, ["a"], [kind], name=kind)], kind, [], [info(kind, 1, None)])
        for kind in ("Exp", "Neg")
    ]
    model, _ = chained(HEAD[:2], outputs=("chosen",))
    model.graph.node.append(make("If", ["yes"], ["chosen"], name="if", then_branch=bodies[0], else_branch=bodies[1]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    reasons = {entry.name: entry.reason for entry in contents_of(model).ledger}
    assert reasons["if"] == "an If after 'rnn'"


def test_an_operator_of_a_foreign_domain_is_refused_by_name():
    model = models.lstm_model(small(), hidden_size=4)
    model.graph.node[0].domain = "com.example"
    (refused,) = contents_of(model).refused
    assert refused.reason == "it is an operator LSTM of com.example, which is unknown"
    model, _ = quantised()
    model.graph.node[0].domain = "com.example"
    assert not contents_of(model).lstms


# The axes of an input that goes through layers before the LSTM.


BATCH_FIRST = {
    "embedding": ([make("Gather", ["words", "tokens"], ["e"]), make("Transpose", ["e"], ["x"], perm=[1, 0, 2])], True),
    "tokens": ([make("Transpose", ["tokens"], ["t"], perm=[1, 0]), make("Gather", ["words", "t"], ["x"])], True),
    "time first": ([make("Gather", ["words", "tokens"], ["x"])], False),
}


@pytest.mark.parametrize("case", BATCH_FIRST)
def test_token_ids_have_the_axes_of_the_graph(case, tmp_path):
    before, batch_first = BATCH_FIRST[case]
    model, held = chained(HEAD[:2], outputs=("a",), before=before)
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("tokens", 7, None))
    path = models.save(model, tmp_path / "model.onnx")
    assert gw.inspect(path).find().graph.x_batch_first == batch_first
    tokens = np.random.default_rng(0).integers(0, 7, (5, 9))
    trace = gw.open_run(path, tokens).trace
    x = held["words"][tokens]
    y = gw.load(path)(x.swapaxes(0, 1) if batch_first else x)[0]
    np.testing.assert_allclose(trace.output, y @ held["w"] + held["b"], atol=1e-6)
    named = gw.open_run(path, tokens, embedding="words", head="w").trace
    np.testing.assert_array_equal(named.output, trace.output)


def test_features_of_dense_layers_have_the_axes_of_the_graph(tmp_path):
    before = [make("MatMul", ["X", "D"], ["d"]), make("Transpose", ["d"], ["x"], perm=[1, 0, 2])]
    model, held = chained(HEAD[:2], outputs=("a",), before=before)
    D = np.random.default_rng(3).normal(size=(3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(D, "D"))
    path = models.save(model, tmp_path / "model.onnx")
    x = np.random.default_rng(0).normal(size=(5, 9, 3)).astype(np.float32)
    y = gw.load(path)((x @ D).swapaxes(0, 1))[0]
    np.testing.assert_allclose(gw.open_run(path, x).trace.output, y @ held["w"] + held["b"], atol=1e-5)
