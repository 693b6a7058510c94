"""gatewise verify: compare an LSTM from a file with the answers of its own runtime."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from gatewise.arrays import in_words
from gatewise.cli.inspect import LSTMName, ModelFile, Settings, wrapped
from gatewise.cli.models import inspect_file
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.opening.answers import answers_batch_first, output_batches, output_time_first, read_answers
from gatewise.opening.model_input import batch_sizes, features
from gatewise.opening.models import OpenedModel, opened_model
from gatewise.opening.states import file_state, initial_state, nested_pairs

if TYPE_CHECKING:
    from gatewise.diagnostics.verification import Verification
    from gatewise.layers import LSTM

ANSWERS = Group("The answers", sort_key=2)


def verify(
    file: ModelFile,
    /,
    *,
    io: Annotated[Path, Parameter(group=ANSWERS)],
    name: LSTMName = None,
    settings: Settings = None,
    prefix: Annotated[str, Parameter(group=ANSWERS)] = "",
    axes: Annotated[str | None, Parameter(group=ANSWERS)] = None,
) -> None:
    """Compare an LSTM with the outputs of its own framework: how far apart, where, and whether that is rounding.

    Two runtimes differ in the last bits. How large a difference rounding alone can make on this input is measured. A
    larger one is a mistake, and likely causes of it are tried: another gate order, a missing bias, another framework's
    hard sigmoid, reversed time, swapped axes or states, and more. A cause is named only if nothing but rounding remains
    once it is corrected. The exit code is 0 if the two agree, and 1 if there is a mistake or no verdict is possible.

    To check numbers that you worked out yourself, use gatewise check.

    For example:

        gatewise verify model.onnx --io case.npz
        gatewise verify model.pt --io cases.npz --prefix second.

    Parameters
    ----------
    io
        An .npz file with x, the input of the LSTM, and y, its output. It may also have the initial states h0 and c0,
        the final states hn and cn, all of shape (layers and directions, batch, unit), and lengths, the number of valid
        steps of each sequence.
    prefix
        A prefix of the arrays' names in that file, if it holds several cases.
    axes
        The order of the axes of x and y, for example batch,time,feature. It must be given where neither FILE nor the
        shapes of the answers say it.
    """
    contents = inspect_file(file, settings)
    entry = contents.pick(name)
    arrays = read_answers(io, prefix)
    lstm, notes = entry.lstm, []
    batches = batch_sizes(arrays) | output_batches(arrays, lstm)
    fitting = answers_batch_first(arrays["x"], batches) if axes is None else None
    if fitting is not None and fitting != entry.batch_first:
        entry = replace(entry, batch_first=fitting, graph=None)  # of this case
        order = "batch,time,feature" if fitting else "time,batch,feature"
        notes.append(f"the axes are taken to be {order}, the order that fits the outputs, the states or the lengths")
    model = opened_model(contents, entry)
    if model.feature_network is not None:  # x is the LSTM's, as y is
        model = OpenedModel(contents, entry)
    x, masking, _, names = features(model, arrays["x"], axes, batches)
    batch = 1 if x.ndim == 2 else x.shape[1]
    y = arrays.get("y")
    if y is not None:
        y = output_time_first(entry, y, x, names)
    state = initial_state(lstm, arrays, batch) if {"h0", "c0"} & set(arrays) else file_state(entry, batch)
    final = None
    if {"hn", "cn"} & set(arrays):
        final = nested_pairs(lstm, arrays.get("hn"), arrays.get("cn"), batch, ("hn", "cn"))
    lengths = arrays.get("lengths")
    if x.ndim == 2 and lengths is not None:
        x = x[:, None]
    options: dict[str, Any] = {
        "state": state,
        "final": final,
        "lengths": lengths,
        "mask": None if lengths is not None else masking.get("mask"),
        "eight_bits": entry.eight_bits,
    }
    verification = _compare_with_answers(lstm, x, y, options)
    if verification.verdict == "mistake" and not verification.causes:
        verification = replace(verification, causes=tuple(_other_causes(contents, entry, x, y, options)))
    notes += [*verification.notes, *entry.notes]
    for line in lines(f"{file}: {entry.name}", io, verification, notes):
        print(line)
    sys.exit(0 if verification.agrees else 1)


def _compare_with_answers(lstm: LSTM, x: Any, y: Any, options: dict[str, Any]) -> Verification:
    """Compare an LSTM with its runtime's answers; imports diagnostics, which the program's help does not need."""
    from gatewise.diagnostics.verification import verify as compare

    return compare(lstm, x, y, **options)


def _other_causes(contents: Contents, entry: StoredLSTM, x: Any, y: Any, options: dict[str, Any]) -> Iterator[str]:
    """Yield as a cause each other LSTM of the file whose answers these are."""
    for other in contents.lstms:
        if (
            other.name != entry.name
            and repr(other.lstm) == repr(entry.lstm)
            and _compare_with_answers(other.lstm, x, y, options).agrees
        ):
            yield f"these are the answers of {other.name}, another LSTM of the file"


def lines(title: str, io: Path, verification: Verification, notes: Sequence[str]) -> Iterator[str]:
    """Yield what `gatewise verify` prints, in lines of at most 80 columns; a longer word is not cut."""
    yield from wrapped(f"{title}, against {io}: {verification.verdict}", "", "  ")
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
    for note in notes:
        yield from wrapped(f"note: {note}", "", "  ")
