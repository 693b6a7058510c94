"""The help of every command, and one sentence for whatever is wrong with a command line."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shutil
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pairwise import cover
from program import assemble, assembled, exit_code, output_of, refusal_of
from rich.console import Console

import gatewise as gw
from gatewise.cli import COMMANDS, app, usage
from gatewise.cli.help import COMMON, FULL, MORE
from gatewise.cli.usage import flowing
from gatewise.interop import onnx

NAMES = list(COMMANDS)


options_of = cache(partial(usage._options, app))


@pytest.fixture(autouse=True)
def in_a_folder(here, monkeypatch):
    monkeypatch.setattr(usage, "_options", lambda app, command: options_of(command))  # which are found once


@pytest.mark.parametrize("name", NAMES)
def test_the_arguments_that_a_command_has_are_the_same_when_it_is_called_again(name, capsys):
    exit_code([name, "--output", "a", "--no-such-option", "--sequence"])
    for texts in (False, True):
        again, anew = (found(app[name], parse_docstring=texts) for found in (assembled, assemble))
        assert repr(again) == repr(anew)
        assert [one.names for one in again] == [one.names for one in anew]


# Help.


SCREENS = 2 * 24  # lines of help


@cache
def help_of(name, width, full=False):
    """Return the help of a command in a terminal of that width, of either length."""
    buffer = io.StringIO()
    FULL.set(full)
    app.help_print([name], console=Console(file=buffer, width=width))
    FULL.set(False)
    return buffer.getvalue().splitlines()


def test_every_command_is_listed_in_the_order_in_which_they_are_met(capsys):
    lines = output_of(capsys, "--help").splitlines()
    places = [next(n for n, line in enumerate(lines) if line.split()[:1] == [name]) for name in NAMES]
    assert places == list(range(places[0], places[0] + len(NAMES)))  # a line each
    assert all(len(lines[place].split()) > 2 for place in places)  # each says what it does


@cache
def arguments_of(name):
    return app[name].assemble_argument_collection(parse_docstring=True)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", NAMES)
def test_help_flows_with_the_width_of_the_terminal(name, width, full):
    lines = help_of(name, width, full)
    assert max(map(len, lines)) <= width
    said = lines[2 : next(number for number, line in enumerate(lines) if line.startswith(("╭", "    gatewise")))]
    for line, following in pairwise(said):
        if line.strip() and following.strip() and not line.startswith(" "):
            assert len(line.rstrip()) + 1 + len(following.split()[0]) > width, line
    for argument in arguments_of(name):
        if argument.name == "*":  # a record of options
            continue
        assert argument.parameter.help, argument.name
        assert "\n" not in argument.parameter.help
        assert argument.parameter.help.endswith("."), argument.parameter.help
    assert "[default: False]" not in "\n".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_on_two_screens_with_a_line_for_each_option(name):
    lines = help_of(name, 80)
    assert len(lines) + 1 <= SCREENS  # with the line about more options
    options = [line for line in lines if line.startswith("  ") and not line.startswith("    gatewise")]
    assert options
    for line in options:
        assert re.match(r"  (--)?\w", line), line  # no line goes on where another ends
        assert line[:21].strip(), line
        assert line[21:].strip(), line


@pytest.mark.parametrize("command", NAMES)
def test_the_full_help_explains_every_option(command):
    text = "\n".join(help_of(command, 80, full=True)).partition("╭")[2]
    for argument in arguments_of(command):
        if argument.name != "*" and argument.parameter.parse is not False:
            name = argument.name.lstrip("-").replace("_", "-")
            assert re.search(rf"\b{re.escape(name)}(?![\w-])", text, re.IGNORECASE), argument
    short = [re.match(r"  (--[\w-]+)", line) for line in help_of(command, 80)]
    assert all(option[1] in text for option in short if option)


def test_every_common_option_is_one_of_a_command():
    names = {name.removeprefix("--") for command in NAMES for one in arguments_of(command) for name in one.names}
    assert names >= COMMON


def test_help_says_how_to_get_more(capsys):
    assert output_of(capsys, "walk", "--help").splitlines()[-1] == MORE
    full = output_of(capsys, "walk", "--help-all")
    assert MORE not in full
    assert "--gate-clip" in full
    assert "--gate-clip" not in output_of(capsys, "walk", "--help")


@pytest.mark.parametrize("name", NAMES)
def test_help_says_in_one_sentence_what_a_command_does(name):
    lines = help_of(name, 1000)
    assert re.fullmatch(r"[A-Z][^.]*\.", lines[2].rstrip())
    assert lines[3].strip() == ""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write what the examples read, and return the folder."""
    folder = tmp_path_factory.mktemp("files")
    with contextlib.chdir(folder):
        write_files()
    return folder


def write_files():
    rng = np.random.default_rng(0)
    lstm, x = gw.LSTM(3, 4, rng=0), rng.normal(size=(5, 1, 3)).astype(np.float32)
    gw.save(lstm, "model.safetensors")
    for target in ("model.pt", "model.h5"):
        assert exit_code(["convert", "model.safetensors", target]) == 0
    onnx.write(lstm, "model.onnx")
    y, _ = lstm(x)
    np.save("x.npy", x)
    np.savetxt("x.csv", x[:, 0], delimiter=";", header="rain;snow;wind", comments="")
    np.save("y.npy", y)
    np.savez("case.npz", x=x, y=y)
    np.savez("cases.npz", **{"first.x": x, "first.y": y, "second.x": x[::-1], "second.y": lstm(x[::-1])[0]})
    Path("class.csv").write_text("Ada\nGrace\n", encoding="utf-8")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.peers] * (name in ("report", "page"))) for name in NAMES]
)
def test_help_has_two_examples_that_work_and_are_not_broken_in_60_columns(name, files, capsys):
    shutil.copytree(files, ".", dirs_exist_ok=True)
    examples = [line.strip() for line in help_of(name, 60) if line.startswith("    gatewise ")]
    assert len(examples) == 2
    for example in examples:
        program, *tokens = example.split()
        assert (program, tokens[0]) == ("gatewise", name)
        assert exit_code(tokens) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "other"), [("check", "verify"), ("verify", "check"), ("inspect", "verify"), ("inspect", "check")]
)
def test_commands_that_may_be_mistaken_for_each_other_name_each_other(name, other, capsys):
    assert f"gatewise {other}" in " ".join(output_of(capsys, name, "--help").split())


@pytest.mark.parametrize("name", NAMES)
def test_a_file_to_write_is_named_by_o_wherever_it_is_named_by_output(name):
    names = [argument.names for argument in app[name].assemble_argument_collection()]
    for some in names:
        assert ("--output" in some) == ("-o" in some), some
    writing = ("walk", "check", "exercise", "trace", "plot", "report", "page", "judge", "convert", "export")
    assert sum("-o" in some for some in names) == (name in writing)


def test_a_paragraph_becomes_one_line_and_examples_stay_as_they_are():
    text = """One
    sentence.

    Two
    lines.

        gatewise a
        gatewise b

    Parameters
    ----------
    one
        What it
        is.
    two
        What that is.
    """
    assert flowing(text).splitlines() == [
        "One sentence.",
        "",
        "Two lines.",
        "",
        "    gatewise a",
        "    gatewise b",
        "",
        "Parameters",
        "----------",
        "one",
        "    What it is.",
        "two",
        "    What that is.",
    ]
    assert flowing(None) == ""


# Mistakes.


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("trace", "trace needs FILE and INPUT, and --output; gatewise trace --help shows examples"),
        ("trace a", "trace needs INPUT and --output; gatewise trace --help shows examples"),
        ("trace -o x", "trace needs FILE and INPUT; gatewise trace --help shows examples"),
        ("trace --output=x a", "trace needs INPUT; gatewise trace --help shows examples"),
        ("check", "check needs ANSWERS; gatewise check --help shows examples"),
        ("convert", "convert needs FILE and OUTPUT; gatewise convert --help shows examples"),
        ("exercise", "exercise needs --students and --output; gatewise exercise --help shows examples"),
        (
            "verify a",
            "verify needs INPUT and OUTPUT, or --io (your own numbers are compared by gatewise check);"
            " gatewise verify --help shows examples",
        ),
        (
            "verify a b",
            "verify needs OUTPUT (your own numbers are compared by gatewise check); gatewise verify --help shows"
            " examples",
        ),
        ("trace a b -o", "-o needs a value after it"),
        ("walk --x", "--x needs a value after it"),
        ("walk --bogus", "walk has no option --bogus; gatewise walk --help lists those it has"),
        ("walk --bogus=1", "walk has no option --bogus; gatewise walk --help lists those it has"),
        ("walk --ouput", "walk has no option --ouput; did you mean --output?"),
        ("walk --not", "walk has no option --not; did you mean --notation?"),
        ("check a --io b", "check has no option --io; gatewise verify has it"),
        (
            "walk --key a",
            "walk has no option --key; gatewise trace, gatewise plot, gatewise report, gatewise page and gatewise"
            " verify have it",
        ),
        ("--bogus", "there is no option --bogus before a command; gatewise --help lists the commands"),
        ("wlak", "there is no command 'wlak'; did you mean walk?"),
        (
            "model",
            "there is no command 'model'; allowed: walk, check, exercise, inspect, trace, plot, report, page, verify,"
            " judge, reproduce, convert and export",
        ),
        ("walk foo", "walk takes options alone, and not 'foo' as well"),
        ("trace a b c -o d", "a trace of several inputs is a .zarr store. The name of d must end in .zarr."),
        (
            "walk --x 1 2 3",
            "walk takes options alone, and not '2' as well; several numbers have commas between them and no blanks, as"
            " in 1,2,3",
        ),
        ("walk --scale two", "--scale must be a number, not 'two'"),
        ("walk --peephole half", "--peephole must be one of none, full, not 'half'"),
        ("walk --peephole ful", "--peephole must be one of none, full, not 'ful'; did you mean full?"),
        ("walk --backward=maybe", "--backward takes no value"),
        ("walk --x 1 --x 2", "--x is given more than once"),
        ("trace a.pt [] -o x.npz", "cannot read a.pt: there is no such file"),  # [] is a name, not a list of none
        ("check []", "cannot read []: there is no such file"),
        ("exercise --students a -o b --seed 1.5", "--seed must be an integer, not '1.5'"),
    ],
)
def test_a_mistake_in_a_command_line_is_one_sentence(line, sentence, capsys):
    assert refusal_of(capsys, *line.split()) == sentence


@pytest.mark.parametrize(
    "line", ["walk --\x1b[31m", "\x1b[31m", "walk \x1b[31m", "walk --peephole \x1b[31m", "walk --x \x1b[31m"]
)
def test_what_is_typed_cannot_steer_the_terminal(line, capsys):
    assert "\x1b" not in refusal_of(capsys, *line.split())


TYPED = ["a", "-o", "--x", "two", "--", "--peephole", "--seed", "", "1", "-", "--set", "--help=1", "-1", "--io", "="]


@pytest.mark.parametrize("typed", [TYPED[:6], pytest.param(TYPED, marks=pytest.mark.peers)], ids=len)
def test_no_mistake_is_worded_by_cyclopts(typed, capsys):
    """What a person may type after a command, in pairs: what is refused is refused in our words."""
    for case in cover({"command": [*NAMES, ""], "first": typed, "second": typed}):
        tokens = list(case.values())
        assert exit_code(tokens) in (0, 1, 2), tokens
        said = capsys.readouterr().err
        if said:
            assert said.startswith("gatewise: "), tokens
            assert said.count("\n") == 1, (tokens, said)
            assert not re.search(r"Parameter |Invalid|Unknown|Unused|Command |requires", said), said


def test_a_file_in_the_place_of_a_command_is_told_of_inspect(capsys):
    Path("model.onnx").touch()
    assert (
        refusal_of(capsys, "model.onnx")
        == "'model.onnx' is a file, not a command; gatewise inspect says what is in a file"
    )


@pytest.mark.parametrize("name", ["model.onnx", "model.pt", "model.h5", "model.keras", "model.safetensors"])
def test_a_model_given_to_check_is_told_of_inspect_and_verify(name, capsys):
    Path(name).touch()
    assert refusal_of(capsys, "check", name) == (
        f"{name} is a model, not a sheet of answers. gatewise inspect shows what is in it. gatewise verify compares"
        " it with the outputs of its own framework"
    )


@pytest.mark.parametrize(
    "tokens", [["inspect"], ["verify", "--io", "case.npz"], ["convert", "-o", "b.pt"]], ids=" ".join
)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".npz", ".npy"])
def test_numbers_given_in_the_place_of_a_model_are_told_of_check(tokens, suffix, capsys):
    path = Path(f"answers{suffix}")
    if suffix == ".npz":
        np.savez(path, f=[0.5, 0.5])
    elif suffix == ".npy":
        np.save(path, [0.5, 0.5])
    else:
        path.write_text("f,0.49,0.50\n" if suffix == ".csv" else '{"f": [0.49, 0.50]}', encoding="utf-8")
    assert "If it holds numbers that you worked out yourself, use gatewise check" in refusal_of(
        capsys, tokens[0], path.name, *tokens[1:]
    )


def test_no_help_is_written_twice():
    """What several commands take is explained by one text."""
    folder = Path(gw.__file__).parent / "cli"
    found = [
        node.value
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 60
    ]
    assert len(found) == len(set(found))
