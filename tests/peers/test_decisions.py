"""No decision depends on the CPU: other kernels, other sums and noise in the last bits give the same answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tied_runs
import tied_sheets

import gatewise as gw
from gatewise.engine import native

pytestmark = pytest.mark.peers

SCRIPT = """
import sys
{setup}
import json, tied_runs, tied_sheets
print(json.dumps([tied_runs.answers_about_all(), tied_sheets.all_verdicts()]))
"""
BLAS = {"avx512": "SkylakeX", "avx2": "Haswell", "portable": "Prescott"}  # the kernels of OpenBLAS for such a CPU
WIDE = ("X86_V4", "AVX512")  # NumPy's names of instruction sets that a CPU with AVX2 may lack
EPSILONS = 6  # of noise: more than any two CPUs differ by in these runs


def environment(kernel: str) -> dict[str, str]:
    """Return the environment of a process that computes as on a CPU for which a kernel is the best one."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    disabled = [name for name in found if kernel == "portable" or name.startswith(WIDE)] if kernel != "avx512" else []
    options = {"GATEWISE_KERNEL": kernel, "OPENBLAS_CORETYPE": BLAS.get(kernel, "")}
    options["NPY_DISABLE_CPU_FEATURES"] = ",".join(disabled)
    return {name: value for name, value in options.items() if value}


def elsewhere(setup: str, changes: dict[str, str]) -> Any:
    """Return the decisions of another process."""
    names = ("GATEWISE_KERNEL", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    path = os.pathsep.join([str(Path(tied_runs.__file__).parent), *filter(None, [kept.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(setup=setup)],
        env={**kept, **changes, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@cache
def here() -> Any:
    """Return the decisions of this process."""
    return [tied_runs.answers_about_all(), tied_sheets.all_verdicts()]


@pytest.mark.parametrize("kernel", native.kernels())
def test_every_kernel_decides_the_same(kernel: str) -> None:
    assert elsewhere("", environment(kernel)) == here()


def test_numpy_alone_decides_the_same() -> None:
    assert elsewhere("sys.modules['gatewise._native'] = None", {}) == here()


@pytest.mark.parametrize("dtype", tied_runs.DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", tied_runs.RUNS)
def test_noise_in_the_last_bits_of_a_run_changes_no_answer(name: str, dtype: type) -> None:
    run = tied_runs.RUNS[name](dtype)
    expected = tied_runs.all_answers(run)
    for seed in range(2):
        noisy = tied_runs.noisy(run, np.random.default_rng(seed), EPSILONS)
        assert tied_runs.all_answers(noisy) == expected


@pytest.mark.parametrize("variant", tied_sheets.VARIANTS)
def test_noise_in_the_last_bits_of_a_run_changes_no_verdict(variant: str) -> None:
    run = tied_sheets.run_of(variant)
    sheets = dict(tied_sheets.written(run))
    expected = tied_sheets.verdicts(sheets, run)
    for seed in range(3):
        assert tied_sheets.verdicts(sheets, tied_runs.noisy(run, np.random.default_rng(seed), EPSILONS)) == expected


def test_the_runs_and_the_sheets_decide_something() -> None:
    answers, verdicts = here()
    twins = answers["twins, float32"]
    assert twins["activity"]["sentences"][0].startswith("Of the 6 units, unit 0 moves most")
    assert "the two events" in answers["periodic, float32"]["report"]
    statuses = {status for sheet in verdicts["sheets"].values() for _, status, *_ in sheet}
    assert statuses == {"right", "right from a wrong line", "close", "too coarse", "wrong"}
    assert set(verdicts["lessons"].values()) == {True, False}


@pytest.mark.parametrize("kernel", native.kernels())
def test_a_run_whose_sums_overflow_is_refused_by_every_kernel(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWISE_KERNEL", kernel)
    lstm = gw.LSTM.from_cells(gw.Parameters(np.tile(np.array([0, 3, -3], "f"), (4, 1, 1)), np.zeros((4, 1), "f")))
    trace = lstm.trace(np.full((4, 2), 3e38, "f"))
    for ask in (gw.insight.timescales, gw.insight.saturation, gw.insight.activity, gw.insight.contributions):
        with pytest.raises(gw.OptionError, match=r"numbers as large as 3e\+38, whose sums overflow float32"):
            ask(trace[0])
    for ask in (gw.report, gw.insight.horizon, gw.insight.influence, gw.insight.attribution, gw.insight.ablation):
        with pytest.raises(gw.OptionError, match="whose sums overflow float32"):
            ask(trace)
