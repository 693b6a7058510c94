"""gatewise exercise: a sheet for each student of a class, each with different numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from gatewise.cli.choices import Language, Worked
from gatewise.cli.options import VARIANT, Count, Integer, VariantOptions, switches_of
from gatewise.showing import counted

CLASS = Group("Class", sort_key=1)
ASKED = Group("Task", sort_key=2)


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
    digits: Annotated[Count, Parameter(group=ASKED)] = 1,
    given: Annotated[Worked, Parameter(group=ASKED)] = "none",
    accept_coarse: Annotated[bool, Parameter(group=ASKED)] = False,
    lang: Annotated[Language, Parameter(group=CLASS)] = "en",
    variant: Annotated[VariantOptions | None, Parameter(group=VARIANT)] = None,
) -> None:
    """Make an exercise with different numbers for each student.

    Each student gets a cell with their own numbers, and you get the keys. The numbers have one digit, so a pocket
    calculator is enough. No gate is saturated, and no two gates are alike.

    For example:

        gatewise exercise --students class.csv -o hw1
        gatewise exercise --students class.csv -o hw2 --backward --given partly

    The new folder holds three files for each student: a page to print, a notebook and an empty .csv file for the
    answers. It also holds a key for each student, the points of each line, and a place for the answers that come back.
    Then gatewise check marks the folder.

    Parameters
    ----------
    students
        A .csv file with one student per line. Column heads tell first names from surnames. Without heads, the first
        column is the name. If two students share a name, the other columns become part of it.
    output
        The folder to create.
    seed
        Random seed. The same seed and student name give the same numbers. Default: a new seed, kept in the folder.
    input_size
        Number of input features.
    hidden_size
        Number of hidden units.
    projection_size
        Size of the projected hidden state. Default: no projection.
    steps
        Number of time steps. By hand, 1 to 3 are enough work. Students who use the notebook can have up to 1,000.
    batch_size
        Number of sequences in the batch. Gradients with respect to the weights are summed over them.
    backward
        Ask for the backward pass too.
    digits
        Number of significant digits of the given numbers.
    given
        How many lines are already worked on the sheet. Every line except the last one (all), the first half (partly),
        or none. Begin with all, and fade. Worked lines are not marked.
    accept_coarse
        Accept numbers with fewer decimals than the sheet asks for. Otherwise a number needs 4 decimals, unless it is
        exact.
    lang
        Language of the sheets.
    """
    import secrets

    from gatewise.grading import handout, roster
    from gatewise.grading.exercise import Plan
    from gatewise.parameters import Variant

    names = roster.read_roster(students)
    plan = Plan(
        input_size=input_size,
        hidden_size=hidden_size,
        steps=steps,
        batch=batch_size,
        projection_size=projection_size,
        backward=backward,
        digits=digits,
        worked=given,
        require_decimals=not accept_coarse,
        lang=lang,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        variant=Variant(**switches_of(variant)),
    )
    handout.write_exercise(output, names, plan)
    print(f"{output}: {counted(len(names), 'sheet')} to hand out in sheets/, {counted(len(names), 'key')} in keys/")
    print(f"Put the answers that come back into {output / 'answers'}, then: gatewise check {output}")
