"""A teacher's lesson in a JSON file: a cell, its sequence, and chapters, checked before they become a page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gatewise.arrays import quiet
from gatewise.errors import FileError, GatewiseError
from gatewise.files.budget import Budget
from gatewise.files.storage import readable
from gatewise.grading import sheet
from gatewise.grading.chain import rounding
from gatewise.grading.problem import Problem, read_problem
from gatewise.interop.containers.json_document import describe, read_document
from gatewise.interop.refusals import reading
from gatewise.layers import LSTM
from gatewise.margins import LARGEST, is_in_range
from gatewise.parameters import Parameters
from gatewise.playground.document import MAX_WORKED_UNITS, Object, scene_document, scenes_document
from gatewise.playground.sequence_run import sequence_run_of
from gatewise.records.labels import Labels
from gatewise.records.step import State
from gatewise.render import text
from gatewise.symbolic.cell import parameter_values, place_of_symbol, size_of_axes
from gatewise.symbolic.formula import Symbol
from gatewise.symbolic.program import Form
from gatewise.walkthrough.bound import BoundStep, bind_backward
from gatewise.walkthrough.notation import DEFAULT

MAX_SIZES = (MAX_WORKED_UNITS, 100, 500)  # units, features and steps
MAX_ABSOLUTE = LARGEST["float64"]  # of every number of a lesson, given or computed
LESSON = {"title": 200, "about?": (2000, 0, 10), "features?": (100, 1, 100), "units?": (100, 1, 100)}
LESSON |= {"given": dict, "variant?": dict, "chapters": (object, 1, 50)}  # rules: see `_checked`


def lesson_document(path: str | os.PathLike[str], lang: str) -> Object:
    """Return the document of a lesson's page, or raise a FileError that names the first wrong place in its file."""
    source = readable(path)
    with reading(str(source)):
        lesson = _checked(read_document(source, Budget.of(source)), LESSON, "")
    problem = read_problem(sheet.read(source, "given"))
    p, sizes = problem.parameters, (problem.parameters.hidden_size, problem.x.shape[2], len(problem.x))
    with reading(str(source), GatewiseError):
        if problem.x.shape[1] > 1 or {"dh", "dc_next"} & lesson["given"].keys():
            raise FileError("given must be one sequence, without dh and dc_next: the loss is the last hidden state")
        if any(size > most for size, most in zip(sizes, MAX_SIZES, strict=True)):
            raise FileError(f"given has {sizes} units, features and steps; at most {MAX_SIZES} are allowed")
        for name, array in problem.given_arrays().items():
            if not is_in_range(array, p.weight.dtype):
                raise FileError(f"given.{name} has a number above {MAX_ABSOLUTE:g} in size; no number may be larger")
        labels = Labels(features=lesson.get("features"), units=lesson.get("units"))
        run = sequence_run_of(LSTM.from_cells(p), problem.x, 0, {"state": ((problem.state,),), "labels": labels})
        scene = scene_document(run, lesson["title"], lesson.get("about", ()))
        chapters = _checked(lesson["chapters"], (_chapter(scene["program"][0], problem), 1, 50), "chapters")
        filled = [{"focus": {}, "edits": [], "mistakes": [], "after": ""} | chapter for chapter in chapters]
        for n, chapter in enumerate(filled):
            _require_answerable(chapter, problem, f"chapters[{n}]")
    return scenes_document(lesson["title"], {"lesson": scene}, filled, lang)


def _chapter(program: Object, problem: Problem) -> Object:
    sizes, step = size_of_axes(problem.parameters), range(len(problem.x))
    given = {line["symbol"]: line for line in program["given"] if line["kind"] != "gradient"}
    computed = {line["left"]: line for line in (*program["forward"], *program["backward"]) if not line["sums"]}

    def entry(place: Object) -> Object:
        line = (given | computed)[place["name"]]
        steps = {"parameter": None, "state": range(1)}.get(line.get("kind"), step)
        return {"step": steps, "at": [range(sizes[axis]) for axis in line["axes"]]}

    edits = ({"name": [*given], "step": object, "at": object, "value": float, "": entry}, 0, 100)
    asked = [name for name, line in computed.items() if line["axes"] == ["units"]]
    names = [*computed, *(line["symbol"] for line in program["given"] if line["kind"] != "parameter")]
    hide = {"names": (names, 1, 50), "from": step, "to": step, "": lambda hide: {"to": step[hide["from"] :]}}
    ask = {"name": asked, "step": object, "at": object, "tolerance": 1.0, "also?": (names, 0, 50)}
    ask |= {"hide?": (hide, 0, 10), "": entry}
    focus = {"step?": step, "unit?": range(sizes["units"]), "quantity?": names, "backward?": bool}
    focus |= {"level?": ["overview", "step", "number"]}
    texts = {"title": 200, "text": (2000, 1, 10), "question": 2000, "after?": 2000, "learned?": 2000}
    return texts | {"focus?": focus, "edits?": edits, "ask": ask, "mistakes?": ({"value": float, "says": 2000}, 0, 20)}


def _require_answerable(chapter: Object, problem: Problem, place: str) -> None:
    """Raise a FileError unless a chapter's number can be computed, it is hidden, and each mistake is wrong, once."""
    ask, values = chapter["ask"], [mistake["value"] for mistake in chapter["mistakes"]]
    asked, hides = f"{ask['name']} at step {ask['step']}", ask.get("hide")
    if hides and not any(ask["name"] in hide["names"] and hide["from"] <= ask["step"] <= hide["to"] for hide in hides):
        raise FileError(f"{place}.ask.hide leaves {asked} in sight; it must hide what is asked for")
    right = _asked_number(problem, chapter["edits"], ask)
    if right is None:
        raise FileError(f"{place}.ask is for {asked}, which depends on a number above {MAX_ABSOLUTE:g} in size")
    near = ask["tolerance"] + float(rounding(np.array(right)))  # the same on every CPU, and in the browser
    for n, value in enumerate(values):
        if abs(value - right) <= near or value in values[:n]:
            allowed = f"further from the right number, {right:.6g}, than the tolerance, and no other mistake's"
            raise FileError(f"{place}.mistakes[{n}].value is {value:.6g}; it must be {allowed}")


@quiet
def _asked_number(problem: Problem, edits: Sequence[Object], ask: Object) -> float | None:
    """Return the number that a chapter asks for, or None if a number that it may depend on exceeds `MOST_IN_SIZE`.

    The loss is the hidden state of unit 0 at the last step.
    """
    p, x, state = problem.parameters, problem.x.copy(), State(problem.state.h.copy(), problem.state.c.copy())
    form, arrays = Form(p.variant, p.projection is not None), {name: array.copy() for name, array in p.arrays().items()}
    places = {
        text.formula(symbol): place_of_symbol(form, symbol, p.recurrent_size) for symbol in parameter_values(form, p)
    }
    entries = {name: arrays[place[0]][place[1]] for name, place in places.items() if place is not None}
    for edit in edits:
        of_step = {"x": x[edit["step"] or 0, 0], "h_prev": state.h[0], "c_prev": state.c[0]}
        (of_step | entries)[edit["name"]][tuple(edit["at"])] = edit["value"]
    cell = Parameters(variant=p.variant, **arrays)
    trace = LSTM.from_cells(cell).trace(x, ((state,),), engine="reference")[0]
    loss = np.eye(len(trace), p.recurrent_size, 1 - len(trace))  # 1 at the last step's unit 0
    steps = [BoundStep(trace.step(t, 0), None, DEFAULT, at=t, dy=dy) for t, dy in enumerate(loss)]
    program = steps[0].program
    names = {text.formula(symbol): symbol for symbol in program.assignments}
    step, is_backward = ask["step"], names[ask["name"]] in [line.left for line in program.backward]
    if not _all_in_range((line.left for line in program.forward), steps if is_backward else steps[: step + 1]):
        return None
    if is_backward:
        bind_backward(steps, None, None)
        if not _all_in_range((line.left for line in program.backward), steps[step:]):
            return None
    return float(steps[step].scope[names[ask["name"]]][tuple(ask["at"])])


def _all_in_range(symbols: Iterable[Symbol], steps: Sequence[BoundStep]) -> bool:
    dtype = steps[0].p.weight.dtype
    return all(is_in_range(step.scope[symbol], dtype) for symbol in [*symbols] for step in steps)


def _checked(value: Any, rule: Any, place: str) -> Any:
    """Return a value with its texts on one line, or raise a FileError unless its rule allows it.

    A rule is a type, None, a range, a list of choices or of ranges, one for each number of a list; the most characters
    of a text, or the most of a number above 0; of a list, the rule of its entries, and their least and most number; of
    an object, the rules of its keys, with a ? behind those that may be missing, and under "" what returns more of them.
    """
    is_number = type(value) in (int, float) and abs(value) <= MAX_ABSOLUTE
    match rule:
        case None:
            allowed, holds = "null, for a parameter has no steps", value is None
        case dict():
            allowed, holds = "an object", isinstance(value, dict)
        case (_, least, most) if isinstance(rule, tuple):
            allowed = f"a list of {least} to {most} entries"
            holds = isinstance(value, list) and least <= len(value) <= most
        case range():
            allowed = f"a whole number from {rule[0]} to {rule[-1]}" if len(rule) > 1 else f"{rule[0]}"
            holds = type(value) is int and value in rule
        case [range(), *_]:
            ends = ", one below ".join(str(len(places)) for places in rule)
            allowed = f"a list of {len(rule)}: a whole number below {ends}"
            holds = isinstance(value, list) and len(value) == len(rule)
            holds = holds and all(type(n) is int and n in places for n, places in zip(value, rule, strict=True))
        case list():
            allowed, holds = f"one of {', '.join(rule)}", isinstance(value, str) and value in rule
        case float():
            allowed, holds = f"a number above 0, at most {rule:g}", is_number and 0 < value <= rule
        case int():
            allowed = f"a text of 1 to {rule:,} characters, not all blank"
            holds = isinstance(value, str) and len(value) <= rule and text.clean(value) != ""
        case _:
            number = f"a number from {-MAX_ABSOLUTE:g} to {MAX_ABSOLUTE:g}"
            allowed = {float: number, bool: "true or false"}.get(rule, "an object")
            holds = is_number if rule is float else isinstance(value, rule)
    if not holds:
        written = json.dumps(value)
        shown = written if len(written) <= 30 else describe(value)
        raise FileError(f"{place or 'the lesson'} is {shown}; it must be {allowed}")
    if isinstance(rule, tuple):
        return [_checked(part, rule[0], f"{place}[{n}]") for n, part in enumerate(value)]
    if not isinstance(rule, dict):
        return text.clean(value) if isinstance(value, str) else value
    rules = {key.rstrip("?"): part for key, part in rule.items() if key}
    for key in [*value, *rules]:
        if key not in rules:
            raise FileError(f"{place or 'the lesson'} has {describe(key)}; allowed are {', '.join(rules)}")
        if key not in value and key in rule:
            raise FileError(f"{place or 'the lesson'} has no {describe(key)}")
    within = f"{place}." if place else ""
    checked = {key: _checked(part, rules[key], f"{within}{key}") for key, part in value.items()}
    for key, part in rule[""](checked).items() if "" in rule else ():
        _checked(value[key], part, f"{within}{key}")
    return checked
