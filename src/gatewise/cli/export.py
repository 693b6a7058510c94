"""gatewise export: a network as one header of C that keeps its state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from cyclopts import Group, Parameter

from gatewise.cli.inspect import ModelFile
from gatewise.cli.models import FILE, FileSettings, inspect_file
from gatewise.cli.printing import print_line, print_notes
from gatewise.errors import OptionError
from gatewise.opening.models import opened_model
from gatewise.opening.number_files import read_numbers

HEADER = Group("The header", sort_key=2)
ENDINGS = (".h", ".hpp")


def export(
    file: ModelFile,
    /,
    output: Annotated[
        Path,
        Parameter(
            name=["--output", "-o"], group=Group.create_default_arguments(), help="The header to write: .h or .hpp."
        ),
    ],
    *,
    lstm: Annotated[str | None, Parameter(group=FILE)] = None,
    settings: FileSettings | None = None,
    name: Annotated[str | None, Parameter(group=HEADER)] = None,
    rest: Annotated[str, Parameter(group=HEADER, show_default=True)] = "silence",
) -> None:
    """Write a network as one header of C99 and C++11, which needs nothing else and keeps its state between steps.

    It allocates nothing and has no locks: for plug-ins, robots and microcontrollers. Embedding, dense layers, scaling
    and head are in it where FILE describes a network; else it is the LSTM alone. The header also has the state in which
    the network rests in silence, if there is one, and a run to test a build with.

    For example:

        gatewise export model.pt -o model.h
        gatewise export model.onnx -o amp.h --rest none

    Parameters
    ----------
    lstm
        Which LSTM, if the file holds several.
    name
        With which every name in the header begins. Default: the name of the header.
    rest
        The input that counts as silence: silence (zeros), none, or a file of numbers with one step.
    """
    if output.suffix.lower() not in ENDINGS:
        raise OptionError(f"the name of {output} must end in {' or '.join(ENDINGS)}")
    silence = _silence(rest)
    contents = inspect_file(file, settings)
    model = opened_model(contents, contents.pick(lstm))
    print_notes(model.notes)
    from gatewise.c_header import write_c  # not with the program's help

    header = write_c(model.network or model.lstm, output, name=name, rest=silence)
    sizes = f"{header.flash:,} bytes of tables, {header.ram:,} of state and work"
    print_line(f"{file}: {model.found.name} ({contents.format}) -> {output} (C, {header.name}_step): {sizes}")
    for sentence in header.sentences:
        print_line(sentence)


def _silence(rest: str) -> str | npt.NDArray[np.float64]:
    """Return the silent input that ``--rest`` names: a word, or the numbers of a file with one step."""
    if rest in ("silence", "none"):
        return rest
    if not Path(rest).suffix:
        raise OptionError(f"--rest must be silence, none, or a file of numbers, not {rest!r}")
    values = np.atleast_1d(np.asarray(read_numbers(Path(rest)).values, np.float64))
    rows = values.reshape(-1, values.shape[-1])
    if len(rows) != 1:
        raise OptionError(f"{rest} has {len(rows):,} steps; the input that counts as silence is one")
    silent: npt.NDArray[np.float64] = rows[0]
    return silent
