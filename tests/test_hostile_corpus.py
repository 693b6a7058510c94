"""The corpus of hostile input: it sees each kind of fault, makes each try again, and goes on behind a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("resource", reason="this system has no limits for processes")
if not hasattr(os, "fork"):
    pytest.skip("this system does not fork", allow_module_level=True)

from hostile import corpus
from hostile.trying import (
    CLASSES,
    EXECUTED,
    KILL,
    LOST,
    SILENT,
    TRACEBACK,
    Fault,
    Hostile,
    Refused,
    agree,
    asked,
    command,
    require_kept,
)

import gatewise as gw


def refuses(chance, folder):
    asked(gw.load, "nowhere.pt")


def answers(chance, folder):
    asked(gw.LSTM(2, 3, rng=0), np.zeros((2, 2), np.float32))


def is_silent(chance, folder):
    agree([1.0, 2.5], [1.0, 2.0], "numbers")


def raises(chance, folder):
    asked(lambda: {}["key"])


def says_nothing(chance, folder):
    def refuse():
        raise gw.OptionError("")

    asked(refuse)


def warns(chance, folder):
    import warnings

    asked(warnings.warn, "nobody asked", stacklevel=1)


def dies(chance, folder):
    if chance.random() < 0.5:
        os.kill(os.getpid(), signal.SIGSEGV)


def hangs(chance, folder):
    time.sleep(60)


def takes_memory(chance, folder):
    np.ones(2**34)


def executes(chance, folder):
    asked(subprocess.run, ["true"], check=True)


def makes_the_canary(chance, folder):
    asked(Path("executed").touch)


def loses(chance, folder):
    Path("mine").write_text("a")
    before = {"mine": b"a"}
    Path("mine").write_text("b")
    require_kept(before, (), "this", refused=False)


def leaves(chance, folder):
    def leaving(*tokens):
        Path(".x.gatewise-1-01234567.tmp").touch()

    before = {}
    leaving()
    require_kept(before, ("x",), "this", refused=False)


def is_broken(chance, folder):
    raise KeyError("of the class itself")


KINDS = {
    is_silent: SILENT,
    raises: TRACEBACK,
    says_nothing: TRACEBACK,
    warns: TRACEBACK,
    dies: KILL,
    hangs: KILL,
    executes: EXECUTED,
    makes_the_canary: EXECUTED,
    loses: LOST,
    leaves: LOST,
    is_broken: corpus.BROKEN,
    takes_memory: corpus.BROKEN,
}


def found(attempt, lasting=0.1):
    findings = corpus.Findings()
    corpus.run_class(
        Hostile(attempt.__name__, attempt, seconds=0.2 if attempt is hangs else 30), 0, 0, lasting, findings
    )
    return findings


@pytest.mark.parametrize("attempt", KINDS, ids=lambda attempt: attempt.__name__)
def test_every_kind_of_fault_is_seen(attempt):
    findings = found(attempt)
    assert set(findings.faults) == {KINDS[attempt]}
    ((_, text),) = list(findings.examples.items())[:1]
    assert "python -m tests.hostile --only" in text


def test_a_process_that_dies_costs_one_try_and_the_next_goes_on():
    findings = found(dies, lasting=1.0)
    assert findings.tries > findings.faults[KILL] > 0


@pytest.mark.parametrize("attempt", [refuses, answers], ids=lambda attempt: attempt.__name__)
def test_what_is_answered_or_refused_is_no_fault(attempt):
    findings = found(attempt)
    assert not findings.faults
    assert findings.tries > 3
    assert findings.refused == (findings.tries if attempt is refuses else 0)


def test_a_command_that_is_refused_leaves_nothing(here):
    with pytest.raises(Refused, match="there is no such file"):
        command("trace", "nowhere.pt", "x.csv", "-o", "t.npz", writes=("t.npz",))
    command("walk", "-o", "walk.html", writes=("walk.html",))
    with pytest.raises(Fault) as caught:
        command("walk", "-o", "other.html", writes=())
    assert caught.value.kind == LOST


@pytest.fixture(scope="module")
def classes():
    return [one for one in corpus.load_classes().values() if not corpus.missing(one)]


def test_there_are_forty_classes_and_each_says_what_it_needs(classes):
    assert len(CLASSES) >= 40
    assert all(one.needs for one in CLASSES.values() if one not in classes)


def test_a_try_is_the_same_when_it_is_made_again(classes, tmp_path):
    (one,) = [one for one in classes if one.name == "tables in every spelling"]
    made = []
    for _ in range(2):
        here = os.getcwd()
        try:
            corpus.attempt(one, 5, 3, tmp_path / "try")
            made.append(Path("x.csv").read_bytes())
        finally:
            os.chdir(here)
    assert made[0] == made[1]


@pytest.mark.thorough
def test_the_script_prints_tries_and_faults_of_each_class():
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile", "--only", "NumPy", "--minutes", "0.01", "--seed", "3"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "seed 3, 1 classes"
    assert lines[-2].startswith("NumPy files")
    assert int(lines[-1].split()[1].replace(",", "")) > 10
