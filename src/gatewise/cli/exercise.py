"""gatewise exercise: a sheet for each student of a class, each with different numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from gatewise.cli.choices import Language, Worked
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
    digits: Annotated[Count, Parameter(group=ASKED)] = 1,
    given: Annotated[Worked, Parameter(group=ASKED)] = "none",
    require_decimals: Annotated[bool, Parameter(group=ASKED)] = True,
    lang: Annotated[Language, Parameter(group=CLASS)] = "en",
    variant: Annotated[VariantOptions | None, Parameter(group=VARIANT)] = None,
) -> None:
    """Make an exercise for a class: each student gets a cell with numbers of their own, and you get the keys.

    The numbers have one digit, so that a pocket calculator will do; no gate is saturated, and no two gates are alike.
    The new folder holds three files to hand out to each student (a page to print, a notebook and an empty .csv file for
    the answers), a key for each, a table of what each line is worth, and a place for the answers that come back;
    gatewise check then marks the folder.

    For example:

        gatewise exercise --students class.csv -o hw1
        gatewise exercise --students class.csv -o hw2 --backward --given partly

    Parameters
    ----------
    students
        A .csv file with one student per line. Column heads say where first name and surname are; without them the
        first column is the name. Where two students have the same, the other columns belong to every name.
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
        Number of time steps: 1 to 3 are work enough by hand, and up to 1,000 are possible for who uses the notebook.
    batch_size
        Number of sequences in the batch; gradients with respect to the weights are summed over them.
    backward
        Ask for the backward pass too.
    digits
        Number of significant digits of the numbers that are given.
    given
        How many lines are worked for the student, with their numbers on the sheet: all but the last one, which is
        asked (all), the first half (partly), or none. Begin with all, and fade. Lines that are worked are not marked.
    require_decimals
        Whether a number earns its point only with the 4 decimals that the sheet asks for.
    lang
        The language of the sheets to hand out.
    """
    import secrets

    from gatewise.grading import handout, roster
    from gatewise.grading.exercise import Plan
    from gatewise.parameters import Variant

    names = roster.read(students)
    plan = Plan(
        input_size=input_size,
        hidden_size=hidden_size,
        steps=steps,
        batch=batch_size,
        projection_size=projection_size,
        backward=backward,
        digits=digits,
        worked=given,
        require_decimals=require_decimals,
        lang=lang,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        variant=Variant(**switches_of(variant)),
    )
    handout.write_exercise(output, names, plan)
    print(f"{output}: {counted(len(names), 'sheet')} to hand out in sheets/, {counted(len(names), 'key')} in keys/")
    print(f"Put the answers that come back into {output / 'answers'}, then: gatewise check {output}")
