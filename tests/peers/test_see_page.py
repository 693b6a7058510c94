"""docs/see.md is true: its answers are those of two published models, and its pictures are the ones it shows."""

from __future__ import annotations

import doctest
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.test_pages import ROOT, hold_commands, python

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.peers

PAGE = ROOT / "docs" / "see.md"
FILES = {
    "textgenrnn": ("textgenrnn_weights.hdf5", "textgenrnn_vocab.json"),
    "silero_vad": ("data/silero_vad_16k_sequence.onnx",),
}


def small(path: Path) -> np.ndarray:
    """Return a picture in shades of grey, as means over boxes of some 40 pixels: what it looks like from afar."""
    from matplotlib.image import imread

    shades = imread(path)[..., :3].mean(-1)
    rows, columns = (np.linspace(0, size, 17)[:-1].astype(int) for size in shades.shape)
    sums = np.add.reduceat(np.add.reduceat(shades, rows, axis=0), columns, axis=1)
    return sums / (shades.size / 256)


def test_the_page_asks_two_published_models_and_shows_the_pictures_it_makes(tmp_path, monkeypatch, capsys):
    for package, names in FILES.items():
        found = find_spec(package)
        if found is None:
            pytest.skip(f"could not import '{package}'")
        for name in names:
            shutil.copy(Path(found.submodule_search_locations[0]) / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    from matplotlib import pyplot

    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(python(PAGE))
    pyplot.close("all")
    assert result.attempted > 40
    assert result.failed == 0
    shown = re.findall(r"\]\(see/(\w+\.png)\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in tmp_path.glob("*.png"))
    for name in shown:
        difference = np.abs(small(tmp_path / name) - small(ROOT / "docs" / "see" / name))
        assert difference.mean() < 0.03, name
    capsys.readouterr()
    hold_commands(PAGE, capsys)
