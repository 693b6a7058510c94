"""Files written beside their targets: what a killed process leaves says what it is, and goes with a later write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

import gatewise as gw
from gatewise.files import storage
from gatewise.files.replacing import DAY, temporary_for

KILLED = """
import os, sys
from gatewise.files.replacing import beside
with beside(sys.argv[1]): os.kill(os.getpid(), 9)
"""


def killed(path):
    """Kill a process that writes to a path, and return what it leaves."""
    before = set(path.parent.iterdir())
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode
    (left,) = set(path.parent.iterdir()) - before
    return left


def made_old(path, seconds=DAY + 60):
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.mark.skipif(os.name == "nt", reason="no signal 9 there")
def test_what_a_killed_process_leaves_says_so_and_goes_with_the_next_write_after_a_day(tmp_path):
    path = tmp_path / "model.safetensors"
    old, young = killed(path), killed(path)
    for one in (old, young):
        assert re.fullmatch(r"\.model\.safetensors\.gatewise-\d+-[0-9a-f]{8}\.tmp", one.name)
    made_old(old)
    made_old(young, DAY - 600)
    storage.write_text(path, "new")
    assert set(tmp_path.iterdir()) == {path, young}
    made_old(young)
    gw.save(gw.LSTM(2, 3, rng=0), path)
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_else_goes_however_old_it_is(tmp_path):
    path = tmp_path / "file"
    others = [
        *("file", ".file", ".file.1234abcd", ".file.gatewise-1-0123456g.tmp", ".file.gatewise--01234567.tmp"),
        *(".file.gatewise-1-01234567.tmp.bak", ".file2.gatewise-1-01234567.tmp", "file.gatewise-1-01234567.tmp"),
        ".my.file.gatewise-1-01234567.tmp",
    ]
    for name in others:
        (tmp_path / name).write_text("mine")
        made_old(tmp_path / name)
    ours = [tmp_path / ".file.gatewise-1-01234567.tmp", tmp_path / ".file.gatewise-99999-abcdef01.tmp"]
    for one in ours:
        one.write_text("left")
        made_old(one)
    storage.write_text(path, "new")
    assert {one.name for one in tmp_path.iterdir()} == set(others)


def test_a_link_goes_and_not_what_it_leads_to(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("mine")
    link = tmp_path / ".file.gatewise-1-01234567.tmp"
    link.symlink_to(kept)
    os.utime(link, (0, 0), follow_symlinks=False)
    storage.write_text(tmp_path / "file", "new")
    assert {one.name for one in tmp_path.iterdir()} == {"file", "kept"}


@pytest.mark.parametrize("letter", ["x", "ö", "本", "\N{GRINNING FACE}"])
def test_a_name_may_be_as_long_as_the_system_allows(letter, tmp_path):
    most = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    path = tmp_path / (letter * (most // len(letter.encode())))
    for value in (1, 2):
        gw.save(gw.LSTM(2, 3, rng=value), path)
        assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(gw.load(path)[0].parameters.weight, gw.LSTM(2, 3, rng=2)[0].parameters.weight)
    left = temporary_for(path)
    left.write_text("")
    made_old(left)
    storage.write_text(path, "new")
    assert list(tmp_path.iterdir()) == [path]


def test_two_long_names_that_begin_alike_have_temporaries_of_their_own(tmp_path):
    first, second = tmp_path / ("x" * 250 + "1"), tmp_path / ("x" * 250 + "2")
    left = temporary_for(first)
    left.write_text("")
    made_old(left)
    storage.write_text(second, "new")
    assert left.exists()
