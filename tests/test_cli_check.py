"""The command that checks a sheet: exit codes, one line for what is none, and a marking in 80 columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pairwise import thinned
from program import exit_code, refusal_of
from written import as_csv, as_json, as_npz, as_problem, problem_of, saved

import gatewise as gw
from gatewise.showing import ENDINGS, FORMATS
from tests.test_sheet import BAD, KEY, STEP, with_a_mistake

SMALL = [what for what in BAD if len(BAD[what][1]) < 100_000]
IN_TURN = SMALL[::3] + SMALL[1::3] + SMALL[2::3]


@pytest.mark.parametrize("what", thinned(IN_TURN, len(SMALL[::3])))  # that each is refused is a law of sheets
def test_the_command_says_one_line_of_what_is_no_sheet(what, here, capsys):
    name, content, _ = BAD[what]
    saved(here, name, content)
    refusal_of(capsys, "check", name)


@pytest.mark.parametrize("suffix", ["json", "csv", "npz"])
def test_the_exit_code_is_0_for_right_and_1_for_wrong(suffix, tmp_path, capsys):
    for numbers, code in ((KEY, 0), (with_a_mistake(), 1)):
        rounded = {name: np.round(value, 5) for name, value in numbers.items()}
        content = {"json": as_json(numbers, 5), "csv": as_csv(numbers, 5), "npz": as_npz(**rounded)}[suffix]
        path = saved(tmp_path, f"a.{suffix}", content)
        assert exit_code(["check", str(path)]) == code
        said = capsys.readouterr()
        assert said.err == ""
        assert said.out.rstrip("\n") == str(gw.check(path, STEP)).rstrip("\n")
        assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.subjects(1)
@pytest.mark.parametrize("format", FORMATS["Marking"])
def test_every_format_is_printed_or_written_to_a_file_with_its_suffix(format, tmp_path, capfd):
    path = saved(tmp_path, "a.csv", as_csv(with_a_mistake(), 5))
    marking = gw.check(path, STEP)
    assert exit_code(["check", str(path), "--format", format]) == 1
    assert capfd.readouterr().out.rstrip("\n") == marking.render(format).rstrip("\n")
    for name, options in ((f"marked{ENDINGS[format]}", []), ("marked.x", ["--format", format])):
        output = tmp_path / name
        assert exit_code(["check", str(path), "-o", str(output), *options]) == 1
        assert output.read_text(encoding="utf-8") == marking.render(format)
        assert capfd.readouterr() == ("", "")
    right = saved(tmp_path, "right.csv", as_csv(KEY, 5))
    assert exit_code(["check", str(right), "--format", format]) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["a.csv", "-o", "a.tex"],
        ["a.csv", "-o", "a.csv", "--format", "text"],
        ["a.csv", "--given", "given.json", "-o", "given.json"],
        ["a.csv", "--format", "latex"],
        ["b.csv", "--template", "--format", "json"],
        ["b.csv", "--template", "-o", "b.html"],
        [".", "--format", "json"],
        [".", "-o", "b.html"],
        ["a.csv", "-o", "nowhere/b.html"],
    ],
    ids=" ".join,
)
def test_an_output_that_cannot_be_is_refused_in_one_line(options, here, capsys):
    saved(here, "a.csv", as_csv(KEY, 5))
    given_problem(here)
    refusal_of(capsys, "check", *options)


def given_problem(folder: Path) -> str:
    """Write a problem with its numbers, and return its path."""
    given = as_problem({}, problem_of("plain", "unprojected")[0].given_arrays())
    return str(saved(folder, "given.json", given))


def saved_model(folder: Path) -> Path:
    path = folder / "model.safetensors"
    gw.save(gw.LSTM(3, 4, rng=0), path)
    return path


RUNS = {
    "latch": lambda folder: ["--example", "latch"],
    "latch, three steps": lambda folder: ["--example", "latch", "--steps", "3"],
    "three steps": lambda folder: ["--steps", "3"],
    "a new cell": lambda folder: ["--input-size", "2", "--hidden-size", "3", "--seed", "7"],
    "a variant": lambda folder: ["--peephole", "full", "--coupling", "forget=1-input", "--steps", "2"],
    "projected": lambda folder: ["--hidden-size", "3", "--projection-size", "2", "--steps", "2"],
    "a model": lambda folder: ["--model", str(saved_model(folder)), "--x", "0.5,0.8,0.2"],
    "given": lambda folder: ["--given", given_problem(folder)],
}


PARTS = ("latch", "three steps", "a new cell", "latch, three steps", "projected")  # of others: peers have them alone


@pytest.mark.subjects(1)
@pytest.mark.parametrize(
    "options",
    [pytest.param(run, id=name, marks=[pytest.mark.peers] * (name in PARTS)) for name, run in RUNS.items()],
)
def test_a_sheet_for_any_run_is_marked_in_80_columns(options, tmp_path, capsys):
    options = options(tmp_path)
    empty = tmp_path / "empty.json"
    assert exit_code(["check", str(empty), "--template", "--backward", *options]) == 0
    capsys.readouterr()
    assert exit_code(["check", str(empty), *options]) == 0
    assert capsys.readouterr().out.startswith("Nothing is written yet.")
    blanks = json.loads(empty.read_text(encoding="utf-8"))
    filled = {name: np.full(np.shape(value), 0.123456).tolist() for name, value in blanks.items()}
    path = saved(tmp_path, "a.json", json.dumps(filled))
    assert exit_code(["check", str(path), *options]) == 1
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"The first wrong line is {next(iter(blanks))} ")
    assert max(map(len, said.out.splitlines())) <= 80
    shown = {
        line.split()[0] for line in said.out.splitlines() if line.startswith("   ") and not line.startswith("    ")
    }
    assert shown == set(blanks)
