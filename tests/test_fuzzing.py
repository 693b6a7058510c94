"""The fuzzing that the readers' tests rely on: it breaks what can be broken, and sees it break."""

from __future__ import annotations

import ctypes
import json
import time
import warnings
import zipfile
from contextlib import suppress
from functools import partial
from random import Random

import fuzzing
import numpy as np
import pytest

import gatewise as gw

WHOLE = b'{"a": [1, 2, 3]}'


def obedient(path):
    if path.read_bytes() != WHOLE:
        raise gw.FileError(f"{path} is spoiled")


def broken(path, how):
    """Do what a reader must not do, with a file that is not whole."""
    if path.read_bytes() == WHOLE:
        return
    if how == "another error":
        raise KeyError("weights")
    if how == "no words":
        raise gw.FileError
    if how == "hang":
        time.sleep(60)
    if how == "memory":
        bytearray(2**30)
    if how == "end":
        ctypes.string_at(0)
    if how == "open file":
        open(path)  # noqa: SIM115
    if how == "warning":
        warnings.warn("odd", RuntimeWarning, stacklevel=1)


def test_a_reader_that_answers_or_refuses_passes(tmp_path):
    tally = fuzzing.fuzz([WHOLE], obedient, 300, tmp_path)
    assert tally.refused > 200
    assert tally.answered + tally.refused == 300


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("another error", "KeyError: 'weights'"),
        ("end", "the process ended with -"),
        *(
            pytest.param(how, words, marks=pytest.mark.peers)
            for how, words in {
                "no words": "FileError of 0 lines",
                "hang": "longer than 1 s",
                "memory": "MemoryError",
                "open file": "unclosed file",
                "warning": "RuntimeWarning: odd",
            }.items()
        ),
    ],
)
def test_a_reader_that_breaks_fails_with_the_mutation_that_broke_it(how, words, tmp_path):
    with pytest.raises(AssertionError, match="1 failures") as caught:
        fuzzing.fuzz([WHOLE], partial(broken, how=how), 1, tmp_path, seconds=1)
    assert words in str(caught.value)
    (kept,) = tmp_path.glob("mutation-*")
    number = int(kept.name.partition("-")[2])
    assert kept.read_bytes() == fuzzing.spoiled([WHOLE], number, 0)[0] != WHOLE


def test_a_whole_file_that_breaks_its_reader_is_a_failure(tmp_path):
    with pytest.raises(AssertionError, match="whole file"):
        fuzzing.fuzz([b"another"], partial(broken, how="another error"), 3, tmp_path)


def test_a_mutation_is_the_same_every_time_and_another_for_every_number_and_seed():
    def mutations(seed):
        return [fuzzing.spoiled([WHOLE * 20], number, seed)[0] for number in range(200)]

    assert mutations(0) == mutations(0)
    assert len(set(mutations(0)) | set(mutations(1))) > 300


@pytest.mark.parametrize("mutator", dict.fromkeys(fuzzing.BYTES))
def test_every_kind_of_mutation_changes_files_of_every_length(mutator):
    for length in (3, 50, 5000):
        data = Random(length).randbytes(length)
        assert any(mutator(data, Random(number)) != data for number in range(20))


def test_an_archive_is_whole_again_after_one_of_its_members_was_changed(tmp_path):
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("first", b"1" * 300)
        archive.writestr("empty", b"")
        archive.writestr("second", b"2" * 300)
    data, changed = (tmp_path / "zip").read_bytes(), set()
    for number in range(100):
        (tmp_path / "zip").write_bytes(fuzzing.in_archive(data, Random(number)))
        with zipfile.ZipFile(tmp_path / "zip") as archive:
            assert archive.testzip() is None
            content = {name: archive.read(name) for name in archive.namelist()}
        changed |= {name for name in content if content[name] not in (b"1" * 300, b"", b"2" * 300)}
    assert changed == {"first", "second"}


def test_a_changed_document_is_json_still():
    found = {fuzzing.in_json(WHOLE, Random(number)) for number in range(300)}
    assert len(found) > 50
    for one in found:
        json.loads(one)


def files_of_gatewise(folder):
    """Return a file of every kind."""
    lstm = gw.LSTM(2, 3, bidirectional=True, rng=0)
    network = gw.Network(gw.LSTM(2, 3, rng=0), embedding=np.ones((4, 2)), head=gw.Linear(np.ones((1, 3), np.float32)))
    trace = lstm.trace(np.ones((4, 1, 2)))
    for number, thing in enumerate((lstm, network, trace, trace[0, "forward"])):
        gw.save(thing, folder / f"{number}.safetensors")
    return [path.read_bytes() for path in sorted(folder.glob("*.safetensors"))]


def read_by_every_verb(path):
    for verb in (gw.load, gw.load_network):
        with suppress(gw.GatewiseError):
            verb(path)
    fuzzing.everything(path, reader="own")


def spoil(folder, count=fuzzing.SOME, seed=0):
    """Read so many spoiled files of gatewise's own."""
    subjects, also = files_of_gatewise(folder), [fuzzing.in_safetensors]
    return fuzzing.fuzz(subjects, read_by_every_verb, count, folder, seed=seed, also=also)
