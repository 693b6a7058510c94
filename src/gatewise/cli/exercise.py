"""gatewise exercise: a sheet for each student of a class, each with different numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from gatewise.cli.options import VARIANT, Count, Integer, VariantOptions, switches_of
from gatewise.showing import counted

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
    batch_size: Annotated[Count, Parameter(group=ASKED)] = 1,
    backward: Annotated[bool, Parameter(group=ASKED)] = False,
    decimals: Annotated[Count, Parameter(group=ASKED)] = 2,
    variant: Annotated[VariantOptions | None, Parameter(group=VARIANT)] = None,
) -> None:
    """Make an exercise for a class: each student gets a cell with numbers of their own, and you get the keys.

    The new folder holds three files to hand out to each student (a notebook, a sheet to print and an empty .csv file
    for the answers), a key for each, and a place for the answers that come back; gatewise check then marks the folder.

    For example:

        gatewise exercise --students class.csv -o hw1
        gatewise exercise --students class.csv -o hw2 --backward

    Parameters
    ----------
    students
        A .csv file with one student per line; only the first column is read.
    output
        The folder to create.
    seed
        Random seed: the same seed and student name give the same numbers. By default a new one is drawn and kept in
        the folder.
    input_size
        Number of input features.
    hidden_size
        Number of hidden units.
    projection_size
        Size of the projected hidden state; by default there is no projection.
    steps
        Number of time steps.
    batch_size
        Number of sequences in the batch; gradients with respect to the weights are summed over them.
    backward
        Ask for the backward pass too.
    decimals
        Number of decimals of the numbers that are given.
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
        batch=batch_size,
        projection_size=projection_size,
        backward=backward,
        decimals=decimals,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        variant=Variant(**switches_of(variant)),
    )
    ticks = iter(track(range(len(found)), description="sheets", disable=not sys.stderr.isatty(), transient=True))
    exercises.make(output, found, plan, done=lambda: next(ticks, None))
    print(f"{output}: {counted(len(found), 'sheet')} to hand out in sheets/, {counted(len(found), 'key')} in keys/")
    print(f"Put the answers that come back into {output / 'answers'}, then: gatewise check {output}")
