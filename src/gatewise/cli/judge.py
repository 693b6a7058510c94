"""gatewise judge: run generated LSTMs through other engines, and explain what they compute wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from gatewise.cli.inspect import wrapped
from gatewise.cli.options import Count, Integer, Number
from gatewise.cli.printing import COMMAND, print_line
from gatewise.cli.usage import flowing
from gatewise.errors import OptionError
from gatewise.files.storage import beside
from gatewise.showing import counted

if TYPE_CHECKING:
    from gatewise.judge.judging import Judgement

CASES = Group("Cases", sort_key=2)
RESULT = Group("Output", sort_key=3)
ENDINGS = (".html", ".htm", ".json", ".svg")
Precision = Literal["float32", "float16", "bfloat16"]


def judge(
    *engines: Annotated[str, Parameter(name="ENGINE")],
    command: Annotated[str | None, Parameter(group=CASES, allow_leading_hyphen=True)] = None,
    all: Annotated[bool, Parameter(group=CASES, negative="")] = False,
    random: Annotated[Integer, Parameter(group=CASES)] = None,
    seed: Annotated[Count, Parameter(group=CASES)] = 1,
    limit: Annotated[Number, Parameter(group=CASES)] = None,
    precision: Annotated[Precision, Parameter(group=CASES)] = "float32",
    clip: Annotated[Literal["gates", "all"] | None, Parameter(group=CASES)] = None,
    save: Annotated[str | None, Parameter(group=RESULT)] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=RESULT)] = None,
) -> None:
    """Judge another engine that runs LSTMs.

    You learn which features the engine computes right, refuses, silently ignores or gets wrong. Without ENGINE,
    gatewise lists the engines that are installed. The exit code is 1 if an engine is wrong.

    For example:

        gatewise judge
        gatewise judge onnx-reference model.onnx

    Generated LSTMs run through the engine in a process of its own. gatewise computes each in float64 and allows for
    rounding. If an engine is wrong, gatewise tries single edits of its own cell to find the one that gives the engine's
    numbers.

    Parameters
    ----------
    engines
        Names of engines, Python files or .onnx models. A Python file has a function run(settings, arrays). A model runs
        on random input, in place of the generated cases.
    command
        A command to judge. For example './run model.onnx in.npy out.npy'. It reads a model and an input, and writes the
        output. gatewise replaces these words by paths. With in.npz and out.npz, it reads and writes all arrays by name.
    all
        Run every case instead of a quick set. These are all pairs of attributes, every size, long runs and 1,000 random
        cases.
    random
        Run this many random cases instead.
    seed
        Random seed of those cases.
    limit
        Seconds allowed for each case. Default: 30.
    precision
        Precision in which the engine computes.
    clip
        What ONNX's clip must bound: gates, or all, which adds the cell state before h. Default: either.
    save
        New folder for the cases as ONNX backend test data. For an ONNX engine.
    output
        Report to write, .html or .json, or a badge, .svg. A badge is for one engine.
    """
    from gatewise.judge import judging, outputs, subjects  # not with the program's help
    from gatewise.judge.judging import judge_models

    if output is not None and output.suffix.lower() not in ENDINGS:
        raise OptionError(f"the name of {output} must end in .html, .json or .svg")
    if random is not None and (all or random < 1):
        raise OptionError("--random needs a positive number of cases, and doesn't go with --all")
    models = [Path(name) for name in engines if name.lower().endswith(".onnx")]
    names = [name for name in engines if Path(name) not in models]
    if not names and command is None:
        if save or output or models:
            raise OptionError(f"judge needs an ENGINE; allowed: {', '.join(subjects.ENGINES)}")
        for line in _engine_lines(subjects.installed()):
            print(line)
        return
    if output is not None and output.suffix.lower() == ".svg" and len(names) + (command is not None) > 1:
        raise OptionError("a badge is about one engine. Name one ENGINE, or write a .html report.")
    seconds = subjects.LIMIT if limit is None else limit
    if not 0 < seconds < 1e6:
        raise OptionError(f"--limit must be a positive number of seconds, not {seconds:g}")
    commands: list[tuple[str | None, str | None]] = [*((name, None) for name in names)]
    commands += [(None, command)] * (command is not None)
    judged = [
        subjects.subject_of(name, text, limit=seconds, precision=precision, clip=clip or "") for name, text in commands
    ]
    if save is not None:
        count = judging.save_designs(Path(save), judged, every=all)
        print_line(f"{save}: {counted(count, 'case')}")
    judgements = []
    with ExitStack() as stack:
        temporary = None if output is None else stack.enter_context(beside(output))
        for place, subject in enumerate(judged):
            if models:
                judgements.append(judge_models(subject, models, seed))
            else:
                judgements.append(judging.judge_engine(subject, judging.designs_of(subject, all, random, seed)))
            for line in _lines(judgements[-1]):
                print(line)
            if place + 1 < len(judged):
                print()
        if temporary is not None and output is not None:
            suffix = output.suffix.lower()
            if suffix == ".json":
                text = outputs.to_json(judgements)
            else:
                text = outputs.to_svg(judgements[0]) if suffix == ".svg" else outputs.to_html(judgements, COMMAND.get())
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    sys.exit(0 if all_right(judgements) else 1)


def all_right(judgements: list[Judgement]) -> bool:
    """Whether every engine was judged, and none is wrong."""
    return not [judgement for judgement in judgements if not judgement.is_right]


def _engine_lines(versions: dict[str, str]) -> Iterator[str]:
    """Yield the table of engines, and how any other is judged."""
    width = max(map(len, versions))
    for name, version in versions.items():
        yield f"{name:<{width}}  {version or 'not installed'}"
    yield ""
    yield from wrapped("Any other engine is judged with --command, or as a Python file.", "", "")


def _lines(judgement: Judgement) -> Iterator[str]:
    """Yield what is printed about an engine, in lines of at most 80 columns: faults first, then what is right."""
    from gatewise.judge.outputs import details, lines

    yield from wrapped(judgement.sentence, "", "  ")
    rows = [*lines(judgement)]
    width = max((len(feature) for feature, kind, _ in rows if kind != "right"), default=0)
    if width:
        yield ""
    for feature, kind, sentence in rows:
        if kind != "right":
            head = f"{feature:<{width}}  {kind:<8}"
            yield from wrapped(sentence, f"{head}  ", " " * (len(head) + 2)) if sentence else [head.rstrip()]
    right = [feature for feature, kind, _ in rows if kind == "right"]
    if right:
        yield ""
        yield from wrapped(f"right: {', '.join(right)}", "", "  ")
    worst = next((row for row in judgement.rows if row.verdict.is_fault), None)
    if worst is not None:
        yield ""
        yield f"{worst.feature}:"
        for sentence in details(worst):
            yield from wrapped(sentence, "  ", "    ")
        if worst.script:
            yield ""
            yield from worst.script.splitlines()


judge.__doc__ = flowing(judge.__doc__)
