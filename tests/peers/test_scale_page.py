"""docs/scale.md is true: its Python runs, on this machine and on a cluster of two processes."""

from __future__ import annotations

import doctest

import pytest
from test_pages import ROOT, python

pytestmark = pytest.mark.peers
pytest.importorskip("distributed")
pytest.importorskip("zarr")


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(python(ROOT / "docs" / "scale.md"))
    assert result.attempted > 20
    assert result.failed == 0
