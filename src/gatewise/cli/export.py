"""gatewise export: a network as one header of C that keeps its state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from cyclopts import Group, Parameter

from gatewise.cli.inspect import ModelFile
from gatewise.cli.models import FILE, FileSettings, inspect_file
from gatewise.cli.printing import print_line, print_notes
from gatewise.errors import OptionError, join_names
from gatewise.interop import network_of
from gatewise.interop.chosen_layers import unused_layers
from gatewise.interop.contents import Contents
from gatewise.opening.models import opened_model
from gatewise.opening.number_files import read_numbers
from gatewise.showing import counted

HEADER = Group("Header", sort_key=2)
ENDINGS = (".h", ".hpp")


def export(
    file: ModelFile,
    /,
    output: Annotated[
        Path,
        Parameter(name=["--output", "-o"], group=Group.create_default_arguments(), help="Header to write: .h or .hpp."),
    ],
    *,
    lstm: Annotated[str | None, Parameter(group=FILE)] = None,
    embedding: Annotated[str | None, Parameter(group=FILE)] = None,
    head: Annotated[str | None, Parameter(group=FILE)] = None,
    reads: Annotated[Literal["every", "last"] | None, Parameter(group=FILE)] = None,
    settings: FileSettings | None = None,
    name: Annotated[str | None, Parameter(group=HEADER)] = None,
    rest: Annotated[str, Parameter(group=HEADER, show_default=True)] = "silence",
) -> None:
    """Write a network as a single header of C99 and C++11.

    The header holds the whole network and keeps its state between steps. It needs nothing else, allocates nothing and
    has no locks: for plug-ins, robots and microcontrollers. If FILE does not connect its layers, choose one with
    --head, or export the LSTM alone with --head none.

    For example:

        gatewise export model.pt -o model.h
        gatewise export model.onnx -o amp.h --rest none

    If an operation is not causal or has no form in C, gatewise says which and writes nothing. The header also has a run
    to test a build with and, if there is one, the state in which the network rests in silence.

    Parameters
    ----------
    lstm
        LSTM to export, if the file holds several. It is written alone, or with the layers of --embedding and --head.
    embedding
        Layer whose rows the LSTM reads, or none. Needed if the file does not connect its layers.
    head
        Layer that makes the outputs, or none. Needed if the file does not connect its layers.
    reads
        Whether the head reads every step or only the last. Default: as in the file.
    name
        Prefix of every name in the header. Default: the name of the header.
    rest
        Input that counts as silence. silence (zeros), none, or a file of numbers with one step.
    """
    if output.suffix.lower() not in ENDINGS:
        raise OptionError(f"the name of {output} must end in {' or '.join(ENDINGS)}")
    silence = _silence(rest)
    contents = inspect_file(file, settings)
    network, title = _network(contents, lstm, embedding, head, reads)
    from gatewise.c_header import write_c  # not with the program's help

    header = write_c(network, output, name=name, rest=silence)
    sizes = f"{header.flash:,} bytes of tables, {header.ram:,} of state and work"
    print_line(f"{file}: {title} ({contents.format}) -> {output} (C, {header.name}_step): {sizes}")
    for sentence in header.sentences:
        print_line(sentence)


def _network(
    contents: Contents, lstm: str | None, embedding: str | None, head: str | None, reads: str | None
) -> tuple[Any, str]:
    """Return the network that is written, and what it is called; print what it leaves out of its file."""
    stored = contents.lstms
    if lstm is None and (contents.graph is not None or contents.network is not None or contents.parts):
        title = stored[0].name if len(stored) == 1 else counted(len(stored), "LSTM")
        return network_of(contents, None, embedding, head, reads), title
    found = contents.pick(lstm)
    if embedding is not None or head is not None or reads is not None:
        return network_of(contents, lstm, embedding, head, reads), found.name
    model = opened_model(contents, found)
    if model.network is None:
        print_notes(model.notes)
        if left := unused_layers(contents, found, set()):
            print_notes([f"the header has the LSTM {found.name!r} alone; it leaves out {join_names(left, most=8)}"])
    return model.network or found.lstm, found.name


def _silence(rest: str) -> str | npt.NDArray[np.float64]:
    """Return the silent input that ``--rest`` names: a word, or the numbers of a file with one step."""
    if rest in ("silence", "none"):
        return rest
    if not Path(rest).suffix:
        raise OptionError(f"--rest must be silence, none, or a file of numbers, not {rest!r}")
    values = np.atleast_1d(np.asarray(read_numbers(Path(rest)).values, np.float64))
    rows = values.reshape(-1, values.shape[-1])
    if len(rows) != 1:
        raise OptionError(f"{rest} has {len(rows):,} steps; silence must be one step")
    silent: npt.NDArray[np.float64] = rows[0]
    return silent
