"""The page's modules, run by node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "page"
NODE = shutil.which("node")


def require() -> str:
    """Return where node is; skip the module that asks where it is not."""
    if NODE is None:
        pytest.skip("node is not installed", allow_module_level=True)
    return NODE


def modules(folder: Path) -> Path:
    """Copy the page's modules to a folder, from which node imports them."""
    shutil.copytree(str(files("gatewise.playground").joinpath("assets")), folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


def run(*arguments: object, **environment: str) -> str:
    """Run node, and return what it writes."""
    given = [require(), *map(str, arguments)]
    done = subprocess.run(
        given, capture_output=True, encoding="utf-8", timeout=300, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer(script: str, folder: Path, data: Any) -> Any:
    """Return what a script of tests/page finds: it is given the page's modules and a file of data."""
    (folder / "data.json").write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
    return json.loads(run(SCRIPTS / script, modules(folder / "assets"), folder / "data.json"))
