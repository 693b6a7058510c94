"""The places of a variant and of a nonlinearity outside of Python: each is taken away, and the kernels' check fails."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from test_places import PLACES, ROOT, taken_away

from gatewise.symbolic.formula import FUNCTIONS

pytestmark = pytest.mark.peers
NATIVE = [(subject, path) for subject in PLACES for path in PLACES[subject] if path.startswith("native/")]
PAGE = "src/gatewise/playground/assets/engine/functions.js"
BY_TWO_OR_THREE = {"max", "min", "clip"}
ONE_ARGUMENT = [name for name, function in FUNCTIONS.items() if function.operator and name not in BY_TWO_OR_THREE]
COMPARED = """
import {UNARY} from %s;
const {names, numbers} = JSON.parse(process.argv[2]);
console.log(JSON.stringify(names.map((name) => numbers.map(UNARY[name]))));
"""


def compiles(folder) -> bool:
    """Compile one kernel and the check in a folder, as fast as can be, and return whether that succeeds."""
    command = ["cmake", "--build", folder / "build", "--target", "check", "--parallel", "2"]
    return not subprocess.run(command, capture_output=True, check=False).returncode


def agrees(folder) -> bool:
    """Return whether the kernel that was compiled in a folder agrees with plain loops."""
    return not subprocess.run([folder / "build" / "check", "8", "1"], capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Return a copy of what the portable kernel is compiled from, compiled once: it agrees with plain loops."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    folder = tmp_path_factory.mktemp("kernels")
    shutil.copytree(ROOT / "native", folder / "native")
    shutil.copy(ROOT / "CMakeLists.txt", folder)
    taken_away(folder, "native/dispatch.cpp", (r"defined\(__x86_64__\)", "0"))
    options = ["-DCMAKE_CXX_FLAGS_RELEASE=-O0", "-DGATEWISE_X86_64=OFF"]
    subprocess.run(["cmake", "-S", folder, "-B", folder / "build", *options], check=True, capture_output=True)
    assert compiles(folder)
    assert agrees(folder)
    return folder


@pytest.mark.parametrize(("subject", "path"), NATIVE)
def test_a_place_in_the_kernels_is_needed(subject, path, sources, tmp_path):
    shutil.copytree(sources, tmp_path / "before")  # with its times: nothing is compiled again when it is put back
    taken_away(sources, path, PLACES[subject][path])
    try:
        if path == "native/kernel.hpp":  # what is not declared there cannot be used elsewhere
            assert not compiles(sources)
        else:
            assert compiles(sources)
            assert not agrees(sources)
    finally:
        shutil.rmtree(sources)
        shutil.move(tmp_path / "before", sources)


def test_the_functions_of_the_page_are_those_of_formulas_and_each_is_needed(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    numbers = [0.25, 0.5, 2.0]
    expected = {name: FUNCTIONS[name].compute(np.array(numbers)).tolist() for name in ONE_ARGUMENT}
    module, script = tmp_path / PAGE, tmp_path / "compared.mjs"
    module.parent.mkdir(parents=True)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(ROOT / PAGE, module)
    script.write_text(COMPARED % json.dumps(str(module)))
    command = [node, str(script), json.dumps({"names": list(expected), "numbers": numbers})]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    np.testing.assert_allclose(json.loads(done.stdout), list(expected.values()), rtol=1e-14)
    taken_away(tmp_path, PAGE, PLACES["A nonlinearity"][PAGE])
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0
