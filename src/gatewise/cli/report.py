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

ASKED = Group("What is asked", sort_key=3)
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
    observed: Annotated[Path | None, Parameter(group=ASKED)] = None,
    values: Annotated[Path | None, Parameter(group=ASKED)] = None,
) -> None:
    """Report on a model and your data: what is in it, how long it remembers, and why it gave the output it gave.

    The page is one .html file that needs nothing else: for each question a finding in one sentence, a picture, and what
    it means. Without -o, the sentences are printed.

    For example:

        gatewise report model.onnx x.csv -o report.html
        gatewise report model.pt x.npy --at 2

    Parameters
    ----------
    output
        The file to write, .html.
    sequence
        The sequence of a batch to report on, by its number, counted from 0, or its name. By default all are summarised.
    at
        A step to explain, by its number, counted from 0, or its time. May be given several times. By default one or two
        different events: where the output is furthest from its mean; of classes, where the model is most sure of the
        one that it predicts. None is at the beginning, where the state builds up. Of a model that is evaluated in
        windows, the one that ends there is explained, by default the last.
    target
        The output to explain, by its number, counted from 0, or its name. By default that of the largest event.
    text
        A file with the text that was read: a character, or else a line, for each step. It names the steps.
    vocab
        Instead, a file with the words of the tokens: a word a line, or .json with words by number or numbers by word.
    observed
        A file with what was observed of the outputs at each step, with which the model is compared without each unit.
        Columns go by the names of the outputs; cells may be empty.
    values
        A file with columns of a number for each step, such as a measured storage: which units carry it is tested. Cells
        may be empty.
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
            observed=observed,
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
