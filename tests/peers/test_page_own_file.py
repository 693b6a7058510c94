"""A model's file that is dropped on the page is read there, and its gates are those of gatewise."""

from __future__ import annotations

import csv
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from peers import node
from peers.reader import Reader

import gatewise as gw

pytestmark = pytest.mark.peers
UNITS, FEATURES, STEPS = 5, 3, 9
FEATURE_NAMES = ("rain", "sun", "wind")
onnx_models = pytest.importorskip("onnx_models", exc_type=ImportError)
PICKER = "#own-model input[type=file]"


def give(reader: Reader, *paths: Path) -> None:
    """Choose files, as somebody does in the browser's dialogue."""
    root = reader.tab.call("DOM.getDocument")["root"]["nodeId"]
    node = reader.tab.call("DOM.querySelector", nodeId=root, selector=PICKER)["nodeId"]
    reader.tab.call("DOM.setFileInputFiles", nodeId=node, files=[*map(str, paths)])


def table(path: Path, x: np.ndarray) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["date", *FEATURE_NAMES[: x.shape[1]]])
        writer.writerows([f"2001-01-{n + 1:02}", *map(float, row)] for n, row in enumerate(x))
    return path


def of_torch(path: Path) -> gw.LSTM:
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    torch.manual_seed(3)
    module = torch.nn.LSTM(FEATURES, UNITS, dtype=torch.float64)
    save_file({f"encoder.{name}": value for name, value in module.state_dict().items()}, path)
    return gw.load(path)


def of_gatewise(path: Path) -> gw.LSTM:
    lstm = gw.LSTM(FEATURES, UNITS, rng=4)
    gw.save(lstm, path)
    return lstm


def of_onnx(path: Path) -> gw.LSTM:
    from gatewise.interop import onnx

    lstm = gw.LSTM(FEATURES, UNITS, rng=6)
    onnx.write(lstm, str(path))
    return lstm


def of_torch_in_onnx(path: Path) -> gw.LSTM:
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    module = torch.nn.LSTM(FEATURES, UNITS, batch_first=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(2, STEPS, FEATURES),), str(path), dynamo=False)
    return gw.load(path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (of_torch, "model.safetensors"),
        (of_gatewise, "model.safetensors"),
        (of_onnx, "model.onnx"),
        (of_torch_in_onnx, "model.onnx"),
    ],
)
def test_the_gates_of_a_file_are_those_of_gatewise(reader, pages, tmp_path, write, name):
    lstm = write(tmp_path / name)
    x = np.random.default_rng(7).normal(size=(STEPS, FEATURES))
    trace = lstm.trace(x.astype(lstm.dtype))[0]
    reader.open(pages("teaching"))
    reader.click("#head button", "your model")
    give(reader, tmp_path / name)
    reader.sees(".own-file [role=status]", f"add a .csv file with {FEATURES} columns")
    give(reader, table(tmp_path / "rain.csv", x))
    reader.sees("[role=rowheader]", f"unit {UNITS - 1}")
    assert reader.has("[role=columnheader]", "2001-01-09")
    assert name in reader.says("#margin .tour")
    assert "latch" not in reader.says("#stage")
    assert f"unit {trace.forget_gate.mean(axis=0).argmax()}" in reader.says("#margin .tour")
    texts = reader.ask("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
    found = np.array(texts, float).reshape(UNITS, STEPS)
    np.testing.assert_allclose(found, trace.forget_gate.T, atol=6e-5)
    reader.click("[role=gridcell]", "unit 2, step 8")
    reader.sees("#step h2", "unit 2")
    reader.click("#head .scenes button", "the cell")
    reader.sees("#margin h2", "Why gates?")
    reader.tab.quiet()


def test_a_table_may_have_semicolons_and_decimal_commas(reader, pages, tmp_path):
    lstm = of_gatewise(tmp_path / "model.safetensors")
    x = np.random.default_rng(7).normal(size=(STEPS, FEATURES)).round(3)
    rows = "\n".join(";".join(f"{value:.3f}".replace(".", ",") for value in row) for row in x)
    (tmp_path / "rain.csv").write_text(f"rain;sun;wind\n{rows}\n", encoding="utf-8")
    reader.open(pages("teaching"))
    reader.click("#head button", "your model")
    give(reader, tmp_path / "model.safetensors", tmp_path / "rain.csv")
    reader.sees("[role=rowheader]", f"unit {UNITS - 1}")
    texts = reader.ask("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
    found = np.array(texts, float).reshape(UNITS, STEPS)
    np.testing.assert_allclose(found, lstm.trace(x.astype(lstm.dtype))[0].forget_gate.T, atol=6e-5)


def test_a_file_that_the_page_cannot_read_is_said_with_the_command_that_can(reader, pages, tmp_path):
    gw.save(gw.LSTM(2, 3, num_layers=2, rng=0), tmp_path / "two.safetensors")
    gw.save(gw.LSTM(2, 65, rng=0), tmp_path / "large.safetensors")
    gw.save(gw.LSTM(2, 3, rng=0, variant=gw.Variant(peephole="full")), tmp_path / "peephole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "large.safetensors").read_bytes()[:300])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07")
    (tmp_path / "text.csv").write_text("a,b\n1,x\n", encoding="utf-8")
    reader.open(pages("teaching"))
    reader.click("#head button", "your model")
    for path in sorted(tmp_path.glob("*.*")):
        give(reader, path)
        said = "isn't a table of numbers" if path.suffix == ".csv" else "use the command below"
        reader.sees(".own-file [role=status]", path.name)
        assert said in reader.says(".own-file [role=status]")
    assert re.search(r"gatewise page model\.onnx --x rain\.csv", reader.says("#own-model code"))
    gw.save(gw.LSTM(2, 3, rng=0), tmp_path / "good.safetensors")
    give(reader, tmp_path / "good.safetensors", table(tmp_path / "wide.csv", np.zeros((2, 3))))
    reader.sees(".own-file [role=status]", "The table has 3 columns, but the model expects 2 features.")


def test_a_file_may_be_dropped_anywhere_on_the_page(reader, pages, tmp_path):
    of_gatewise(tmp_path / "model.safetensors")
    x = np.random.default_rng(7).normal(size=(STEPS, FEATURES))
    files = [str(tmp_path / "model.safetensors"), str(table(tmp_path / "rain.csv", x))]
    reader.open(pages("teaching"))
    for number, paths in enumerate((files[:1], files[1:])):
        dragged = {"items": [], "files": paths, "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            reader.tab.call("Input.dispatchDragEvent", type=kind, x=300, y=500, data=dragged)
        if number == 0:
            reader.sees(".own-file [role=status]", f"add a .csv file with {FEATURES} columns")
    reader.sees("[role=rowheader]", f"unit {UNITS - 1}")
    reader.tab.quiet()


# ONNX, file by file: the weights that node reads in it are those of gatewise, or none.

READ = ("raw", "typed", "constant", "identity", "an input with a value")


def onnx_arrays(lstm: gw.LSTM) -> dict[str, np.ndarray]:
    """Return the inputs of the operator LSTM with the weights of one, and a sequence of zeros."""
    p = lstm.layers[0][0].parameters
    rows = [0, 3, 1, 2]  # i, o, f and c among i, f, g and o
    weight, bias = p.weight[rows].reshape(4 * UNITS, -1), p.bias[rows].reshape(-1)
    W, R = weight[:, UNITS:], weight[:, :UNITS]
    B = np.concatenate([bias - 1, np.ones_like(bias)])
    return {"X": np.zeros((STEPS, 1, FEATURES), W.dtype), "W": W[None], "R": R[None], "B": B[None]}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return a function that has node read files."""
    node.require()

    def read(contents: list[bytes], suffix: str = "onnx") -> list[dict | None]:
        folder = tmp_path_factory.mktemp("files")
        paths = [folder / f"{n}.{suffix}" for n in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return node.answer("own_cell.mjs", folder, [*map(str, paths)])

    return read


def assert_same(found: dict, lstm: gw.LSTM) -> None:
    p = lstm.layers[0][0].parameters
    for letter, weight, bias in zip("ifgo", p.weight, p.bias, strict=True):
        np.testing.assert_array_equal(found["parameters"][f"W_{letter}"], weight)
        np.testing.assert_allclose(found["parameters"][f"b_{letter}"], bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_read_however_they_lie_in_an_onnx_file_or_it_is_refused(read, dtype):
    lstm = gw.LSTM(FEATURES, UNITS, rng=8, dtype=dtype)
    models = onnx_models.STORED
    found = read([
        onnx_models.lstm_model(onnx_arrays(lstm), how=how, hidden_size=UNITS).SerializeToString() for how in models
    ])  # fmt: skip
    for how, one in zip(models, found, strict=True):
        assert one is not None or how not in READ
        if one is not None:
            assert_same(one, lstm)


def with_state(model, value: float):
    """Return a model with a constant for its first hidden state."""
    state = np.full((1, 1, UNITS), value, np.float32)
    model.graph.initializer.append(onnx_models.numpy_helper.from_array(state, "initial_h"))
    return model


def test_what_is_more_than_a_plain_lstm_is_refused(read):
    lstm = gw.LSTM(FEATURES, UNITS, rng=8)
    arrays = onnx_arrays(lstm)
    state = {"initial_h": np.zeros((1, 1, UNITS), np.float32)}
    peepholes = {"P": np.zeros((1, 3 * UNITS), np.float32)}
    lengths = {"sequence_lens": np.array([STEPS], np.int32)}
    both = {name: np.concatenate([array, array]) for name, array in arrays.items() if name != "X"} | {"X": arrays["X"]}
    nan = arrays | {"B": arrays["B"] * np.nan}
    make = lambda values, **how: onnx_models.lstm_model(values, **{"hidden_size": UNITS} | how)  # noqa: E731
    gru = make(arrays)
    gru.graph.node[-1].op_type = "GRU"
    other = make(arrays)
    other.graph.node[-1].domain = "other"
    computed = make(arrays)
    computed.graph.node[-1].input[0] = "Z"
    computed.graph.node.insert(0, onnx_models.helper.make_node("Tanh", ["X"], ["Z"]))
    two = make(arrays)
    two.graph.node.append(two.graph.node[-1])
    refused = {
        "reverse": make(arrays, direction="reverse"),
        "bidirectional": make(both, direction="bidirectional"),
        "clip": make(arrays, clip=1.0),
        "coupled": make(arrays, input_forget=1),
        "activations": make(arrays, activations=["Sigmoid", "Tanh", "Relu"]),
        "peepholes": make(arrays | peepholes),
        "lengths": make(arrays | lengths),
        "another state": with_state(make(arrays | state), 0.5),
        "NaN": make(nan),
        "inside If": make(arrays, wrapped="If"),
        "inside a function": make(arrays, wrapped="function"),
        "half": make(arrays, half=True),
        "a weight that is given": make(arrays, given=("W",)),
        "GRU": gru,
        "another domain": other,
        "input that is computed": computed,
        "two": two,
    }
    found = read([model.SerializeToString() for model in refused.values()])
    assert [name for name, one in zip(refused, found, strict=True) if one is not None] == []
    for one in read([
        with_state(make(arrays | state), 0).SerializeToString(),
        make(arrays | state).SerializeToString(),
    ]):  # fmt: skip
        assert_same(one, lstm)


@pytest.mark.parametrize("suffix", ["onnx", "safetensors"])
def test_a_file_that_is_cut_off_or_spoiled_is_refused_or_read_alike(read, tmp_path, suffix):
    lstm = gw.LSTM(FEATURES, UNITS, rng=8)
    whole = onnx_models.lstm_model(onnx_arrays(lstm), hidden_size=UNITS).SerializeToString()
    if suffix == "safetensors":
        gw.save(lstm, tmp_path / "whole.safetensors")
        whole = (tmp_path / "whole.safetensors").read_bytes()
    cut = [whole[:length] for length in range(0, len(whole), 5)]
    for one in read(cut, suffix):
        if one is not None:
            assert_same(one, lstm)
    rng = np.random.default_rng(0)
    places = [(int(rng.integers(len(whole))), int(rng.integers(256))) for _ in range(300)]
    spoiled = [whole[:at] + bytes([byte]) + whole[at + 1 :] for at, byte in places]
    for one in read([*spoiled, b"", b"\xff" * 400, rng.bytes(2000)], suffix):
        assert one is None or (one["hidden"] <= 64 and len(one["parameters"]) == 8)
