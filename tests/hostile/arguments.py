"""Arguments: any option with any value, files that are devices, pipes and folders, and names of any letters."""

from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

from hostile.outputs import WAYS, write_inputs
from hostile.trying import command, hostile

VALUES = (
    *(
        "0",
        "-1",
        "1",
        "2",
        "7",
        "1e3",
        "1.0",
        "0.5",
        "-0",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "",
        " ",
        "٣",
        "１２",
        "½",
        "1_000",
        "0x10",
    ),
    *(
        "9" * 30,
        "99999999999",
        "2147483648",
        "-9223372036854775809",
        "1,2",
        "1,2,3",
        "1;2;3",
        "a,b",
        ",",
        "0,0",
        "1:2",
        ":",
        "5:1",
        "-1:",
    ),
    *(
        "None",
        "true",
        "false",
        "[]",
        "{}",
        "a",
        "é",
        "\udc80",
        "\u202e",
        "\n",
        "\x1b[31m",
        "a" * 3000,
        "=",
        "a=b",
        "*",
        "~",
        "%s",
        "{0}",
        "$HOME",
    ),
    *(
        "x.csv",
        "x.npy",
        "k.safetensors",
        "g.json",
        "empty",
        "folder",
        "fifo",
        "loop",
        "nowhere",
        "nowhere/x.csv",
        "x.csv/",
        "../try/x.csv",
        ".",
    ),
    *(
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/stdin",
        "/proc/self/mem",
        "/proc/version",
        "/",
        "http://x.y/z.csv",
        "file:///etc/passwd",
        "-",
        "--",
    ),
    *(
        "2001-01-03",
        "2001-02-30",
        "2001",
        "last",
        "all",
        "none",
        "f",
        "forget_gate",
        "discharge",
        "name0",
        "lstm",
        "concat",
        "hard_sigmoid:0.2,0.5",
    ),
)
OUTPUTS = (
    *(
        "out.html",
        "out.csv",
        "out.npz",
        "out.json",
        "out.tex",
        "out.svg",
        "out.pt",
        "out.h",
        "out",
        "out.xyz",
        "folder",
        "nowhere/out.html",
        "",
        ".",
    ),
    *(
        "/dev/full",
        "/dev/null",
        "fifo",
        "loop",
        "folder/out.html",
        "out\n.html",
        "\udc80.html",
        "é.html",
        "a" * 250 + ".html",
        "a" * 300 + ".html",
        "-",
    ),
)
NOT_TRIED = ("--open", "--scheduler", "--workers", "--help", "-h")  # a browser, connections, processes
WRITTEN = ("out", "folder/out.html", "out\n.html", "é.html", "\udc80.html", "a" * 250 + ".html", "-")


@cache
def options(name: str) -> tuple[str, ...]:
    from gatewise.cli import app, usage

    return tuple(one for one in usage._options(app, name) if one not in (*NOT_TRIED, "-o", "--output"))


@hostile("arguments of any kind", seconds=60, share=2)
def arguments(chance: random.Random, folder: Path) -> None:
    """A command ends well, or in one sentence; it writes nothing but its output."""
    write_inputs()
    Path("empty").touch()
    Path("folder").mkdir()
    os.mkfifo("fifo")
    os.symlink("loop", "loop")
    name = chance.choice([*WAYS])
    tokens = WAYS[name][1].split()
    output = chance.choice(OUTPUTS) if chance.random() < 0.3 else f"out{chance.choice(WAYS[name][0])}"
    tokens = [output if word == "OUT" else word for word in tokens]
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        option = chance.choice(options(tokens[0]))
        value = chance.choice(VALUES)
        if option in tokens[:-1]:
            tokens[tokens.index(option) + 1] = value
        elif chance.random() < 0.1:
            tokens.append(option)
        else:
            tokens += [f"{option}={value}"] if chance.random() < 0.5 or value.startswith("-") else [option, value]
    if chance.random() < 0.3:
        places = [
            n
            for n, token in enumerate(tokens[1:], 1)
            if not token.startswith("-") and tokens[n - 1] not in ("-o", "OUT") and token != output
        ]
        if places:
            tokens[chance.choice(places)] = chance.choice(VALUES)
    if name in ("template", "convert") and output not in tokens:
        return
    if "\0" in "".join(tokens):
        return
    command(*tokens, writes=(*WRITTEN, *(f"out{ending}" for ending in ENDINGS)), codes=(0, 1, 2))


ENDINGS = sorted({".xyz", ".zarr", ".bin", *(ending for endings, _ in WAYS.values() for ending in endings)})
