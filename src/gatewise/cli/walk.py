"""gatewise walk: one step of a cell, or several, line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from gatewise import showing
from gatewise.arrays import require_memory
from gatewise.cli.choices import Format, NotationName
from gatewise.cli.options import (
    BACK,
    NO_LOSS,
    OUTPUT,
    SHOWN,
    WORKED_EXAMPLE,
    BackOptions,
    CellRunOptions,
    Integer,
    chosen_options,
)
from gatewise.cli.printing import print_notes, require_consent
from gatewise.cli.run import build_run, output_gradients
from gatewise.errors import OptionError
from gatewise.files import storage
from gatewise.records.step import Step
from gatewise.showing import counted

if TYPE_CHECKING:
    from gatewise.walkthrough.parts import Walkthrough

STEP = 25_000  # bytes that a step of a small cell takes until it is shown in a format that is written as a whole
LARGE = 20e6  # bytes of a file whose size is said beforehand
SAMPLE = 20  # steps of a walk whose size is estimated before they are rendered
# Seconds and bytes of memory that each weight takes at each step that is worked through, about: forward and backward.
OF_WEIGHTS = ((0.7e-6, 60), (1.8e-6, 90))
OF_WEIGHTS_IN = {"json": ((22e-6, 500), (42e-6, 1500)), "notebook": ((4e-6, 210), (5e-6, 250))}

NEXT = """
Here all gates are near 0.5. Next, a cell whose gates differ: gatewise walk
--example lesson, or your own model: gatewise walk --model FILE --x FILE"""


def walk(
    *,
    options: CellRunOptions = WORKED_EXAMPLE,
    unit: Annotated[Integer, Parameter(group=SHOWN)] = None,
    sequence: Annotated[Integer, Parameter(group=SHOWN)] = None,
    brief: Annotated[bool, Parameter(group=SHOWN)] = False,
    every_step: Annotated[bool, Parameter(group=SHOWN)] = False,
    notation: Annotated[NotationName, Parameter(group=SHOWN)] = "gatewise",
    backward: Annotated[bool, Parameter(group=BACK)] = False,
    dy: Annotated[str | None, Parameter(group=BACK, allow_leading_hyphen=True)] = None,
    back: BackOptions = NO_LOSS,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT)] = None,
    format: Annotated[Format | None, Parameter(group=OUTPUT)] = None,
    program: Annotated[bool, Parameter(group=OUTPUT)] = False,
    yes: Annotated[bool, Parameter(group=OUTPUT)] = False,
) -> None:
    """Walk through an LSTM cell line by line.

    You see each equation, its shapes, its numbers and what they mean. Without options it shows the worked example: one
    step of a cell with three features and two units. Units, layers and steps count from 0, as in Python.

    For example:

        gatewise walk --example lesson
        gatewise walk --x 0.5,-1 --steps 30 --at 7

    For more than 20 steps, it shows a table of all steps and works through the first and the last. In text, a backward
    pass does so for more than 3 steps. --at shows another step, and --every-step shows all of them.

    Parameters
    ----------
    unit
        Expand one unit. Show every product of its sums, largest contribution first.
    sequence
        Which sequence, if --given holds a batch. Default: 0.
    brief
        Show only a table of all steps. It lists the gates and states of every unit.
    every_step
        Work through every step, no matter how many.
    notation
        Symbols and matrix shapes to use. gatewise's own, those of the worked example (notebook), Olah's "Understanding
        LSTM Networks", PyTorch's documentation or Keras.
    backward
        Show the backward pass. It computes the gradients of a loss with respect to every weight, input and previous
        state, through time if there are several steps.
    dy
        Gradient of the loss with respect to h at every step. Give numbers or a file as for --x, one row per step. Then
        --dh is zero by default.
    output
        Write to this file instead of the terminal.
    format
        Output format. Default: as the output file's suffix says, else text.
    program
        In JSON, write the cell as a program with its parameters and inputs. Without it, JSON holds the sections.
    yes
        Allow a walk that takes more than 20 s or 1 GiB of memory.
    """
    # Rich and the renderers are imported with the first walk, not with the program's help.
    from gatewise.render import terminal
    from gatewise.walkthrough.build import walk as walk_through
    from gatewise.walkthrough.numbers import with_decimals

    if output is not None and format is None:  # an unknown suffix is refused before anything is computed
        format = showing.format_of(output)
    if program and format != "json":
        raise OptionError(f"--program is for JSON, not {format or 'text'}. Add --format json.")
    if not backward and (unused := chosen_options(back) | ({} if dy is None else {"dy": dy})):
        raise OptionError(f"--{next(iter(unused))} is for the backward pass. Add --backward.")
    cell_run = build_run(options, back)
    if cell_run.at is not None and (brief or every_step):
        raise OptionError(
            f"--{'brief' if brief else 'every-step'} is for several steps, but --at shows one. Leave one of them out."
        )
    number = 0 if sequence is None else sequence
    if not 0 <= number < len(cell_run.sequences):
        raise OptionError(f"there is no sequence {number}; the batch has sequences 0 to {len(cell_run.sequences) - 1}")
    dh, dc = ((each[number] if each is not None and each.ndim == 2 else each) for each in (cell_run.dh, cell_run.dc))
    steps = cell_run.sequences[number]
    if cell_run.at is None and format not in (None, "text") and every_step:
        require_memory(len(steps), STEP * (8 if backward else 1) * 5, f"a walk of {counted(len(steps), 'step')}")

    def walkthrough(steps: Sequence[Step]) -> Walkthrough:
        """Return the walkthrough of some steps with the options of the command."""
        return walk_through(
            steps,
            unit=unit,
            at=cell_run.at,
            brief=brief,
            every_step=every_step,
            facts=cell_run.facts,
            backward=backward,
            dy=None if dy is None else output_gradients(dy, steps),
            dh=dh if backward else None,
            dc=dc if backward else None,
            notation=notation,
            short=cell_run.short,
        )

    if output is None and sys.stdout is None:  # closed: there is nobody to work through a step for
        walkthrough(steps)  # refuses wrong options all the same
        return
    if not (brief or program):
        worked, p = len(walkthrough(steps).shown), steps[0].parameters
        weights = p.num_parameters * (1 if format == "notebook" else worked)
        second, byte = OF_WEIGHTS_IN.get(format or "text", OF_WEIGHTS)[backward]
        work = f"a walk through {counted(worked, 'step')} of {counted(p.hidden_size, 'unit')}"
        require_consent(work, second * weights, byte * weights, yes=yes)
    if output is None and format in (None, "text"):
        walk = walkthrough(steps)
        with_decimals(walk.digits, terminal.show, walk, Console())
        chosen = (unit, sequence, format, dy, chosen_options(back), *options.groups)
        plain = not (brief or every_step or backward)
        if plain and not any(value not in (None, {}) for value in chosen):  # the worked example
            print(NEXT)
        return
    large = every_step and not (brief or program) and len(steps) > SAMPLE
    size = _estimated_bytes(walkthrough, steps, format or "text") if large else 0.0
    name = "the output" if output is None else str(output)
    announcement = f"{name} will take about {size / 1e6:,.0f} MB ({counted(len(steps), 'step')})"
    if size > LARGE:
        print_notes([announcement])
    with Console(stderr=True).status(announcement) if size > LARGE else nullcontext():
        text = walkthrough(steps).render(format or "text", program=program)
        if not large and len(text) > LARGE:
            print_notes([f"{name} takes {len(text) / 1e6:,.0f} MB"])
        deliver(text, output)


def deliver(text: str, output: Path | None) -> None:
    """Write a walk as text to a file, or to standard output: in UTF-8, whatever the terminal's encoding."""
    if output is not None:
        storage.write_text(output, text)
    elif sys.stdout is not None:  # it may be closed
        sys.stdout.buffer.write(f"{text}\n".encode())


def _estimated_bytes(walkthrough: Callable[[Sequence[Step]], Walkthrough], steps: Sequence[Step], format: str) -> float:
    """Return the bytes that a walk of all steps takes, about: as many for each step as for the first ones."""
    few, more = (len(walkthrough(steps[:count]).render(format).encode()) for count in (2, 4))
    return few + (more - few) / 2 * (len(steps) - 2)
