"""What every command takes and writes, for laws over all of them: a line for each way to call one, and its files.

`test_every_command.py` requires that each command of the program is here, and each option that takes a file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from cyclopts import Argument
from program import exit_code

import gatewise as gw
from gatewise.cli import COMMANDS, app

NUMBERS = ("--x", "--h", "--c", "--dy", "--dh", "--dc", "--rest")  # options of text that may name a file of numbers
STEPS = 12


@dataclass(frozen=True)
class Call:
    """One way to call a command: its tokens without the output, and the names that its output may have."""

    command: str
    tokens: str
    outputs: tuple[str, ...] = ()

    @property
    def line(self) -> list[str]:
        """The tokens of the command line, without the output."""
        return [self.command, *self.tokens.split()]

    def inputs(self) -> list[str]:
        """Return the tokens that name a file in the working folder."""
        return [token for token in self.line[1:] if Path(token).is_file()]

    def __str__(self) -> str:
        return " ".join(self.line)


WALKS = ("w.txt", "w.md", "w.tex", "w.html", "w.ipynb", "w.json")
PICTURES = ("p.svg", "p.png", "p.pdf", "p.csv")
TRACES = ("t.safetensors", "t.npz", "t.csv", "t.nc")
RUNS = (  # of a cell, for walk and check
    "--given g.json",
    "--x x3.csv --h h.csv --c c.csv --dh h.csv --dc c.csv",
    "--model m.safetensors --x x.npy",
    "--model basin.safetensors --x x.csv --attributes areas.csv",
)
CALLS = (
    Call("walk", "", WALKS[:1]),
    Call("walk", f"{RUNS[0]} --backward", WALKS),
    Call("walk", f"{RUNS[1]} --backward --dy dy.csv", WALKS[:1]),
    *(Call("walk", run, WALKS[:1]) for run in RUNS[2:]),
    *(Call("check", f"answers.csv {run}", ("m.txt", "m.md", "m.html", "m.json")) for run in RUNS),
    Call("check", "week --weights points.csv"),
    Call("exercise", "--students class.csv --hidden-size 1", ("homework",)),
    Call("inspect", "net.safetensors"),
    Call("reproduce", "agreement"),
    Call("trace", "net.safetensors x.csv --state state.npz", TRACES),
    Call("trace", "basin.safetensors x.csv --attributes areas.csv", TRACES[2:3]),
    Call("plot", "t0.safetensors", PICTURES),
    Call("plot", "net.safetensors x.csv --state state.npz --kind change --with t0.safetensors", PICTURES[-1:]),
    Call("plot", "net.safetensors x.csv --kind ablation --observed y.csv", PICTURES[-1:]),
    Call("plot", "net.safetensors x.csv --kind probe --values y.csv", PICTURES[-1:]),
    Call("plot", "net.safetensors x.csv --kind text --text text.txt --unit 0", PICTURES[-1:]),
    Call("plot", "basin.safetensors x.csv --attributes areas.csv", PICTURES[-1:]),
    Call("report", "net.safetensors x.csv --text text.txt --targets y.csv --values y.csv", ("r.html",)),
    Call("report", "basin.safetensors x.csv --attributes areas.csv", ("r.html",)),
    Call("report", "tokens.safetensors tokens.npy --vocab words.txt --state state.npz", ("r.html",)),
    Call("page", "--lesson lesson.json", ("page.html",)),
    Call("page", "net.safetensors x.csv --state state.npz", ("page.html",)),
    Call("page", "basin.safetensors --x x.csv --attributes areas.csv", ("page.html",)),
    Call("verify", "net.safetensors x.csv y.csv --state state.npz"),
    Call("verify", "basin.safetensors x.csv y.csv --attributes areas.csv"),
    Call("verify", "m.safetensors --io io.npz"),
    Call("judge", "onnx-reference --random 2 --seed 3", ("j.html", "j.json", "j.svg")),
    Call("convert", "net.safetensors", ("k.safetensors", "k.onnx", "k.pt", "k.pth", "k.keras", "k.h5")),
    Call("export", "net.safetensors --rest rest.csv", ("k.h", "k.hpp")),
)


def arguments(command: str) -> Iterator[Argument]:
    """Yield the arguments of a command, but for the groups that they are in."""
    for argument in app[command].assemble_argument_collection():
        if argument.name != "*" and argument.parse:
            yield argument


def takes_files(argument: Argument) -> bool:
    """Return whether an argument of a command may name a file that is read."""
    of_paths = "Path" in str(argument.hint) and "-o" not in argument.names
    return of_paths or bool({*NUMBERS} & {*argument.names})


def files_taken(call: Call) -> set[str]:
    """Return the names of the arguments that a call gives a file, or a folder."""
    line, found, place = call.line, set(), 0
    positional = [argument.name for argument in arguments(call.command) if argument.index is not None]
    for before, token in pairwise(line):
        if before.startswith("--") and Path(token).exists():
            found.add(before)
        elif not before.startswith("--") and not token.startswith("--"):
            found.add(positional[place])
            place += 1
    return found


@cache
def _folder() -> Path:
    """Return a folder with the files of all calls."""
    folder = Path(mkdtemp())
    rng = np.random.default_rng(0)
    head = gw.Linear(rng.normal(size=(1, 3)))
    cell = gw.LSTM(2, 3, rng=0, dtype=np.float64)
    features = gw.Labels(features=("rain", "snow"), outputs=("flow",))
    network = gw.Network(cell, head=head, labels=features)
    of_basins = gw.Network(
        gw.LSTM(3, 3, rng=1, dtype=np.float64), head=head, labels=features.replace(features=("rain", "snow", "area"))
    )
    tokens = gw.Network(gw.LSTM(2, 3, rng=2, dtype=np.float64), embedding=rng.normal(size=(5, 2)), head=head)
    for name, model in {"m": cell, "net": network, "basin": of_basins, "tokens": tokens}.items():
        gw.save(model, folder / f"{name}.safetensors")
    x = np.array([[n / 4, -n] for n in range(STEPS)])
    gw.save(network.trace(x, labels=features), folder / "t0.safetensors")
    y = cell(x)[0]
    arrays: dict[str, Any] = {"x.npy": x, "tokens.npy": np.arange(STEPS) % 5}
    for name, array in arrays.items():
        np.save(folder / name, array)
    np.savez(folder / "state.npz", h0=np.full((1, 3), 0.1), c0=np.full((1, 3), 0.2))
    np.savez(folder / "io.npz", x=x[:, None], y=y[:, None])
    dates = [f"2001-01-{n + 1:02}" for n in range(STEPS)]
    texts = {
        "x.csv": ["date,rain,snow", *(f"{date},{rain},{snow}" for date, (rain, snow) in zip(dates, x, strict=True))],
        "y.csv": ["date,flow", *(f"{date},{n % 4 / 3}" for n, date in enumerate(dates))],
        "areas.csv": ["id,area", "x,12.5"],
        "x3.csv": ["1,2,3", "0,1,0"],
        "h.csv": ["0.1,0.2"],
        "c.csv": ["0.3,0.4"],
        "dy.csv": ["1,0", "0,1"],
        "rest.csv": ["0.5,0.5"],
        "answers.csv": ["f,0.5,0.5"],
        "points.csv": ["quantity,points", "f,2"],
        "class.csv": ["Ada", "Grace"],
        "text.txt": ["twelve signs"],
        "words.txt": [*"abcde"],
    }
    for name, lines in texts.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    gates = {f"{letter}_{gate}": array for gate in "figo" for letter, array in (("W", [[0.1] * 4]), ("b", [0.2]))}
    given = {**gates, "x": [1, 2, 3], "h_prev": [0.5], "c_prev": [0.25]}
    (folder / "g.json").write_text(json.dumps(given), encoding="utf-8")
    shutil.copy(Path(__file__).parent.parent / "docs/lesson/accumulator.json", folder / "lesson.json")
    made = ["exercise", "--students", f"{folder}/class.csv", "--hidden-size", "1", "-o", f"{folder}/week"]
    assert exit_code(made) == 0
    return folder


def put_files(folder: Path) -> None:
    """Put the files of all calls into a folder."""
    shutil.copytree(_folder(), folder, dirs_exist_ok=True)


def uncovered() -> dict[str, set[str]]:
    """Return the commands without a call, and the arguments of the others that take files and that no call gives one.

    The working folder has the files of the calls.
    """
    found = {}
    for command in COMMANDS:
        taken = set[str]().union(*(files_taken(call) for call in CALLS if call.command == command))
        if missing := {argument.name for argument in arguments(command) if takes_files(argument)} - taken:
            found[command] = missing
    return found | {command: set() for command in COMMANDS if all(call.command != command for call in CALLS)}
