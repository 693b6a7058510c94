"""What no reader reads is known by its content, whatever its name, and named with the way out."""

from __future__ import annotations

import format_rows
import pytest

import gatewise as gw

RAW = {  # of other files that are known: how each begins, and what must be said
    b'{"payload":{"allShortcutsEnabled":false': "web page",
    b"\xef\xbb\xbf  <HTML lang=en>": "web page",
    b'<?xml version="1.0"?><net name="a" version="10" batch="1">': "OpenVINO",
}


@pytest.mark.parametrize("name", ["model.pt", "model.onnx", "model.h5", "model.safetensors"])
@pytest.mark.parametrize(
    "row", ["saved_model.pb", "model.ckpt.index", "model.ckpt.meta", "frozen_graph.pb", "model.tflite"]
)
def test_content_tells_and_not_the_name(row, name, tmp_path):
    format_rows.ROWS[row](tmp_path / name)
    with pytest.raises(gw.FileError, match="TensorFlow") as caught:
        gw.inspect(tmp_path / name)
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize("begins", RAW)
def test_what_begins_otherwise_is_known_too(begins, tmp_path):
    (tmp_path / "model.json").write_bytes(begins + b" " * 100)
    with pytest.raises(gw.FileError, match=RAW[begins]):
        gw.inspect(tmp_path / "model.json")


def test_weights_beside_another_xml_are_no_openvino(tmp_path):
    (tmp_path / "model.xml").write_text("<a/>")
    format_rows.ROWS["state_dict.pt"](tmp_path / "model.bin")
    assert gw.load(tmp_path / "model.bin").input_size == 3
    format_rows.openvino(tmp_path / "model")
    format_rows.ROWS["state_dict.pt"](tmp_path / "model.bin")  # a zip archive is what it is
    assert gw.load(tmp_path / "model.bin").input_size == 3


@pytest.mark.parametrize("mark", [".zgroup", "zarr.json"])
def test_a_store_is_called_one_and_a_folder_says_what_it_may_hold(mark, tmp_path):
    with pytest.raises(gw.FileError, match=r"it is a folder; .*config\.yml .*model\.safetensors"):
        gw.inspect(tmp_path)
    (tmp_path / mark).write_text("{}")
    with pytest.raises(gw.FileError, match="it is a zarr store, which can be an input and holds no model"):
        gw.inspect(tmp_path)
