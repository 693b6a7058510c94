"""The LSTMs of a Keras model that are stacked: each reads another's output, and nothing changes it on the way."""

from __future__ import annotations

from collections.abc import Mapping

from gatewise.files.budget import Budget
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.keras.layer_graph import LayerNode
from gatewise.interop.keras.lstm_layers import MASKED
from gatewise.interop.stacks import LayerStack, stacks_of


def group_stacks(lstms: Mapping[LayerNode, StoredLSTM], budget: Budget) -> dict[tuple[LayerNode, ...], StoredLSTM]:
    """Return the LSTMs of a model that are stacked, each stack as one LSTM, by its layers from the lowest on."""
    below = {node: lower for node in lstms if (lower := _below(node, lstms)) is not None}

    def extend(stack: LayerStack, node: LayerNode) -> None:
        if stack and node.input.reversed:
            stack.reverse_steps(node.name, node.masked)
        stack.add(node.name, lstms[node].lstm, masked=node.masked, reverses=True)

    return stacks_of(below, lstms, extend, budget, MASKED)


def _below(node: LayerNode, lstms: Mapping[LayerNode, StoredLSTM]) -> LayerNode | None:
    """Return the LSTM whose output another reads, if both are given the same mask, and the other nothing more.

    A decoder that starts from the state of its encoder is no upper layer of it.
    """
    lower = node.input.source
    if lower is None or lower not in lstms or not lower.layer.returns_sequences or node.has_more_inputs:
        return None
    same = lower.input.mask == node.input.mask and lower.distributed == node.distributed
    return lower if same else None
