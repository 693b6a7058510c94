"""The program: what a person sees, and one sentence for whatever is wrong."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import program
import pytest
from program import output_of, refusal_of

import gatewise as gw
from gatewise import gates
from gatewise.cell import INITS
from gatewise.cli import COMMANDS, app
from gatewise.cli.convert import SUFFIXES
from gatewise.cli.kinds import KINDS
from gatewise.cli.options import CellRunOptions, ModelOptions, RunOptions, VariantOptions, switches_of
from gatewise.cli.run import build_run
from gatewise.cli.walk import NEXT
from gatewise.examples import EXAMPLES
from gatewise.interop import torch
from gatewise.interop.torch import writing
from gatewise.parameters import COUPLINGS, LAYER_NORMS, PEEPHOLES
from gatewise.records.keep import DIRECTIONS, QUANTITIES
from gatewise.showing import FORMATS
from gatewise.walkthrough.notation import NOTATIONS

# What the worked example prints, in its order and as it prints it; sizes of arrays among the rest.
PRINTED = """
0.11920292 0.26894142 0.5 0.73105858 0.88079708 -0.96402758 -0.76159416 0 0.76159416 0.96402758
3 2 0.01 1010
-0.01175448 -0.00383148 -0.01471366 -0.01800569 0.001301 0
0.01595619 0.00993161 -0.02363707 -0.00479592 -0.01650382 0
-0.0054349 0.00779611 -0.00502609 0.0028589 0.02703237 0
-0.00074517 -0.01370103 0.00358587 0.0059805 -0.00306799 0
0.00762969 -0.00998878 0.01009264 -0.00247785 -0.02583517 0
0.00757221 -0.01776461 -0.00779696 -0.00918535 -0.00394989 0
0.00248006 0.00298038 0.00283817 -0.00471223 0.00952028 0
-0.00638603 -0.01260901 -0.00558495 0.00172743 -0.00055948 0
0.5 0.8 0.2 0.3 0.4 0.2 0.3 0.3 0.4 0.5 0.8 0.2
(2, 5) (5, 1) (2, 1) 0.49336036 0.49745089
0.50166712 0.50006494 -0.00380958 -0.01686931 0.50037238 0.49787955
0.09676093 0.14079951 0.04826596 0.0696416
"""


def test_walk_shows_every_number_of_the_worked_example_in_its_order_in_80_plain_columns(capsys):
    shown = output_of(capsys, "walk")
    place = 0
    for token in re.findall(r"\([^)]*\)|\S+", PRINTED):
        found = re.compile(rf"(?<![\w.-]){re.escape(token)}(?![\w.])").search(shown, place)
        assert found, f"{token} is not shown after {shown[max(place - 200, 0) : place]!r}"
        place = found.end()
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


def test_walk_without_options_is_the_worked_example_and_what_to_try_next(capsys):
    assert output_of(capsys, "walk") == f"{output_of(capsys, 'walk', '--example', 'notebook')}{NEXT}\n"


@pytest.mark.parametrize(
    "options",
    [  # others are walked in test_golden.py
        ["--coupling", "forget=1-input"],
        ["--activation", "forget_gate=hard_sigmoid:0.2,0.5", "--activation", "c=softsign"],
        ["--init", "pytorch"],
        ["--init", "glorot", "--forget-bias", "2"],
        ["--init", "chrono", "--longest", "50"],
        ["--input-size", "7", "--hidden-size", "9", "--unit", "-1"],
        ["--steps", "3"],
    ],
)
def test_every_option_walks_and_fits(options, capsys):
    shown = output_of(capsys, "walk", *options)
    assert max(map(len, shown.splitlines())) <= 80
    assert "The new hidden state" in shown


def test_every_switch_of_a_cell_is_an_option():
    own = {one.name for one in fields(VariantOptions)} - {"activation"}
    nonlinearities = {one.name for one in fields(gw.Variant) if one.name.endswith("_activation")}
    assert own | nonlinearities == {one.name for one in fields(gw.Variant)}
    given = [f"{gate}=softsign" for gate in (*gates.NAMES, "cell_state")]
    assert set(switches_of(VariantOptions(activation=given))) == nonlinearities
    assert switches_of(VariantOptions(activation=[f"{letter}=softsign" for letter in "ifgoc"])) == dict.fromkeys(
        nonlinearities, "softsign"
    )


def test_numbers_may_begin_with_a_minus_and_give_the_sizes(capsys):
    shown = output_of(capsys, "walk", "--x", "-0.5,0.25", "--h", "-1,0,1", "--c", "-2,2,0")
    assert "input size   2" in shown
    assert "hidden size  3" in shown
    assert re.search(r"x +-0\.5 +0\.25", shown)
    assert re.search(r"c_prev +-2 +2 +0", shown)


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_a_whole_sequence_is_walked_from_a_file(here, suffix, capsys):
    x = np.random.default_rng(0).normal(size=(4, 3))
    if suffix == ".csv":
        np.savetxt("x.csv", x, delimiter=",", fmt="%.17g")
    else:
        np.save("x.npy", x)
    shown = output_of(capsys, "walk", "--x", f"x{suffix}", "--hidden-size", "1")
    assert [f" step {t} " in shown for t in range(5)] == [True] * 4 + [False]
    assert f" step {1} " in output_of(capsys, "walk", "--x", f"x{suffix}", "--hidden-size", "1", "--steps", "2")


def test_names_and_dates_of_a_csv_reach_the_walk(here, capsys):
    Path("x.csv").write_text("date,rain,snow\n2024-01-01,0.5,1\n2024-01-02,0.25,0\n", encoding="utf-8")
    shown = output_of(capsys, "walk", "--x", "x.csv", "--hidden-size", "1")
    for name in ("rain", "snow", "2024-01-01", "2024-01-02"):
        assert name in shown


def test_steps_of_a_single_input_repeat_it_and_carry_the_state(capsys):
    shown = output_of(capsys, "walk", "--steps", "2")
    again = output_of(
        capsys, "walk", "--x", "0.5,0.8,0.2", "--h", "0.04826596,0.0696416", "--c", "0.09676093,0.14079951"
    )
    assert re.findall(r"h = .* = (\S+)", shown)[-1][:8] == re.findall(r"h = .* = (\S+)", again)[-1][:8]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_one_step_of_a_saved_model_is_that_of_its_trace(here, direction, capsys):
    lstm = gw.LSTM(3, 2, num_layers=2, bidirectional=True, rng=0, dtype=np.float64)
    gw.save(lstm, "m.safetensors")
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.save("x.npy", x)
    place = ["--layer", "1", "--direction", direction, "--at", "3"]
    shown = output_of(capsys, "walk", "--model", "m.safetensors", "--x", "x.npy", *place)
    step = lstm.trace(x)[1, direction].step(3)
    facts = {"model": "m.safetensors", "layer": 1, "direction": direction, "step": 3}
    assert shown == f"{gw.walk(step, facts=facts)}\n"


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """A folder of files with faults, and of good ones."""
    folder = tmp_path_factory.mktemp("faults")
    with contextlib.chdir(folder):
        Path("folder.npy").mkdir()
        np.save("short.npy", np.zeros((100, 3)))
        Path("short.npy").write_bytes(Path("short.npy").read_bytes()[:-8])
        np.save("cube.npy", np.zeros((2, 2, 3)))
        Path("text.csv").write_text("1,2,3\n4,b,6\n", encoding="utf-8")
        Path("holes.csv").write_text("1,2,3\n4,nan,6\n", encoding="utf-8")
        Path("good.csv").write_text("1,2,3\n4,5,6\n", encoding="utf-8")
        gw.save(gw.LSTM(3, 2, rng=0), "m")
        Path("cut").write_bytes(Path("m").read_bytes()[:-20])
    return folder


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["--x", "1,2", "--input-size", "3"], "x has 2 features; this cell takes 3"),
        (["--h", "1", "--hidden-size", "2"], "h has shape (1,); it must be (2,), one step of one sequence"),
        (["--x", "1,nan,2"], "x must hold finite numbers, but entry 1 (counted from 0) is nan"),
        (["--c", "inf,0"], "c must hold finite numbers, but entry 0 (counted from 0) is inf"),
        (["--x", "one,two"], "x must be numbers with commas between them, or a .csv or .npy file, not 'one,two'"),
        (["--steps", "0"], "--steps must be at least 1, not 0"),
        (["--activation", "c=elu:x"], "cannot read the activation 'elu:x'"),
        (["--activation", "sigmoid"], "--activation must be GATE=NAME, as in --activation input_gate=hard_sigmoid"),
        (["--activation", "x=tanh"], "--activation has no gate 'x'; allowed: input_gate, forget_gate, candidate"),
        (["--activation", "i=tanh", "--activation", "input_gate=relu"], "--activation gives input_gate twice"),
        (["--at", "2"], "there is no step 2; this run has steps 0 to 0"),
        (["--steps", "30", "--at", "1", "--every-step"], "--every-step is for several steps, but --at shows one"),
        (["--steps", "30", "--at", "1", "--brief"], "--brief is for several steps, but --at shows one"),
        (["--layer", "1"], "--layer is for a trained model. Give its file with --model."),
        (["--example", "latch", "--seed", "3"], "--seed does not go with --example latch"),
        (["--coupling", "both"], "--coupling must be one of none, forget=1-input, input=1-forget, not 'both'"),
        (["--x", "nowhere.csv"], "cannot read nowhere.csv: there is no such file"),
        (["--x", "folder.npy"], "cannot read folder.npy: it is a folder; give the name of a file"),
        (["--x", "short.npy"], "cannot read short.npy: it is not an intact .npy file"),
        (["--x", "cube.npy"], "x has shape (2, 2, 3); it must be one row of numbers, or (time, feature)"),
        (["--x", "text.csv"], "cannot read text.csv: line 2 has 'b', which is not a number"),
        (["--x", "holes.csv"], "x must hold finite numbers, but entry 1 of row 1 (counted from 0) is nan"),
        (["--x", "good.csv", "--steps", "3"], "--steps must be from 1 to 2, since x has 2 steps, not 3"),
        (["--model", "good.csv"], "cannot read good.csv: it is not a file of gatewise, PyTorch"),
        (["--model", "."], "cannot read .: it is a folder; give the name of a file"),
        (["--model", "gone"], "cannot read gone: there is no such file"),
        (["--model", "m"], "--model needs an input sequence. Give one with --x."),
        (["--model", "m", "--x", "1,2"], "the input has 2 features, on the axes time, feature of its shape (1, 2)"),
        (["--model", "m", "--x", "1,2,3", "--name", "other"], "there is no LSTM 'other' in m; it has 'lstm'"),
        (["--model", "m", "--x", "1,2,3", "--set", "activation=relu"], "there is no option 'activation' for m"),
        (["--set", "activation=relu"], "--set is for a trained model"),
        (["--model", "m", "--x", "good.csv", "--at", "2"], "there is no step 2; this run has steps 0 to 1"),
        (["--model", "m", "--x", "good.csv", "--layer", "1"], "there is no layer 1; this LSTM has layers 0 to 0"),
        (
            ["--model", "m", "--x", "good.csv", "--direction", "backward"],
            "direction must be one of forward, not 'backward'",
        ),
        (["--model", "m", "--x", "good.csv", "--seed", "1"], "--seed does not go with --model"),
        (["--model", "cut", "--x", "good.csv"], "cannot read cut: it is not an intact safetensors file"),
    ],
)
def test_whatever_is_wrong_gets_one_sentence_and_exit_code_2(faults, tokens, sentence, capsys, monkeypatch):
    monkeypatch.chdir(faults)
    assert sentence in refusal_of(capsys, "walk", *tokens)


def test_a_cell_that_is_too_large_is_refused_with_what_it_would_take_and_what_there_is(here, capsys):
    sentence = refusal_of(capsys, "walk", "--hidden-size", "10000000")
    assert re.fullmatch(r"a cell of these sizes would take 7 PiB of memory; [\d.]+ [KMGT]iB are available", sentence)


def _program(*tokens: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "gatewise", *tokens], capture_output=True, env=os.environ | environment, check=False
    )


@pytest.mark.thorough
def test_the_program_speaks_ascii_where_it_must():
    done = _program("walk", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert b"f   = sigmoid(a_f)" in done.stdout
    assert done.stdout.decode("ascii")
    assert max(map(len, done.stdout.splitlines())) <= 88  # a few words are longer than their letters


@pytest.mark.thorough
@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.peers)])
def test_what_a_terminal_has_no_letters_for_is_spelled_out(encoding, tmp_path):
    told = _program("inspect", str(tmp_path / "a → b"), PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert told.returncode == 2
    assert "a -> b" in told.stderr.decode(encoding)


@pytest.mark.parametrize(
    ("tokens", "names"),
    [
        (("walk", "--help-all"), [*INITS, *EXAMPLES, *FORMATS["Walkthrough"], *NOTATIONS, *DIRECTIONS]),
        (("walk", "--help-all"), [*PEEPHOLES, *COUPLINGS, *LAYER_NORMS]),
        (("convert", "--help-all"), [*SUFFIXES, *(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)]),
        (("trace", "--help-all"), QUANTITIES),
    ],
)
def test_the_help_lists_what_there_is_to_choose_from(tokens, names, capsys):
    shown = re.split(r"[\s,\[\]|│().:]+", output_of(capsys, *tokens))
    assert {name.lstrip(".") for name in names} <= set(shown)


def test_the_help_of_commands_has_no_names_of_the_code(capsys):
    for command in COMMANDS.keys() - {"inspect"}:  # which lists the keys of its JSON
        text = app[command].help.partition("\nParameters")[0]
        assert set(re.findall(r"\b[a-z]+_[a-z_]+\b", text)) <= {*QUANTITIES, *KINDS, "a_f"}, command


def test_the_program_gives_its_version(capsys):
    assert output_of(capsys, "--version") == f"{gw.__version__}\n"


@pytest.mark.subjects(1)
@pytest.mark.parametrize(
    ("tokens", "code"),
    [
        # Each is a process of its own: two are enough where time is short.
        ("walk", 0),
        pytest.param("walk --format json", 0, marks=pytest.mark.peers),
        # Of a long one, nothing is worked through in vain.
        pytest.param("walk --x 1,2,3 --steps 1000000 --every-step", 0, marks=pytest.mark.peers),
        pytest.param("inspect lstm.safetensors", 0, marks=pytest.mark.peers),
        pytest.param("inspect trace.safetensors", 1, marks=pytest.mark.peers),
        pytest.param("check right.csv", 0, marks=pytest.mark.peers),
        pytest.param("check wrong.csv", 1, marks=pytest.mark.peers),
        pytest.param("verify lstm.safetensors --io case.npz", 0, marks=pytest.mark.peers),
        ("walk --at 5", 2),
    ],
)
def test_a_program_without_an_output_has_nothing_to_say_but_its_exit_code(tokens, code, tmp_path):
    lstm, x = gw.LSTM(3, 2, rng=0), np.ones((4, 3), np.float32)
    gw.save(lstm, tmp_path / "lstm.safetensors")
    gw.save(lstm.trace(x), tmp_path / "trace.safetensors")
    np.savez(tmp_path / "case.npz", x=x, y=lstm(x)[0])
    for name, number in ("right", "0.4934"), ("wrong", "0.4"):
        (tmp_path / f"{name}.csv").write_text(f"f,{number},0.4975\n", encoding="utf-8")
    command = ["sh", "-c", f'"$0" -m gatewise {tokens} >&-', sys.executable]
    options = {"cwd": tmp_path, "env": program.environment(), "stderr": subprocess.PIPE, "text": True}
    done = subprocess.run(command, timeout=60, check=False, **options)
    assert done.returncode == code
    assert done.stderr.count("\n") == (code == 2), done.stderr


@pytest.mark.parametrize("tokens", [["walk"], ["walk", "--format", "json"]])
def test_a_walk_whose_output_is_closed_is_written_nowhere(tokens, monkeypatch):
    monkeypatch.setattr("gatewise.render.terminal.show", lambda *_: pytest.fail("it is worked through in vain"))
    monkeypatch.setattr(sys, "stdout", None)
    assert program.exit_code(tokens) == 0


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_how_far_a_gate_is_open_is_shown_by_strength_and_by_no_colour(environment, coloured, monkeypatch):
    from rich.console import Console

    from gatewise import examples
    from gatewise.render import terminal

    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    example = examples.latch()
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(file=buffer, force_terminal=True, color_system="standard", width=80)
    terminal.show(gw.walk(example.cell.step(example.x[0])), console)
    buffer.seek(0)
    shown = buffer.read()
    assert "\x1b[2m0.00247262" in shown  # the forget gate is shut
    assert "\x1b[1m0.99752738" in shown  # the input gate is open
    assert ("\x1b[1;36m1. The nonlinearities" in shown) == coloured


@pytest.mark.parametrize("head", ["time,rain\n0,1\n1,2\n", ",rain\n0,1\n1,2\n"])
def test_a_first_column_of_times_is_no_feature(here, head, capsys):
    Path("x.csv").write_text(head, encoding="utf-8")
    shown = output_of(capsys, "walk", "--x", "x.csv", "--hidden-size", "1")
    assert "input size   1" in shown


def test_a_model_that_embeds_is_given_integers(here, capsys):
    table = np.arange(30.0, dtype=np.float32).reshape(10, 3) / 30
    gw.save(gw.Network(gw.LSTM(3, 2, rng=0), embedding=table), "net")
    shown = output_of(capsys, "walk", "--model", "net", "--x", "3,1,2", "--at", "1")
    assert re.search(r"x  0\.1 +0\.13333334 +0\.16666667", shown)
    assert "the input must hold integers" in refusal_of(capsys, "walk", "--model", "net", "--x", "0.5,1")
    assert "x must lie between 0 and 9" in refusal_of(capsys, "walk", "--model", "net", "--x", "10,1")


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_walk_leaves_out_what_a_model_masks_and_starts_from_its_state(direction, here, capsys):
    table, start = np.eye(4, 3, dtype=np.float32), gw.State(np.float32([0.5, -0.5]), np.float32([1, -1]))
    lstm, tokens = gw.LSTM(3, 2, direction=direction, rng=0), np.array([1, 0, 3, 2, 0])
    network = gw.Network(lstm, embedding=table, masked=0, initial=[[start]])
    gw.save(network, "net")
    np.save("x.npy", tokens)
    made = build_run(CellRunOptions(RunOptions(x="x.npy", at=3), model=ModelOptions(model=Path("net"))))
    (steps,), (asked,) = made.sequences, made.steps
    whole = network.trace(tokens).lstm
    trace = whole[0, direction]
    ran = [0, 2, 3] if direction == "forward" else [3, 2, 0]
    assert [step.time for step in steps] == ran
    assert asked[0].time == 3
    np.testing.assert_allclose([step.hidden_state for step in steps], trace.hidden_state[ran], rtol=1e-6)
    np.testing.assert_array_equal(steps[0].previous.c, start.c)
    assert "the model masks step 1 of x" in refusal_of(capsys, "walk", "--model", "net", "--x", "x.npy", "--at", "1")
    assert "the model masks every step" in refusal_of(capsys, "walk", "--model", "net", "--x", "0,0")
    output_of(capsys, "trace", "net", "x.npy", "-o", "t.npz")
    with np.load("t.npz") as arrays:
        np.testing.assert_allclose(arrays["output"], whole.stored_output, rtol=1e-6)


def test_the_first_steps_of_a_table_keep_their_dates(here, capsys):
    gw.save(gw.LSTM(1, 2, rng=0), "m")
    Path("x.csv").write_text("date,rain\n2001-01-01,1\n2001-01-02,2\n", encoding="utf-8")
    shown = output_of(capsys, "walk", "--model", "m", "--x", "x.csv", "--steps", "1", "--brief")
    assert "2001-01-01" in shown
    assert "2001-01-02" not in shown


def test_a_walk_names_its_lstm_where_the_file_holds_several(here, capsys):
    lstms = {"encoder": gw.LSTM(3, 2, rng=0), "decoder": gw.LSTM(3, 4, rng=1)}
    arrays = {f"{which}.{name}": a for which, lstm in lstms.items() for name, a in torch.state_dict(lstm).items()}
    writing.write_archive("both.pt", arrays)
    shown = output_of(capsys, "walk", "--model", "both.pt", "--name", "decoder", "--x", "1,2,3")
    assert "LSTM         decoder\n" in shown
    assert "hidden size  4\n" in shown
    assert "Choose one by its name: 'encoder', 'decoder'" in refusal_of(
        capsys, "walk", "--model", "both.pt", "--x", "1,2,3"
    )


def test_a_model_with_weights_that_are_not_numbers_is_refused(here, capsys):
    p = gw.LSTM(3, 2, rng=0)[0].parameters
    gw.save(gw.LSTM.from_cells(p.replace(bias=np.full((4, 2), np.nan))), "m")
    assert "holds weights that are not finite numbers" in refusal_of(capsys, "walk", "--model", "m", "--x", "1,2,3")


@pytest.mark.thorough
def test_no_system_error_ends_in_a_traceback(here, capsys):
    os.mkfifo("pipe.csv")
    assert "not an ordinary file" in refusal_of(capsys, "walk", "--x", "pipe.csv")
    for name in ("a" * 300 + ".csv", "a" * 300 + ".npy"):
        assert "no such file" in refusal_of(capsys, "walk", "--x", name)
    assert "no such file" in refusal_of(capsys, "walk", "--model", "a" * 300)
    refused = refusal_of(capsys, "check", "a" * 5000)
    assert refused.endswith("a… cannot be used: File name too long")
    assert len(refused) < 500
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gatewise", "walk"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (
        2,
        b"gatewise: cannot write to standard output: No space left on device\n",
    )


@pytest.mark.thorough
def test_an_error_that_is_not_of_the_output_leaves_what_was_printed(capfd):
    script = """
import gatewise.cli
def failing():
    print("printed before")
    raise PermissionError("no permission")
gatewise.cli.app.command(failing, name="failing")
gatewise.cli.main(["failing"])
"""
    environment = program.environment() | {"PYTHONUNBUFFERED": ""}  # else nothing would be pending
    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == 2
    assert capfd.readouterr() == ("printed before\n", "gatewise: no permission\n")
