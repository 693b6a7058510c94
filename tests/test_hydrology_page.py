"""docs/hydrology.md is true: its commands and its Python are run on the run that it describes."""

from __future__ import annotations

import doctest

import hydrology
import pytest

from tests.test_pages import ROOT, hold_commands, python

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("yaml")

PAGE = ROOT / "docs" / "hydrology.md"


def test_the_page_finds_the_reservoirs_that_were_put_into_the_run(tmp_path, monkeypatch, capsys):
    hydrology.make_example(tmp_path)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(python(PAGE))
    matplotlib.pyplot.close("all")
    assert result.attempted > 20
    assert result.failed == 0
    assert (tmp_path / "hydrology.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    hold_commands(PAGE, capsys)
