"""gatewise exercise: a sheet of their own numbers for every student of a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from gatewise.cli.options import VARIANT, Count, Integer, VariantOptions, switches_of

CLASS = Group("The class", sort_key=1)
ASKED = Group("What is asked", sort_key=2)


def exercise(
    *,
    students: Annotated[Path, Parameter(group=CLASS)],
    output: Annotated[Path, Parameter(name=["--output", "-o"], group=CLASS)],
    seed: Annotated[Integer, Parameter(group=CLASS)] = None,
    input_size: Annotated[Count, Parameter(group=ASKED)] = 3,
    hidden_size: Annotated[Count, Parameter(group=ASKED)] = 2,
    projection_size: Annotated[Integer, Parameter(group=ASKED)] = None,
    steps: Annotated[Count, Parameter(group=ASKED)] = 1,
    batch: Annotated[Count, Parameter(group=ASKED)] = 1,
    backward: Annotated[bool, Parameter(group=ASKED, negative="")] = False,
    decimals: Annotated[Count, Parameter(group=ASKED)] = 2,
    variant: Annotated[VariantOptions | None, Parameter(group=VARIANT)] = None,
) -> None:
    """Make an exercise for a class: each student gets a cell with numbers of their own, and you a key to each.

    The folder holds sheets to hand out (a notebook, a sheet to print and an empty .csv for each student), the keys, and
    a place for the answers; gatewise check marks it.

    Parameters
    ----------
    students
        A .csv file with a student a line; the first column counts.
    output
        The folder to make.
    seed
        Where drawing starts; the same seed and name give the same numbers again. By default a new one, which is kept
        in the folder.
    input_size
        Features of the input.
    hidden_size
        Units.
    projection_size
        Size of the projected hidden state.
    steps
        How many steps of a sequence.
    batch
        How many rows run at once; the gradients of the weights are sums over them.
    backward
        Ask for the way back too.
    decimals
        Of the numbers that are given.
    """
    import secrets
    import sys

    from rich.progress import track

    from gatewise.grading import exercise as exercises
    from gatewise.parameters import Variant

    found = exercises.roster(students)
    plan = exercises.Plan(
        input_size=input_size,
        hidden_size=hidden_size,
        steps=steps,
        batch=batch,
        projection_size=projection_size,
        backward=backward,
        decimals=decimals,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        variant=Variant(**switches_of(variant)),
    )
    ticks = iter(track(range(len(found)), description="sheets", disable=not sys.stderr.isatty(), transient=True))
    exercises.make(output, found, plan, done=lambda: next(ticks, None))
    print(f"{output}: {len(found)} sheets to hand out in sheets/, as many keys in keys/")
    print(f"Put what comes back into {output / 'answers'}, then: gatewise check {output}")
