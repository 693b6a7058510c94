"""TorchScript archives without PyTorch: their code is text, which says the axes of an LSTM."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

import gatewise as gw
from gatewise.interop import torch
from gatewise.interop.torch import writing
from tests.test_interop import assert_same_lstm

LSTM = gw.LSTM(3, 4, rng=0)
ARRAYS = torch.state_dict(LSTM)
MANGLED = "torch.nn.modules.rnn.___torch_mangle_4"
CALL = "    y, h, c, = torch.lstm({x}, _1, {weights}, True, 1, {dropout}, {training}, False, {batch_first})\n"


def body(batch_first, x="input", weights="_2", dropout="0.", training="False"):
    call = CALL.format(x=x, weights=weights, dropout=dropout, training=training, batch_first=batch_first)
    return f"  def forward(self,\n    input: Tensor) -> Tensor:\n{call}    return y\n"


def archive(path, code, arrays=ARRAYS, kind=MANGLED, constants=()):
    """Write an archive with an object whose attribute rnn is an LSTM of a class with these arrays."""
    tensors = writing.pickle_of(arrays)
    assert tensors[:2] == b"\x80\x02"
    lstm = f"c__torch__.{kind}\nLSTM\n)\x81".encode("latin-1") + tensors[2:-1] + b"b"
    net = b"\x80\x02c__torch__\nNet\n)\x81}X\x03\x00\x00\x00rnn" + lstm + b"sb."
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("net/data.pkl", net if arrays else b"\x80\x02c__torch__\nNet\n)\x81.")
        for place, array in enumerate(arrays.values()):
            target.writestr(f"net/data/{place}", array.tobytes())
        for member, text in code.items():
            target.writestr(f"net/code/__torch__{member}.py", text)
        held = {str(place): array for place, array in enumerate(constants)}
        target.writestr("net/constants.pkl", writing.pickle_of(held))
        for place, array in enumerate(constants):
            target.writestr(f"net/constants/{place}", array.tobytes())


OWN = f"/{MANGLED.replace('.', '/')}"
SCRIPTED = "class LSTM(Module):\n  batch_first : Final[bool] = {}\n" + body("False")
OTHER = "class Other(Module):\n" + body("True")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ({OWN: "class LSTM(Module):\n" + body("True")}, True),
        ({OWN: "class LSTM(Module):\n" + body("False", "torch.embedding(weight, t)", "[a, b, c, d]")}, False),
        ({OWN: "class LSTM(Module):\n" + body("True", dropout="1.0e-05", training="training")}, True),
        ({OWN: SCRIPTED.format("True")}, True),
        ({OWN: SCRIPTED.format("False") + OTHER}, False),
        ({OWN: "class LSTM(Module):\n", "": "class Net(Module):\n" + body("True")}, True),  # inlined
        ({OWN: "class LSTM(Module):\n", "": "class Net(Module):\n" + body("True") + body("False")}, None),
        ({OWN: "class LSTM(Module):\n    y, h, c = torch.lstm(x, b, _1, _2, True, 1, 0., training, True)\n"}, None),
        ({}, None),
    ],
)
def test_the_code_says_whether_the_batch_is_first(tmp_path, code, expected):
    archive(tmp_path / "net.pt", {"/other": "class Empty(Module):\n"} | code)
    contents = gw.inspect(tmp_path / "net.pt")
    assert contents.format == "TorchScript"
    (found,) = contents.lstms
    assert (found.name, found.batch_first) == ("rnn", expected)
    assert_same_lstm(found.lstm, LSTM)


def test_a_frozen_module_is_named_with_the_way_out(tmp_path):
    code = {"": "class Net(Module):\n" + body("True", weights="[CONSTANTS.c0, CONSTANTS.c1]")}
    archive(tmp_path / "net.pt", code, {}, constants=[*ARRAYS.values()])
    with pytest.raises(gw.FileError, match=r"torch\.jit\.freeze made its weights constants .* as it was before"):
        gw.load(tmp_path / "net.pt")
    names = [entry.name for entry in gw.inspect(tmp_path / "net.pt").ledger if entry.kind == "tensor"]
    assert names == [f"constants.{n}" for n in range(4)]


def test_constants_beside_an_lstm_are_listed(tmp_path):
    archive(tmp_path / "net.pt", {OWN: "class LSTM(Module):\n"}, constants=[np.ones((2, 4), np.float32)])
    contents = gw.inspect(tmp_path / "net.pt")
    assert [entry.name for entry in contents.ledger if not entry.used] == ["constants.0", "the code of the module"]
    assert_same_lstm(gw.load(tmp_path / "net.pt"), LSTM)


def test_code_of_many_calls_on_one_line_takes_no_longer_than_its_length(tmp_path):
    archive(tmp_path / "net.pt", {OWN: "class LSTM(Module):\n    " + "torch.lstm(, " * 300_000 + "\n"})
    (found,) = gw.inspect(tmp_path / "net.pt").lstms
    assert found.batch_first is None


def test_the_code_is_listed_and_named_where_a_network_is_made(tmp_path):
    head = {"fc.weight": np.ones((2, 4), np.float32)}
    archive(tmp_path / "net.pt", {OWN: "class LSTM(Module):\n"}, ARRAYS | head)
    (entry,) = [entry for entry in gw.inspect(tmp_path / "net.pt").ledger if not entry.used and entry.kind == "node"]
    assert (entry.effect, entry.lstms) == ("what it does between its layers is not read", ())
    assert entry.name == "the code of the module"


def test_no_state_is_inferred_from_a_name_where_code_says_what_an_lstm_starts_from(tmp_path):
    archive(tmp_path / "net.pt", {OWN: "class LSTM(Module):\n"}, ARRAYS | {"h0": np.ones((1, 1, 4), np.float32)})
    assert gw.inspect(tmp_path / "net.pt").lstms[0].state is None
    with pytest.warns(
        gw.WeightsWarning,
        match=r"left out: rnn\.h0 .*no LSTM alone is known to start from, its first steps may start from it",
    ):
        gw.load(tmp_path / "net.pt")
