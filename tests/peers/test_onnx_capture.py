"""onnxruntime, live: the traces of the LSTMs of a model that runs, at the inputs that they really had."""

from __future__ import annotations

from pathlib import Path

import cases
import numpy as np
import onnx_models as models
import pytest
from agreement import assert_agree
from onnx_reading import small
from pairwise import cover
from peers.onnx_running import CLOSE, inputs_of, lstm_of, weights

import gatewise as gw
from gatewise.interop import onnx as gw_onnx
from tests.test_onnx_external import elsewhere, external

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.peers


GIVEN = {"x alone": {}, "lengths and a state": {"lengths": (3, 0, 5), "state": True}, "peepholes": {"peepholes": True}}
CAPTURED = cover(
    {"wrapped": ("no", "If", "If in If"), "direction": ("forward", "bidirectional"), "given": tuple(GIVEN)}
)


@pytest.mark.parametrize("case", CAPTURED, ids=lambda case: "-".join(case.values()))
def test_capture_gives_every_gate_at_the_models_real_inputs(case, tmp_path):
    wrapped, direction, more = case["wrapped"], case["direction"], GIVEN[case["given"]]
    rng = np.random.default_rng(5)
    arrays = models.random_arrays(rng, directions=1 + (direction == "bidirectional"), **more)
    model = models.lstm_model(arrays, wrapped=wrapped, direction=direction, hidden_size=4)
    path = models.save(model, tmp_path / "model.onnx")
    given = {name: one for name, one in arrays.items() if name not in models.WEIGHTS}
    (record,) = gw_onnx.capture(path, **given)
    assert (record.name, record.call) == ("rnn", 0)
    assert record.difference <= CLOSE
    assert bool(record.notes) == ("lengths" in more)
    want = models.run_ours(gw_onnx.contents(path, {}).lstms[0], arrays)
    np.testing.assert_array_equal(record.trace.output[:, 0, :4], want[0][:, 0, 0])
    forget = record.trace[0, "forward"].forget_gate
    assert 0 < np.nanmin(forget) < np.nanmax(forget) < 1  # NaN past the end of a sequence


def test_capture_of_a_stack_gives_each_node_the_output_of_the_one_before(tmp_path):
    lstm = lstm_of("plain", directions=2, layers=2)
    path = tmp_path / "model.onnx"
    gw_onnx.write(lstm, path)
    given, state = inputs_of(lstm, np.random.default_rng(6))
    records = gw_onnx.capture(path, **given)
    assert [one.name for one in records] == ["lstm_0", "lstm_1"]
    trace = lstm.trace(given["X"], state)
    for layer, record in enumerate(records):
        assert record.difference <= CLOSE
        for way in lstm.directions:
            assert_agree({"f": record.trace[0, way].forget_gate}, {"f": trace[layer, way].forget_gate}, CLOSE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Z": 1}, ["no input 'Z'", "X"]),
        ({"X": None}, ["the input 'X' is missing"]),
        ({"X": np.zeros((2, 2), np.float32)}, ["onnxruntime cannot run"]),
    ],
)
def test_capture_says_in_one_sentence_what_is_wrong_with_its_inputs(change, words, tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0))
    path = models.save(models.lstm_model(arrays, hidden_size=4), tmp_path / "model.onnx")
    given = {name: one for name, one in ({"X": arrays["X"]} | change).items() if one is not None}
    with cases.refusal(*words, by=(gw.OptionError, gw.FileError)):
        gw_onnx.capture(path, **given)


def test_capture_names_an_lstm_that_it_cannot_look_at(tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0))
    path = models.save(models.lstm_model(arrays, wrapped="function", hidden_size=4), tmp_path / "model.onnx")
    with cases.refusal("no LSTM", "the function Recurrent"):
        gw_onnx.capture(path, X=arrays["X"])


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
    (record,) = gw_onnx.capture(path, **given)
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
    records = gw_onnx.capture(path, **given)
    assert [one.name for one in records] == [one.name for one in gw_onnx.contents(path, {}).lstms]
    assert max(one.difference for one in records) <= CLOSE
    assert np.abs(records[0].trace.output - records[1].trace.output).max() > 0.01


@pytest.mark.parametrize("default", [False, True])
def test_capture_takes_the_weights_that_are_among_the_inputs(default, tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0))
    options = {"how": "an input with a value"} if default else {"given": ("W",)}
    path = models.save(models.lstm_model(arrays, hidden_size=4, **options), tmp_path / "model.onnx")
    given = {"X": arrays["X"], "W": 2 * arrays["W"]}
    (record,) = gw_onnx.capture(path, **given)
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
    contents = gw_onnx.contents(path, {})
    assert len(contents.lstms) == count
    rng = np.random.default_rng(0)
    if rate:
        given = {"input": 0.1 * rng.normal(size=(1, 576)), "state": rng.normal(size=(2, 1, 128)), "sr": np.array(rate)}
        given = {key: one.astype(np.int64 if key == "sr" else np.float32) for key, one in given.items()}
    else:
        given = {"h": np.zeros((1, 1, 128)), "c": np.zeros((1, 1, 128)), "input": 0.1 * rng.normal(size=(7, 576))}
        given = {key: one.astype(np.float32) for key, one in given.items()}
    (record,) = gw_onnx.capture(path, **given)
    assert record.difference <= CLOSE
    assert record.name in {one.name for one in contents.lstms}


def test_capture_runs_a_model_whose_tensors_lie_beside_it(tmp_path):
    arrays = models.random_arrays(np.random.default_rng(0), hidden=16, inputs=16)
    model = models.lstm_model(arrays, hidden_size=16)
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="model.data")
    assert (tmp_path / "model.data").stat().st_size >= arrays["W"].nbytes
    (record,) = gw_onnx.capture(tmp_path / "model.onnx", X=arrays["X"])
    assert record.difference <= CLOSE


@pytest.mark.parametrize("case", ["above", "a link", "a hard link", "absolute", "no file"])
def test_a_model_that_runs_has_its_tensors_from_its_folder_too(case, tmp_path, monkeypatch):
    path = elsewhere(case, tmp_path)
    monkeypatch.chdir(tmp_path)  # the runtime itself would look here
    given = {name: one for name, one in small().items() if name not in models.WEIGHTS}
    for model in (path, onnx.load(path, load_external_data=False)):
        with cases.refusal("cannot run", "tensors"):
            gw_onnx.capture(model, **given)


def test_a_model_whose_tensors_lie_beside_it_runs_in_any_folder(tmp_path):
    path, data = external(tmp_path, "inner/weights.bin")
    (path.parent / "inner" / "weights.bin").write_bytes(data)
    given = {name: one for name, one in small().items() if name not in models.WEIGHTS}
    (record,) = gw_onnx.capture(path, **given)
    assert record.difference <= CLOSE
