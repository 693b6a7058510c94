"""Recurrent layers of Keras with their configurations, as LSTMs, and those that are stacked as one LSTM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.contents import MASKED, StoredLSTM
from gatewise.interop.keras.bare_weights import STACKED_DIRECTIONS, CellWeights, Options, assemble_lstm
from gatewise.interop.keras.config import MERGES, Layer, Version, clean, compute_type, masked_output
from gatewise.interop.keras.files import KerasTensor
from gatewise.interop.keras.layer_graph import RECURRENT, LayerNode
from gatewise.interop.stacks import LayerStack, stacks_of
from gatewise.showing import with_article


def configured_lstm(
    node: LayerNode, bound: Mapping[Layer, Sequence[KerasTensor]], options: Options, problem: str | None = None
) -> StoredLSTM:
    """Return the LSTM of a Keras layer, with the arrays `bound` to it and what it wraps; or raise the `problem`."""
    layer, version = node.layer, options.version
    directions, merge = [layer], "concat"
    if layer.kind == "Bidirectional":
        directions, merge = _bidirectional_layers(layer)
    for wrapped in (layer, *directions):
        _require_lstm(wrapped)
    if problem is not None:
        raise FileError(problem)
    columns = [[CellWeights(bound.get(cell, ()), cell.config) for cell in direction.cells] for direction in directions]
    backward_only = len(directions) == 1 and layer.flag("go_backwards")
    stored = assemble_lstm(node.name, columns, merge, backward_only, options, {}, _run_notes(node, version))
    return replace(
        stored,
        batch_first=not layer.forward_layer.flag("time_major"),
        masked=node.masked,
        masked_output=masked_output(layer, version),
        reads_input=node.input.is_input,
    )


def _bidirectional_layers(layer: Layer) -> tuple[list[Layer], str]:
    """Return the forward and backward layer of a Keras Bidirectional, and its merge."""
    forward, backward = (child for _, child in layer.children)
    if forward.flag("go_backwards") or not backward.flag("go_backwards"):
        raise FileError("its forward layer runs backward")
    if len(forward.cells) > 1 or len(backward.cells) > 1:
        raise FileError(STACKED_DIRECTIONS)
    mode = layer.config.get("merge_mode", "concat")
    if mode not in MERGES:
        raise FileError(f"it merges its directions by {clean(mode)!r}, which is unknown")
    return [forward, backward], MERGES[mode]


def _require_lstm(layer: Layer) -> None:
    """Raise FileError for a layer that is no LSTM of Keras, nor wraps only such."""
    if not layer.is_keras:
        raise FileError(f"its class {layer.kind!r} is not one of Keras' own, and its code is not in the file")
    if layer.kind in RECURRENT:
        raise FileError(RECURRENT[layer.kind])
    if layer.kind not in ("LSTM", "CuDNNLSTM", "LSTMCell", "RNN", "Bidirectional"):
        raise FileError(f"it is {with_article(layer.kind)}, which is not supported")
    for cell in layer.cells if layer.kind == "RNN" else ():
        if cell.kind != "LSTMCell" or not cell.is_keras:
            raise FileError(RECURRENT.get(cell.kind, f"its cell {cell.kind!r} is not an LSTM cell of Keras'"))


def _run_notes(node: LayerNode, version: Version) -> list[str]:
    """Return notes on what a run of a Keras LSTM layer needs: masks, states, axes and precision."""
    notes, layer, outer = [], node.layer, node.layer.forward_layer
    if node.masked:
        last = "give lengths=… if the masked steps come last"
        notes.append(
            f"{MASKED}: {last}, else run the LSTM with mask=… and masked_output={masked_output(layer, version)!r}"
        )
    if node.distributed:
        notes.append("it runs separately for each outer step of its input (TimeDistributed)")
    if outer.flag("stateful"):
        notes.append("it is stateful: Keras starts each batch from the final state of the previous one")
    if outer.flag("time_major"):
        notes.append("its axes are (time, batch, feature), as gatewise's are")
    if layer.flag("go_backwards"):
        notes.append("it runs backward: Keras returns its outputs with the last step first")
    if (kind := compute_type(outer)) in ("float16", "bfloat16"):
        notes.append(f"Keras computes it in {kind}, which is less precise")
    return notes


def group_stacks(lstms: Mapping[LayerNode, StoredLSTM], budget: Budget) -> dict[tuple[LayerNode, ...], StoredLSTM]:
    """Return each stack of a Keras model's LSTMs as one LSTM, by its layers from the lowest on."""
    below = {node: lower for node in lstms if (lower := _lstm_below(node, lstms)) is not None}

    def extend(stack: LayerStack, node: LayerNode) -> None:
        if stack and node.input.reversed:
            stack.reverse_steps(node.name, node.masked)
        stack.add(node.name, lstms[node].lstm, masked=node.masked, reverses=True)

    return stacks_of(below, lstms, extend, budget, MASKED)


def _lstm_below(node: LayerNode, lstms: Mapping[LayerNode, StoredLSTM]) -> LayerNode | None:
    """Return the Keras LSTM whose output another reads, if both get the same mask, and the other nothing more.

    A decoder that starts from the state of its encoder is no upper layer of it.
    """
    lower = node.input.source
    if lower is None or lower not in lstms or not lower.layer.returns_sequences or node.has_more_inputs:
        return None
    same = lower.input.mask == node.input.mask and lower.distributed == node.distributed
    return lower if same else None
