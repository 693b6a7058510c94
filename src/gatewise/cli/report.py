"""gatewise report: one page about a model on your data."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from gatewise.cli.inspect import LSTMName
from gatewise.cli.models import NO_ARGUMENTS, FileSettings, InputArguments, InputFile, RunFile, open_printing
from gatewise.cli.options import tokens_in
from gatewise.cli.printing import COMMAND, announce_cost, name_source, print_line
from gatewise.cli.usage import flowing
from gatewise.errors import OptionError
from gatewise.files.storage import beside, read_text
from gatewise.showing import counted

ASKED = Group("Questions", sort_key=3)
RATE = 2.5e5  # units of all steps a second that are reported on, about


def report(
    file: Annotated[Path, RunFile],
    input: InputFile = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=Group("Output", sort_key=4))] = None,
    name: LSTMName = None,
    settings: FileSettings | None = None,
    options: InputArguments = NO_ARGUMENTS,
    sequence: Annotated[str | None, Parameter(group=ASKED)] = None,
    at: Annotated[list[str] | None, Parameter(group=ASKED, negative="", allow_leading_hyphen=True)] = None,
    target: Annotated[str | None, Parameter(group=ASKED)] = None,
    text: Annotated[Path | None, Parameter(group=ASKED)] = None,
    vocab: Annotated[Path | None, Parameter(group=ASKED)] = None,
    targets: Annotated[Path | None, Parameter(group=ASKED)] = None,
    values: Annotated[Path | None, Parameter(group=ASKED)] = None,
) -> None:
    """Report on a model and your data, on one page.

    The report says what the model remembers, for how long, and why it gave the output it gave. Each finding has a
    sentence, a picture and an explanation. The page is a single .html file. Without -o, gatewise prints the sentences.

    For example:

        gatewise report model.onnx x.csv -o report.html
        gatewise report model.pt x.npy --at 2

    Parameters
    ----------
    output
        File to write, .html.
    sequence
        Which sequence of a batch, by number from 0 or name. Default: a summary of all.
    at
        Step to explain, by number from 0 or time. You can give several. Default: one or two different events, where the
        error is largest. Without targets, that is where the output is furthest from its mean, or a classifier most
        sure. None is at the beginning, where the state builds up. A windowed model explains the window that ends there,
        by default that of the largest error, or the last.
    target
        Output to explain, by number from 0 or name. Default: that of the largest event.
    text
        File with the text read: a character or line per step. It labels the steps.
    vocab
        File with the words of the tokens or of the classes. A word per line, or .json with words by number or numbers
        by word. They label the outputs, and without --text the steps.
    targets
        File with what the outputs should be at each step. The report shows the error, explains where it is largest, and
        compares the model without each unit. Columns are matched by the names of the outputs. Cells may be empty.
    values
        File with other measurements, such as storage. Each column has a number for each step. The report tests which
        units carry it. Cells may be empty.
    """
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"the name of {output} must end in .html")
    if output is not None:
        from gatewise.plot import drawing

        drawing.library()  # if it is missing, that is said before a run that may be long
    end = at[0] if at and len(at) == 1 else None
    run = open_printing(file, input, options, name=name, settings=settings, at=end, names_step=True)
    from gatewise.reporting.build import report as report_on
    from gatewise.reporting.tokens import read_vocabulary

    trace = run.trace
    units = sum(cell.parameters.hidden_size for cell in trace.cells().values())
    extent = f"{counted(trace.num_steps, 'step')} of {counted(trace.batch_size, 'sequence')}"
    duration = trace.num_steps * trace.batch_size * units / RATE
    announce_cost(f"the report is on {extent}", duration + (0 if run.series is None else run.series.seconds()))
    source = name_source(file, input)
    # The file is opened before the work, so that one that cannot be written is known before it.
    with nullcontext() if output is None else beside(output) as temporary:
        notes = [run.interpretation] * bool(run.interpretation)
        page = report_on(
            run,
            sequence=sequence,
            at=at,
            target=target,
            text=None if text is None else tokens_in(read_text(text), trace.num_steps),
            vocabulary=None if vocab is None else read_vocabulary(vocab),
            targets=targets,
            values=values,
            title=source,
            notes=notes,
        )
        page = replace(page, facts=(*page.facts, ("Command", COMMAND.get())))
        if temporary is not None:
            temporary.write_text(page.html(), encoding="utf-8", errors="backslashreplace", newline="\n")
    if output is None:
        print(page)
    else:
        size = output.stat().st_size / 1000
        print_line(f"{output}: {counted(len(page.findings), 'question')}, {size:,.0f} kB")


report.__doc__ = flowing(report.__doc__)
