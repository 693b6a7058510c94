"""README is true: its commands are run, its tree is the house. (Consoles and Python: see test_pages.)"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
from program import exit_code

from gatewise.interop import onnx

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [line for language, body in BLOCKS if language == "sh" for line in body.splitlines() if line]


def test_every_command_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    import gatewise as gw

    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(0).normal(size=(50, 3))
    np.savetxt("rain.csv", table, delimiter=",", header="rain,snow,wind", comments="")
    gw.save(gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0), "my.safetensors")
    Path("roster.csv").write_text("student\nAda\nGrace\n", encoding="utf-8")
    lstm = gw.LSTM(3, 4, rng=0)
    onnx.write(lstm, "model.onnx")
    np.save("input.npy", table)
    np.savez("answers.npz", x=table, y=lstm(table)[0])
    lines = [line for line in SHELL if line.startswith("gatewise ")]
    assert len(lines) > 10
    for line in lines:
        tokens = shlex.split(line, comments=True)[1:]
        assert exit_code(tokens) == 0, line
        shown = capsys.readouterr().out
        assert shown or "--output" in tokens, line


def test_the_tree_of_the_readme_has_one_line_for_each_room():
    tree = next(body for language, body in BLOCKS if language == "" and "├──" in body)
    named = re.findall(r"[├└]── ([\w.]+/?)\s+\S", tree)
    house = ROOT / "src" / "gatewise"
    rooms = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in house.iterdir()
        if not path.name.startswith("_") and path.name != "py.typed"
    }
    assert len(named) == len(set(named))
    assert set(named) == rooms


def test_the_two_commands_of_the_readme_are_the_ones_that_ci_runs():
    commands = [line for line in SHELL if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("gatewise walk")
    assert commands[1].removeprefix("python3 -m venv .venv && ") in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
