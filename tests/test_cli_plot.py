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


def test_without_a_file_gates_are_drawn_in_80_plain_columns(capsys):
    lines = said(capsys, "plot m.safetensors x.csv").splitlines()
    assert lines[0] == "forget gate: 3 units, 9 steps"
    assert [line[0] for line in lines[1:4]] == ["0", "1", "2"]
    assert "2001-01-01" in lines[4]
    assert max(map(len, lines)) <= 80
    assert set("".join(lines[1:4])) <= set("012 ░▒▓█")


def test_what_checks_found_is_said_below_an_answer(capsys):
    sentence, *reading = said(capsys, "plot m.safetensors x.csv --kind horizon --lags 3").splitlines()
    assert sentence.startswith("A change of one day's input shows in output ")
    assert reading[0].startswith("Tested: ")
    assert "compared for 3 days" in reading[0]


def test_an_ablation_compares_what_is_observed_under_the_names_of_the_outputs(capsys):
    head = gw.Linear(np.random.default_rng(0).normal(size=(1, 3)).astype(np.float32))
    labels = gw.Labels(outputs=["q"], measures={"q": ("discharge", "mm/d")})
    gw.save(gw.Network(gw.LSTM(2, 3, rng=0), head=head, labels=labels), "net.safetensors")
    x = np.array([[n / 4, -n] for n in range(9)], np.float32)
    observed = gw.load_network("net.safetensors")(x)[0] + 0.5
    rows = [f"2001-01-0{n + 1},7,{'' if n == 4 else observed[n, 0]}" for n in range(9)]
    Path("y.csv").write_text("\n".join(["date,other,q", *rows]), encoding="utf-8")
    np.save("y.npy", observed)
    plot = "plot net.safetensors x.csv --kind ablation"
    for name in ("y.csv", "y.npy"):
        sentence, tested = said(capsys, f"{plot} --observed {name}").splitlines()
        assert re.match(r"Without unit \d the error (rises|falls) from 0.5 to [\d.]+ mm/d; ", sentence)
        assert tested.startswith("Tested: 3 units silenced (output gate 0), each in a run of its own over 9 days; ")
    assert said(capsys, f"{plot} --parts layers").startswith("Without layer 0 the output moves by ")
    assert "no forget gate" in said(capsys, f"{plot} --parts gates --metric error --observed y.csv")
    assert "ablation" in said(capsys, f"{plot} --observed y.csv -o a.svg")
    Path("late.csv").write_text("\n".join(["date,other,q", *rows]).replace("2001", "2002"), encoding="utf-8")
    for options, words in (
        ("--observed late.csv", "the times of late.csv must be those of the input"),
        ("--observed x.csv", "x.csv has columns rain, $snow$, and none for q"),
        ("--parts cells", "units, gates, layers"),
        ("--metric loss", "error, accuracy"),
    ):
        assert words in said(capsys, f"{plot} {options}", code=2)
    assert "--observed does not go with" in said(capsys, "plot m.safetensors x.csv --observed y.csv", code=2)


def test_a_question_is_answered_in_its_sentence_and_its_columns(capsys):
    out = said(capsys, "plot m.safetensors x.csv --kind timescales --layer 1 -o t.csv")
    assert out.startswith("The median timescale of the 3 units along the cell is")
    assert Path("t.csv").read_text(encoding="utf-8").splitlines()[0].startswith("unit,forget_gate,timescale")


def test_a_target_is_an_output_s_name_or_its_number(capsys):
    labels = gw.Labels(outputs=("q", "7"))  # a name that looks like a number is a name first
    head = gw.Linear(np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32))
    gw.save(gw.Network(gw.LSTM(2, 3, rng=0), head=head, labels=labels), "net.safetensors")
    for command, q, seven in [
        ("plot net.safetensors x.csv --kind attribution", "Output q", "Output 7"),
        ("plot net.safetensors x.csv --kind word_scores", "Output q", "Output 7"),
        ("plot net.safetensors x.csv --kind occlusion", "Output q", "Output 7"),
        ("plot net.safetensors x.csv --kind ceiling", "bring output q", "bring output 7"),
        ("plot net.safetensors x.csv --kind influence", "on output q on", "on output 7 on"),
        ("report net.safetensors x.csv", "explains output q", "explains output 7"),
    ]:
        first, second = [[said(capsys, f"{command} --target={t}") for t in names] for names in (("q", "0"), ("7", "1"))]
        assert first[0] == first[1]
        assert second[0] == second[1] == said(capsys, f"{command} --target=-1")
        assert q in first[0]
        assert seven in second[0]
        assert "there is no output 'p'" in said(capsys, f"{command} --target=p", code=2)
        assert "there is no output 2" in said(capsys, f"{command} --target=2", code=2)


def test_a_step_is_named_by_its_number_or_its_date(capsys):
    found = [
        said(capsys, f"plot m.safetensors x.csv --kind contributions --at {at}") for at in ("3", "-6", "2001-01-04")
    ]
    assert len(set(found)) == 1
    assert "2001-01-04" in found[0]


def test_a_costly_answer_says_what_it_takes_and_is_refused_where_that_is_not_there(capsys, monkeypatch):
    said(capsys, "trace m.safetensors x.csv -o t.safetensors")
    monkeypatch.setattr(printing, "LARGE", 1000)  # bytes
    for more, told in (("", "needs 1.195 KiB of memory"), (" --every 3", "")):
        assert exit_code(f"plot t.safetensors --kind attention --layer 0{more}".split()) == 0
        assert capsys.readouterr().err.strip() == (told and f"gatewise: --kind attention over 9 steps {told}")
    monkeypatch.setattr(arrays, "SMALL", 0)
    monkeypatch.setattr(arrays, "available_memory", lambda: 1000)
    monkeypatch.setattr(budget, "require_memory", lambda *what: None)  # for the file there is enough
    assert "take 1.195 KiB of memory; 1000 B are" in said(capsys, "plot t.safetensors --kind attention", 2)


def test_the_numbers_of_a_picture_are_written_as_they_are_drawn(capsys):
    said(capsys, "plot m.safetensors x.csv --gate output_gate --units 2,0 --steps 2:5 -o g.csv")
    table = Path("g.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "time,2,0"
    found = np.array([[float(cell) for cell in row.split(",")[1:]] for row in table[1:]])
    assert np.array_equal(found, data.gates(trace(), "output_gate", units=[2, 0]).values[2:5])


def test_the_same_picture_is_the_same_file(capsys):
    for name in ("a.svg", "b.svg", "c.png"):
        said(capsys, f"plot m.safetensors x.csv --units 0 -o {name}")
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(Path().iterdir())) == 5


def test_a_trace_on_file_is_drawn_and_arrays_alone_are_not(capsys):
    said(capsys, "trace m.safetensors x.csv -o t.safetensors")
    assert said(capsys, "plot t.safetensors") == said(capsys, "plot m.safetensors x.csv")
    said(capsys, "trace m.safetensors x.csv -o t.npz")
    assert "without the LSTM that made them" in said(capsys, "plot t.npz", 2)


def test_two_runs_part_where_their_models_do(capsys):
    said(capsys, "trace m.safetensors x.csv -o t.safetensors")
    lstm = gw.load("m.safetensors")
    bias = lstm[1].parameters.bias.copy()
    bias[1, 2] += 1
    gw.save(gw.LSTM.from_cells([lstm[0].parameters, replace(lstm[1].parameters, bias=bias)]), "n.safetensors")
    gw.save(gw.Network(lstm, head=gw.Linear(np.ones((1, 3), np.float32))), "net.safetensors")
    part = "The two runs part on 2001-01-01, in the forget gate of unit 2 of layer 1; at the end the output differs by"
    for files in ("m.safetensors x.csv", "t.safetensors x.csv"):  # two models, a trace and a model
        assert said(capsys, f"plot {files} --kind change --with n.safetensors").startswith(part)
    for files in ("m.safetensors x.csv --with t.safetensors", "t.safetensors --with t.safetensors"):
        assert "the same, number by number" in said(capsys, f"plot {files} --kind change")
    assert "number by number" in said(capsys, "plot m.safetensors x.csv --kind change --with net.safetensors")
    assert "number by number" in said(capsys, "plot m.safetensors x.csv --kind change --with n.safetensors --layer 0")
    gw.save(gw.LSTM(2, 3, rng=0), "single.safetensors")
    gw.save(gw.Network(gw.load("single.safetensors"), head=gw.Linear(np.ones((1, 3), np.float32))), "head.safetensors")
    said(capsys, "plot head.safetensors x.csv --kind change --with single.safetensors -o c.csv")  # both of an LSTM
    assert Path("c.csv").read_text(encoding="utf-8").startswith("layer,direction,time,")
    line = "plot m.safetensors x.csv --kind change --with n.safetensors --unit 2"
    assert "differ nowhere by more than 1" in said(capsys, f"{line} --tolerance 1 -o c.csv")
    table = Path("c.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "layer,direction,time,input_gate,forget_gate,candidate,output_gate,cell_state,hidden_state"
    assert len(table) == 19
    assert all((row.split(",")[4] == "0.0") == row.startswith("0,") for row in table[1:])
    said(capsys, f"{line} -o c.svg")
    assert Path("c.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("m.safetensors x.csv --kind change", "--kind change needs --with"),
        ("m.safetensors x.csv --with m.safetensors", "--with does not go with --kind gates"),
        ("m.safetensors --kind change --with t.safetensors", "m.safetensors is a model: give the file of its input"),
        ("t.safetensors --kind change --with m.safetensors", "m.safetensors is a model: give the file of its input"),
        ("t.safetensors x.csv --kind change --with t.safetensors", "an input does not go with it"),
        ("m.safetensors x.csv --kind change --with wide.safetensors", "the two runs must have the same shape; they"),
        (
            "m.safetensors x.csv --kind change --with one.safetensors",
            "the two runs must have the same cells; they have layer 0 forward",
        ),
        ("m.safetensors x.csv --kind change --with x.csv", "gatewise check reads it"),
        ("m.safetensors x.csv --kind change --with no.pt", "no.pt"),
        ("m.safetensors x.csv --kind change --with t.safetensors -o t.safetensors", "must end in"),
        ("m.safetensors x.csv --kind change --with t.safetensors --unit 7", "there is no unit 7"),
        ("m.safetensors x.csv --kind change --with t.safetensors --tolerance -1", "tolerance must be a number that is"),
    ],
)
def test_runs_that_cannot_be_compared_are_one_sentence(line, sentence, capsys):
    said(capsys, "trace m.safetensors x.csv -o t.safetensors")
    gw.save(gw.LSTM(2, 4, num_layers=2, rng=0), "wide.safetensors")
    gw.save(gw.LSTM(2, 3, rng=0), "one.safetensors")
    shown = said(capsys, f"plot {line}", 2)
    assert sentence in shown.splitlines()[-1]


def test_every_picture_and_every_question_is_a_kind():
    pictures = {name for name in gw.plot.__all__ if name != "data"}
    assert {"gates", "states", "unit", "text", "saturation", "timescales", "contributions"} <= set(KINDS)
    assert {name for name, (_, draw) in KINDS.items() if draw} <= pictures


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("x.csv --unit 1", "--unit does not go with --kind gates"),
        ("x.csv --kind states", "--kind states needs --output: without it, gates are drawn in the terminal"),
        ("x.csv -o g.gif", "the name of g.gif must end in .svg, .png, .pdf or .csv"),
        ("x.csv -o x.csv", "x.csv is the file that is read; give the output another name"),
        ("x.csv --layer 2", "there is no layer 2; this trace has layers 0 to 1"),
        ("x.csv --sequence nile", "there is no sequence 'nile'; this trace has 1 sequence without names"),
        ("x.csv --kind occlusion --steps 0:3", "--steps does not go with --kind occlusion"),
        ("x.csv --steps 3", "--steps must be FIRST:STOP, as in --steps 0:100, not '3'"),
        ("x.csv --layer 0 --steps 9:", "a picture needs at least one step; this trace has none"),
        ("x.csv --layer 0 --kind text --text x.csv -o t.svg", "the text has 10 characters or tokens; this trace has 9"),
        (
            "x.csv --kind contributions --at 2002-01-01",
            "there is no step '2002-01-01'; this trace has 2001-01-01 to 2001-01-09",
        ),
        ("", "m.safetensors is a model: give the file of its input as well"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(line, sentence, capsys):
    assert sentence in said(capsys, f"plot m.safetensors {line}", 2).splitlines()[-1]
    assert sorted(path.name for path in Path().iterdir()) == ["m.safetensors", "x.csv"]


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
