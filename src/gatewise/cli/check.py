"""gatewise check: compare numbers worked out by hand with the equations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter
from rich.console import Console

from gatewise import showing
from gatewise.cli.choices import Language, MarkingFormat, Repeat
from gatewise.cli.convert import SUFFIXES
from gatewise.cli.options import NO_LOSS, OUTPUT, WORKED_EXAMPLE, BackOptions, CellRunOptions, chosen_options, refuse
from gatewise.cli.run import build_run
from gatewise.cli.walk import deliver
from gatewise.grading.verdicts import ONCE

CLASS = Group("Class", sort_key=-1)
SHEET = Group("Empty sheet", sort_key=0)
MODELS = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}


def check(
    answers: Annotated[
        Path,
        Parameter(
            help="A .csv, .xlsx, .ipynb, .json or .npz file, or a folder. The file holds your numbers. The folder is"
            " one that gatewise exercise made."
        ),
    ],
    /,
    *,
    weights: Annotated[Path | None, Parameter(group=CLASS)] = None,
    repeat: Repeat = ONCE,
    template: Annotated[bool, Parameter(group=SHEET)] = False,
    options: CellRunOptions = WORKED_EXAMPLE,
    backward: Annotated[bool, Parameter(group=SHEET)] = False,
    back: BackOptions = NO_LOSS,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT)] = None,
    format: Annotated[MarkingFormat | None, Parameter(group=OUTPUT)] = None,
    lang: Annotated[Language | None, Parameter(group=OUTPUT)] = None,
) -> None:
    """Check numbers that you worked out by hand.

    gatewise finds the first wrong number, what follows from it, and its cause. It compares with the worked example, or
    with the run that your options describe, as in gatewise walk. To compare a model file with the outputs of its own
    framework, use gatewise verify.

    For example, get an empty sheet, fill it in and check it:

        gatewise check answers.csv --template
        gatewise check answers.csv

    ANSWERS holds any of the quantities that gatewise walk shows, by name: f or forget_gate, a_f, c, h, dW_f. With
    several steps they are f[0], f[1] and so on. In a .csv file, each line has a name and its numbers, separated by
    commas, or by semicolons if the decimals have commas. A number is right if it is off by at most half a unit in its
    last digit. Each line is right, right from a wrong line, close, too coarse, incomplete, wrong or missing. The exit
    code is 0 if every line with numbers is complete, and right or close. Otherwise it is 1.

    If ANSWERS is a folder that gatewise exercise made, gatewise marks the answers of all students. It writes marks.csv,
    a page about the class and a page for each student into the folder.

    Parameters
    ----------
    weights
        A .csv file with the points of each line of an exercise. Its columns are quantity and points. Default: the
        folder's weights.csv.
    repeat
        Count a repeated mistake once or every time. A mistake at several steps or in several gates costs points in its
        first line only (once) or in every line (every).
    template
        Write an empty sheet to the file ANSWERS.
    backward
        With --template: ask for the backward pass too.
    output
        Write to this file, not to the terminal.
    format
        Format of the marked sheet. Default: as the output file's suffix says, else text.
    lang
        Language of the marked sheet or the pages of a class. Default: the language of the exercise, else en.
    """
    from gatewise.errors import OptionError
    from gatewise.grading import classroom, grades, handout, sheet
    from gatewise.grading.chain import Chain
    from gatewise.grading.marking import check
    from gatewise.showing import counted

    if answers.is_dir():
        others = {"template": template or None, "backward": backward or None, "output": output, "format": format}
        for given in (others, chosen_options(back), *options.groups):
            refuse("a folder of answers", given)
        marked = grades.mark_class(answers, weights, repeat, lang)
        classroom.write(answers, marked)
        for line in grades.text_table(marked):
            print(line)
        pages = f"{handout.MARKS}, {handout.PAGE} and {counted(len(marked.marks), 'page')} in {handout.FEEDBACK}/"
        print(f"\n{answers}: wrote {pages}")
        sys.exit(0 if marked.correct else 1)
    if weights is not None:
        raise OptionError(
            "--weights is for the folder of an exercise. Leave it out, or give the folder that gatewise exercise wrote."
        )
    if backward and not template:
        raise OptionError("--backward belongs to --template. Your answers show whether they include the backward pass")
    if not template and answers.suffix.lower() in MODELS:
        raise OptionError(
            f"{answers} is a model, not a sheet of answers. gatewise inspect shows what is in it. gatewise verify"
            " compares it with the outputs of its own framework"
        )
    if template:
        refuse("--template", {"output": output, "format": format, "lang": lang})
    if output is not None:
        format = format or showing.format_of(output, "Marking")
    cell_run = build_run(options, back)
    if template:
        chain = Chain(cell_run.steps, cell_run.dh, cell_run.dc)
        handout.write_template(answers, chain, backward)
        print(f"{answers}: fill in your numbers, then run the same command without --template")
        for quantity in [quantity for quantity in chain.quantities if quantity.term and backward][:1]:
            print(f"There {quantity.equation},\nand likewise the other sums.")
        return
    marking = check(sheet.read(answers), Chain(cell_run.steps, cell_run.dh, cell_run.dc), repeat=repeat)
    if output is None and format in (None, "text"):
        console = Console(highlight=False)
        for line in marking.render(lang=lang or "en").splitlines():
            console.print(line, markup=False, soft_wrap=True)
    else:
        deliver(marking.render(format or "text", lang or "en"), output)
    sys.exit(0 if marking.correct else 1)
