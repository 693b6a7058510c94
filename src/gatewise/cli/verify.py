"""gatewise verify: compare a model from a file with the answers of its own runtime."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from gatewise.arrays import in_words
from gatewise.cli.inspect import LSTMName, ModelFile, wrapped
from gatewise.cli.models import NO_ARGUMENTS, FileSettings, InputArguments, InputFile, inspect_file
from gatewise.cli.options import refuse
from gatewise.cli.usage import INSTEAD
from gatewise.errors import OptionError
from gatewise.opening.answers import Answers, read_answers, read_case
from gatewise.opening.preparing import InputOptions

if TYPE_CHECKING:
    from gatewise.opening.verifying import Comparison

ANSWERS = Group("Expected output", sort_key=2)


def verify(
    file: ModelFile,
    input: InputFile = None,
    output: Annotated[
        Path | None,
        Parameter(
            help="Expected output: .npy, .csv, .nc, .zarr or .npz. It is the output of the network if FILE describes"
            " one, else of its LSTM. It is also that of the LSTM if the shape fits only that. An .npz file holds y, the"
            " output, and the final states hn and cn of the LSTM, as many as there are, or a single array. Columns of a"
            " table are matched by the names of the outputs."
        ),
    ] = None,
    /,
    *,
    io: Annotated[Path | None, Parameter(group=ANSWERS)] = None,
    prefix: Annotated[str, Parameter(group=ANSWERS)] = "",
    name: LSTMName = None,
    settings: FileSettings | None = None,
    options: InputArguments = NO_ARGUMENTS,
) -> None:
    """Compare a model with the outputs of its own framework.

    You learn how far apart the two are, where, and whether that is rounding. To check numbers that you worked out by
    hand, use gatewise check.

    For example:

        gatewise verify model.onnx x.npy y.npy
        gatewise verify model.pt --io cases.npz --prefix second.

    Two runtimes differ in the last bits. gatewise measures how large a difference rounding alone can make on this
    input. A larger one is a mistake, and gatewise tries likely causes: another gate order, a missing bias, another
    framework's hard sigmoid, reversed time, swapped axes or states, and more. It reports a cause only if nothing but
    rounding remains once the cause is corrected. The exit code is 0 if the two agree, and 1 if there is a mistake or no
    verdict is possible.

    Parameters
    ----------
    io
        An .npz file with x and y, instead of INPUT and OUTPUT. x is the LSTM's own input, y its output. It may also
        have the initial states h0 and c0, the final states hn and cn, all of shape (layers and directions, batch,
        unit), and lengths, the number of valid steps of each sequence.
    prefix
        Prefix of the arrays in that file. Needed if it holds several cases.
    """
    if io is None and prefix:
        raise OptionError("--prefix is for the names of arrays in --io. Give --io as well, or leave it out.")
    if io is None and (input is None or output is None):
        missing = "INPUT and OUTPUT, or --io" if input is None else "OUTPUT"
        raise OptionError(f"verify needs {missing}{INSTEAD['verify']}; gatewise verify --help shows examples")
    contents = inspect_file(file, settings)
    case: InputOptions = options
    if io is None:
        answers = read_answers(output, sort_time=options.sort_time)
    else:
        input, answers, case = _case_in_file(io, prefix, input, options)
    from gatewise.opening.verifying import compare  # which the program's help does not need

    comparison = compare(contents, input, answers, case, name=name, lstm_first=io is not None)
    for line in lines(f"{file}: {comparison.name}", answers.source, comparison):
        print(line)
    sys.exit(0 if comparison.verification.agrees else 1)


def _case_in_file(
    io: Path, prefix: str, input: Path | None, options: InputOptions
) -> tuple[Path, Answers, InputOptions]:
    """Return the input, the answers and the options of a case whose arrays are in one file."""
    others = {"key": options.key, "lengths": options.lengths, "state": options.state, "input-of": options.input_of}
    refuse("--io, whose arrays have names", others)
    if input is not None:
        raise OptionError(f"--io already has the input and the output. Leave out {input}.")
    arrays = read_case(io, prefix)
    lengths = arrays.pop("lengths", None)
    state: dict[str, Any] = {key: arrays.pop(key) for key in ("h0", "c0") if key in arrays}
    options = replace(options, key=f"{prefix}x", lengths=lengths, state=state or None, input_of="lstm")
    return io, Answers(str(io), arrays), options


def lines(title: str, source: str, comparison: Comparison) -> Iterator[str]:
    """Yield what `gatewise verify` prints, in lines of at most 80 columns; a longer word is not cut."""
    verification = comparison.verification
    yield from wrapped(f"{title}, against {source}: {verification.verdict}", "", "  ")
    yield ""
    rows = [("", "difference", "allowed", "largest", "where")]
    for d in verification.differences:
        where = in_words(d.index)
        cells = (f"{d.largest:.2e}", f"{d.allowance:.2e}", f"{d.scale:.4g}")
        rows.append((d.name, *cells, where))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        numbers = "  ".join(f"{text:>{width}}" for text, width in zip(row[1:4], widths[1:], strict=True))
        line = f"{row[0]:<{widths[0]}}  {numbers}  {row[4]}".rstrip()
        yield from [line] if len(line) <= 80 else [line[: -len(row[4])].rstrip(), f"    {row[4]}"]
    for d in verification.differences:
        if d.beyond and d.first is not None:
            yield ""
            yield from wrapped(
                f"{d.name}: {d.beyond:,} of {d.entries:,} numbers are further off than rounding in"
                f" {verification.precision} explains, by a factor of up to {d.excess:.3g}; the first is at"
                f" {in_words(d.first)}.",
                "",
                "  ",
            )
    if not verification.agrees:
        yield ""
        if verification.causes:
            yield "Nothing but rounding remains if"
            for cause in verification.causes:
                yield from wrapped(cause, "  ", "      ")
        else:
            yield from wrapped("None of the causes that were tried explains it.", "", "  ")
            if comparison.left_out:
                yield from wrapped(f"A likely cause, which is left out here: {comparison.left_out}.", "", "  ")
    for note in verification.notes:
        if comparison.left_out and verification.verdict == "mistake" and comparison.left_out in note:
            continue  # which is named as a cause
        yield from wrapped(f"note: {note}", "", "  ")
