"""A lesson of one's own: its example holds, and whatever is wrong in such a file is refused where it stands."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
import schemas
from program import exit_code, refusal_of
from walks import EVERY_PART

import gatewise as gw
from gatewise.activations import Activation
from gatewise.cli.page import page as cli_page
from gatewise.grading.problem import Problem
from gatewise.languages import language
from gatewise.playground import lesson_file
from gatewise.playground.document import MAX_WORKED_UNITS
from gatewise.playground.page import Page

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLE = DOCS / "lesson" / "accumulator.json"
WRITTEN = json.loads(EXAMPLE.read_text(encoding="utf-8"))
ASKED = {"step": 2, "at": [1], "tolerance": 0.01}
Place = tuple[str | int, ...]


@pytest.fixture(autouse=True)
def _without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages hold neither words nor likely slips: those have laws of their own, and take most of the time."""
    monkeypatch.setattr("gatewise.playground.quantities.edits_of_wiring", lambda wiring: [])
    monkeypatch.setattr("gatewise.playground.document.words", lambda wiring: [])
    monkeypatch.setattr("gatewise.playground.document.formulas", lambda wiring: [])


def spoiled(folder: Path, place: Place, value: Any) -> Path:
    """Write the example with another value at a place; an ellipsis takes it away."""
    lesson = copy.deepcopy(WRITTEN)
    *owners, last = place
    owner: Any = lesson
    for key in owners:
        owner = owner[key]
    if value is ...:
        del owner[last]
    else:
        owner[last] = value
    path = folder / "mine.json"
    path.write_text(json.dumps(lesson), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(gw.FileError) as problem:
        gw.page(lesson=path)
    said = str(problem.value)
    assert "\n" not in said
    assert len(said) < 700
    return said


def trace_of(edits: list[dict[str, Any]]) -> gw.Trace:
    """Return the run of the example's cell, its x edited."""
    given = {name: np.array(value, float) for name, value in WRITTEN["given"].items()}
    parameters = gw.Parameters(*(np.stack([given[f"{base}_{k}"] for k in "ifgo"]) for base in "Wb"))
    for edit in edits:
        assert edit["name"] == "x"
        given["x"][edit["step"], edit["at"][0]] = edit["value"]
    return gw.LSTM.from_cells(parameters).trace(given["x"])[0]


# What is right.


def test_a_lesson_becomes_a_page_with_its_cell_names_and_chapters() -> None:
    document = lesson_file.lesson_document(EXAMPLE, "en")
    assert document["title"] == "A cell that adds up"
    assert document["scenes"] == {"title": ["A cell that adds up"], "scene": ["lesson"]}
    assert document["labels"]["features"] == ["amount", "reset"]
    assert document["labels"]["units"] == [["sum"]]
    assert document["inputs"]["x"] == WRITTEN["given"]["x"]
    assert document["parameters"][0]["W_f"] == WRITTEN["given"]["W_f"]
    assert document["about"][0] == WRITTEN["about"][0]
    for chapter, written in zip(document["chapters"], WRITTEN["chapters"], strict=True):
        assert chapter == {"focus": {}, "edits": [], "mistakes": [], "after": "", "scene": "lesson"} | written


@pytest.mark.parametrize("chapter", WRITTEN["chapters"], ids=lambda chapter: chapter["title"])
def test_the_wrong_answers_of_the_example_are_wrong_and_it_has_one_for_each_chapter(chapter: dict[str, Any]) -> None:
    name = {"g": "candidate", "f": "forget_gate", "c": "cell_state"}[chapter["ask"]["name"]]
    right = float(getattr(trace_of(chapter.get("edits", [])), name)[chapter["ask"]["step"], 0])
    assert len(chapter["mistakes"]) > 1
    assert all(abs(mistake["value"] - right) > 3 * chapter["ask"]["tolerance"] for mistake in chapter["mistakes"])


def test_a_lesson_is_written_on_the_command_line_and_in_german(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "page.html"
    assert exit_code(["page", "--lesson", str(EXAMPLE), "-o", str(path), "--lang", "de"]) == 0
    assert path.read_text(encoding="utf-8") == gw.page(lesson=str(EXAMPLE), lang="de").html
    assert '<html lang="de">' in path.read_text(encoding="utf-8")
    assert "lesson has a cell" in refusal_of_page(title="Mine")
    assert "does not go with a model" in refusal_of(capsys, "page", "m.onnx", "--lesson", str(EXAMPLE))


def refusal_of_page(**options: Any) -> str:
    with pytest.raises(gw.OptionError) as problem:
        gw.page(lesson=EXAMPLE, **options)
    return str(problem.value)


def test_the_largest_lesson_is_taken_and_no_larger_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lesson_file.MAX_SIZES == (MAX_WORKED_UNITS, 100, 500)
    path = spoiled(tmp_path, ("chapters",), [{**WRITTEN["chapters"][0], "text": ["a" * 2000] * 10}] * 50)
    monkeypatch.setattr(lesson_file, "MAX_SIZES", (1, 2, 5))
    assert len(lesson_file.lesson_document(path, "en")["chapters"]) == 50
    for most in ((0, 2, 5), (1, 1, 5), (1, 2, 4)):
        monkeypatch.setattr(lesson_file, "MAX_SIZES", most)
        assert f"given has (1, 2, 5) units, features and steps; at most {most} are allowed" in refusal(EXAMPLE)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in EVERY_PART else pytest.mark.peers) for n in cases.VARIANTS]
)
def test_a_cell_of_any_variant_may_be_given(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(4)
    p = cases.parameters(cases.VARIANTS[name], rng, inputs=2, dtype=np.float64)
    state = gw.State(*(rng.normal(size=(1, size)) for size in (p.recurrent_size, p.hidden_size)))
    problem = Problem(p, rng.normal(size=(4, 1, 2)), state, state.h, state.c)
    given = {key: value.tolist() for key, value in problem.given_arrays().items() if key not in ("dh", "dc_next")}
    switches = {field.name: getattr(p.variant, field.name) for field in fields(p.variant)}
    switches = {key: str(part) if isinstance(part, Activation) else part for key, part in switches.items()}
    written = {"title": name, "given": given, "variant": switches}
    written["chapters"] = [{**WRITTEN["chapters"][0], "mistakes": [], "ask": {**ASKED, "name": one}} for one in "ch"]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(written), encoding="utf-8")
    document = lesson_file.lesson_document(path, "en")
    assert document["inputs"]["x"] == given["x"]
    assert document["inputs"]["state"] == [[{"h": given["h_prev"], "c": given["c_prev"]}]]
    assert document["program"][0]["form"]["variant"] == p.variant.to_json()
    assert document["parameters"][0]["b_g"] == given["b_g"]


@pytest.mark.parametrize("name", EVERY_PART[::3])  # plain, and the one with the most parts
def test_a_number_that_is_asked_for_is_that_of_the_cell_and_its_gradient_that_of_central_differences(name: str) -> None:
    rng = np.random.default_rng(5)
    p = cases.parameters(cases.VARIANTS[name], rng, inputs=2, dtype=np.float64)
    state = gw.State(*(rng.normal(size=(1, size)) for size in (p.recurrent_size, p.hidden_size)))
    x = rng.normal(size=(4, 1, 2))
    problem = Problem(p, x, state, state.h, state.c)

    def asked(name: str, step: int, place: int, c_prev: float) -> float:
        edits = [{"name": "c_prev", "step": 0, "at": [1], "value": c_prev}]
        edits += [{"name": "x", "step": 2, "at": [1], "value": 0.5}]
        edits += [{"name": "b_g", "step": None, "at": [2], "value": -0.5}]
        return lesson_file._asked_number(problem, edits, {"name": name, "step": step, "at": [place]})

    bias, c, edited = p.bias.copy(), state.c.copy(), x.copy()
    bias[2, 2], c[0, 1], edited[2, 0, 1] = -0.5, 0.3, 0.5
    trace = gw.LSTM.from_cells(p.replace(bias=bias)).trace(edited, ((gw.State(state.h, c),),))[0]
    assert asked("c", 2, 2, 0.3) == pytest.approx(trace.cell_state[2, 0, 2], abs=1e-14)
    slope = (asked("h", 3, 0, 0.3 + 1e-6) - asked("h", 3, 0, 0.3 - 1e-6)) / 2e-6
    assert asked("dc_prev", 0, 1, 0.3) == pytest.approx(slope, abs=1e-8)


# What is wrong.

ASK: Place = ("chapters", 1, "ask")
EDIT: Place = ("chapters", 2, "edits", 0)
HIDE: Place = ("chapters", 2, "ask", "hide", 0)
MISTAKE: Place = ("chapters", 0, "mistakes", 0)
LARGE = ("W_g", None, [0, 1], 1e60), ("W_g", None, [0, 2], -1e60), ("x", 4, [0], 1e60), ("x", 4, [1], 1e60)
CANCELLING = [dict(zip(("name", "step", "at", "value"), edit, strict=True)) for edit in LARGE]
WRONG = [
    (("title",), ..., "the lesson has no 'title'"),
    (("title",), "", 'title is ""; it must be a text of 1 to 200 characters, not all blank'),
    (("title",), " \t ", "it must be a text of 1 to 200 characters, not all blank"),
    (("title",), 3, "title is 3; it must be a text"),
    (("given",), ..., "the lesson has no 'given'"),
    (("given",), [1], "given is [1]; it must be an object"),
    (("given", "W_f"), ..., "W_f is missing"),
    (("given", "W_f"), [[0, 0]], "W_f has shape (1, 2); it must be (1, 3)"),
    (("given", "x"), [[1, 2, 3]], "x has shape (1, 3); it must be"),
    (("given", "x"), [[float("nan"), 0]], "x: 'NaN' is not a number"),
    (("given", "x"), [[float("inf"), 0]], "x: 'Infinity' is not a number"),
    (("given", "b_q"), [0], "there is no 'b_q' among what is given"),
    (("given", "dh"), [1], "given must be one sequence, without dh"),
    (("given", "c_prev"), [0, 0], "c_prev has shape (2,)"),
    (("variant",), {"peephole": "twice"}, "peephole"),
    (("variant",), {"nothing": 1}, "nothing"),
    (("features",), ["one"], "features"),
    (("units",), [3], "units[0] is 3; it must be a text of 1 to 100 characters"),
    (("script",), "alert(1)", "the lesson has 'script'; allowed are title, about, features, units, given"),
    (("chapters",), [], "chapters is []; it must be a list of 1 to 50 entries"),
    (("chapters",), [{}] * 51, "chapters is a list of 51; it must be a list of 1 to 50 entries"),
    (("chapters",), [0] * 10**6, "10000"),
    (("chapters",), {"a": 1}, 'chapters is {"a": 1}; it must be a list of 1 to 50 entries'),
    (("chapters", 0), [], "chapters[0] is []; it must be an object"),
    (("chapters", 0, "ask"), ..., "chapters[0] has no 'ask'"),
    (("chapters", 0, "text"), "Not a list.", 'chapters[0].text is "Not a list."; it must be a list of 1 to 10'),
    (("chapters", 0, "text"), ["a" * 2001], "chapters[0].text[0] is 'aaa"),
    (("chapters", 0, "onclick"), "boom()", "chapters[0] has 'onclick'; allowed are title, text"),
    (("chapters", 0, "focus", "step"), 5, "chapters[0].focus.step is 5; it must be a whole number from 0 to 4"),
    (("chapters", 0, "focus", "step"), True, "chapters[0].focus.step is true; it must be a whole number"),
    (("chapters", 0, "focus", "unit"), 1, "chapters[0].focus.unit is 1; it must be 0"),
    (("chapters", 0, "focus", "backward"), 1, "chapters[0].focus.backward is 1; it must be true or false"),
    (("chapters", 0, "focus", "level"), "deep", 'is "deep"; it must be one of overview, step, number'),
    (("chapters", 0, "focus", "quantity"), "q", 'chapters[0].focus.quantity is "q"; it must be one of z, a_i'),
    ((*ASK, "name"), "W_f", 'chapters[1].ask.name is "W_f"; it must be one of a_i, i'),
    ((*ASK, "name"), ["f"], 'chapters[1].ask.name is ["f"]; it must be one of'),
    ((*ASK, "step"), 5, "chapters[1].ask.step is 5; it must be a whole number from 0 to 4"),
    ((*ASK, "step"), True, "chapters[1].ask.step is true; it must be a whole number from 0 to 4"),
    ((*ASK, "step"), 3.0, "chapters[1].ask.step is 3.0; it must be a whole number from 0 to 4"),
    ((*ASK, "step"), "3", 'chapters[1].ask.step is "3"; it must be a whole number from 0 to 4'),
    ((*ASK, "step"), None, "chapters[1].ask.step is null; it must be a whole number from 0 to 4"),
    ((*ASK, "at"), [1], "chapters[1].ask.at is [1]; it must be a list of 1: a whole number below 1"),
    ((*ASK, "at"), [], "chapters[1].ask.at is []; it must be a list of 1: a whole number below 1"),
    ((*ASK, "at"), [-1], "chapters[1].ask.at is [-1]; it must be a list of 1: a whole number below 1"),
    ((*ASK, "at"), [0.0], "chapters[1].ask.at is [0.0]; it must be a list of 1: a whole number below 1"),
    ((*ASK, "tolerance"), 0, "chapters[1].ask.tolerance is 0; it must be a number above 0, at most 1"),
    ((*ASK, "tolerance"), float("nan"), "chapters[1].ask.tolerance is NaN; it must be a number above 0"),
    ((*ASK, "tolerance"), ..., "chapters[1].ask has no 'tolerance'"),
    ((*ASK, "hide"), [{"names": ["c"], "from": 0}], "chapters[1].ask.hide[0] has no 'to'"),
    ((*ASK, "also"), ["q"], 'chapters[1].ask.also[0] is "q"'),
    ((*EDIT, "name"), "c", 'chapters[2].edits[0].name is "c"; it must be one of x, h_prev, c_prev, W_i'),
    ((*EDIT, "at"), [2], "chapters[2].edits[0].at is [2]; it must be a list of 1: a whole number below 2"),
    ((*EDIT, "step"), None, "chapters[2].edits[0].step is null; it must be a whole number from 0 to 4"),
    ((*EDIT, "step"), [3], "chapters[2].edits[0].step is [3]; it must be a whole number from 0 to 4"),
    (
        EDIT,
        {"name": "b_f", "step": 0, "at": [0], "value": 1},
        "step is 0; it must be null, for a parameter has no steps",
    ),
    (EDIT, {"name": "c_prev", "step": 1, "at": [0], "value": 1}, "chapters[2].edits[0].step is 1; it must be 0"),
    (EDIT, {"name": "W_f", "step": None, "at": [0, 3], "value": 1}, "a whole number below 1, one below 3"),
    ((*EDIT, "value"), 10**400, "chapters[2].edits[0].value is 1000"),
    ((*EDIT, "value"), "1", 'chapters[2].edits[0].value is "1"; it must be a number from -1e+60 to 1e+60'),
    ((*EDIT, "value"), 1e61, "chapters[2].edits[0].value is 1e+61; it must be a number from -1e+60 to 1e+60"),
    (("given", "W_f"), [[0, 1e61, 0]], "given.W_f has a number above 1e+60 in size"),
    (("given", "x"), [[0, -1e61]] * 5, "given.x has a number above 1e+60 in size"),
    (
        ("chapters", 0, "mistakes", 1, "value"),
        float("inf"),
        "chapters[0].mistakes[1].value is Infinity; it must be a number from",
    ),
    (("chapters", 0, "mistakes", 1, "says"), ..., "chapters[0].mistakes[1] has no 'says'"),
    (("chapters", 0, "mistakes"), [WRITTEN["chapters"][0]["mistakes"][0]] * 21, "it must be a list of 0 to 20"),
    ((*HIDE, "to"), 2, "chapters[2].ask.hide[0].to is 2; it must be a whole number from 3 to 4"),
    ((*HIDE, "to"), 3, "chapters[2].ask.hide leaves c at step 4 in sight"),
    ((*HIDE, "names"), ["h"], "chapters[2].ask.hide leaves c at step 4 in sight"),
    (
        (*MISTAKE, "value"),
        0.3803,
        "chapters[0].mistakes[0].value is 0.3803; it must be further from the right number, 0.379949",
    ),
    ((*MISTAKE, "value"), 0.664, "chapters[0].mistakes[1].value is 0.664; it must be further"),
    (("chapters", 2, "edits"), CANCELLING, "chapters[2].ask is for c at step 4, which depends on a number above 1e+60"),
]


@pytest.mark.parametrize(("place", "value", "told"), WRONG, ids=lambda part: str(part)[:40])
def test_what_is_wrong_is_refused_where_it_stands(tmp_path: Path, place: Place, value: Any, told: str) -> None:
    said = refusal(spoiled(tmp_path, place, value))
    assert "mine.json" in said
    assert told in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "JSON"),
        ("[]", "the lesson is []; it must be an object"),
        ("null", "the lesson is null; it must be an object"),
        ("{" * 100_000, "JSON"),
        ('{"title": ' + "[" * 100_000, "nested too deeply"),
        ('{"title": "a", "title": "b"}', "twice"),
        ('{"title": ' + "9" * 5000 + "}", "number"),
        ("\u0000", "JSON"),
    ],
)
def test_a_file_that_is_no_lesson_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text, encoding="utf-8")
    assert told in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "mine.json")


def test_markup_in_texts_stays_text(tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>\u202e\x1b"
    page = gw.page(lesson=spoiled(tmp_path, ("title",), hostile)).html
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    path = spoiled(tmp_path, ("chapters", 0, "text"), [hostile])
    assert lesson_file.lesson_document(path, "en")["chapters"][0]["text"] == [
        "</script><img src=x onerror=alert(1)>\ufffd\ufffd"
    ]


# What is documented.


def test_what_leaves_the_page_is_not_called_nothing() -> None:
    words = [*language.words_in("en")["title"].values(), *language.words_in("de")["title"].values()]
    told = [cli_page.__doc__ or "", gw.page.__doc__ or "", Page.__doc__ or "", *words]
    assert [text for text in told if re.search("nothing leaves|nichts verlässt", text, re.IGNORECASE)] == []
    assert language.words_in("en")["foot"]["sends"] == "This page sends no data."


def test_the_documents_show_a_picture_of_the_page() -> None:
    for document in (DOCS.parent / "README.md", DOCS / "page.md"):
        pictures = re.findall(r"!\[The page: .*\]\((.*)\)", document.read_text(encoding="utf-8"))
        assert [document.parent / picture for picture in pictures] == [DOCS / "page.png"]
        assert (DOCS / "page.png").read_bytes().startswith(b"\x89PNG")


def keys(rule: Any) -> Iterator[str]:
    """Yield all keys of a rule, with a ? behind those that may be missing."""
    for part in rule.values() if isinstance(rule, dict) else rule[:1] if isinstance(rule, tuple) else ():
        yield from keys(part)
    yield from (key for key in rule if key) if isinstance(rule, dict) else ()


def test_every_key_is_in_the_schema_with_a_description(monkeypatch: pytest.MonkeyPatch) -> None:
    rules: list[Any] = [lesson_file.LESSON]
    original: Callable[..., Any] = lesson_file._chapter
    monkeypatch.setattr(lesson_file, "_chapter", lambda *given: rules.append(original(*given)) or rules[-1])
    lesson_file.lesson_document(EXAMPLE, "en")
    allowed = {key for rule in rules for key in keys(rule)}
    schema = schemas.schema("lesson")
    parts = [schema, *schema["$defs"].values(), schema["$defs"]["ask"]["properties"]["hide"]["items"]]
    required = {key for part in parts for key in part.get("required", ())}
    assert {key for part in parts for key in part.get("properties", ())} == {key.rstrip("?") for key in allowed}
    assert {key for key in allowed if not key.endswith("?")} == required
    assert all(part["additionalProperties"] is False for part in parts if "properties" in part)
    assert {key.rstrip("?") for key in allowed} == schemas.described("lesson")
