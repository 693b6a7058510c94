"""A model's file that is dropped on the page is read there, and its gates are those of gatewise."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from peers.reader import Reader

import gatewise as gw

pytestmark = pytest.mark.peers
UNITS, FEATURES, STEPS = 5, 3, 9
FEATURE_NAMES = ("rain", "sun", "wind")
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


@pytest.mark.parametrize("write", [of_torch, of_gatewise])
def test_the_gates_of_a_file_are_those_of_gatewise(reader, pages, tmp_path, write):
    lstm = write(tmp_path / "model.safetensors")
    x = np.random.default_rng(7).normal(size=(STEPS, FEATURES))
    trace = lstm.trace(x.astype(lstm.dtype))[0]
    reader.open(pages("teaching"))
    reader.click("#head button", "your model")
    give(reader, tmp_path / "model.safetensors")
    reader.sees(".own-file [role=status]", f"add a .csv file with {FEATURES} columns")
    give(reader, table(tmp_path / "rain.csv", x))
    reader.sees("[role=rowheader]", f"unit {UNITS - 1}")
    assert reader.has("[role=columnheader]", "2001-01-09")
    assert not reader.has("#margin")
    texts = reader.ask("[...document.querySelectorAll('[role=gridcell]')].map(one => one.textContent)")
    found = np.array(texts, float).reshape(UNITS, STEPS)
    np.testing.assert_allclose(found, trace.forget_gate.T, atol=6e-5)
    reader.click("[role=gridcell]", "unit 2, step 8")
    reader.sees("#step h2", "unit 2")
    reader.tab.quiet()


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
        said = "isn't a table of numbers" if path.suffix == ".csv" else "The command below makes a page"
        reader.sees(".own-file [role=status]", said)
        assert path.name in reader.says(".own-file [role=status]")
    assert re.search(r"gatewise page model\.onnx --x rain\.csv", reader.says("#own-model code"))
    gw.save(gw.LSTM(2, 3, rng=0), tmp_path / "good.safetensors")
    give(reader, tmp_path / "good.safetensors", table(tmp_path / "wide.csv", np.zeros((2, 3))))
    reader.sees(".own-file [role=status]", "The table has 3 columns, but the model expects 2 features.")
