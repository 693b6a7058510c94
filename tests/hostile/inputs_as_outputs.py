"""Outputs that are inputs: under the same name, another name, or through links, in commands and in Python."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from hostile.outputs import write_inputs
from hostile.trying import LOST, Fault, asked, command, contents, hostile

# What reads an input and writes an output: the command, and the inputs whose place OUT may take.
COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("walk --given g.json -o OUT", ("g.json",)),
    ("walk --model k.safetensors --x x.csv -o OUT", ("k.safetensors", "x.csv")),
    ("walk --x row.csv -o OUT", ("row.csv",)),
    ("walk --x row.csv --h h.csv --hidden-size 2 -o OUT", ("row.csv", "h.csv")),
    ("walk --backward --dh h.csv --x row.csv --hidden-size 2 -o OUT", ("h.csv", "row.csv")),
    ("trace k.safetensors x.csv -o OUT", ("k.safetensors", "x.csv")),
    ("trace k.safetensors x.npy --state s.npz -o OUT", ("k.safetensors", "x.npy", "s.npz")),
    ("plot k.safetensors x.csv -o OUT", ("k.safetensors", "x.csv")),
    ("report k.safetensors x.csv -o OUT", ("k.safetensors", "x.csv")),
    ("page k.safetensors --x x.csv -o OUT", ("k.safetensors", "x.csv")),
    ("page --lesson lesson.json -o OUT", ("lesson.json",)),
    ("convert k.safetensors OUT", ("k.safetensors",)),
    ("convert k.safetensors -o OUT", ("k.safetensors",)),
    ("export k.safetensors -o OUT", ("k.safetensors",)),
    ("check sheet.csv --given g.json -o OUT", ("sheet.csv", "g.json")),
)
FORMATS = ("text", "markdown", "html", "json", "latex", "notebook")


def another_name(source: str, chance: random.Random) -> str:
    """Return another name of a file: itself, through a link, another way to its folder."""
    way = chance.choice(
        ["same", "same", "dot", "absolute", "around", "symbolic", "symbolic to it", "hard", "folder", "chain"]
    )
    suffix = (
        Path(source).suffix
        if chance.random() < 0.7
        else chance.choice([".html", ".json", ".csv", ".npz", ".h", ".svg"])
    )
    link = f"link{suffix}"
    match way:
        case "dot":
            return f"./{source}"
        case "absolute":
            return os.path.abspath(source)
        case "around":
            Path("sub").mkdir()
            return f"sub/../{source}"
        case "symbolic":
            os.symlink(source, link)
            return link
        case "symbolic to it":  # the input is the link
            os.rename(source, f"real{suffix}")
            os.symlink(f"real{suffix}", source)
            return f"real{suffix}"
        case "hard":
            os.link(source, link)
            return link
        case "folder":
            os.symlink(".", "here")
            return f"here/{source}"
        case "chain":
            os.symlink(source, "first")
            os.symlink("first", link)
            return link
    return source


def write_more() -> None:
    import numpy as np
    from hostile.sheets import LESSON

    write_inputs()
    Path("row.csv").write_text("0.1,0.2,0.3\n")
    Path("h.csv").write_text("0.1,0.2\n")
    np.savez("s.npz", h0=np.zeros((1, 1, 2), np.float32), c0=np.zeros((1, 1, 2), np.float32))
    Path("lesson.json").write_bytes(LESSON.read_bytes())


def require_same(before: dict[str, Any], what: str) -> None:
    after = contents()
    for name, content in before.items():
        if isinstance(content, bytes) and after.get(name) != content:
            raise Fault(LOST, f"an input is replaced by an output: {name} by {what}")


@hostile("outputs that are inputs, also through links", seconds=90)
def commands(chance: random.Random, folder: Path) -> None:
    write_more()
    text, sources = chance.choice(COMMANDS)
    output = another_name(chance.choice(sources), chance)
    tokens = [output if word == "OUT" else word for word in text.split()]
    if tokens[0] in ("walk", "check") and chance.random() < 0.4:
        tokens += ["--format", chance.choice(FORMATS)]
    before = contents()
    try:
        command(*tokens, writes=tuple(before), codes=(0, 1, 2))
    finally:
        require_same(before, " ".join(tokens))


@hostile("outputs of Python that are the files it read", seconds=90)
def python(chance: random.Random, folder: Path) -> None:
    """A trace, a page or a report is not written over the model or the data that it was made of."""
    import gatewise as gw

    write_more()
    source = chance.choice(["k.safetensors", "x.csv", "x.npy"])
    given = ("k.safetensors", source if source != "k.safetensors" else "x.npy")
    output = another_name(source, chance)
    before = contents()
    way = chance.choice(["trace", "trace", "page", "report"] if chance.random() < 0.5 else ["trace", "page"])
    try:
        if way == "trace":
            asked(gw.open_run, *given, out=output)
        else:
            asked(asked(getattr(gw, way), *given).save, output)
    finally:
        require_same(before, f"{way} {output}")
