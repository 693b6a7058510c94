"""YAML as inert data: texts, numbers, lists and dictionaries, as YAML 1.2 reads them; tags are refused.

NeuralHydrology writes with ruamel.yaml, which follows YAML 1.2. PyYAML's own loaders follow YAML 1.1, where ``5e-05``
is a text and ``no`` is false. So PyYAML only splits the text into nodes here, and none of its constructors is called.
"""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import FileError, importing, reason, shown
from gatewise.files.budget import Budget
from gatewise.files.storage import read_text
from gatewise.interop.containers.beside import record_file

STEPS = 20  # of work for each byte, where two of them make a node
BYTES = 400  # of memory likewise
DEEPEST = 100  # brackets within brackets, each of which PyYAML looks at again for each letter within
PLAIN = "tag:yaml.org,2002:"
KINDS = ("str", "seq", "map", "int", "float", "bool", "null")
NOTHING = ("", "~", "null", "Null", "NULL")
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = r"[-+]?[0-9]{1,100}"
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
_SPECIAL = r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"


_SHORT = reprlib.Repr()  # looks at no more than it says: a few aliases can stand for billions of entries
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxstring = 2, 4, 4, 60


def describe(value: object) -> str:
    """Return a value of a document as it stands in a sentence."""
    return shown(_SHORT.repr(value), 60)


def file_within(folder: Path, *parts: str) -> Path:
    """Return the path of a file of a NeuralHydrology run; a link that leads out of the folder is refused."""
    path = folder.joinpath(*parts)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FileError(f"its {'/'.join(parts)} is a link to a file outside of it")
    return record_file(path) if path.is_file() else path


def read_yaml(path: Path, budget: Budget) -> Any:
    """Return the content of a YAML file of a NeuralHydrology run; tags and repeated keys are refused."""
    with importing("yaml", "reading a run of NeuralHydrology needs"):
        import yaml
    size = path.stat().st_size
    budget.work(STEPS * size, "reading its YAML")
    budget.hold(size, BYTES, "its YAML")
    text = read_text(path)
    if _bracket_depth(text) > DEEPEST:
        raise FileError("its YAML is nested too deeply")
    try:
        return _value_of(yaml.compose(text, Loader=yaml.BaseLoader), {})
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise FileError(
            f"it is not YAML ({where}{shown(getattr(problem, 'problem', None) or reason(problem))})"
        ) from None
    except RecursionError:
        raise FileError("its YAML is nested too deeply") from None
    except (ValueError, OverflowError) as problem:  # PyYAML on escapes that stand for no letter
        raise FileError(f"it is not YAML ({reason(problem)})") from None


def _bracket_depth(text: str) -> int:
    """Return about the largest number of brackets open at once in YAML; those in texts count too."""
    letters = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    opened, closed = (np.isin(letters, np.frombuffer(marks, np.uint8)).astype(np.int64) for marks in (b"[{", b"]}"))
    return int(np.cumsum(opened - closed).max(initial=0))


def _value_of(node: Any, values: dict[int, Any]) -> Any:
    """Return the value of a YAML node: a scalar, a list or a dictionary; tags and repeated keys are refused.

    `values` has those of the nodes so far: a node that several aliases name has one value.
    """
    if node is None:
        return None
    if id(node) in values:
        return values[id(node)]
    kind = node.tag.removeprefix(PLAIN)
    if kind not in KINDS:
        raise FileError(f"its YAML has the tag {shown(node.tag, 60)!r} in line {node.start_mark.line + 1}")
    if node.id == "scalar":
        return parse_scalar(node.value) if node.style is None else node.value
    if node.id == "sequence":
        items = values[id(node)] = list[Any]()
        items += (_value_of(item, values) for item in node.value)
        return items
    entries = values[id(node)] = dict[str, Any]()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.id != "scalar" or key.value == "<<":
            raise FileError(f"its YAML has a key that is no name in line {line}")
        if key.value in entries:
            raise FileError(f"its YAML has the key {shown(key.value, 60)!r} twice, the second time in line {line}")
        entries[key.value] = _value_of(value, values)
    return entries


def parse_scalar(text: str) -> str | int | float | bool | None:
    """Return the value of a YAML scalar without quotes, as YAML 1.2 reads it."""
    if text in NOTHING:
        return None
    if text in TRUTHS:
        return TRUTHS[text]
    if re.fullmatch(_INTEGER, text):
        return int(text)
    if re.fullmatch(_FLOAT, text):
        return float(text)
    return float(text.replace(".", "", 1)) if re.fullmatch(_SPECIAL, text) else text
