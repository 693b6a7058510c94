"""Files that are recognised and not read: the reason, and what to do instead.

Files of weights without any mark of their own are known by what lies beside them, or by their names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

KERAS = 'load it in TensorFlow and save the model as .keras (model.save("model.keras")) or as ONNX (tf2onnx)'
BEFORE = "convert the model that it was made from"
CHECKPOINT = (
    f"it belongs to a checkpoint of TensorFlow, whose variables are not read without the code of their model: {KERAS}"
)
SAVED_MODEL = f"it is a SavedModel of TensorFlow, a graph of operators that is not read: {KERAS}"
OPENVINO = f"it belongs to a model of OpenVINO, an optimised graph that is not read: {BEFORE}, mostly ONNX or PyTorch"
COMPILED = (
    "it is a program that AOTInductor compiled, whose weights are part of its machine code: save the weights of the"
    " model with torch.save(model.state_dict(), path), or the program with torch.export.save"
)
QUANTISED = (
    "an LSTM that PyTorch quantised, or prepared for it, whose weights are not read; save the state dict of the model"
    " before that"
)
LIST = b"model_checkpoint_path:"  # how the list of TensorFlow's checkpoints begins
_TABLE = bytes.fromhex("57fb808b247547db")  # how a table of TensorFlow's, as LevelDB has them, ends


def refusal_of(path: Path, head: bytes) -> str | None:
    """Return why a known kind of file is not read and what to do, as the rest of a sentence; None for other files."""
    return next((reason for recognises, reason in KINDS if recognises(path, head)), None)


def folder_refusal(path: Path) -> str | None:
    """Return why a folder with a model is not read, as the rest of a sentence; None for other folders."""
    if (path / "saved_model.pb").is_file():
        return SAVED_MODEL.replace("it is", "it holds", 1)
    if _first_bytes(path / "checkpoint", len(LIST)) == LIST:
        return CHECKPOINT.replace("it belongs to", "it holds", 1)
    return None


def archive_refusal(names: tuple[str, ...]) -> str | None:
    """Return why a zip archive with a model is not read, from the names of its members, or None."""
    if any(re.fullmatch(r"([^/]+/)?data/aotinductor/.+", name) for name in names):
        return COMPILED
    return None


def _first_bytes(path: Path, size: int) -> bytes:
    """Return the first bytes of a file; none if it is not an ordinary file."""
    try:
        if not path.is_file():  # opening a pipe would wait
            return b""
        with open(path, "rb") as file:
            return file.read(size)
    except (OSError, ValueError):
        return b""


def _ends_as_table(path: Path, head: bytes) -> bool:
    """Return whether a file ends like the table in which TensorFlow keeps a checkpoint's index."""
    with open(path, "rb") as file:
        file.seek(-min(len(_TABLE), len(head)), os.SEEK_END)
        return file.read() == _TABLE


def _has_openvino_beside(path: Path, head: bytes) -> bool:
    """Return whether an OpenVINO model lies beside a file without a mark."""
    beside = path.suffix == ".bin" and not head.startswith(b"PK")
    return beside and _is_openvino(path, _first_bytes(path.with_suffix(".xml"), 4096))


def _is_openvino(_: Path, head: bytes) -> bool:
    return _stripped(head).startswith(b"<") and re.search(rb"<net\s[^>]*\bversion=", head) is not None


def _stripped(head: bytes) -> bytes:
    """Return the beginning of a text without a byte-order mark and blanks, in lower case."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()


def _skip_tags(head: bytes, *tags: int) -> int | None:
    """Return the position after nested Protocol Buffers fields of these tags, each the first of the one around it."""
    position = 0
    for tag in tags:
        if head[position : position + 1] != bytes([tag]):
            return None
        position += 1
        while position < len(head) and head[position] & 0x80:  # the bytes of a length, but for its last
            position += 1
        position += 1
    return position


def _is_graph(_: Path, head: bytes) -> bool:
    """Return whether a file is a TensorFlow graph: its first node has a name, and then an operator."""
    position = _skip_tags(head, 0x0A, 0x0A)
    match = None if position is None else re.compile(rb"[\w./-]+\x12.[A-Z]\w+", re.DOTALL).match(head, position)
    return match is not None


KINDS: tuple[tuple[Callable[[Path, bytes], bool], str], ...] = (
    (
        lambda _, head: head[4:8] == b"TFL3",
        f"it is a model of TensorFlow Lite (.tflite), whose operators are fused and mostly quantised, and are not read:"
        f" {BEFORE}, for example the Keras model",
    ),
    (lambda _, head: head[:3] == b"\x08\x01\x12" and _skip_tags(head[2:], 0x12, 0x0A) is not None, SAVED_MODEL),
    (lambda _, head: _skip_tags(head, 0x0A, 0x12, 0x0A, 0x0A) is not None, CHECKPOINT),
    (_is_graph, f"it is a graph of TensorFlow (GraphDef), which is not read: {KERAS}"),
    (_ends_as_table, CHECKPOINT),
    (lambda _, head: head.startswith(LIST), CHECKPOINT),
    (lambda path, _: re.search(r"\.data-\d{5}-of-\d{5}$", path.name) is not None, CHECKPOINT),
    (_is_openvino, OPENVINO),
    (_has_openvino_beside, OPENVINO),
    (
        lambda _, head: _stripped(head).startswith((b"<!doctype html", b"<html", b"<head", b'{"payload":{')),
        "it is a web page, saved instead of the file it is about: download the file itself, on GitHub and Hugging Face"
        ' by its link "raw" or "download"',
    ),
    (
        lambda _, head: head.startswith(b"version https://git-lfs.github.com/spec/"),
        "it is a pointer of Git LFS, which stands for the file: git lfs pull brings the file itself",
    ),
    (
        lambda _, head: head.startswith(b"\x1f\x8b"),
        "it is compressed by gzip, which is not undone here: unpack it, and give what is in it",
    ),
)
