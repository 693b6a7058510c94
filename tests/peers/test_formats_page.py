"""docs/formats.md is true: a trained model's file, its gates at its real inputs, and the picture of them."""

from __future__ import annotations

import doctest
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.test_pages import ROOT, hold_commands, python

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.peers

PAGE = ROOT / "docs" / "formats.md"
FILES = ("silero_vad_16k_sequence.onnx", "silero_vad.jit")


def test_the_page_leads_from_a_file_to_a_picture_of_its_forget_gates(tmp_path, monkeypatch, capsys):
    silero = find_spec("silero_vad")
    if silero is None:
        pytest.skip("could not import 'silero_vad'")
    for name in FILES:
        shutil.copy(Path(silero.submodule_search_locations[0]) / "data" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(python(PAGE))
    assert result.attempted > 12
    assert result.failed == 0
    assert (tmp_path / "forget_gates.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    hold_commands(PAGE, capsys)
