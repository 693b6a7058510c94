"""PyInstaller freezes an application that uses gatewise, without options."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest.importorskip("PyInstaller")
pytestmark = pytest.mark.peers

FRAMEWORKS = ("torch", "keras", "tensorflow", "onnxruntime", "sklearn", "IPython", "dask", "distributed")
EXTRAS = ("matplotlib", "pandas", "scipy", "xarray", "onnx")
APPLICATION = """
import sys, numpy as np, gatewise as gw
lstm, x = gw.LSTM(3, 4, rng=0), np.ones((5, 3))
gw.save(lstm, "own.safetensors")
weights = {"weight_ih_l0": np.ones((16, 3)), "weight_hh_l0": np.ones((16, 4))}
np.savez("arrays.npz", **weights, bias_ih_l0=np.ones(16), bias_hh_l0=np.ones(16))
for path in ("own.safetensors", "arrays.npz"):
    gw.load(path)(x)
walk = gw.walk(lstm.trace(x)[0])
for name in ("text", "markdown", "latex", "html", "notebook", "json"):
    walk.render(name)
assert len(gw.page(lstm, x).html) > 100_000
print(lstm.trace(x)[0].engine, gw.insight.timescales(lstm.trace(x)[0]), "torch" in sys.modules)
"""


def test_a_frozen_application_finds_every_module_every_file_and_the_engine(tmp_path):
    hooks = [each for each in entry_points(group="pyinstaller40") if each.value.startswith("gatewise.")]
    assert hooks, "this gatewise was not installed"
    (tmp_path / "application.py").write_text(APPLICATION, encoding="utf-8")
    exclude = [f"--exclude-module={name}" for name in (*FRAMEWORKS, *EXTRAS)]  # as far as they are installed
    command = [sys.executable, "-m", "PyInstaller", "--log-level=ERROR", "--noconfirm", *exclude, "application.py"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=600)
    frozen = Path("dist", "application", "application")
    done = subprocess.run([tmp_path / frozen], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("native The median timescale of the 4 units along the cell is ")
    assert done.stdout.endswith("False\n")
