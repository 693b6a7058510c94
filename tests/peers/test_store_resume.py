"""A run into a store that was ended, killed or failed goes on where it was, to the bit; any other run is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import program
import pytest

import gatewise as gw
from gatewise.chunked import store_plan
from gatewise.chunked.task import Task
from gatewise.cli import main
from gatewise.opening.models import OpenedModel

pytestmark = pytest.mark.peers
xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")

LSTM = gw.LSTM(3, 4, rng=0)
COMMAND = ["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr"]
PARTIAL = Path("gates.zarr.partial")
REMOVE = shutil.rmtree
SLOW = """
import signal, sys, time
from itertools import count
signal.signal(signal.SIGINT, signal.default_int_handler)  # the children of a background job ignore it
from gatewise.chunked.task import Task
whole, calls = Task.__call__, count()
def slowly(self, *given, **more):
    if next(calls) >= 3:
        time.sleep(2)
    return whole(self, *given, **more)
Task.__call__ = slowly
from gatewise.__main__ import run_program
run_program()
"""


@pytest.fixture(autouse=True)
def files(here) -> None:
    """Work in a folder with a model, a store, and the states that a run may begin with."""
    gw.save(LSTM, "model.safetensors")
    write_input(1)
    np.savez("state.npz", h0=np.ones((1, 1, 4), np.float32))


def write_input(seed: int) -> None:
    """Write the store that is traced."""
    names = [f"b{place}" for place in range(11)]
    raw = np.random.default_rng(seed).normal(size=(8, 11, 3))
    data = xarray.DataArray(raw, dims=("time", "basin", "feature"), coords={"basin": names}, name="forcing")
    data.to_dataset().to_zarr("x.zarr", mode="w", zarr_format=2, encoding={"forcing": {"compressors": None}})


def contents(folder: str | Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def undisturbed(*options: str) -> dict[str, bytes]:
    """Return the files of the store that the command makes undisturbed."""
    main([*COMMAND, *options])
    Path("gates.zarr").rename("whole.zarr")
    return contents("whole.zarr")


def whole_chunks() -> int:
    """Return how many chunks of the ended run are whole."""
    return len(os.listdir(PARTIAL / "done")) if (PARTIAL / "done").is_dir() else 0


def until_a_chunk_is_whole() -> None:
    """Wait until the other thread has written a chunk."""
    end = time.monotonic() + 60
    while not whole_chunks() and time.monotonic() < end:
        time.sleep(0.02)


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """Count the chunks that are computed in this process; from the one with number `fails` on they fail."""
    done, whole = [0, 1000], Task.__call__

    def counted(task, *given, **more):
        done[0] += 1
        if done[0] > done[1]:
            until_a_chunk_is_whole()
            raise gw.FileError("the disk is gone")
        return whole(task, *given, **more)

    monkeypatch.setattr(Task, "__call__", counted)
    return done


def end_run(calls: list[int], *options: str) -> int:
    """Let the command fail after some chunks, and return how many of them are whole."""
    calls[:] = 0, 3
    assert program.exit_code([*COMMAND, *options]) == 2
    calls[:] = 0, 1000
    return whole_chunks()


@pytest.mark.skipif(os.name != "posix", reason="a process is ended by a signal")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ended_process_is_gone_on_with_to_the_bit(number, calls, capsys):
    expected = undisturbed()
    total, calls[0] = calls[0], 0
    main([*COMMAND, "--keep", "candidate"])  # a store that is there before
    before = contents("gates.zarr")
    command = [sys.executable, "-c", SLOW, *COMMAND]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=program.environment()) as process:
        while whole_chunks() < 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    ended = whole_chunks()
    assert 2 <= ended < total
    if number != signal.SIGKILL:
        assert f"gates.zarr.partial keeps {ended} whole chunks, with which --resume goes on" in said
    assert contents("gates.zarr") == before
    for path in (PARTIAL / "store" / "cell_state").glob("[0-9]*"):
        if path.name not in {f"0.{place}.0" for place in map(int, os.listdir(PARTIAL / "done"))}:
            path.write_bytes(b"half of it")  # as the end may have left it
    (PARTIAL / "store" / "cell_state" / f"0.{'a' * 32}.partial").write_bytes(b"half of it")  # as zarr writes a chunk
    capsys.readouterr()
    calls[0] = 0
    main([*COMMAND, "--resume"])
    assert calls[0] == total - ended
    assert capsys.readouterr().err == ""
    assert contents("gates.zarr") == expected
    assert sorted(os.listdir()) == ["gates.zarr", "model.safetensors", "state.npz", "whole.zarr", "x.zarr"]


def test_a_run_that_failed_goes_on(calls, capsys):
    expected = undisturbed()
    assert end_run(calls) > 0
    assert "the disk is gone" in capsys.readouterr().err
    main([*COMMAND, "--resume"])
    assert contents("gates.zarr") == expected


def test_without_an_ended_run_it_begins_and_without_the_option_it_begins_anew(calls, capsys):
    expected = undisturbed("--resume")
    assert "there is no ended run of gates.zarr to go on with: it begins" in capsys.readouterr().err
    total = calls[0]
    end_run(calls)
    capsys.readouterr()
    main(COMMAND)
    assert "gates.zarr.partial, what an ended run has left, is replaced" in capsys.readouterr().err
    assert calls[0] == total
    history = b"trace model.safetensors x.zarr -o gates.zarr"
    assert contents("gates.zarr") == {
        name: data.replace(history + b" --resume", history) for name, data in expected.items()
    }


CHANGES = {
    "model": (lambda: gw.save(gw.LSTM(3, 4, rng=1), "model.safetensors"), "another model: "),
    "input": (lambda: write_input(2), "another input: "),
    "state": (lambda: np.savez("state.npz", h0=np.zeros((1, 1, 4), np.float32)), "another --state: "),
    "keep": (["--keep", "candidate"], "another --keep: ", "not candidate"),
    "units": (["--units", "0,1"], "another --units: None, not (0, 1)"),
    "every": (["--every", "2"], "another --every: 1, not 2"),
    "lengths": (["--lengths", ",".join("8" * 11)], "another --lengths: None, not 8,8,8"),
    "layers": (["--layers", "0"], "another --layers: None, not 0"),
    "padding": (["--padding", "framework"], "another --padding: nan, not framework"),
    "axes": (["--axes", "time,batch,feature"], "another --axes: "),
    "key": (["--key", "forcing"], "another --key: None, not forcing"),
    "record": (
        lambda: (PARTIAL / "run.json").write_text('{"run": 3}'),
        "run.json, the record of an interrupted run. Remove",
    ),
    "chunks": (
        lambda: (PARTIAL / "run.json").write_text('{"run": {}, "chunks": {"basin": 0}}'),
        "run.json, the record of an interrupted run. Remove",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_run_is_refused_by_name_and_leaves_the_ended_one(name, calls, capsys):
    change, *words = CHANGES[name]
    state = ["--state", "state.npz"]
    end_run(calls, *state)
    record, before = (PARTIAL / "run.json").read_text(), contents(PARTIAL)
    more = change if isinstance(change, list) else []
    if not more:
        change()
        before = contents(PARTIAL)
    said = program.refusal_of(capsys, *COMMAND, *state, "--resume", *more)
    assert all(word in said for word in words), said
    assert contents(PARTIAL) == before
    assert not Path("gates.zarr").exists()
    assert json.loads(record)["chunks"]["basin"] > 0


def test_another_reading_of_the_same_file_is_another_run(capsys):
    """As options give it where a file does not say which nonlinearities or directions its LSTM has."""
    contents = gw.inspect("model.safetensors")
    first = contents.lstms[0]
    names = []
    for lstm in (
        first.lstm,
        gw.LSTM(3, 4, rng=0, variant=gw.Variant(cell_activation="relu")),
        gw.LSTM(3, 4, rng=0, direction="backward"),
    ):
        lstm.provenance = first.lstm.provenance
        opened = OpenedModel(contents, replace(first, lstm=lstm))
        names.append(store_plan.identity(opened, [Path("x.zarr")]))
    for other in names[1:]:
        assert {name for name in other if other[name] != names[0][name]} == {"reading of the model"}
    gw.save(gw.LSTM(3, 5, rng=0), "model.safetensors")
    with pytest.raises(gw.FileError, match=r"model\.safetensors was changed during the run"):
        store_plan.identity(OpenedModel(contents, first), [Path("x.zarr")])


def test_another_version_or_kernel_is_refused(calls, capsys, monkeypatch):
    end_run(calls)
    with monkeypatch.context() as changed:
        changed.setattr(gw, "__version__", "7.0")
        said = program.refusal_of(capsys, *COMMAND, "--resume")
    assert "another version of gatewise: " in said
    record = json.loads((PARTIAL / "run.json").read_text())
    record["run"]["kernel"] = "abacus"
    (PARTIAL / "run.json").write_text(json.dumps(record))
    assert "another kernel: abacus, not " in program.refusal_of(capsys, *COMMAND, "--resume")


@pytest.mark.skipif(os.name != "posix", reason="locks are those of POSIX")
def test_two_runs_do_not_write_the_same_store(calls, capsys):
    import fcntl

    end_run(calls)
    with open(PARTIAL / "lock", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for more in ([], ["--resume"]):
            assert "another process writes there" in program.refusal_of(capsys, *COMMAND, *more)
    main([*COMMAND, "--resume"])


def test_a_folder_of_that_name_that_is_no_ended_run_is_left_alone(capsys):
    PARTIAL.mkdir()
    (PARTIAL / "notes.txt").write_text("mine")
    said = program.refusal_of(capsys, *COMMAND)
    assert "gates.zarr.partial is not from an interrupted run of gatewise" in said
    assert (PARTIAL / "notes.txt").read_text() == "mine"


def test_the_older_store_comes_back_where_the_end_came_between_two_names(calls, capsys):
    main(COMMAND)
    before = contents("gates.zarr")
    end_run(calls)
    Path("gates.zarr").rename(PARTIAL / "old")
    assert program.exit_code([*COMMAND, "--units", "9"]) == 2
    assert contents("gates.zarr") == before


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_an_end_while_the_older_store_is_removed_leaves_a_whole_store_and_costs_no_later_run(
    resume, calls, capsys, monkeypatch
):
    main(COMMAND)
    with monkeypatch.context() as changed:
        changed.setattr(shutil, "rmtree", interrupted)
        assert program.exit_code([*COMMAND, "--units", "1"]) == 130
    assert "is not whole" not in capsys.readouterr().err
    assert (PARTIAL / "old").is_dir()
    assert xarray.open_zarr("gates.zarr").sizes["unit"] == 1
    main([*COMMAND, *resume])
    assert "what an ended run has left" not in capsys.readouterr().err
    assert xarray.open_zarr("gates.zarr").sizes["unit"] == 4
    assert not PARTIAL.exists()


def interrupted(path: Path, **options: object) -> None:
    """Interrupt the program where it would remove a folder while there is an older store."""
    if (PARTIAL / "old").is_dir():
        raise KeyboardInterrupt
    REMOVE(path, **options)


def test_a_worker_of_an_ended_run_neither_writes_nor_marks_chunks_of_the_next():
    from gatewise.chunked.partial_store import partial_store

    data = xarray.open_zarr("x.zarr").forcing.drop_encoding().chunk(basin=4)
    jobs, run = [], {"model": "a"}
    with partial_store(Path("gates.zarr")) as partial:
        partial.begin(data.to_dataset(name="y"), run)
        jobs += partial.remaining_work(data.to_dataset(name="y"))
        (PARTIAL / "done" / "0").touch()
    for resumed in (True, False):
        with partial_store(Path("gates.zarr")) as partial:
            if resumed:
                assert partial.resume(run)
            else:
                partial.begin((data + 1).to_dataset(name="y"), run)
            before = contents(PARTIAL / "store"), partial.done
            with pytest.raises(gw.FileError, match="another run is writing it"):
                jobs[-1].compute(scheduler="synchronous")
            assert (contents(PARTIAL / "store"), partial.done) == before


def test_the_file_of_a_model_that_differs_is_named(calls, capsys):
    from gatewise.chunked.partial_store import partial_store

    data = xarray.open_zarr("x.zarr").forcing.drop_encoding().chunk(basin=4)
    begun = {"model": f"{'1' * 64}  config.yml\n{'2' * 64}  model_epoch001.pt", "reading": f"{'x' * 300}a"}
    with partial_store(Path("gates.zarr")) as partial:
        partial.begin(data.to_dataset(name="y"), begun)
        with pytest.raises(gw.OptionError, match=f"another model: {'2' * 64}  model_epoch001.pt, not {'3' * 64}  mod"):
            partial.resume(begun | {"model": begun["model"].replace("2" * 64, "3" * 64)})
        with pytest.raises(gw.OptionError, match=f"another reading: …{'x' * 40}a, not …{'x' * 40}b\\."):
            partial.resume(begun | {"reading": f"{'x' * 300}b"})
