"""The page computes what the programs compute in Python, within 1e-12 of the largest entry of every tensor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import page_cases
import pytest
from test_golden import WALKS

pytestmark = pytest.mark.peers
TESTS = Path(__file__).parent.parent / "page"
NODE = shutil.which("node")


def hold(folder: Path, found: Iterable[dict]) -> None:
    """Let node compute what is expected."""
    assert NODE is not None, "node is missing: Debian's package nodejs"
    path = folder / "cases.json"
    path.write_text(json.dumps([*found]), encoding="utf-8")
    environment = {**os.environ, "GATEWISE_PAGE_CASES": str(path)}
    done = subprocess.run([NODE, "--test", TESTS], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variant(tmp_path):
    hold(tmp_path, page_cases.of_variants(["unprojected", "projected", "projected and clipped"], [False, True]))


def test_random_cells(tmp_path):
    hold(tmp_path, page_cases.of_random_cells(200))


def test_random_stacks(tmp_path):
    hold(tmp_path, [*page_cases.of_random_stacks(50), *page_cases.of_hidden_losses(20)])


def test_the_golden_walkthroughs(tmp_path, capsys):
    programs = {name: arguments for name, arguments in WALKS.items() if "--format" not in arguments}
    found = [page_cases.of_walk(name, arguments, capsys) for name, arguments in programs.items()]
    assert sum(len(one["expected"]) for one in found) > 300
    hold(tmp_path, found)
