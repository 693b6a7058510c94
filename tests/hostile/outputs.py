"""What gatewise writes: names that mean harm, formulas in tables, limits on the size of files, full disks."""

from __future__ import annotations

import ast
import contextlib
import csv
import ctypes
import json
import os
import random
import re
import resource
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hostile.sheets import tags
from hostile.trying import (
    EXECUTED,
    LOST,
    TRACEBACK,
    Ended,
    Fault,
    Refused,
    command,
    hostile,
    run_program,
    silent,
)

SIZES = 3, 2  # features and units
STEPS = 6
HARMFUL = (
    *(
        "</script><img src=x onerror=alert(1)>",
        "<!--<script>alert(1)</script>",
        '"><svg onload=alert(1)>',
        "javascript:alert(1)",
    ),
    *(
        "\\input{/etc/passwd}",
        "\\write18{touch executed}",
        "$\\href{javascript:alert(1)}{x}$",
        "%\\end{document}",
        "#1",
        "^^M",
    ),
    *(
        "[x](javascript:alert(1))",
        "![x](http://x.y/z.png)",
        "```\n# code",
        "| a | b |",
        "<details>",
        "`touch executed`",
    ),
    *('=HYPERLINK("http://x.y","x")', "+1+1", "-2+3", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "|x"),
    *(
        "*/ int main(void){} /*",
        '"); system("touch executed"); ("',
        "\\\n#include <x>",
        "??/",
        "__import__('os').system('touch executed')",
    ),
    *(
        "'''\nimport os\n'''",
        '"""',
        "\x1b[31mred\x1b[0m",
        "\x07",
        "\u202egnp.exe",
        "\u2028",
        "\ufeff",
        "\x00"[:0] + "a\u0000b",
        "{{7*7}}",
        "%s%n",
        "${x}",
        "a" * 500,
    ),
)
PLAIN = tuple(f"name{n}" for n in range(len(HARMFUL)))


@cache
def model_bytes(features: tuple[str, ...], units: tuple[str, ...]) -> bytes:
    """Return a saved network with these names."""
    import gatewise as gw

    labels = gw.Labels(features=features, units=units, outputs=("discharge",))
    network = gw.Network(gw.LSTM(*SIZES, rng=0), head=gw.Linear(np.ones((1, SIZES[1]), np.float32)), labels=labels)
    path = Path("made.safetensors")
    gw.save(network, path)
    content = path.read_bytes()
    path.unlink()
    return content


def write_inputs(
    features: tuple[str, ...] = PLAIN[:3], units: tuple[str, ...] = PLAIN[:2], times: tuple[str, ...] = ()
) -> None:
    """Write all that commands read into the working folder: a model, its input as a table and as arrays, a sheet."""
    Path("k.safetensors").write_bytes(model_bytes(features, units))
    x = np.random.default_rng(0).normal(size=(STEPS, SIZES[0])).round(3)
    with open("x.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        dates = times or tuple(f"2001-01-{day:02d}" for day in range(1, STEPS + 1))
        writer.writerow(["date", *features])
        writer.writerows([date, *row] for date, row in zip(dates, x.tolist(), strict=True))
    np.save("x.npy", x.astype(np.float32))
    given = {f"{kind}_{gate}": np.full((2, 5) if kind == "W" else 2, 0.5).tolist() for kind in "Wb" for gate in "figo"}
    Path("g.json").write_text(json.dumps(given | {"x": [0.1, 0.2, 0.3], "h_prev": [0, 0], "c_prev": [0, 0]}))
    Path("sheet.csv").write_text("f,0.5,0.5\ni,0.5,0.4\n")
    Path("class.csv").write_text("Ada\nGrace\n")


# Each way to write, as the endings of its outputs and its command, in which OUT is the output.
WALK = "walk --model k.safetensors --x x.csv"
WAYS: dict[str, tuple[tuple[str, ...], str]] = {
    "walk": ((".html", ".md", ".tex", ".ipynb", ".json", ".txt"), f"{WALK} --brief -o OUT"),
    "backward": ((".html", ".md", ".tex", ".ipynb", ".json", ".txt"), f"{WALK} --backward --steps 2 -o OUT"),
    "given": ((".html", ".json"), "walk --given g.json -o OUT"),
    "trace": ((".csv", ".npz", ".safetensors", ".nc"), "trace k.safetensors x.csv -o OUT"),
    "plot": ((".svg", ".png", ".pdf"), "plot k.safetensors x.csv -o OUT"),
    "report": ((".html",), "report k.safetensors x.csv -o OUT"),
    "page": ((".html",), "page k.safetensors --x x.csv -o OUT"),
    "convert": ((".pt", ".safetensors", ".onnx", ".h5", ".keras"), "convert k.safetensors OUT"),
    "export": ((".h",), "export k.safetensors -o OUT"),
    "template": ((".csv", ".json", ".npz"), "check OUT --template"),
    "check": ((".html", ".md", ".json"), "check sheet.csv --given g.json -o OUT"),
}
LIGHT = ("walk", "given", "trace", "convert", "export", "template", "check")


def chosen(chance: random.Random) -> tuple[str, str, list[str]]:
    """Return a way, an output's name, and the command."""
    name = chance.choice(LIGHT if chance.random() < 0.8 else [*WAYS])
    suffixes, text = WAYS[name]
    output = f"out{chance.choice(suffixes)}"
    return name, output, [output if word == "OUT" else word for word in text.split()]


# Names.


def structure(path: Path) -> Any:
    """Return what may not depend on names: elements, cells, commands."""
    if path.suffix == ".html":
        found = tags(path.read_text(encoding="utf-8"))
        return [re.sub("^div aria-label role tabindex$", "div ", one) for one in found]  # a wide table scrolls
    if path.suffix == ".svg":
        return [
            (one.tag, tuple(sorted(one.attrib)))
            for one in ElementTree.parse(path).iter()
            if "tspan" not in one.tag and "use" not in one.tag
        ]
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], code_kinds(cell)) for cell in cells]
    if path.suffix == ".json":
        return kinds(json.loads(path.read_text(encoding="utf-8")))
    return None


def code_kinds(cell: Any) -> Any:
    if cell["cell_type"] != "code":
        return None
    text = "".join(cell["source"])
    return [
        type(one).__name__ for one in ast.walk(ast.parse(text)) if not isinstance(one, (ast.Constant, ast.JoinedStr))
    ]


def kinds(value: Any) -> Any:
    if isinstance(value, dict):
        return {"object": [kinds(one) for one in value.values()]}
    return [kinds(one) for one in value] if isinstance(value, list) else type(value).__name__


@cache
def plain_structure(name: str, output: str) -> Any:
    """Return the structure of an output in which all names are plain."""
    here = os.getcwd()
    folder = Path("plain")
    folder.mkdir()
    os.chdir(folder)
    try:
        write_inputs()
        _, text = WAYS[name]
        ended = run_program([output if word == "OUT" else word for word in text.split()])
        return structure(Path(output)) if ended.code == 0 else None
    finally:
        os.chdir(here)
        import shutil

        shutil.rmtree(folder)


RAW = ("<img src=x", "<svg onload", "<script>alert", "\x1b[", "\x07")
TEX = ("\\input{/etc", "\\write18{", "\\href{javascript", "\n%\\end{document}")


@hostile("names that mean harm, in every output", seconds=90, share=2)
def injections(chance: random.Random, folder: Path) -> None:
    """An output with harmful names has the elements, cells and commands of one with plain names."""
    name, output, tokens = chosen(chance)
    if name in ("given", "template", "check"):
        name, output, tokens = "walk", "out.html", [*f"{WALK} --brief -o out.html".split()]
    expected = plain_structure(name, output)
    harm = chance.choice(HARMFUL)
    features = [harm if n == chance.randrange(3) else one for n, one in enumerate(PLAIN[:3])]
    units = [harm if chance.random() < 0.3 else one for one in PLAIN[:2]]
    times = tuple(f"{chance.choice(HARMFUL)}{n}" for n in range(STEPS)) if chance.random() < 0.2 else ()
    try:
        write_inputs(tuple(features), tuple(units), times)
    except csv.Error as problem:
        raise Refused(str(problem)) from None
    command(*tokens, writes=(output, "out.bin"))
    path = Path(output)
    found = structure(path)
    if expected is not None and found != expected and not (times and (path.suffix != ".html" or name == "report")):
        at = next((n for n, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), "its end")
        raise Fault(
            EXECUTED,
            f"{output} of {name} has another structure, at {at}: {harm!r} among {features} {units} {times[:2]}",
        )
    judge_text(path, harm)


def judge_text(path: Path, harm: str) -> None:
    """Report markup that is in an output as it was given, and formulas in a table."""
    if path.suffix in (".html", ".md", ".tex", ".txt", ".svg", ".csv", ".h"):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            text = re.sub(
                r"^(`{3,})[^\n]*\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL
            )  # code is shown as it is
            text = text.replace("\\]", "")  # which ends no link
        markup = {".html": RAW, ".svg": RAW, ".md": (*RAW, "](javascript:"), ".tex": TEX}.get(path.suffix, ())
        if given := [raw for raw in markup if raw in text]:
            raise Fault(EXECUTED, f"{path} has markup as it was given: {given[0]!r}")
        if path.suffix in (".txt", ".tex", ".md") and re.search(r"[\x00-\x08\x0b\x0e-\x1f\x7f]", text):
            raise Fault(EXECUTED, f"{path} has control characters: {harm!r}")
    if path.suffix == ".csv":
        judge_table(path)


def judge_table(path: Path) -> None:
    """Report cells of a table that a spreadsheet would compute."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file):
            for one in row:
                if (
                    one[:1] in ("=", "+", "-", "@", "\t", "\r")
                    and one != "-"
                    and not re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?|-?(nan|inf)", one)
                ):
                    raise Fault(EXECUTED, f"a formula in {path}: {one!r:.80}")


FORMULAS = (
    *(one for one in HARMFUL if one[0] in "=+-@\t|"),
    *("=1+1", "-1+1", "@x", "+x", "=A1", "\r=1", " =1", "'=1", "=1\n2"),
)


@hostile("formulas in tables for spreadsheets", needs=("pandas",))
def formulas(chance: random.Random, folder: Path) -> None:
    """A table that gatewise writes has no cell that a spreadsheet computes, and its numbers are those of the trace."""
    features = [chance.choice(FORMULAS) if chance.random() < 0.6 else one for one in PLAIN[:3]]
    if len({*features}) < 3:
        raise Refused("names occur twice")
    times = tuple(f"{chance.choice(FORMULAS)} {n}" for n in range(STEPS)) if chance.random() < 0.4 else ()
    write_inputs(tuple(features), PLAIN[:2], times)
    command("trace", "k.safetensors", "x.csv", "-o", "t.csv", writes=("t.csv",))
    judge_table(Path("t.csv"))
    import gatewise as gw

    with open("t.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    trace = gw.open_run("k.safetensors", "x.csv").trace
    expected = np.asarray(trace.lstm[0].forget_gate).reshape(-1)
    found = np.array([float(row["value"]) for row in rows if row["quantity"] == "forget_gate"], np.float32)
    if found.shape != expected.shape or not np.allclose(found, expected, atol=1e-6):
        silent(f"the table has other numbers: {features}")


# Too little room.


@cache
def whole_size(name: str, output: str) -> int:
    """Return how long an output is when there is room for it; 0 if it is not written."""
    ended = run_program([output if word == "OUT" else word for word in WAYS[name][1].split()])
    if ended.code not in (0, 1):
        return 0
    size = Path(output).stat().st_size
    Path(output).unlink()
    return size


def refused_for_room(tokens: list[str], output: str, codes: tuple[int, ...] = (0, 1, 2)) -> Ended | None:
    """Run a command that has too little room; None if it was refused as it should be."""
    try:
        return command(*tokens, writes=(output,), codes=codes)
    except Refused as problem:
        text = str(problem)
        if ".tmp" in text or "gatewise-" in text:
            raise Fault(TRACEBACK, f"the sentence names a temporary file: {text}") from None
        if output not in text:
            raise Fault(TRACEBACK, f"the sentence does not name {output}: {text}") from None
        return None


@hostile("a limit on the size of files, where an output was before", seconds=90)
def size_limits(chance: random.Random, folder: Path) -> None:
    """What was there stays, nothing is left beside it, and the sentence names the output."""
    write_inputs()
    name, output, tokens = chosen(chance)
    size = whole_size(name, output)
    if not size:
        raise Refused("it is not written here")
    if chance.random() < 0.8 and name != "template":
        Path(output).write_bytes(b"what was there")
    limit = chance.randrange(0, max(1, int(size * 0.9)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        ended = refused_for_room(tokens, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if ended is not None:
        raise Fault(LOST, f"gatewise {' '.join(tokens)} ends well with a limit of {limit} bytes, of {size}")
    raise Refused("there is no room")


_mounted = False


def mount_small(folder: Path, size: int) -> None:
    """Mount a file system of so many bytes, which this process alone sees and which ends with it."""
    global _mounted
    libc = ctypes.CDLL(None, use_errno=True)
    if not _mounted:
        private = 0x4000 | (1 << 18)  # MS_REC, MS_PRIVATE
        if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, private, None):
            raise Refused("this process may not mount anything")
        _mounted = True
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()):
        raise Refused(f"this process may not mount anything: {os.strerror(ctypes.get_errno())}")


@hostile("a disk that is full", needs=("root",), seconds=90)
def full_disks(chance: random.Random, folder: Path) -> None:
    """As with a limit; but the file system has no room, and a mapped file would end the process."""
    write_inputs()
    name, output, tokens = chosen(chance)
    size = whole_size(name, output)
    if size < 4096:
        raise Refused("it is not written here, or fits anywhere")
    pages = chance.randrange(1, max(2, size // 4096))
    disk = Path("disk")
    disk.mkdir()
    mount_small(disk, 4096 * (pages + 2))
    try:
        target = f"disk/{output}"
        with open("disk/filler", "wb") as file, contextlib.suppress(OSError):
            file.write(bytes(4096 * chance.randrange(0, 3)))
        if chance.random() < 0.7:
            Path(target).write_bytes(b"what was there")
        ended = refused_for_room([target if word == output else word for word in tokens], target)
        if ended is not None and Path(target).stat().st_size < 0.8 * size:
            raise Fault(
                LOST,
                f"gatewise {' '.join(tokens)} ends well on a full disk: {Path(target).stat().st_size} of {size} bytes",
            )
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(disk), 2)
