"""Each question, picture and file format is in every table in which CONTRIBUTING says that it must be."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType

import fuzz_rounds
from test_insight_odd import QUESTIONS

from gatewise import insight, interop, plot
from gatewise.interop import formats

ROOT = Path(__file__).parent.parent
GUIDE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
OF_MORE_THAN_A_RUN = {
    "ablation",
    "ceiling",
    "change",
    "effect",
    "fixed_points",
}  # odd runs meet these in tests of their own
SPOILED_AS = {  # the beginning of a reader's lines in SPOIL
    "own": "gatewise's own",
    "madmom": "madmom",
    "numpy_files": "NumPy",
    "torch": "PyTorch",
    "keras": "Keras",
    "json_models": "JSON",
    "onnx": "ONNX",
    "neuralhydrology": "NeuralHydrology",
}


def insight_modules() -> list[object]:
    return [import_module(f"gatewise.insight.{module.name}") for module in iter_modules(insight.__path__)]


def test_every_answer_is_public():
    answers = {
        value.__name__
        for module in insight_modules()
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, insight.Answer) and not value.__name__.startswith("_")
    }
    assert answers <= set(insight.__all__)


def questions() -> Iterator[str]:
    """Yield the names of functions of `insight` that return an answer."""
    for module in insight_modules():
        for name, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__ and not name.startswith("_"):
                answer = getattr(insight, str(inspect.signature(value).return_annotation), object)
                if inspect.isclass(answer) and issubclass(answer, insight.Answer):
                    yield name


def test_every_question_is_public_asked_of_odd_runs_and_in_the_documentation():
    names = set(questions())
    assert names <= set(insight.__all__)
    assert names == set(QUESTIONS) | OF_MORE_THAN_A_RUN
    assert [name for name in sorted(names) if not re.search(rf"(insight\.|plot\.|`){name}\b", GUIDE)] == []


def test_every_picture_is_public_and_has_a_description():
    folder = Path(plot.__file__).parent
    pictures = {
        node.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and any("picture" in ast.unparse(item) for item in node.decorator_list)
    }
    assert pictures == set(plot.PICTURES)
    descriptions = [path.stem for path in (ROOT / "tests" / "golden" / "pictures").iterdir()]
    assert [name for name in sorted(pictures) if not any(text.startswith(name) for text in descriptions)] == []


def test_every_reader_is_in_the_table_of_formats_and_given_spoiled_files():
    modules = [module.name for module in iter_modules(interop.__path__)]
    readers = {name for name in modules if hasattr(import_module(f"gatewise.interop.{name}"), "recognises")}
    assert readers == {*formats.READERS, *formats.OF_FOLDERS} == set(SPOILED_AS)
    for name, start in SPOILED_AS.items():
        assert any(kind.startswith(start) for kind in fuzz_rounds.SPOIL), name
