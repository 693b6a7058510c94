"""TorchScript archives by hand: a module whose weights are its own, and whose code is a text."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.interop.torch import state_dict, writing
from gatewise.layers import LSTM

ENCODER = LSTM(3, 4, rng=0)
HEAD = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
ARRAYS: Mapping[str, Any] = {**state_dict(ENCODER), "head": HEAD, "bias": np.array([0.5, -1.0], np.float32)}
WEIGHTS = "[self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0]"
ZEROS = "[torch.zeros([1, torch.size(x, 1), 4], dtype=6), torch.zeros([1, torch.size(x, 1), 4], dtype=6)]"
RUN = f"y, h, c = torch.lstm(x, {ZEROS}, {WEIGHTS}, True, 1, 0., False, False, False)"
SIGNATURE = "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n"


def code_of(*lines: str, signature: str = SIGNATURE) -> str:
    """Return the code of a module with these lines in its forward; the first is line 4."""
    return "class Net(Module):\n" + signature + "".join(f"    {line}\n" for line in lines)


def write_script(
    path: Path, code: str, arrays: Mapping[str, Any] = ARRAYS, members: Mapping[str, str] | None = None
) -> Path:
    """Write an archive of one module with these arrays and this code; `members` are other files of code."""
    tensors = writing.pickle_of(arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02c__torch__\nNet\n)\x81" + tensors[2:-1] + b"b.")
        for place, array in enumerate(arrays.values()):
            archive.writestr(f"net/data/{place}", np.ascontiguousarray(array).tobytes())
        archive.writestr("net/code/__torch__.py", code)
        for name, text in (members or {}).items():
            archive.writestr(f"net/code/{name}", text)
        archive.writestr("net/constants.pkl", b"\x80\x02).")
    return path
