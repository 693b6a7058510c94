"""The inputs and outputs of a graph that belong to an LSTM."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gatewise.errors import shown


@dataclass(frozen=True)
class GraphNames:
    """The inputs and outputs of an ONNX graph that belong to an LSTM, by name.

    A name is None where the LSTM has none in the graph: it is left out, or other operators stand between.

    Attributes
    ----------
    x : str or None
        The graph's input that is the LSTM's input.
    lengths : str or None
        The input that holds the lengths of the sequences (``sequence_lens``).
    h0, c0 : tuple of str or None
        The inputs that are the initial states (``initial_h``, ``initial_c``), one for each layer. A name that comes at
        every layer is of one input that holds the states of all, one after another on its first axis, as PyTorch's do.
    y : str or None
        The output that is the LSTM's output, its directions merged as `LSTM.merge` says.
    hn, cn : tuple of str or None
        The outputs that are the final states (``Y_h``, ``Y_c``), one for each layer, in the same way.
    x_batch_first, y_batch_first : bool
        Whether x, or y, has the axes (batch, time, feature) in the graph; else they are (time, batch, feature).
    """

    x: str | None = None
    lengths: str | None = None
    h0: tuple[str | None, ...] = (None,)
    c0: tuple[str | None, ...] = (None,)
    y: str | None = None
    hn: tuple[str | None, ...] = (None,)
    cn: tuple[str | None, ...] = (None,)
    x_batch_first: bool = False
    y_batch_first: bool = False

    def __post_init__(self) -> None:
        for attribute in (field.name for field in fields(self)):
            value = getattr(self, attribute)
            if isinstance(value, str):
                object.__setattr__(self, attribute, shown(value))
            elif isinstance(value, tuple):
                object.__setattr__(self, attribute, tuple(name if name is None else shown(name) for name in value))
