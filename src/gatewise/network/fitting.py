"""Whether dense layers fit onto an LSTM: its head, and the branches before it."""

from __future__ import annotations

from collections.abc import Sequence

from gatewise.errors import OptionError, ShapeError
from gatewise.layers import LSTM
from gatewise.network.dense import Branch, Linear, chain_of
from gatewise.showing import counted


def head_of(lstm: LSTM, head: Linear | Sequence[Linear] | None) -> tuple[Linear, ...]:
    """Return the layers of a head, which fit onto an LSTM; see `Network`."""
    if head is not None and not isinstance(head, (Linear, Sequence)):
        raise OptionError(f"the head must be a Linear, or a sequence of them, not {type(head).__name__}")
    if head and lstm.bidirectional and lstm.merge[-1] == "none":
        raise OptionError("a head reads one output; this LSTM's directions are not merged")
    layers = chain_of(head, lstm.output_size, "the head")
    for layer in layers:
        if layer.weight.dtype != lstm.dtype:
            raise ShapeError(f"the head is {layer.weight.dtype}; the LSTM is {lstm.dtype}")
    return layers


def branches_of(lstm: LSTM, branches: Sequence[Branch]) -> tuple[Branch, ...]:
    """Return branches, which together give what an LSTM takes; see `Network`."""
    chains = tuple(branches)
    for branch in chains:
        if not isinstance(branch, Branch):
            raise OptionError(f"branches must be a sequence of Branch, not of {type(branch).__name__}")
        for layer in branch.layers:
            if layer.weight.dtype != lstm.dtype:
                raise ShapeError(f"a branch is {layer.weight.dtype}; the LSTM is {lstm.dtype}")
    if chains and (size := sum(branch.size for branch in chains)) != lstm.input_size:
        raise ShapeError(f"the branches give {counted(size, 'feature')}; the LSTM takes {lstm.input_size}")
    used = {place for branch in chains for place in branch.features}
    if missing := set(range(len(used))) - used:
        raise OptionError(f"no branch takes feature {min(missing)}; together they must take all of them")
    return chains
