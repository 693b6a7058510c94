"""A teacher's lesson in a JSON file: a cell, its sequence, and chapters, checked before they become a page."""

from __future__ import annotations

import os
from typing import Any

from gatewise.errors import FileError, GatewiseError
from gatewise.files.budget import Budget
from gatewise.files.storage import readable
from gatewise.grading import sheet
from gatewise.grading.problem import Problem, read_problem
from gatewise.interop.containers.json_document import describe, read_document
from gatewise.interop.refusals import reading
from gatewise.layers import LSTM
from gatewise.playground.document import MOST_WORKED_OUT, Object, of_scene, of_scenes
from gatewise.playground.sequence_run import sequence_run_of
from gatewise.records.labels import Labels
from gatewise.render.text import clean
from gatewise.symbolic import binding

MOST = (MOST_WORKED_OUT, 100, 500)  # units, features and steps
LESSON = {"title": 200, "about?": (2000, 0, 10), "features?": (100, 1, 100), "units?": (100, 1, 100)}
LESSON |= {"given": dict, "variant?": dict, "chapters": (object, 1, 50)}  # rules: see `_checked`


def of_lesson(path: str | os.PathLike[str], lang: str) -> Object:
    """Return the document of a lesson's page, or raise a FileError that names the first wrong place in its file."""
    source = readable(path)
    with reading(str(source)):
        lesson = _checked(read_document(source, Budget.of(source)), LESSON, "the lesson")
    problem = read_problem(sheet.read(source, "given"))
    p, sizes = problem.parameters, (problem.parameters.hidden_size, problem.x.shape[2], len(problem.x))
    with reading(str(source), GatewiseError):
        if problem.x.shape[1] > 1 or {"dh", "dc_next"} & lesson["given"].keys():
            raise FileError("given must be one sequence, without dh and dc_next: the loss is the last hidden state")
        if any(size > most for size, most in zip(sizes, MOST, strict=True)):
            raise FileError(f"given has {sizes} units, features and steps; at most {MOST} are allowed")
        labels = Labels(features=lesson.get("features"), units=lesson.get("units"))
        run = sequence_run_of(LSTM.from_cells(p), problem.x, 0, {"state": ((problem.state,),), "labels": labels})
        scene = of_scene(run, lesson["title"], lesson.get("about", ()))
        chapters = _checked(lesson["chapters"], (_chapter(scene["program"][0], problem), 1, 50), "chapters")
    filled = [{"focus": {}, "edits": [], "mistakes": [], "after": ""} | chapter for chapter in chapters]
    return of_scenes(lesson["title"], {"lesson": scene}, filled, lang)


def _chapter(program: Object, problem: Problem) -> Object:
    """Return the rules of a chapter about a problem's cell."""
    sizes, step = binding.sizes(problem.parameters), range(len(problem.x))
    given = {one["symbol"]: one for one in program["given"] if one["kind"] != "gradient"}
    computed = {one["left"]: one for one in (*program["forward"], *program["backward"]) if not one["sums"]}

    def has_entry(place: Object) -> bool:
        line = (given | computed)[place["name"]]
        steps = {"parameter": ["None"], "state": ["0"]}.get(line.get("kind"), [*map(repr, step)])
        shape = [sizes[axis] for axis in line["axes"]]
        is_inside = len(place["at"]) == len(shape) and all(n < size for n, size in zip(place["at"], shape, strict=True))
        return is_inside and repr(place["step"]) in steps

    whole = ("name an entry of its quantity, and a step: null for a parameter, 0 for a state", has_entry)
    entry = {"step": object, "at": (range(1000), 0, 2), "": whole}
    edits = ({"name": [*given], "value": float, **entry}, 0, 100)
    asked = [name for name, line in computed.items() if line["axes"] == ["units"]]
    names = [*computed, *(one["symbol"] for one in program["given"] if one["kind"] != "parameter")]
    hide = {"names": (names, 1, 50), "from": step, "to": step}
    ask = {"name": asked, "tolerance": 1.0, "also?": (names, 0, 50), "hide?": (hide, 0, 10), **entry}
    focus = {"step?": step, "unit?": range(sizes["units"]), "quantity?": names, "backward?": bool}
    focus |= {"level?": ["overview", "step", "number"]}
    texts = {"title": 200, "text": (2000, 1, 10), "question": 2000, "after?": 2000, "learned?": 2000}
    return texts | {"focus?": focus, "edits?": edits, "ask": ask, "mistakes?": ({"value": float, "says": 2000}, 0, 20)}


def _checked(value: Any, rule: Any, place: str) -> Any:
    """Return a value with its texts on one line, or raise a FileError unless its rule allows it.

    A rule is a type, a range, a list of choices, the most characters of a text, or the most of a number above 0; of a
    list, the rule of its entries, and their least and most number; of an object, the rules of its keys, with a ? behind
    those that may be missing, and under "" what the whole must do, with a test.
    """
    is_number = type(value) in (int, float) and abs(value) <= 1e300
    match rule:
        case dict():
            allowed, holds = "an object", isinstance(value, dict)
        case (_, least, most) if isinstance(rule, tuple):
            allowed, holds = f"a list of {least} to {most}", isinstance(value, list) and least <= len(value) <= most
        case range():
            allowed, holds = f"a whole number from 0 to {rule.stop - 1}", type(value) is int and value in rule
        case list():
            allowed, holds = f"one of {', '.join(rule)}", isinstance(value, str) and value in rule
        case float():
            allowed, holds = f"a number above 0, at most {rule:g}", is_number and 0 < value <= rule
        case int():
            allowed, holds = f"a text of 1 to {rule:,} characters", isinstance(value, str) and 0 < len(value) <= rule
        case _:
            allowed = {float: "a finite number", bool: "true or false"}.get(rule, "an object")
            holds = is_number if rule is float else isinstance(value, rule)
    if not holds:
        raise FileError(f"{place} is {describe(value)}; it must be {allowed}")
    if isinstance(rule, tuple):
        return [_checked(part, rule[0], f"{place}[{n}]") for n, part in enumerate(value)]
    if not isinstance(rule, dict):
        return clean(value) if isinstance(value, str) else value
    rules = {key.rstrip("?"): part for key, part in rule.items() if key}
    for key in [*value, *rules]:
        if key not in rules:
            raise FileError(f"{place} has {describe(key)}; allowed are {', '.join(rules)}")
        if key not in value and key in rule:
            raise FileError(f"{place} has no {describe(key)}")
    checked = {key: _checked(part, rules[key], f"{place}.{key}") for key, part in value.items()}
    if "" in rule and not rule[""][1](checked):
        raise FileError(f"{place} must {rule[''][0]}")
    return checked
