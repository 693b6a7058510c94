"""gatewise check: a person's own numbers against the equations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatewise.cli.options import (
    BACK,
    RUN,
    BackOptions,
    CellOptions,
    ModelOptions,
    RunOptions,
    VariantOptions,
    given,
    refuse,
)
from gatewise.cli.run import build
from gatewise.cli.walk import Output


def check(
    answers: Annotated[Path, Parameter(help="A .json, .csv or .npz file of answers, or the folder of an exercise.")],
    *,
    template: Annotated[bool, Parameter(group=RUN, negative="")] = False,
    run: RunOptions | None = None,
    backward: Annotated[bool, Parameter(group=BACK, negative="")] = False,
    back: BackOptions | None = None,
    cell: CellOptions | None = None,
    variant: VariantOptions | None = None,
    model: ModelOptions | None = None,
) -> None:
    """Compare your own numbers with a run: which is the first wrong one, whether the rest follows from it, and why.

    Any of the quantities that gatewise walk shows, under its names: f or forget_gate, a_f, c, h, dW_f; of several steps
    f[0], f[1]. A number is right within half of its last digit. The run is the worked example, or whatever the options
    say. Exit code 1 if something is wrong.

    A folder that gatewise exercise made is marked as a whole: a table, and the file marks.csv in it.

    Parameters
    ----------
    template
        Write an empty sheet to fill in, under the name ANSWERS.
    backward
        Of a template: ask for the way back too.
    """
    from rich.progress import track

    from gatewise.errors import OptionError
    from gatewise.grading import exercise, grades, report, sheet
    from gatewise.grading.chain import Chain
    from gatewise.grading.marking import check

    if answers.is_dir():
        options = {"template": template or None, "backward": backward or None}
        for one in (run, back, cell, variant, model):
            options |= given(one)
        refuse("a folder of answers", options)
        keys = grades.keys_of(answers)
        ticks = iter(track(range(len(keys)), description="marking", disable=not sys.stderr.isatty(), transient=True))
        marked = grades.mark(answers, done=lambda: next(ticks, None))
        for line in grades.table(marked):
            print(line)
        sys.stdout.flush()
        sys.exit(0 if marked.correct else 1)
    if backward and not template:
        raise OptionError("--backward belongs to --template; what a sheet holds tells by itself whether it goes back")
    made = build(run, back, cell, variant, model)
    if template:
        names = sheet.suffix_of(answers)
        exercise.write_template(answers, Chain(made.asked, made.dh, made.dc), backward, names)
        print(f"{answers}: fill in what you have worked out, then: gatewise check {answers}")
        return
    found = sheet.read(answers)
    marking = check(found, Chain(made.asked, made.dh, made.dc))
    console = Output(highlight=False)
    for line in report.text(marking).splitlines():
        console.print(line, markup=False, soft_wrap=True)
    sys.stdout.flush()
    sys.exit(0 if marking.correct else 1)
