"""gatewise walk: one step of a cell, or several, line by line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from gatewise import showing
from gatewise.arrays import require_memory
from gatewise.cli.choices import Format, NotationName
from gatewise.cli.run import (
    BACK,
    PAGE,
    RUN,
    STEP,
    BackOptions,
    CellOptions,
    Integer,
    ModelOptions,
    RunOptions,
    VariantOptions,
    build,
    given,
)
from gatewise.errors import OptionError


def walk(
    *,
    run: RunOptions | None = None,
    unit: Annotated[Integer, Parameter(group=RUN)] = None,
    row: Annotated[Integer, Parameter(group=RUN)] = None,
    backward: Annotated[bool, Parameter(group=BACK, negative="")] = False,
    back: BackOptions | None = None,
    format: Annotated[Format | None, Parameter(group=PAGE)] = None,
    program: Annotated[bool, Parameter(group=PAGE, negative="")] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=PAGE)] = None,
    notation: Annotated[NotationName, Parameter(group=PAGE)] = "gatewise",
    cell: CellOptions | None = None,
    variant: VariantOptions | None = None,
    model: ModelOptions | None = None,
) -> None:
    """Walk through an LSTM cell line by line: each equation, its shapes, its numbers, and what they mean.

    Without options: the worked example, a cell with three features and two units. Units, layers and steps are counted
    from 0, as in Python.

    For example:

        gatewise walk --backward
        gatewise walk --x 0.5,0.8,0.2 --hidden-size 4 --unit 0

    Parameters
    ----------
    unit
        Open one unit: every product of its sums, largest contribution first.
    row
        Of a given batch: which row, from 0 (the default).
    backward
        Walk back, from the loss to every weight, input and previous state; over several steps, through time.
    format
        By default what the name of --output ends in, else text.
    program
        In JSON, write the program of the cell with its parameters and inputs instead of the sections.
    output
        A file to write instead of printing.
    notation
        Whose symbols and shapes of matrices: those of gatewise, of the worked example, of Olah's "Understanding LSTM
        Networks", of PyTorch's documentation or of Keras.
    """
    # Rich and the renderers are imported with the first walk, not with the program's help.
    from gatewise.render import terminal
    from gatewise.walkthrough.build import walk as walk_through

    face = format
    if output is not None and face is None:  # a name that tells nothing is refused before anything is computed
        face = showing.format_of(output)
    if program and face != "json":
        raise OptionError(f"--program belongs to JSON, not to {face or 'text'}: --format json")
    if not backward and (unused := given(back)):
        raise OptionError(f"--{next(iter(unused))} belongs to the walk back: --backward")
    made = build(run, back, cell, variant, model)
    number = 0 if row is None else row
    if not 0 <= number < len(made.rows):
        raise OptionError(f"there is no row {number}; the batch has rows 0 to {len(made.rows) - 1}")
    dh, dc = ((each[number] if each is not None and each.ndim == 2 else each) for each in (made.dh, made.dc))
    count, size = len(made.rows[number]), STEP * (8 if backward else 1) * (5 if face not in (None, "text") else 1)
    require_memory(count, size, f"a walk of {count} steps")
    walked = walk_through(
        made.rows[number],
        unit=unit,
        facts=made.facts,
        backward=backward,
        dh=dh if backward else None,
        dc=dc if backward else None,
        notation=notation,
    )
    if output is not None:
        walked.save(output, face, program=program)
    elif face in (None, "text"):
        terminal.show(walked, Output())
    elif sys.stdout is not None:  # it may be closed
        sys.stdout.buffer.write(
            f"{walked.render(face or 'text', program=program)}\n".encode()
        )  # UTF-8, whatever the terminal's


class Output(Console):
    """Standard output, which a reader may leave early."""

    def on_broken_pipe(self) -> None:
        """Say so; Rich would end the program with exit code 1."""
        raise BrokenPipeError
