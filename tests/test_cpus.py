"""The tests as on other CPUs: a setting without effect is an error, and the fast part names what exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cpus
import pytest

HERE = Path(__file__).parent
MET = """
import json, cpus
found = cpus.Choices.of_this_process()
print(json.dumps([name for name, setting in cpus.SETTINGS.items() if not [*setting.differences(found)]]))
"""


@pytest.fixture(scope="module")
def own():
    pytest.importorskip("threadpoolctl")
    return cpus.Choices.of_this_process()


def settings_met(**variables: str) -> list[str]:
    """Return the settings that a process with these environment variables meets."""
    clean = {name: value for name, value in os.environ.items() if name not in cpus.VARIABLES}
    environment = clean | {"PYTHONPATH": str(HERE)} | variables
    done = subprocess.run([sys.executable, "-c", MET], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def met_anyway():
    return settings_met()


# One setting for each choice, and all of them together; `python -m tests.cpus` tries every one.
FEW = ("Haswell", "no-avx2", "none", "old")


@pytest.mark.subjects(1)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.peers] * (name not in FEW)) for name in cpus.SETTINGS]
)
def test_a_setting_is_met_in_its_environment_and_no_other_code_is_taken_for_it(own, met_anyway, name):
    setting = cpus.SETTINGS[name]
    if setting.missing(own):
        assert name not in met_anyway
    elif not setting.obstacle(own):
        met = settings_met(**setting.environment(own))
        assert name in met
        for part in ("openblas", "kernel"):
            wanted = getattr(setting, part)
            others = {other for other, one in cpus.SETTINGS.items() if getattr(one, part) not in {None, wanted}}
            assert not (wanted and others & {*met})
        if setting.numpy_without or setting.libm_without_fma:
            assert name not in met_anyway


@pytest.mark.thorough
def test_a_setting_without_effect_stops_the_tests(met_anyway):
    name = next(name for name in ("none", "portable") if name not in met_anyway)
    clean = {key: value for key, value in os.environ.items() if key not in cpus.VARIABLES}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "tests/test_gates.py"],
        env=clean | {cpus.VARIABLE: name},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert re.search(f"The setting {name} has no effect: gatewise uses the kernel", done.stderr)


def test_the_fast_part_leaves_out_files_and_tests_that_exist():
    arguments = cpus.fast_part()
    assert "tests/test_engine.py" in arguments
    for argument in arguments:
        file, _, test = argument.removeprefix("--deselect=").partition("::")
        assert f"def {test}" in (HERE.parent / file).read_text(encoding="utf-8")
