"""gatewise trace --cluster, while the scheduler, the last worker or the program itself is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import program
import pytest

import gatewise as gw

distributed = pytest.importorskip("distributed")
xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")
pytestmark = [pytest.mark.peers, pytest.mark.skipif(os.name != "posix", reason="processes are killed by signals")]

SOON, PATIENCE = 10, 60  # seconds from a death, or a signal, to the end of the program
SLOW = """
import time
from pathlib import Path
from gatewise.chunked.task import Task
compute = getattr(Task.__call__, "compute", Task.__call__)  # a worker loads this module twice
def slowly(self, *arguments, **options):
    Path("began").touch()
    time.sleep(1)
    return compute(self, *arguments, **options)
slowly.compute = compute
Task.__call__ = slowly
"""
PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + (
    "from gatewise.__main__ import run_program; run_program()"
)
TRACE = ["trace", "model.safetensors", "x.zarr", "-o", "gates.zarr", "--cluster"]


@pytest.fixture
def start(here):
    """Return a function that starts a process of Python, which ends with the test."""
    gw.save(gw.LSTM(3, 4, rng=0), "model.safetensors")
    x = np.random.default_rng(0).normal(size=(8, 30, 3)).astype(np.float32)
    data = xarray.DataArray(x, dims=("time", "basin", "feature"), name="forcing").chunk(basin=1)
    data.to_dataset().to_zarr("x.zarr", zarr_format=2)
    Path("slow.py").write_text(SLOW)
    processes = []

    def started(*tokens, **options):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        unwritten = program.environment() | {"PYTHONDONTWRITEBYTECODE": "1"}  # a worker compiles slow.py
        process = subprocess.Popen([sys.executable, *tokens], env=unwritten, **quiet | options)
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def run_program(start, address):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return start("-W", "error", "-c", PROGRAM, *TRACE, address, **pipes)


@pytest.fixture
def cluster(start):
    """Return the processes of a scheduler, its only worker and the program, which waits for a chunk."""
    scheduler = start("-m", "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1",
                      "--dashboard-address", ":0", "--scheduler-file", "scheduler.json")  # fmt: skip
    until(lambda: Path("scheduler.json").exists() and Path("scheduler.json").read_text().strip().endswith("}"))
    worker = start("-m", "distributed.cli.dask_worker", "--scheduler-file", "scheduler.json", "--nthreads", "1",
                   "--no-nanny", "--no-dashboard", "--preload", "slow.py")  # fmt: skip
    with distributed.Client(scheduler_file="scheduler.json", set_as_default=False) as client:
        client.wait_for_workers(1, timeout=300)
        address = client.scheduler.address
    tracing = run_program(start, address)
    until(lambda: Path("began").exists() or tracing.poll() is not None)
    return {"scheduler": scheduler, "worker": worker, "program": tracing}


def until(condition):
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def left_over():
    return {path.name for path in Path().iterdir()} - {
        "model.safetensors",
        "x.zarr",
        "slow.py",
        "scheduler.json",
        "began",
    }


DEATHS = {
    "scheduler": "gatewise: cannot make {folder}/gates.zarr: the scheduler at '{address}' does not answer any more\n",
    "worker": "gatewise: cannot make {folder}/gates.zarr: the last worker of the cluster at '{address}' is gone\n",
}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", DEATHS)
def test_a_scheduler_or_a_last_worker_that_dies_is_one_sentence(name, number, cluster):
    cluster[name].send_signal(number)
    out, err = cluster["program"].communicate(timeout=SOON)
    address = cluster["program"].args[-1]
    assert (out, err) == ("", DEATHS[name].format(folder=os.getcwd(), address=address))
    assert cluster["program"].returncode == 1
    assert not {name for name in left_over() if not name.startswith("dask")}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("dead", [None, "worker"])
def test_a_signal_ends_the_wait_for_a_cluster(dead, number, code, cluster):
    if dead is not None:
        cluster[dead].kill()
        time.sleep(1)
    cluster["program"].send_signal(number)
    assert cluster["program"].communicate(timeout=PATIENCE) == ("", "")
    assert cluster["program"].returncode == code
    assert not {name for name in left_over() if not name.startswith("dask")}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_wait_for_a_scheduler_that_does_not_answer(number, code, start):
    with socket.create_server(("127.0.0.1", 0)) as server:
        tracing = run_program(start, f"tcp://127.0.0.1:{server.getsockname()[1]}")
        connection, _ = server.accept()
        time.sleep(0.5)
        tracing.send_signal(number)
        assert tracing.communicate(timeout=PATIENCE) == ("", "")
        connection.close()
    assert tracing.returncode == code
    assert not left_over()
