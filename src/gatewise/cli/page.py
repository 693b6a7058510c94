"""gatewise page: a web page on which every number of an LSTM opens, moves and answers."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from gatewise.cli.choices import Language
from gatewise.cli.inspect import LSTMName
from gatewise.cli.models import INPUT, NO_ARGUMENTS, FileSettings, InputArguments, InputFile, RunFile, open_printing
from gatewise.cli.options import WindowEnd, chosen_options, refuse
from gatewise.cli.printing import name_source, print_line, print_notes
from gatewise.cli.usage import flowing
from gatewise.errors import OptionError
from gatewise.showing import counted

SHOWN = Group("Display", sort_key=3)
OUTPUT = Group("Output", sort_key=4)
LARGE = 20e6  # bytes from which on the size is announced


def page(
    file: Annotated[Path | None, RunFile] = None,
    input: InputFile = None,
    /,
    *,
    x: Annotated[Path | None, Parameter(group=INPUT)] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"], group=OUTPUT, show_default=True)] = Path(
        "gatewise.html"
    ),
    open: Annotated[bool, Parameter(group=OUTPUT)] = False,
    name: LSTMName = None,
    settings: FileSettings | None = None,
    options: InputArguments = NO_ARGUMENTS,
    sequence: Annotated[str | None, Parameter(group=SHOWN)] = None,
    at: Annotated[WindowEnd, Parameter(group=SHOWN)] = None,
    lang: Annotated[Language, Parameter(group=SHOWN, show_default=True)] = "en",
    lesson: Annotated[Path | None, Parameter(group=SHOWN)] = None,
) -> None:
    """Write a web page on which you can play with an LSTM.

    Every number on it opens, moves and answers. Without a model, you learn from a cell that writes a bit, holds it and
    releases it, in chapters. The page is a single .html file that works offline. Your data stays in it.

    For example:

        gatewise page
        gatewise page model.onnx --x x.csv -o page.html

    Parameters
    ----------
    x
        Input of the model, instead of INPUT.
    output
        File to write, .html.
    open
        Open the page in the browser.
    sequence
        Which sequence of a batch, by number from 0 or name. Default: 0.
    lang
        Language of the page.
    lesson
        A lesson of your own, .json, instead of a model. It holds a cell, its sequence, and chapters.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"the name of {output} must end in .html")
    if x is not None and input is not None:
        raise OptionError(f"the input is given twice: {input}, and --x {x}. Leave one out.")
    input = x if input is None else input
    refuse("a model", {"lesson": file and lesson})
    if file is None:
        typed = {("set" if option == "settings" else option): one for option, one in chosen_options(settings).items()}
        others = {"name": name, "sequence": sequence, "at": at, **typed}
        refuse("a model: give its file as well", {"x": input, **chosen_options(options), **others}, "belongs to")
    from gatewise.files.storage import beside
    from gatewise.playground.page import page as make_page
    from gatewise.playground.page import page_of, size_of
    from gatewise.playground.sequence_run import sequence_run_of

    # The file is opened before the work, so that one that cannot be written is known before it.
    with beside(output) as temporary:
        if file is None:
            web_page = make_page(lesson=lesson, lang=lang)
        else:
            run = open_printing(file, input, options, name=name, settings=settings, finite=False, at=at)
            if sequence is None and run.trace.batch_size > 1:
                batch = counted(run.trace.batch_size, "sequence")
                print_notes([f"the batch has {batch}; the page shows the first: --sequence picks one"])
            sequence_run = sequence_run_of(run, None, 0 if sequence is None else sequence, {})
            if (size := size_of(sequence_run)) > LARGE:
                numbers = counted(sequence_run.num_numbers, "number")
                print_notes([f"{output} will take about {size / 1e6:,.0f} MB ({numbers})"])
            web_page = page_of(
                sequence_run, name_source(file, input), [f"Note: {note}." for note in run.sentences], lang
            )
        temporary.write_text(web_page.html, encoding="utf-8", errors="backslashreplace", newline="\n")
    print_line(f"{output}: {output.stat().st_size / 1000:,.0f} kB")
    if open and not webbrowser.open(output.resolve().as_uri()):
        print_notes([f"there is no browser to open {output} in"])


page.__doc__ = flowing(page.__doc__)
