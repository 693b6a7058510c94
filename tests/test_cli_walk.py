"""gatewise walk and check: files, formats, exit codes, one sentence for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pairwise import pairs
from program import exit_code, output_of, refusal_of

import gatewise as gw
from gatewise import examples
from gatewise.showing import ENDINGS
from gatewise.walkthrough.numbers import number
from gatewise.walkthrough.parts import Walkthrough

pytestmark = pytest.mark.usefixtures("here")


def walk_of_the_example(**options) -> Walkthrough:
    example = examples.notebook()
    return gw.walk(example.cell.step(example.x[0], example.state), facts=example.facts, **options)


@pairs(format=ENDINGS, backward=[False, True], thin=True)
def test_a_format_is_printed_and_written_and_rendered_alike(format, backward, capfdbinary):
    tokens = ["walk", "--format", format, *(["--backward"] if backward else [])]
    assert exit_code(tokens) == 0
    printed = capfdbinary.readouterr().out.decode()
    expected = walk_of_the_example(backward=backward).render(format)
    assert printed == f"{expected}\n"
    path = Path(f"walk{ENDINGS[format]}")
    assert exit_code(["walk", "--output", str(path), *(["--backward"] if backward else [])]) == 0
    assert path.read_text(encoding="utf-8") == expected
    assert capfdbinary.readouterr().out == b""


def test_a_format_that_is_named_wins_over_the_name_of_the_file():
    assert exit_code(["walk", "--format", "json", "--output", "walk.txt"]) == 0
    assert json.loads(Path("walk.txt").read_text(encoding="utf-8"))["format"] == "gatewise walkthrough"


def test_an_existing_file_is_replaced_whole_and_nothing_is_left_beside_it():
    Path("walk.md").write_text("x" * 10**6, encoding="utf-8")
    assert exit_code(["walk", "--output", "walk.md"]) == 0
    assert Path("walk.md").read_text(encoding="utf-8").startswith("# ")
    assert [path.name for path in Path().iterdir()] == ["walk.md"]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["walk", "--output", "walk"], "the name 'walk' must end in one of .txt, .md, .tex, .html"),
        (["walk", "--output", "no/walk.md"], "cannot write no/walk.md"),
        (["walk", "--output", ".", "--format", "html"], "it is a folder"),
        (["walk", "--format", "pdf"], "--format must be one of text, markdown, latex, html, notebook, json, not 'pdf'"),
        (
            ["walk", "--notation", "tex"],
            "--notation must be one of gatewise, notebook, olah, pytorch, keras, not 'tex'",
        ),
        (["walk", "--dh", "1,1"], "--dh is for the backward pass. Add --backward."),
        (["walk", "--backward", "--dh", "1,1,1"], "dh has shape (3,); this cell takes (2,)"),
        (["walk", "--backward", "--dc", "nan,1"], "dc must hold finite numbers"),
        (["walk", "--sequence", "1"], "there is no sequence 1; the batch has sequences 0 to 0"),
        (["walk", "--given", "none.json"], "cannot read none.json: there is no such file"),
        (["walk", "--given", "x.json", "--x", "1"], "--x does not go with --given"),
        (["walk", "--program"], "--program is for JSON"),
        (["walk", "--program", "--format", "html"], "--program is for JSON"),
        (["walk", "--program", "--output", "walk.md"], "--program is for JSON"),
        (["walk", "--steps", "10000000", "--backward", "--every-step", "--format", "html"], "memory"),
        (["check", "none.csv"], "cannot read none.csv: there is no such file"),
        (["check", "answers.txt"], "cannot read answers.txt: there is no such file"),
        (["check", "answers.csv", "--backward"], "--backward belongs to --template"),
        (
            ["check", "answers.txt", "--template"],
            "the ending of a sheet's name must be one of .json, .csv, .npz, not '.txt'",
        ),
        (["check", ".", "--template"], "--template does not go with a folder of answers"),
        (["check", "."], "there is no key in"),
    ],
)
def test_bad_input_gets_one_sentence(tokens, message, capsys):
    assert message in refusal_of(capsys, *tokens)


@pairs(suffix=["json", "csv", "npz"], options=[[], ["--backward"], ["--steps", "2"], ["--example", "latch"]], thin=True)
def test_a_template_is_an_empty_sheet_and_is_not_written_over(suffix, options, capsys):
    path = f"sheet.{suffix}"
    assert exit_code(["check", path, "--template", *options]) == 0
    capsys.readouterr()
    run = [one for one in options if one != "--backward"]
    assert output_of(capsys, "check", path, *run).startswith("Nothing is written yet.")
    assert "the file exists" in refusal_of(capsys, "check", path, "--template", *options)


def test_weights_of_ones_own_are_walked_and_checked(capsys):
    rng = np.random.default_rng(0)
    given = {f"{base}_{k}": rng.normal(size=(2, 3) if base == "W" else 2).tolist() for k in "ifgo" for base in "Wb"}
    given |= {"x": [0.5], "h_prev": [0.1, 0.2], "c_prev": [0.3, -0.4]}
    Path("mine.json").write_text(json.dumps(given), encoding="utf-8")
    weight, bias = (np.stack([given[f"{base}_{k}"] for k in "ifgo"]) for base in "Wb")
    step = gw.LSTMCell.from_parameters(gw.Parameters(weight, bias)).step([0.5], gw.State([0.1, 0.2], [0.3, -0.4]))
    assert number(step.hidden_state[0]) in output_of(capsys, "walk", "--given", "mine.json")
    for right in (True, False):
        answers = {"h": (step.hidden_state * (1 if right else 1.1)).tolist()}
        Path("answers.json").write_text(json.dumps(answers), encoding="utf-8")
        assert exit_code(["check", "answers.json", "--given", "mine.json"]) == (0 if right else 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_f": None}, "W_f is missing"),
        ({"b_g": [1, 2, 3]}, "b_g has shape (3,); it must be (2,)"),
        ({"W_o": [[1, 2], [3, 4]]}, "W_o has shape (2, 2); it must be (2, 3)"),
        ({"x": [1, 2]}, "x has shape (2,); it must be (1,), (time, 1) or (time, batch, 1)"),
        ({"h_prev": [1]}, "h_prev has shape (1,); it must be (2,)"),
        ({"c": [1, 2]}, "there is no 'c' among what is given; allowed: W_f, b_f"),
        ({"x": ["a"]}, "mine.json: line 1: x: 'a' is not a number"),
        ({"x": [None]}, "'x' is not filled in"),
        ({"W_f": 3}, "W_f has shape (); it must be (2, 3)"),
    ],
)
def test_weights_that_do_not_fit_get_one_sentence(change, message, capsys):
    given = {f"{base}_{k}": np.ones((2, 3) if base == "W" else 2).tolist() for k in "ifgo" for base in "Wb"}
    given |= {"x": [0.5], "h_prev": [0.1, 0.2], "c_prev": [0.3, -0.4]}
    given = {name: value for name, value in {**given, **change}.items() if value is not None}
    Path("mine.json").write_text(json.dumps(given), encoding="utf-8")
    assert message in refusal_of(capsys, "walk", "--given", "mine.json")


def test_a_backward_walk_needs_the_steps_of_one_run():
    example = examples.notebook()
    step = example.cell.step(example.x[0], example.state)
    with pytest.raises(gw.OptionError, match="steps of one run"):
        gw.walk([step, step], backward=True)
    with pytest.raises(gw.OptionError, match="belong to the backward pass"):
        gw.walk(step, dh=[1, 1])


def test_a_sum_of_thousands_of_products_is_written_in_full_as_json(capfdbinary):
    assert exit_code(["walk", "--input-size", "3000", "--hidden-size", "1", "--format", "json"]) == 0
    assert capfdbinary.readouterr().out.count(b"more") == 0


def test_the_program_stands_in_json_instead_of_the_sections(capsys):
    document = json.loads(output_of(capsys, "walk", "--format", "json", "--program", "--backward"))
    assert "sections" not in document
    assert [one["left"] for one in document["program"][0]["forward"]][-2:] == ["c", "h"]
    assert exit_code(["walk", "--program", "--output", "walk.json"]) == 0
    assert json.loads(Path("walk.json").read_text(encoding="utf-8"))["inputs"]["steps"]["x"] == [[0.5, 0.8, 0.2]]


@pytest.mark.subjects(1)
@pytest.mark.parametrize(
    ("units", "tokens"),
    [
        pytest.param(1800, ["--backward"], marks=pytest.mark.peers),
        (1800, ["--backward", "-o", "w.html"]),
        (600, ["-o", "w.json"]),
        (1300, ["-o", "w.ipynb"]),
    ],
)
def test_a_walk_that_takes_long_says_how_much_and_asks_first(units, tokens, capsys):
    refused = refusal_of(capsys, "walk", "--hidden-size", units, *tokens)
    assert refused.startswith(f"a walk through 1 step of {units:,} units takes about ")
    assert refused.endswith(" of memory. Add --yes to go on.")


def test_a_walk_that_takes_long_is_written_with_yes_and_never_without_the_memory(capsys, monkeypatch):
    monkeypatch.setattr("gatewise.cli.printing.MAX_UNASKED", (0.0, 0))
    assert "--yes" in refusal_of(capsys, "walk", "-o", "w.html")
    output_of(capsys, "walk", "--yes", "-o", "w.html")
    output_of(capsys, "walk", "--brief", "-o", "brief.html")  # a table, however many weights there are
    assert Path("w.html").stat().st_size > Path("brief.html").stat().st_size
    monkeypatch.setattr("gatewise.arrays.SMALL", 0)
    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 100)
    assert "100 B are available" in refusal_of(capsys, "walk", "--yes", "-o", "more.html")
