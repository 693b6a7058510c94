"""A frozen application gets every module of gatewise, also those that are imported by name, and every file."""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest

import gatewise as gw
from gatewise import showing
from gatewise.interop import formats
from gatewise.plot.saving import FORMATS

ROOT = Path(gw.__file__).parent
INSIDE = "gatewise.__pyinstaller"


def hook(monkeypatch) -> dict[str, object]:
    """Return what the hook tells PyInstaller, whose functions name what they are asked for."""
    utilities = ModuleType("PyInstaller.utils.hooks")
    utilities.collect_data_files = lambda package: [("files", package)]
    utilities.copy_metadata = lambda package: [("metadata", package)]
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, utilities.__name__, utilities)
    (folder,) = import_module(INSIDE).get_hook_dirs()
    return runpy.run_path(str(Path(folder) / "hook-gatewise.py"))


def test_the_hook_names_every_module(monkeypatch):
    named = hook(monkeypatch)["hiddenimports"]
    walked = {module.name for module in walk_packages([str(ROOT)], "gatewise.")}
    there = {name for name in walked if not name.startswith(INSIDE) and "_native" not in name} | {"gatewise"}
    others = {name for name in named if not name.startswith("gatewise") or name == "gatewise._native"}
    assert set(named) - others == there
    assert len(named) == len(set(named))
    assert ("gatewise._native" in named) == gw.engines()[0].available
    by_name = [f"gatewise.interop.{reader}" for reader in (*formats.READERS, *formats.OF_FOLDERS, *formats.FRAMEWORKS)]
    assert {*by_name, *gw.MODULES, showing.PICTURES} <= set(named)


def test_the_hook_brings_files_and_metadata_and_no_framework(monkeypatch):
    told = hook(monkeypatch)
    assert told["datas"] == [("files", "gatewise"), ("metadata", "gatewise")]
    assert told["excludedimports"] == ["torch", "keras"]
    pytest.importorskip("matplotlib")  # a backend writes each format of pictures, and is imported by its name
    written = {f"matplotlib.backends.backend_{'agg' if name == 'png' else name}" for name in FORMATS}
    assert written <= {*told["hiddenimports"]}
