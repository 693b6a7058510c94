"""The order of an input's axes: as it is given, as the file's framework has it, or as the sizes settle it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gatewise.arrays import axis_names
from gatewise.errors import OptionError
from gatewise.interop.contents import StoredLSTM
from gatewise.showing import counted


class AmbiguousAxesError(OptionError):
    """Nothing says the order of an input's axes, and its shape allows two."""


def axis_order(
    axes: str | Sequence[str] | None,
    entry: StoredLSTM,
    shape: tuple[int, ...],
    batches: Collection[int] = (),
    *,
    of_network: bool = False,
) -> tuple[str, ...]:
    """Return the names of an input's axes: as they are given, else in the order of the file's framework.

    Where the file does not say, the sizes in `batches`, or a batch of one sequence, may settle it.

    Parameters
    ----------
    axes : str or sequence of str, optional
        For example "batch,time,feature".
    entry : StoredLSTM
    shape : tuple of int
        Of an array (time, batch) or (batch, time), with or without the features; of fewer axes for one sequence.
    batches : collection of int
        The numbers of sequences in the lengths, the states or the outputs that came with the input.
    of_network : bool
        Whether it is the input of an embedding or of dense layers before the LSTM.
    """
    if axes is None:
        graph = entry.graph if of_network else None
        behind = graph is not None and graph.x is None
        batch_first = graph.x_batch_first if graph is not None and behind else _framework_order(entry)
        if batch_first is None and len(shape) > 1:
            batch_first = _order_by_sizes(shape, batches)
        return ("batch", "time", "feature") if batch_first else ("time", "batch", "feature")
    return axis_names(axes, "--axes")


def _framework_order(entry: StoredLSTM) -> bool | None:
    """Whether the input of an LSTM has the batch first; None where the file does not say, or says both."""
    graph = entry.graph
    if graph is not None and graph.x is not None and graph.x_batch_first != bool(entry.batch_first):
        return None  # the graph's input has other axes than the LSTM's, and either may be on file
    return entry.batch_first


def _order_by_sizes(shape: tuple[int, ...], batches: Collection[int]) -> bool:
    """Whether the sizes of a shape say that the batch comes first; raise AmbiguousAxesError where they do not say."""
    first, second = shape[:2]
    fitting = ({first, second} & set(batches)) or ({first, second} & {1})
    if len(fitting) == 1 and (first != second or fitting == {1}):
        return first in fitting
    rest = ",feature" * (len(shape) > 2)
    readings = (
        f"{counted(steps, 'step')} of {counted(sequences, 'sequence')} (--axes {order}{rest})"
        for steps, sequences, order in ((first, second, "time,batch"), (second, first, "batch,time"))
    )
    raise AmbiguousAxesError(
        f"the order of the axes must be given, since the file does not settle it: an input of shape {shape} is"
        f" {' or '.join(readings)}"
    )
