"""A recurrent layer of Keras with its configuration, as an LSTM, or why it cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatewise.errors import FileError
from gatewise.interop.found import Found
from gatewise.interop.keras.bare import Options, common, joined
from gatewise.interop.keras.config import (
    MERGES,
    Layer,
    Version,
    activation,
    clean,
    computed_in,
    masked_output,
    variant_of,
)
from gatewise.interop.keras.files import Tensor
from gatewise.interop.keras.layer_graph import RECURRENT, LayerNode
from gatewise.interop.keras.weights import cell
from gatewise.parameters import Variant
from gatewise.showing import with_article

MASKED = "a mask arrives at it"  # how a note begins


def configured(
    place: LayerNode, bound: Mapping[Layer, Sequence[Tensor]], options: Options, problem: str | None = None
) -> Found:
    """Return the LSTM of a layer with the arrays that are bound to it and to what it wraps.

    Raises
    ------
    FileError
        If it cannot be read, or its weights have a `problem`.
    """
    layer, version = place.layer, options.version
    outer = layer
    notes: list[str] = []
    if layer.kind == "Bidirectional":
        forward, backward = (child for _, child in layer.children)
        if forward.flag("go_backwards") or not backward.flag("go_backwards"):
            raise FileError("its forward layer runs backward")
        if len(forward.cells) > 1 or len(backward.cells) > 1:
            raise FileError("each of its directions stacks cells, and they are merged only at the end")
        directions = [forward, backward]
        mode = layer.config.get("merge_mode", "concat")
        if mode not in MERGES:
            raise FileError(f"it merges its directions by {clean(mode)!r}, which is unknown")
        merge = MERGES[mode]
        outer = forward
    else:
        directions, merge = [layer], "concat"
    for one in (layer, *directions):
        if not one.own:
            raise FileError(f"its class {one.kind!r} is not one of Keras' own, and its code is not in the file")
        if one.kind in RECURRENT:
            raise FileError(RECURRENT[one.kind])
        if one.kind not in ("LSTM", "CuDNNLSTM", "LSTMCell", "RNN", "Bidirectional"):
            raise FileError(f"it is {with_article(one.kind)}, which is not supported")
        for single in one.cells:
            if one.kind == "RNN" and (single.kind != "LSTMCell" or not single.own):
                raise FileError(RECURRENT.get(single.kind, f"its cell {single.kind!r} is not an LSTM cell of Keras'"))
    if problem is not None:
        raise FileError(problem)
    columns = []
    styles = set[str]()
    tensors: list[Tensor] = []
    for one in directions:
        column = []
        for single in one.cells:
            own = bound.get(single, ())
            variant = _variant(single, options, notes)
            parameters, style = cell(own, variant, single.config, options.budget)
            column.append(parameters)
            styles.add(style)
            tensors += own
        columns.append(column)
    backward_only = len(directions) == 1 and layer.flag("go_backwards")
    lstm = joined(columns, merge, backward_only)
    notes += _notes(place, outer, layer, version)
    if narrow := {one.kind for one in tensors} & {"float16", "bfloat16"}:
        notes.append(f"it is stored in {min(narrow)} and read as float32, which changes no number")
    return Found(
        place.name,
        lstm,
        f"{version}: {', '.join(sorted(styles))}",
        common(tensors),
        tuple(dict.fromkeys(notes)),
        batch_first=not outer.flag("time_major"),
        time_reversed=backward_only,
        masked=place.masked,
        masked_output=masked_output(layer, version),
    )


def _variant(single: Layer, options: Options, notes: list[str]) -> Variant:
    config, version = single.config, options.version
    if single.kind == "CuDNNLSTM":
        return Variant()
    if "activation" in config:
        inner = activation(config["activation"], version)
    else:
        inner = options.activation("activation", "tanh", notes)
    told = next((name for name in ("recurrent_activation", "inner_activation") if name in config), None)
    if told is not None:
        outer = activation(config[told], version)
    else:
        outer = options.activation("recurrent_activation", version.recurrent_activation(), notes)
    return variant_of(inner, outer)


def _notes(place: LayerNode, outer: Layer, layer: Layer, version: Version) -> list[str]:
    notes = []
    if place.masked:
        notes.append(f"{MASKED}: give mask=… and masked_output={masked_output(layer, version)!r}")
    if place.started:
        notes.append("it starts from a state that the file does not hold (initial_state)")
    if place.distributed:
        notes.append("it runs separately for each outer step of its input (TimeDistributed)")
    if outer.flag("stateful"):
        notes.append("it is stateful: Keras starts each batch from the final state of the previous one")
    if outer.flag("time_major"):
        notes.append("its axes are (time, batch, feature), as gatewise's are")
    if layer.flag("go_backwards"):
        notes.append("it runs backward: Keras returns its outputs with the last step first")
    if (kind := computed_in(outer)) in ("float16", "bfloat16"):
        notes.append(f"Keras computes it in {kind}, which is less precise")
    return notes
