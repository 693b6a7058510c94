"""Tensors of ONNX models that lie in other files: read in the model's folder, and nowhere else."""

from __future__ import annotations

import os

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.files.budget import Limit

onnx = pytest.importorskip("onnx")

import onnx_models as models  # noqa: E402
from onnx import TensorProto  # noqa: E402
from onnx_reading import small, tensor_of  # noqa: E402

from gatewise.interop import onnx as gw_onnx  # noqa: E402


def external(tmp_path, location, *, arrays=None, hidden_size=4, half=False, **more):
    """Save a model whose W lies at a location, in a folder of its own; return its path, and the bytes of W."""
    model = models.lstm_model(arrays or small(), hidden_size=hidden_size, half=half)
    tensor = tensor_of(model, "W.half.part" if half else "W")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    (tmp_path / "beside" / "inner").mkdir(parents=True)
    return models.save(model, tmp_path / "beside" / "model.onnx"), data


def assert_read(path):
    np.testing.assert_array_equal(
        gw_onnx.read(path)[0].parameters.weight,
        gw_onnx.read(models.lstm_model(small(), hidden_size=4))[0].parameters.weight,
    )


@pytest.mark.parametrize("more", [{}, {"offset": "64", "length": "192"}], ids=str)
@pytest.mark.parametrize("location", ["weights.bin", "inner/weights.bin", "./inner/./weights.bin"])
def test_tensors_beside_the_file_are_read(location, more, tmp_path, monkeypatch):
    path, data = external(tmp_path, location, **more)
    (path.parent / location).write_bytes(bytes(int(more.get("offset", 0))) + data)
    assert_read(path)
    monkeypatch.chdir(path.parent)
    assert_read("model.onnx")


def test_a_link_to_a_file_of_the_folder_is_followed_and_the_folder_may_be_a_link(tmp_path):
    path, data = external(tmp_path, "link.bin")
    (path.parent / "weights.bin").write_bytes(data)
    (path.parent / "link.bin").symlink_to("weights.bin")
    assert_read(path)
    (tmp_path / "link").symlink_to(path.parent)
    assert_read(tmp_path / "link" / "model.onnx")


def test_what_lies_beside_the_file_counts_as_its_constants(tmp_path, monkeypatch):
    monkeypatch.setattr("gatewise.files.budget.BYTES", Limit(32, 0))
    arrays = small(inputs=20_000, hidden=1, time=1, batch=1)
    path, data = external(tmp_path, "weights.bin", arrays=arrays, hidden_size=1)
    (path.parent / "weights.bin").write_bytes(data)
    assert len(data) > 32 * path.stat().st_size
    assert gw_onnx.read(path).input_size == 20_000


# Elsewhere. Of each: the location, and what makes it lead to a file that lies next to the model's folder.

ELSEWHERE = {
    "above": ("../secret.bin", None),
    "above, by a folder": ("inner/../../secret.bin", None),
    "absolute": ("{secret}", None),
    "absolute, of the folder itself": ("{folder}/weights.bin", None),
    "twice a slash": ("/{secret}", None),
    "a link": ("link.bin", lambda folder, secret: (folder / "link.bin").symlink_to(secret)),
    "a relative link": ("link.bin", lambda folder, secret: (folder / "link.bin").symlink_to("../secret.bin")),
    "a link to a link": (
        "link.bin",
        lambda folder, secret: [
            (folder / "link.bin").symlink_to("inner/second.bin"),
            (folder / "inner" / "second.bin").symlink_to(secret),
        ],
    ),
    "a linked folder": ("up/secret.bin", lambda folder, secret: (folder / "up").symlink_to(secret.parent)),
    "a link above": ("up/../secret.bin", lambda folder, secret: (folder / "up").symlink_to(secret.parent / "beside")),
    "a hard link": ("hard.bin", lambda folder, secret: os.link(secret, folder / "hard.bin")),
    "a folder whose name begins alike": ("../beside2/secret.bin", None),
    "a linked folder whose name begins alike": (
        "up/secret.bin",
        lambda folder, secret: (folder / "up").symlink_to(secret.parent / "beside2"),
    ),
    "a drive": ("C:\\secret.bin", None),
    "a drive's folder": ("C:secret.bin", None),
    "above, in Windows": ("..\\secret.bin", None),
    "a share": ("\\\\server\\share\\secret.bin", None),
    "the root, in Windows": ("\\secret.bin", None),
    "a device": ("\\\\.\\C:\\secret.bin", None),
    "a link to a device": ("zero", lambda folder, secret: (folder / "zero").symlink_to("/dev/zero")),
    "a pipe": ("pipe", lambda folder, secret: os.mkfifo(folder / "pipe")),
    "a folder": ("inner", None),
    "the folder itself": (".", None),
    "a link to itself": ("loop", lambda folder, secret: (folder / "loop").symlink_to("loop")),
    "nothing": ("", None),
    "no file": ("nothing.bin", None),
    "a short file": ("short.bin", None),
    "a zero in it": ("a\0b", None),
    "a name too long": ("n" * 100_000, None),
    "control characters": ("\x1b[2J\n\r", None),
}


def elsewhere(case, tmp_path):
    """Return the path of a model whose W is not in its folder, and the file in which it is."""
    location, make = ELSEWHERE[case]
    secret = tmp_path / "secret.bin"
    folder = tmp_path / "beside"
    path, data = external(tmp_path, location.format(secret=secret, folder=folder))
    (tmp_path / "beside2").mkdir()
    for one in (secret, tmp_path / "beside2" / "secret.bin", folder / "weights.bin"):
        one.write_bytes(data)
    (folder / "short.bin").write_bytes(data[:-1])
    if os.name != "nt":  # there, these are names like any other
        for name in ("C:\\secret.bin", "C:secret.bin", "..\\secret.bin", "\\secret.bin"):
            (folder / name).write_bytes(data)
    if make is not None:
        make(folder, secret)
    return path


@pytest.mark.parametrize("case", ELSEWHERE)
def test_tensors_anywhere_else_are_refused(case, tmp_path, monkeypatch):
    path = elsewhere(case, tmp_path)

    def never(*_, **__):
        raise AssertionError("the package is not asked: what it refuses depends on its version")

    monkeypatch.setattr(onnx.checker.C, "_resolve_external_data_location", never, raising=False)
    with cases.refusal("rnn", "W") as caught:
        gw_onnx.read(path)
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"length": str(2**50)}, ["192 bytes", str(2**50)]),
        ({"length": "9" * 5000}, ["192 bytes", "999"]),
        ({"length": "-1"}, ["192 bytes", "-1"]),
        ({"offset": "-1"}, ["too short"]),
        ({"offset": "1e3"}, ["too short"]),
        ({"offset": str(2**63)}, ["too short"]),
        ({"offset": "1"}, ["too short"]),
    ],
    ids=lambda one: str(one)[:30],
)
def test_a_declared_place_is_held_against_the_shape_and_the_file(more, words, tmp_path):
    path, data = external(tmp_path, "weights.bin", **more)
    (path.parent / "weights.bin").write_bytes(data)
    with cases.refusal(*words) as caught:
        gw_onnx.read(path)
    assert len(str(caught.value)) <= 500


def test_a_huge_file_beside_the_model_is_refused_before_it_is_read(tmp_path):
    arrays = small(inputs=1, hidden=1, time=1, batch=1)
    path, _ = external(tmp_path, "weights.bin", arrays=arrays, hidden_size=1)
    model = onnx.load(path, load_external_data=False)
    tensor_of(model).dims[:] = [1, 4, 2**45]
    path.write_bytes(model.SerializeToString())
    with open(path.parent / "weights.bin", "wb") as file:
        file.truncate(2**40)  # which takes no room on most systems
    with cases.refusal("W", by=(gw.FileError, gw.CapacityError)):
        gw_onnx.read(path)
