"""An exercise: everyone gets numbers of their own, fit for a calculator, and sheets to print and to hand in."""

from __future__ import annotations

import csv
import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from program import exit_code, refusal_of

import gatewise as gw
from gatewise.grading import handout, problem, roster, sheet
from gatewise.grading.chain import Chain
from gatewise.grading.exercise import Plan

EXERCISE = ("exercise", "--students", "roster.csv", "-o")
ROSTER = "student,course\nAda Lovelace,1\nGrace,2\n\nŁukasz,2\n日本,3\n"


@pytest.fixture
def folder(here) -> Path:
    Path("roster.csv").write_text(ROSTER, encoding="utf-8")
    return here


def made(*options: str, out: str = "out") -> Path:
    assert exit_code([*EXERCISE, out, *options]) == 0
    return Path(out)


def key_of(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def chain_of(out: Path, name: str) -> Chain:
    return Chain(problem.read_problem(sheet.read(out / "keys" / f"{name}.json", "given")).sequences())


OPTIONS = {
    "one step": [],
    "back": ["--backward"],
    "steps and a batch, back": ["--backward", "--steps", "2", "--batch-size", "3"],
    "projected, peepholes": ["--hidden-size", "3", "--projection-size", "2", "--peephole", "full", "--backward"],
    "coupled": ["--coupling", "forget=1-input", "--backward"],
    "layer norm": ["--layer-norm", "gates", "--epsilon", "1e-5", "--backward", "--hidden-size", "3"],
    "haste": ["--layer-norm", "haste", "--epsilon", "1e-5", "--backward", "--hidden-size", "3"],
}


FEW = ("one step", "steps and a batch, back", "projected, peepholes")  # the others where time is not short


@pytest.fixture(
    scope="module", params=[pytest.param(one, marks=[pytest.mark.peers] * (one not in FEW)) for one in OPTIONS]
)
def exercise_made(request, tmp_path_factory) -> tuple[Path, bool]:
    """Return the folder of an exercise, and whether it goes back."""
    folder, options = tmp_path_factory.mktemp("exercise"), OPTIONS[request.param]
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        Path("roster.csv").write_text(ROSTER, encoding="utf-8")
        # Of some seeds a whole gradient is below 5e-6: written to five digits, it tells nothing and gets no mark.
        return folder / made(*options, "--seed", "3"), "--backward" in options


@pytest.mark.subjects(1)
def test_a_key_handed_in_gets_full_marks(exercise_made, capsys):
    out, _ = exercise_made
    names = sorted(path.stem for path in (out / "keys").glob("*.json"))
    assert names == ["Ada_Lovelace", "Grace", "Łukasz", "日本"]
    for name in names:
        answers = key_of(out / "keys" / f"{name}.json")["answers"]
        rounded = {key: np.round(value, 7).tolist() for key, value in answers.items()}  # 5 are too few for some
        (out / "answers" / f"{name}.json").write_text(json.dumps(rounded), encoding="utf-8")
    capsys.readouterr()
    assert exit_code(["check", str(out)]) == 0
    rows = list(csv.DictReader((out / "marks.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row["student"] for row in rows] == ["Ada Lovelace", "Grace", "Łukasz", "日本"]
    for row in rows:
        assert row["marks"] == row["of"] == row["right"], row
        assert all(row[name] == "1" for name in answers)
    assert capsys.readouterr().out.count("\n") == 7


def test_a_key_is_the_run_of_what_it_gives(exercise_made):
    out, backward = exercise_made
    path = out / "keys" / "Grace.json"
    given = problem.read_problem(sheet.read(path, "given"))
    p, answers = given.parameters, key_of(path)["answers"]
    trace = gw.LSTM.from_cells(p).trace(given.x, ((given.state,),))
    dy = np.zeros_like(trace.output)
    gradients = gw.backward(trace, dy, ((gw.State(given.dh, given.dc),),))
    rows = given.x.shape[1]
    last = f"[{len(given.x) - 1}]" if len(given.x) > 1 else ""
    hidden = trace[0].final.h if rows > 1 else trace[0].final.h[0]
    np.testing.assert_allclose(answers[f"h{last}"], hidden, rtol=1e-12)
    if backward:
        for k, bias in zip("ifgo", gradients[0].bias, strict=True):
            if k in p.variant.own:
                np.testing.assert_allclose(answers[f"db_{k}"], bias, rtol=1e-9, atol=1e-14)


def test_everyone_has_numbers_of_their_own_and_the_same_seed_gives_the_same_again(folder):
    out = made("--seed", "7")
    given = {path.stem: key_of(path)["given"] for path in (out / "keys").glob("*.json")}
    assert len({json.dumps(one) for one in given.values()}) == 4
    Path("roster.csv").write_text("Grace\nsomebody else\n", encoding="utf-8")
    assert key_of(made("--seed", "7", out="again") / "keys" / "Grace.json")["given"] == given["Grace"]
    assert key_of(made("--seed", "8", out="other") / "keys" / "Grace.json")["given"] != given["Grace"]


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_what_is_given_has_few_digits_and_nothing_of_it_is_zero(digits):
    given = Plan(digits=digits, hidden_size=4, steps=3, batch=2).problem("anyone").given_arrays()
    for name, array in given.items():
        if name not in ("dh", "dc_next"):
            assert (array != 0).all(), name
            assert all(len(repr(abs(one)).replace(".", "").strip("0")) <= digits for one in array.ravel().tolist()), (
                name
            )
            assert (np.abs(array) <= 1).all(), name


@pytest.mark.parametrize("plan", [Plan(), Plan(steps=3), Plan(hidden_size=1)], ids=["one step", "three", "one unit"])
@pytest.mark.parametrize("student", ["Ada", "Grace", "Łukasz", "日本"])
def test_no_gate_is_saturated_and_every_exchange_of_two_gates_shows(student, plan):
    made = plan.problem(student)
    trace = gw.LSTM.from_cells(made.parameters).trace(made.x, ((made.state,),))[0]
    assert np.abs(trace.preactivations).max() <= 3
    sigmoids = (trace.input_gate, trace.forget_gate, trace.output_gate)
    assert min(min(gate.min(), 1 - gate.max()) for gate in sigmoids) >= 0.02
    for one, other in combinations([*sigmoids, trace.candidate], 2):
        assert np.abs(one - other).max(-1).min() >= 0.05
    assert len({abs(value) for value in (*made.state.h[0], *made.x[0, 0])}) == 3 + plan.hidden_size


def test_partly_worked_sheets_show_the_first_half_and_ask_for_the_rest(folder):
    out = made("--given", "partly", "--backward")
    key = key_of(out / "keys" / "Grace.json")
    assert key["worked"][0] == "z"
    assert len(key["worked"]) == len(key["asked"]) == 16
    page = (out / "sheets" / "Grace.html").read_text(encoding="utf-8")
    shown, asked = page.partition("Worked for you")[2].split("What is asked")
    assert shown.count("<td></td><th") == shown.count("<table")  # no blank
    assert not re.search(r"<td>[^<]+</td>", asked)
    names = [line.partition(",")[0] for line in (out / "sheets" / "Grace.csv").read_text("utf-8").splitlines()]
    assert names[1] == key["asked"][0]
    assert (out / "weights.csv").read_text(encoding="utf-8").splitlines()[1:] == [f"{one},1" for one in key["asked"]]


def test_of_a_fully_worked_sheet_only_the_last_line_is_asked(folder, capsys):
    out = made("--given", "all")
    key = key_of(out / "keys" / "Grace.json")
    assert key["asked"] == ["h"]
    printed = {one.name: np.round(one.key, 4) for one in chain_of(out, "Grace").quantities}
    h = ",".join(f"{value:.7f}" for value in printed["o"] * np.tanh(printed["c"]))  # which is not the key's to 7 digits
    (out / "answers" / "Grace.csv").write_text(f"forget_gate,0.1,0.2\nh,{h}\n", encoding="utf-8")
    capsys.readouterr()
    assert exit_code(["check", "out"]) == 0
    assert re.search(r"Grace +1 +1 +1 close\n", capsys.readouterr().out)


def test_a_sheet_holds_what_is_given_and_none_of_the_answers(folder):
    out = made("--backward")
    key = key_of(out / "keys" / "Grace.json")
    for kind in ("html", "ipynb"):
        shown = (out / "sheets" / f"Grace.{kind}").read_text(encoding="utf-8")
        for value in np.ravel(key["given"]["W_f"]):
            assert f"{value:g}" in shown.replace("\N{MINUS SIGN}", "-")
        for name, values in key["answers"].items():
            if name != "z":  # which is made of what is given
                assert not [value for value in np.ravel(values) if f"{abs(value):.4f}" in shown], name
    assert (out / "sheets" / "Grace.csv").read_text(encoding="utf-8").splitlines()[1] == "z,,,,,"


def test_the_notebook_of_a_sheet_writes_what_was_filled_in_and_check_takes_it(folder, capsys):
    out = made("--backward", "--steps", "2")
    notebook = json.loads((out / "sheets" / "Grace.ipynb").read_text(encoding="utf-8"))
    key = key_of(out / "keys" / "Grace.json")["answers"]
    space: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        if cell["id"].startswith("answer-"):
            name = "".join(notebook["cells"][notebook["cells"].index(cell) - 1]["source"]).split("`")[1]
            assert source.endswith(" = None")
            if name != "dx[0]":
                source = source.replace("None", f"np.array({key[name]})")
        exec(source, space)
    Path("Grace.json").rename(out / "answers" / "Grace.json")
    capsys.readouterr()
    assert exit_code(["check", "out"]) == 0
    assert re.search(r"Grace +(\d+) +(\d+) +\1 right, 1 missing\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("roster", "message"),
    [
        ("", "there are no names in its first column"),
        ("student\n", "there are no names in its first column"),
        ("Ada\nGrace\nada\n", "line 3, 'ada', is the same as line 1"),
        ("a/b\na b\n", "line 2, 'a b', is the same as line 1"),
    ],
)
def test_a_roster_that_is_none_gets_one_sentence_and_leaves_nothing(folder, roster, message, capsys):
    Path("roster.csv").write_text(roster, encoding="utf-8")
    assert message in refusal_of(capsys, *EXERCISE, "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hidden-size", "0"], "hidden_size must be at least 1, not 0"),
        (["--digits", "9"], "digits must be from 1 to 8, not 9"),
        (["--seed", "-1"], "seed must be a non-negative integer, not -1"),
        (["--hidden-size", "100"], "at most 20,000 weights"),
        (["--projection-size", "5"], "projection"),
        (["--layer-norm", "gates"], "epsilon"),
        (["--given", "some"], "--given must be one of"),
    ],
)
def test_a_plan_that_is_none_gets_one_sentence_and_leaves_nothing(folder, options, message, capsys):
    assert message in refusal_of(capsys, *EXERCISE, "out", *options)


def test_names_cannot_lead_out_of_the_folder_or_into_a_page(folder):
    hostile = ["../../etc/passwd", "<script>alert(1)</script>", "=1+1", ".hidden", "CON", "a" * 300, "x\ty"]
    with open("roster.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([name] for name in hostile)
    out = made()
    assert [path.name for path in Path().iterdir() if path.name not in ("roster.csv", "out")] == []
    sheets = sorted((out / "sheets").glob("*.html"))
    assert len(sheets) == len(hostile)
    assert all(path.parent == out / "sheets" and not path.name.startswith(".") for path in sheets)
    assert not any("<script" in path.read_text(encoding="utf-8") for path in sheets)
    assert exit_code(["check", "out"]) == 0
    assert "\n'=1+1," in (out / "marks.csv").read_text(encoding="utf-8")


def test_a_folder_with_something_in_it_is_not_written_over(folder, capsys):
    made()
    before = sorted(Path("out").rglob("*"))
    assert "it is not empty; choose a new folder" in refusal_of(capsys, *EXERCISE, "out")
    assert sorted(Path("out").rglob("*")) == before


def test_an_exercise_that_is_broken_off_leaves_nothing(folder, monkeypatch):
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(handout, "_teacher_readme", stop)  # which is written last
    with pytest.raises(KeyboardInterrupt):
        handout.write_exercise(folder / "out", roster.read_roster("roster.csv")[:2], Plan())
    assert [path.name for path in folder.iterdir()] == ["roster.csv"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Nachname;Vorname\nMeier;Max\nMüller;Eva", ["Meier, Max", "Müller, Eva"]),
        ("Matrikelnummer;Name;Vorname;Gruppe\n1;Meier;Max;A\n2;Müller;Eva;A", ["Meier, Max", "Müller, Eva"]),
        ("First name,Last name,ID number\nAnna,van der Berg,7\nEva,Müller,8", ["Anna van der Berg", "Eva Müller"]),
        ("Identifier,Full name\nParticipant 1,Eva Müller", ["Eva Müller"]),
        ("id,first name,last name\n7,Eva,Müller\n8,Eva,Müller", ["Eva Müller, 7", "Eva Müller, 8"]),
        ("Eva Müller,A", ["Eva Müller"]),
        ("Eva Müller,Blau\nMax Meier,Rot", ["Eva Müller", "Max Meier"]),
        (
            "van der Berg,Anna,1\nO'Neil,Mary-Ann,2\nMüller,Eva,3",
            ["van der Berg, Anna", "O'Neil, Mary-Ann", "Müller, Eva"],
        ),
        ("Eva,red\nMax,red\nAda,red\nAlan,blue", ["Eva", "Max", "Ada", "Alan"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_the_heads_of_a_roster_say_where_the_full_names_are(text, names, encoding, folder):
    Path("roster.csv").write_text(text, encoding=encoding)
    assert [student.name for student in roster.read_roster("roster.csv")] == names


def test_a_new_seed_is_drawn_unless_one_is_given(folder):
    first, second = (key_of(made(out=name) / "keys" / "Grace.json")["given"] for name in ("out", "again"))
    assert first != second
