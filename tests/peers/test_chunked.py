"""Data in chunks: on threads, and on a cluster of two processes, each with a worker of one thread."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gatewise as gw

pytestmark = pytest.mark.peers
dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")

RNG = np.random.default_rng(3)
RAW = RNG.normal(size=(40, 13, 3))
HEAD = gw.Linear(RNG.normal(size=(5, 16)).astype(np.float32), activation="softmax")
MODELS = {
    "network": gw.Network(gw.LSTM(3, 16, rng=0), head=HEAD),
    "windows": gw.Network(gw.LSTM(3, 16, rng=3), head=HEAD, windows=gw.network.Windows(30)),
    "stack": gw.LSTM(3, 16, num_layers=2, bidirectional=True, rng=1, dtype=np.float64),
    "reference": gw.LSTM(3, 16, variant=gw.Variant(layer_norm="gates", epsilon=1e-3), rng=2),
}


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """A client of two workers, each in a process of its own."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": "1GiB"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as found:
        yield found


def labelled(raw: np.ndarray = RAW) -> xarray.DataArray:
    """Return data with names on their axes."""
    names = [f"b{place}" for place in range(raw.shape[1])]
    return xarray.DataArray(raw, dims=("time", "basin", "feature"), coords={"basin": names})


def test_data_of_no_steps_give_results_of_none():
    whole, lengths = labelled(RAW[:0]), xarray.DataArray(np.zeros(13, int), dims="basin")
    lazy = gw.apply(MODELS["network"], whole.chunk(basin=2), lengths=lengths.chunk(basin=3), every=2)
    assert lazy.cell_state.chunks is not None
    expected = gw.apply(MODELS["network"], whole, lengths=lengths, every=2)
    xarray.testing.assert_identical(lazy.compute(), expected)
    assert lazy.y.shape == (0, 13, 5)


@pytest.mark.parametrize("name", MODELS)
def test_chunks_and_workers_change_no_bit(name, client):
    model, lengths = MODELS[name], xarray.DataArray(np.arange(28, 41), dims="basin")
    one = gw.apply(model, labelled().chunk(), lengths=lengths)
    assert one.cell_state.chunks is not None
    assert one.cell_state.dtype == one.y.dtype == (np.float64 if name == "stack" else np.float32)
    expected = one.compute(scheduler="synchronous")
    for chunks in (1, 4, (2, 7, 4)):
        lazy = gw.apply(model, labelled().chunk(basin=chunks), lengths=lengths)
        xarray.testing.assert_identical(lazy.compute(scheduler=client), expected)
    xarray.testing.assert_identical(lazy.compute(scheduler="threads"), expected)
    last = RAW[:, 12]  # all of whose steps are valid
    alone = model.run_windows(last) if name == "windows" else model.trace(last).output
    np.testing.assert_array_equal(expected.y[:, 12], alone.reshape(expected.y[:, 12].shape))


def test_a_run_in_chunks_takes_one_thread_and_gives_the_others_back():
    seen = []

    class Watched(gw.LSTM):
        def trace(self, *given, **options):
            seen.append(gw.engines()[0].threads)
            return super().trace(*given, **options)

    before = gw.engines()[0].threads
    gw.set_num_threads(2)
    try:
        lazy = gw.apply(Watched(3, 4, rng=0), labelled().chunk(basin=2))
        seen.clear()
        lazy.compute(scheduler="threads")
        assert seen == [1] * 7
        assert gw.engines()[0].threads == 2
    finally:
        gw.set_num_threads(before)


def test_answers_in_chunks_are_those_of_one(client):
    model = MODELS["network"]
    for question in ("timescales", "saturation", "ceiling"):
        expected = gw.apply(model, labelled(), ask=question)
        lazy = gw.apply(model, labelled().chunk(basin=5), ask=question)
        xarray.testing.assert_identical(lazy.compute(scheduler=client), expected)


def test_a_worker_that_is_killed_costs_nothing(client):
    raw = RNG.normal(size=(4000, 32, 3)).astype(np.float32)
    lazy = gw.apply(gw.LSTM(3, 64, rng=0), labelled(raw).chunk(basin=1), keep="hidden_state", output=False)
    expected = lazy.compute(scheduler="synchronous")
    processes = client.run(os.getpid)
    future = client.compute(lazy)
    while not (busy := [worker for worker, tasks in client.processing().items() if tasks]):
        time.sleep(0.01)
    os.kill(processes[busy[0]], signal.SIGKILL)
    assert not future.done()
    xarray.testing.assert_identical(future.result(), expected)
    client.wait_for_workers(2)


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_a_worker_takes_memory_for_its_chunks_and_not_for_the_data(client, tmp_path):
    steps, sequences, units = 1000, 256, 64
    lstm = gw.LSTM(3, units, rng=0)
    raw = dask.array.random.default_rng(0).normal(size=(steps, sequences, 3), chunks=(steps, 8, 3))
    few = gw.apply(lstm, xarray.DataArray(raw[:, :16], dims=("time", "basin", "feature")))
    few.to_zarr(tmp_path / "few.zarr", zarr_format=2)
    before = client.run(peak)
    lazy = gw.apply(lstm, xarray.DataArray(raw, dims=("time", "basin", "feature")))
    lazy.to_zarr(tmp_path / "gates.zarr", zarr_format=2)
    grown = {worker: most - before[worker] for worker, most in client.run(peak).items()}
    kept = sum(one.nbytes for one in lazy.values())
    print(grown, kept, sum(one.nbytes for one in few.values()))
    assert max(grown.values()) < kept / 6, grown
    written = xarray.open_zarr(tmp_path / "gates.zarr")
    part = written.cell_state[:, 100:103]
    alone = gw.apply(lstm, xarray.DataArray(raw[:, 100:103].compute(), dims=("time", "basin", "feature")))
    np.testing.assert_array_equal(part, alone.cell_state)


def test_without_threadpoolctl_chunks_are_refused_and_arrays_are_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    gw.apply(MODELS["network"], labelled())
    with pytest.raises(gw.MissingExtraError, match=r"pip install '\.\[dask\]'"):
        gw.apply(MODELS["network"], labelled().chunk())


def test_time_in_several_chunks_is_refused_with_the_way_out():
    with pytest.raises(gw.ShapeError, match=r"10 chunks along 'time'.*\.chunk\(\{'time': -1\}\)"):
        gw.apply(MODELS["network"], labelled().chunk(time=4))
    with pytest.raises(gw.ShapeError, match="along 'feature'"):
        gw.apply(MODELS["network"], labelled().chunk(feature=1))
