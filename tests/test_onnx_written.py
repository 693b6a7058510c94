"""What is written as ONNX is what is read, runs as it is, and is refused before where ONNX cannot express it."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from agreement import assert_agree
from pairwise import cover

import gatewise as gw
from tests.test_interop import assert_same_lstm

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx_reading import contents_of, refused_in  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402

ONNX = tuple(int(part) for part in onnx.__version__.split(".")[:2])
SHAPES = [
    {},
    {"direction": "backward"},
    {"num_layers": 3},
    {"num_layers": 2, "direction": "backward"},
    {"bidirectional": True},
    *({"bidirectional": True, "num_layers": 2, "merge": one} for one in ("concat", "sum", "mul", "average")),
    {"bidirectional": True, "merge": "none"},
    {"bidirectional": True, "num_layers": 3, "merge": ["sum", "concat", "none"]},
]
EXPRESSIBLE = (
    *("plain", "peephole", "forget=1-input", "gate clip"),
    *("hard sigmoid of Keras 2", "softsign, relu", "elu, scaled tanh"),
)


WRITTEN = cover({"shape": range(len(SHAPES)), "dtype": ("float32", "float64"), "opset": (14, 17, 22)})


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: "-".join(map(str, [SHAPES[case["shape"]], *case.values()])))
def test_what_is_written_is_what_is_read(case, tmp_path):
    lstm, opset = gw.LSTM(3, 4, rng=0, dtype=case["dtype"], **SHAPES[case["shape"]]), case["opset"]
    model = gw_onnx.write(lstm, tmp_path / "lstm.onnx", opset=opset)
    onnx.checker.check_model(model, full_check=True)
    assert_same_lstm(gw_onnx.read(tmp_path / "lstm.onnx"), lstm)
    assert_same_lstm(gw_onnx.read(model), lstm)
    (found,) = gw_onnx.contents(tmp_path / "lstm.onnx", {}).lstms
    assert found.name == "lstm" if lstm.num_layers > 1 else "lstm" in found.name
    gw_onnx.write(gw_onnx.read(model), tmp_path / "again.onnx", opset=opset)
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "lstm.onnx").read_bytes()


@pytest.mark.parametrize("variant", cases.VARIANTS)
def test_every_variant_is_what_is_read_or_the_operator_does_not_have_it(variant):
    lstm = cases.run_of(variant).lstm  # in double precision, for which 1/6 as an attribute of 32 bits is refused
    if variant in EXPRESSIBLE:
        for one in (lstm, lstm.astype("float32")):
            assert_same_lstm(gw_onnx.read(gw_onnx.write(one)), one)
        return
    with cases.refusal("operator LSTM cannot express", by=gw.OptionError):
        gw_onnx.write(lstm)


def test_a_stack_of_another_exporter_is_found_whole_and_by_its_nodes():
    lstm = gw.LSTM(3, 4, num_layers=2, bidirectional=True, merge=["concat", "sum"], rng=0)
    model = gw_onnx.write(lstm)
    model.producer_name = "another"
    names = [one.name for one in contents_of(model).lstms]
    assert names == ["lstm_0", "lstm_1", "lstm_0 → lstm_1"]
    assert_same_lstm(gw_onnx.read(model, names[-1]), lstm)
    assert_same_lstm(gw_onnx.read(model, "lstm_1"), gw.LSTM.from_cells([lstm.layers[1]], merge="sum"))


@pytest.mark.parametrize("direction", cases.DIRECTIONS)
@pytest.mark.parametrize("inputs", [3, 4])  # as many as units: then only what a Scan carries tells what recurs
def test_every_cell_that_is_written_with_its_gates_is_what_is_read(inputs, direction, tmp_path):
    path = tmp_path / "lstm.onnx"
    for options in ({}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True}):
        lstm = gw.LSTM(
            inputs, 4, direction=direction if options.get("bidirectional") is None else "forward", rng=0, **options
        )
        gw_onnx.write(lstm, path, gates=True)
        assert_same_lstm(gw.load(path, strict=True), lstm)
        (found,) = gw.inspect(path).lstms
        assert found.name == "lstm"
        lstm = lstm.astype("float64")  # of which no runtime has the operator
        contents = contents_of(gw_onnx.write(lstm, gates=True))
        cells = [(cell, way) for row in lstm.layers for cell, way in zip(row, lstm.directions, strict=True)]
        for found, (cell, way) in zip(contents.lstms, cells, strict=True):
            assert_same_lstm(found.lstm, gw.LSTM.from_cells(cell, direction=way))
            assert "in the body of a Scan" in found.notes[0]


def test_a_variant_that_is_written_with_its_gates_is_none_that_is_recognised():
    lstm = gw.LSTM(3, 4, rng=0, variant=gw.Variant(peephole="full"))
    refused_in(gw_onnx.write(lstm, gates=True), "may be an LSTM cell built from")


CANNOT = {
    "a projection": gw.LSTM(3, 4, projection_size=2, rng=0),
    "cell_clip": gw.LSTM(3, 4, rng=0, variant=gw.Variant(cell_clip=2.0)),
    "input=1-forget": gw.LSTM(3, 4, rng=0, variant=gw.Variant(coupling="input=1-forget")),
    "layer norm": gw.LSTM(3, 4, rng=0, variant=gw.Variant(layer_norm="haste", epsilon=1e-5)),
    "selu": gw.LSTM(3, 4, rng=0, variant=gw.Variant(candidate_activation="selu")),
    "different activations": gw.LSTM(3, 4, rng=0, variant=gw.Variant(output_activation="softsign")),
    "0.1": gw.LSTM(
        3, 4, rng=0, dtype="float64", variant=gw.Variant(candidate_activation=gw.Activation("elu", 0.1 + 1e-12))
    ),
    "differ in gate_clip": gw.LSTM.from_cells(
        [[gw.LSTM(3, 4, rng=0, variant=gw.Variant(gate_clip=clip))[0] for clip in (1.0, 2.0)]]
    ),
    "differ in hidden_size": gw.LSTM.from_cells([[gw.LSTM(3, size, rng=0)[0] for size in (4, 5)]]),
}


@pytest.mark.parametrize("reason", CANNOT)
def test_what_the_operator_cannot_express_is_refused_by_name_before_anything_is_written(reason, tmp_path):
    path = tmp_path / "lstm.onnx"
    path.write_text("as it was")
    with cases.refusal(reason, "gates=True", by=gw.OptionError):
        gw_onnx.write(CANNOT[reason], path)
    assert path.read_text() == "as it was"
    if "hidden_size" not in reason:
        onnx.checker.check_model(gw_onnx.write(CANNOT[reason], gates=True), full_check=True)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((gw.LSTM(3, 4, rng=0),), {"opset": 13}, ["opset", "14", "22"]),
        ((gw.LSTM(3, 4, rng=0),), {"opset": "17"}, ["opset"]),
        ((gw.LSTM(3, 4, rng=0)[0],), {}, ["LSTM", "LSTMCell"]),
        ((CANNOT["differ in hidden_size"],), {"gates": True}, ["sizes", "[4, 5]"]),
    ],
)
def test_what_write_does_not_take_is_told_in_one_sentence(arguments, options, words):
    with cases.refusal(*words, by=gw.OptionError):
        gw_onnx.write(*arguments, **options)


def test_read_takes_nothing_but_a_path_or_a_model():
    with cases.refusal("ModelProto", "int", by=gw.OptionError):
        gw_onnx.read(3)


@pytest.mark.skipif(ONNX < (1, 23), reason="its evaluator does not look outside a Scan for constants before onnx 1.23")
@pytest.mark.parametrize("gates", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_written_runs_in_the_onnx_packages_own_evaluator(gates, dtype):
    from onnx.reference import ReferenceEvaluator

    lstm = gw.LSTM(3, 4, num_layers=2, rng=0, dtype=dtype, variant=gw.Variant(peephole="full"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 1, 3)).astype(dtype)
    given = {"X": x} | {f"{one}0_{n}": rng.normal(size=(1, 1, 4)).astype(dtype) for n in range(2) for one in "hc"}
    evaluator = ReferenceEvaluator(gw_onnx.write(lstm, gates=gates))
    answers = dict(zip(evaluator.output_names, evaluator.run(None, given), strict=True))
    state = tuple((gw.State(given[f"h0_{n}"][0], given[f"c0_{n}"][0]),) for n in range(2))
    trace = lstm.trace(x, state)
    close = models.CLOSE if dtype == "float32" else 1e-12
    assert_agree({"y": answers["Y"]}, {"y": trace.output}, close)
    for n in range(2) if gates else ():
        for name in ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state"):
            assert_agree({name: answers[f"{name}_{n}_forward"]}, {name: getattr(trace[n], name)}, close)
