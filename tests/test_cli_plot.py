"""gatewise plot: the terminal, files, the numbers, and one sentence for what cannot be drawn."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from program import exit_code, output_of
from rich.console import Console

import gatewise as gw
from gatewise import arrays
from gatewise.cli import printing
from gatewise.cli.kinds import KINDS
from gatewise.files import budget
from gatewise.plot import data, saving, terminal


@pytest.fixture(autouse=True)
def files(here, monkeypatch):
    monkeypatch.setattr(saving, "DPI", 50)
    lstm = gw.LSTM(2, 3, num_layers=2, rng=0)
    gw.save(lstm, "m.safetensors")
    rows = [f"2001-01-0{n + 1},{n / 4},{-n}" for n in range(9)]
    Path("x.csv").write_text("\n".join(["date,rain,$snow$", *rows]), encoding="utf-8")
    yield
    pyplot.close("all")


def said(capsys, line, code=0):
    return output_of(capsys, *line.split(), code=code)


def trace():
    return gw.load("m.safetensors").trace(np.array([[n / 4, -n] for n in range(9)], np.float32))[0]


HEAD = gw.Linear(np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32))
TARGETED = ("attribution", "word_scores", "occlusion", "ceiling", "influence")
SAID = [  # each line, and what is said of it
    ("m.safetensors x.csv", "forget gate: 3 units, 9 steps\n0 "),
    ("t.safetensors", "forget gate: 3 units, 9 steps\n0 "),
    (
        "m.safetensors x.csv --kind horizon --lags 3",
        "A change of one day's input shows in output .*\nTested: .*for 3 days",
    ),
    ("m.safetensors x.csv --kind contributions --at 3", "2001-01-04"),
    ("m.safetensors x.csv --kind contributions --at -6", "2001-01-04"),
    ("m.safetensors x.csv --kind contributions --at 2001-01-04", "2001-01-04"),
    (
        "m.safetensors x.csv --kind change --with n.safetensors",
        "The two runs part on 2001-01-01, in the forget gate of unit 2 of layer 1; at",
    ),
    (
        "t.safetensors x.csv --kind change --with n.safetensors",
        "The two runs part on 2001-01-01, in the forget gate of unit 2 of layer 1; at",
    ),
    ("m.safetensors x.csv --kind change --with t.safetensors", "the same, number by number"),
    ("t.safetensors --kind change --with t.safetensors", "the same, number by number"),
    ("m.safetensors x.csv --kind change --with n.safetensors --layer 0", "number by number"),
    ("m.safetensors x.csv --kind change --with n.safetensors --tolerance 1", "differ nowhere by more than 1"),
    *((f"net.safetensors x.csv --kind attribution --target={t}", "Output q") for t in ("q", "0", "-2")),
    *(
        (f"net.safetensors x.csv --kind {kind} --target=7", "[Oo]utput 7")
        for kind in ("word_scores", "occlusion", "ceiling")
    ),
    ("net.safetensors x.csv --kind influence --target=1", "on output 7 on"),
    (
        "river.safetensors x.csv --kind ablation --observed y.csv",
        r"Without unit \d the error (rises|falls) from 0.5 to [\d.]+",
    ),
    (
        "river.safetensors x.csv --kind ablation --observed y.npy",
        r"error (rises|falls) from 0.5 to [\d.]+ mm/d; .*\nTested: 3 units silenced",
    ),
    ("m.safetensors x.csv --kind change --with headed.safetensors", "number by number"),
    ("head.safetensors x.csv --kind change --with one.safetensors", "number by number"),
    ("river.safetensors x.csv --kind ablation --parts layers", "Without layer 0 the outputs? moves? by "),
    ("river.safetensors x.csv --kind ablation --parts gates --metric error --observed y.csv", "no forget gate"),
]
REFUSED = [
    ("river.safetensors x.csv --kind ablation --observed x.csv", "x.csv has columns rain, $snow$, but none for q"),
    ("river.safetensors x.csv --kind ablation --observed late.csv", "times of late.csv must be those of the input"),
    *((f"net.safetensors x.csv --kind {kind} --target=2", "there is no output 2") for kind in TARGETED),
    ("river.safetensors x.csv --kind ablation --parts cells", "units, gates, layers"),
    ("river.safetensors x.csv --kind ablation --metric loss", "error, accuracy"),
    ("m.safetensors x.csv --observed y.csv", "does not take --observed"),
    ("net.safetensors x.csv --kind attribution --target=p", "there is no output 'p'"),
    ("t.npz", "but not its LSTM"),
    ("m.safetensors x.csv --kind change", "--kind change needs --with"),
    ("m.safetensors x.csv --with m.safetensors", "--kind gates does not take --with"),
    ("m.safetensors --kind change --with t.safetensors", "m.safetensors is a model. Give the file of its input"),
    ("t.safetensors --kind change --with m.safetensors", "m.safetensors is a model. Give the file of its input"),
    ("t.safetensors x.csv --kind change --with t.safetensors", "Leave out an input"),
    ("m.safetensors x.csv --kind change --with wide.safetensors", "the two runs must have the same shape; they"),
    (
        "m.safetensors x.csv --kind change --with one.safetensors",
        "the two runs must have the same cells; they have layer 0 forward",
    ),
    ("m.safetensors x.csv --kind change --with x.csv", "use gatewise check"),
    ("m.safetensors x.csv --kind change --with no.pt", "no.pt"),
    ("m.safetensors x.csv --kind change --with t.safetensors -o t.safetensors", "must end in"),
    ("m.safetensors x.csv --kind change --with t.safetensors --unit 7", "there is no unit 7"),
    ("m.safetensors x.csv --kind change --with t.safetensors --tolerance -1", "tolerance must be a number that is"),
    ("m.safetensors x.csv --unit 1", "--kind gates does not take --unit"),
    ("m.safetensors x.csv --kind states", "--kind states needs --output. The terminal only shows gates."),
    ("m.safetensors x.csv -o g.gif", "the name of g.gif must end in .svg, .png, .pdf or .csv"),
    ("m.safetensors x.csv -o x.csv", "cannot write x.csv: this file is read; give the output another name"),
    ("m.safetensors x.csv --layer 2", "there is no layer 2; this trace has layers 0 to 1"),
    ("m.safetensors x.csv --sequence nile", "there is no sequence 'nile'; this trace has 1 sequence without names"),
    ("m.safetensors x.csv --kind occlusion --steps 0:3", "--kind occlusion does not take --steps"),
    ("m.safetensors x.csv --steps 3", "--steps must be FIRST:STOP, as in --steps 0:100, not '3'"),
    ("m.safetensors x.csv --layer 0 --steps 9:", "a picture needs at least one step; this trace has none"),
    (
        "m.safetensors x.csv --layer 0 --kind text --text x.csv -o t.svg",
        "the text has 10 characters or tokens; this trace has 9",
    ),
    (
        "m.safetensors x.csv --kind contributions --at 2002-01-01",
        "there is no step '2002-01-01'; this trace has 2001-01-01 to 2001-01-09",
    ),
    ("m.safetensors ", "m.safetensors is a model. Give the file of its input as well"),
]
WRITTEN = {
    "m.safetensors x.csv --kind timescales --layer 1 -o t.csv": "unit,forget_gate,timescale",
    "m.safetensors x.csv --kind change --with n.safetensors --unit 2 -o c.csv": (
        "layer,direction,time,input_gate,forget_gate,candidate,output_gate,cell_state,hidden_state\n"
        "0,forward,2001-01-01,0.0,0.0,"
    ),
    "m.safetensors x.csv --gate output_gate --units 2,0 --steps 2:5 -o g.csv": "time,2,0\n2001-01-03,",
    "m.safetensors x.csv --units 0 -o a.svg": "<?xml",
    "m.safetensors x.csv --units 0 -o c.png": "\x89PNG",
}


@pytest.fixture(autouse=True)
def more_files(files, capsys):
    """Write two runs, a model with another bias, one of other sizes, a network, and what was observed of it."""
    lstm = gw.load("m.safetensors")
    bias = lstm[1].parameters.bias.copy()
    bias[1, 2] += 1
    gw.save(gw.LSTM.from_cells([lstm[0].parameters, replace(lstm[1].parameters, bias=bias)]), "n.safetensors")
    gw.save(gw.LSTM(2, 4, num_layers=2, rng=0), "wide.safetensors")
    gw.save(gw.LSTM(2, 3, rng=0), "one.safetensors")
    labels = gw.Labels(outputs=("q", "7"), measures={"q": ("discharge", "mm/d")})
    gw.save(gw.Network(gw.LSTM(2, 3, rng=0), head=HEAD, labels=labels), "net.safetensors")
    river = gw.Network(
        gw.LSTM(2, 3, rng=0),
        head=gw.Linear(HEAD.weight[:1]),
        labels=gw.Labels(outputs=["q"], measures={"q": ("discharge", "mm/d")}),
    )
    gw.save(river, "river.safetensors")
    rows = [f"2001-01-0{n + 1},7,{'' if n == 4 else q + 0.5}" for n, (q,) in enumerate(river(trace().input[:, 0])[0])]
    Path("y.csv").write_text("\n".join(["date,other,q", *rows]), encoding="utf-8")
    Path("late.csv").write_text(Path("y.csv").read_text(encoding="utf-8").replace("2001", "2002"), encoding="utf-8")
    np.save("y.npy", river(trace().input[:, 0])[0] + np.float32(0.5))
    gw.save(gw.Network(lstm, head=HEAD), "headed.safetensors")
    gw.save(gw.Network(gw.load("one.safetensors"), head=HEAD), "head.safetensors")
    for suffix in ("safetensors", "npz"):
        said(capsys, f"trace m.safetensors x.csv -o t.{suffix}")


@pytest.mark.parametrize(("line", "expected"), SAID)
def test_a_command_says_what_it_found(line, expected, capsys):
    out = said(capsys, f"plot {line}")
    assert re.search(expected, out, re.DOTALL), out
    assert "--kind" in line or max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(("line", "sentence"), REFUSED)
def test_what_cannot_be_drawn_is_one_sentence_and_no_file(line, sentence, capsys):
    before = sorted(path.name for path in Path().iterdir())
    assert sentence in said(capsys, f"plot {line}", 2).splitlines()[-1]
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize("line", WRITTEN)
def test_a_file_has_the_picture_or_its_numbers_and_the_same_every_time(line, capsys):
    contents = []
    for _ in range(2):
        said(capsys, f"plot {line}")
        contents.append(Path(line.split()[-1]).read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].decode("latin-1").startswith(WRITTEN[line])


def test_the_numbers_of_a_picture_are_written_as_they_are_drawn(capsys):
    said(capsys, "plot m.safetensors x.csv --gate output_gate --units 2,0 --steps 2:5 -o g.csv")
    table = Path("g.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "time,2,0"
    found = np.array([[float(cell) for cell in row.split(",")[1:]] for row in table[1:]])
    assert np.array_equal(found, data.gates(trace(), "output_gate", units=[2, 0]).values[2:5])


def test_the_numbers_of_a_change_are_written_of_every_layer(capsys):
    said(capsys, "plot m.safetensors x.csv --kind change --with n.safetensors --unit 2 -o c.csv")
    _, *rows = Path("c.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 18
    assert all((row.split(",")[4] == "0.0") == row.startswith("0,") for row in rows)


@pytest.mark.thorough
def test_a_target_is_the_output_that_has_its_name_or_number(capsys):
    for command in (
        *(f"plot net.safetensors x.csv --kind {kind}" for kind in TARGETED),
        "report net.safetensors x.csv",
    ):
        said_of = {target: said(capsys, f"{command} --target={target}") for target in ("q", "0", "7", "1", "-1")}
        assert said_of["q"] == said_of["0"] != said_of["7"] == said_of["1"] == said_of["-1"]
        assert "there is no output 'p'" in said(capsys, f"{command} --target=p", code=2)


def test_a_costly_answer_says_what_it_takes_and_is_refused_where_that_is_not_there(capsys, monkeypatch):
    monkeypatch.setattr(printing, "LARGE", 1000)  # bytes
    for more, told in (("", "needs 1.195 KiB of memory"), (" --every 3", "")):
        assert exit_code(f"plot t.safetensors --kind attention --layer 0{more}".split()) == 0
        assert capsys.readouterr().err.strip() == (told and f"gatewise: --kind attention over 9 steps {told}")
    monkeypatch.setattr(arrays, "SMALL", 0)
    monkeypatch.setattr(arrays, "available_memory", lambda: 1000)
    monkeypatch.setattr(budget, "require_memory", lambda *what: None)  # for the file there is enough
    assert "take 1.195 KiB of memory; 1000 B are" in said(capsys, "plot t.safetensors --kind attention", 2)


def test_every_picture_and_every_question_is_a_kind():
    pictures = {name for name in gw.plot.__all__ if name != "data"}
    assert {"gates", "states", "unit", "text", "saturation", "timescales", "contributions"} <= set(KINDS)
    assert {name for name, (_, draw) in KINDS.items() if draw} <= pictures


# The terminal.


def printed(record, **options):
    buffer = io.StringIO()
    options = {"width": 60, "color_system": None, "no_color": False} | options
    terminal.show(record, Console(file=buffer, force_terminal=True, **options))
    return buffer.getvalue()


def test_half_blocks_show_two_units_in_their_colours():
    values = np.array([[0.0, 1.0, np.nan], [1.0, 0.0, np.nan]]).T
    record = data.Gates({}, "forget_gate", "f", values, (0, 1), ("a", "b"), times=np.arange(3), valid=None)
    shown = printed(record, color_system="truecolor")
    dark, light = "0;34;78", "254;232;56"
    assert re.findall(r"38;2;([\d;]+);48;2;([\d;]+)m", shown.splitlines()[1]) == [(dark, light), (light, dark)]
    assert shown.splitlines()[1].endswith("////////")
    for options in ({"color_system": "truecolor", "no_color": True}, {"color_system": "standard"}, {}):
        assert "a         ████████////////" in printed(record, **options)


def test_256_colours_are_enough():
    record = data.Gates(
        {}, "candidate", "f", np.array([[0.3, -0.3]]), (-1, 1), ("a", "b"), times=np.arange(1), valid=None
    )
    assert re.search(r"38;5;\d+;48;5;\d+m▀▀▀▀▀▀▀▀", printed(record, color_system="256"))


def test_ascii_shows_digits_and_names_that_it_can():
    record = data.Gates(
        {}, "forget_gate", "日", np.eye(2), (0, 1), ("é\x1b", "b"), times=np.array(["ü", "v"]), valid=None
    )
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal.show(record, Console(file=buffer, width=40))
    buffer.seek(0)
    lines = buffer.read().splitlines()
    assert lines[1:3] == ["?  9999999900000000", "b  0000000099999999"]


def test_of_many_steps_and_units_no_extreme_is_lost():
    values = np.full((5000, 300), 0.5)
    values[1234, 77], values[4321, 299] = 1, 0
    record = data.Gates(
        {}, "forget_gate", "f", values, (0, 1), tuple(map(str, range(300))), times=np.arange(5000), valid=None
    )
    lines = printed(record).splitlines()
    cells = "".join(line[4:] for line in lines[1:65])
    assert (cells.count("█"), cells.count("▒") + cells.count("▓") + 2) == (1, len(cells))
    assert lines[-2:] == ["2 columns: least and greatest of about 179 steps", "2 lines: of about 9 units"]
