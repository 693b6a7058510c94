"""What a variant of the cell and a nonlinearity cost: the places that CONTRIBUTING lists, each of them needed.

Each place is taken away in turn, in a copy of the sources, and a law fails. Those in C++ and JavaScript are taken away
in the peers' tests, which compile and run them.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pairwise
import pytest

ROOT = Path(__file__).parent.parent
VARIANT, NONLINEARITY = "cell clip", "exponential"  # that every place knows
MODULES = {"cases", "oracle", "program_run", "walks"}
MODULES |= {"test_activations", "test_adjoints", "test_equations", "test_program"}
Edit = tuple[str, str]  # a pattern, and what takes its place

PLACES: dict[str, dict[str, Edit]] = {
    "A variant of the cell": {
        "src/gatewise/parameters.py": (r"    cell_clip: float \| None = .*\n", ""),
        "src/gatewise/equations.py": (
            r"self\.c_raw if clip is None else np\.clip\(self\.c_raw, -clip, clip\)",
            "self.c_raw",
        ),
        "src/gatewise/adjoints.py": (r" \* _within\(M\.c_raw, variant\.cell_clip\)", ""),
        "src/gatewise/symbolic/forward.py": (r"_clip\(form\.raw_cell, form\.variant\.cell_clip\)", "form.raw_cell"),
        "src/gatewise/symbolic/backward.py": (
            r"times\(d\(form\.computed\(cell\)\), _within\(form\.raw_cell, variant\.cell_clip\)\)",
            "d(form.computed(cell))",
        ),
        "tests/oracle.py": (r"clip\(value, variant\.cell_clip\)", "value"),
        "native/kernel.hpp": (r"cell_clip = T\(__builtin_inf\(\)\), ", ""),
        "native/forward.cpp": (r"clip<T>\((mad\(f_, c_prev, i \* g\)), -p\.cell_clip, p\.cell_clip\)", r"\1"),
        "native/backward.cpp": (r"dc \*= within\(c_raw, p\.cell_clip\)", ""),
        "native/plain.hpp": (
            r"clip<T>\(raw_cells\(t, b, u\), -s\.cell\.cell_clip, s\.cell\.cell_clip\)",
            "raw_cells(t, b, u)",
        ),
    },
    "A nonlinearity": {
        "src/gatewise/activations.py": (r'    "exponential": .*\n', ""),
        "src/gatewise/symbolic/nonlinearities.py": (r'        "exponential": .*\n', ""),
        "src/gatewise/symbolic/formula.py": (r'    "exp": .*\n', ""),
        "src/gatewise/playground/assets/engine/functions.js": (r"  exp: Math\.exp,\n", ""),
        "tests/oracle.py": (r'        case "exponential":\n.*\n', ""),
        "native/kernel.hpp": (r", exponential }", " }"),
        "native/simd.hpp": (
            r"case Function::exponential: return power<T>\(a\);",
            "case Function::exponential: return a;",
        ),
        "native/plain.hpp": (r"case Function::exponential: .*\n", ""),
    },
}


def listed(subject: str) -> list[str]:
    """Return the paths of the places that CONTRIBUTING lists, from the root of the repository."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    ((block,),) = [re.findall(rf"(?m)^  - {subject}.*\n((?:    .*\n)+)", text)]
    names = re.findall(r"(?m)^    \d+\. `([^`]+)`", block)
    return [name if (ROOT / name).exists() else f"src/gatewise/{name}" for name in names]


@pytest.mark.parametrize(("subject", "most"), [("A variant of the cell", 10), ("A nonlinearity", 8)])
def test_the_places_are_those_of_the_list_and_few(subject, most):
    assert listed(subject) == list(PLACES[subject])
    assert len(PLACES[subject]) <= most


@contextlib.contextmanager
def copied(folder: Path, path: str, edit: Edit) -> Iterator[None]:
    """Import gatewise and the laws from a folder that has an edited copy of one file, and links to all others."""
    for parent in Path(path).parents:  # from the inside
        (folder / parent).mkdir(parents=True, exist_ok=True)
        for source in (ROOT / parent).iterdir():
            target = folder / source.relative_to(ROOT)
            if source.name != "__pycache__" and not target.exists():
                target.symlink_to(source)
    taken_away(folder, path, edit)
    ours = {name for name in sys.modules if name.split(".")[0] == "gatewise" or name in MODULES}
    held = {name: sys.modules.pop(name) for name in ours if name != "gatewise._native"}
    sys.path[:0] = [str(folder / "src"), str(folder / "tests")]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pairwise, "pairs", lambda **_: lambda test: test)  # laws are called: no cases are drawn up
            yield
    finally:
        del sys.path[:2]
        for name in [name for name in sys.modules if name.split(".")[0] == "gatewise" or name in MODULES]:
            if name != "gatewise._native":
                del sys.modules[name]
        sys.modules |= held


def taken_away(folder: Path, path: str, edit: Edit) -> None:
    """Edit a copy of a file so that it knows nothing of the subject."""
    text, count = re.subn(*edit, (ROOT / path).read_text(encoding="utf-8"))
    assert count, f"{path} has nothing like {edit[0]}"
    target = folder / path
    target.unlink(missing_ok=True)
    target.write_text(text, encoding="utf-8")


def laws_of_the_variant() -> None:
    """Hold the laws that a variant must obey: the program, the equations, and their adjoints, which take longest."""
    program = importlib.import_module("test_program")
    case = (VARIANT, "unprojected", "no mask", "gatewise's own", "all valid", "forward")
    program.test_the_program_equals_the_equations_and_their_adjoints(*case)
    case = (VARIANT, "unprojected", "forward", "all valid", False)
    importlib.import_module("test_equations").test_every_step_is_what_plain_python_makes_of_it(*case)
    importlib.import_module("test_adjoints").test_the_adjoints_equal_central_differences(*case)


def laws_of_the_nonlinearity() -> None:
    """Hold the laws that a nonlinearity must obey: its definitions as formulas, its formula, and its derivative."""
    program = importlib.import_module("test_program")
    program.test_a_nonlinearity_s_definition_and_slope_equal_it_and_overflow_nowhere_else(NONLINEARITY)
    activations, activation = importlib.import_module("test_activations"), program.Activation(NONLINEARITY)
    activations.test_an_activation_is_its_formula(activation)
    activations.test_the_derivative_is_the_central_difference_and_a_function_of_the_output(activation)


LAWS: dict[str, Callable[[], None]] = {
    "A variant of the cell": laws_of_the_variant,
    "A nonlinearity": laws_of_the_nonlinearity,
}
IN_PYTHON = [(subject, path) for subject in PLACES for path in PLACES[subject] if path.endswith(".py")]


@pytest.mark.parametrize("subject", PLACES)
def test_the_laws_hold_where_nothing_is_taken_away(subject, tmp_path):
    with copied(tmp_path, "tests/oracle.py", (r"\Z", "")):
        LAWS[subject]()


@pytest.mark.parametrize(("subject", "path"), IN_PYTHON)
def test_a_place_in_python_is_needed(subject, path, tmp_path):
    with copied(tmp_path, path, PLACES[subject][path]), pytest.raises(Exception) as caught:
        LAWS[subject]()
    assert not isinstance(caught.value, (ImportError, SyntaxError)), "the place was not taken away alone"
