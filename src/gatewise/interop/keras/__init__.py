"""The door to Keras: files of every generation and live layers, read and written; the traces of a live model's LSTMs.

Keras' LSTM has its gates in the order i, f, c, o (c is the candidate), one bias, and kernels that are transposed:
(input, 4 · units). Its LSTMs for cuDNN have two biases in one and blocks that are not; Keras 1 had twelve arrays. No
library is needed to read a file: see `files` and `gatewise.interop.hdf5`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewise.errors import FileError, GatewiseError, OptionError, ShapeError
from gatewise.interop.found import Contents, Found, Part, Refused, distinct, omissions
from gatewise.interop.keras import chain, files
from gatewise.interop.keras.bare import Listed, Options, common, from_runs, from_tree, joined, linear
from gatewise.interop.keras.config import (
    MERGES,
    Layer,
    Version,
    activation,
    clean,
    computed_in,
    model,
    variant_of,
    zero_output,
)
from gatewise.interop.keras.files import Source, Tensor
from gatewise.interop.keras.inbound import Call, calls
from gatewise.interop.keras.live import capture, live_tensors, model_layer
from gatewise.interop.keras.weights import bind_layers, bind_tree, cell
from gatewise.interop.keras.writing import MODEL, write
from gatewise.layers import LSTM
from gatewise.parameters import Variant

if TYPE_CHECKING:
    from gatewise.network import Network

__all__ = ["capture", "contents", "read", "recognises", "write"]

OPTIONS = ("activation", "recurrent_activation", "go_backwards", "merge")
RECURRENT = {
    "GRU": "it is a GRU",
    "CuDNNGRU": "it is a GRU",
    "GRUCell": "it is a GRU's cell",
    "SimpleRNN": "it is a simple recurrent layer without gates",
    "SimpleRNNCell": "it is a cell without gates",
    "ConvLSTM1D": "its products are convolutions",
    "ConvLSTM2D": "its products are convolutions",
    "ConvLSTM3D": "its products are convolutions",
}


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file is HDF5, or a zip archive with a Keras model."""
    return files.recognises(Path(path), head)


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`.

    Parameters
    ----------
    path : path
    omitted : mapping
        What a file of weights alone leaves out. ``activation`` and ``recurrent_activation``: an `Activation` or the
        name of one in Keras' words; without them, those that were the file's version's defaults. ``go_backwards``:
        bool. ``merge``: of the directions of a Bidirectional, ``concat``, ``sum``, ``mul``, ``ave`` or None.

    Raises
    ------
    FileError
        If the file cannot be read.
    OptionError
        If an option has a value that is not allowed, or the file itself says what it names.
    """
    name = os.fspath(path)
    omissions(name, omitted, OPTIONS)
    try:
        with files.reading(Path(path)) as source:
            version = Version.parse(source.version)
            options = Options(omitted, version)
            config = source.config
            root = None if config is None else model(config)
            if config is not None and not version.numbers:
                version = options.version = _guessed(root, config)
            found, parts, refused = _listed(source, options, root)
    except FileError as problem:
        raise FileError(f"cannot read {name}: {problem}") from None
    options.require_used(name)
    kinds = {"keras": "model", "h5": "model in HDF5", "weights": "weights alone", "tree": "weights alone"}
    label = f"{version}, {kinds[source.kind]}"
    if root is None or not root.holds_layers:
        return Contents(name, label, found, parts, refused)
    network = partial(chain.network, name, root, version, found, parts, refused)
    return Contents(name, label, _with_stack(found, root, network), parts, refused, network)


def _with_stack(found: tuple[Found, ...], root: Layer, network: Callable[[], Network]) -> tuple[Found, ...]:
    """Return what was found, and the layers as one LSTM where they stand one upon another in a single chain.

    Of a file that was written here there is the stack alone.
    """
    if len(found) < 2:
        return found
    try:
        lstm = network().lstm
    except FileError:
        return found
    ours = root.name == MODEL
    stack = Found(
        "lstm" if ours else " → ".join(one.name for one in found),
        lstm,
        found[0].convention,
        ", ".join(one.where for one in found),
        tuple(dict.fromkeys(note for one in found for note in one.notes)),
        batch_first=found[0].batch_first,
        whole=True,
    )
    return (stack,) if ours else (*found, stack)


def _guessed(root: Layer | None, config: Any) -> Version:
    """Return the generation of a file that does not say its version, by the words of its configuration."""
    if isinstance(config, dict) and "module" in config:
        return Version(None, (3,))
    leaves = [] if root is None else [leaf.config for leaf in root.leaves()]
    old = any("inner_activation" in one or ("output_dim" in one and "units" not in one) for one in leaves)
    return Version(None, (1,)) if old and any("inner_activation" in one for one in leaves) else Version(None, (2, 4))


# What a file lists.


@dataclass(frozen=True, eq=False)
class Place:
    """A layer of a model: its name with those of the models that it lies in, and what it is given."""

    name: str
    layer: Layer
    masked: bool = False
    distributed: bool = False
    started: bool = False


Places = Generator[Place, None, bool]


def _listed(source: Source, options: Options, root: Layer | None) -> Listed:
    if root is None or not root.holds_layers:  # weights alone, or a class whose code is not in the file
        if source.layers is not None:
            return from_runs(options, source.layers)
        return from_tree(source, options)
    if source.layers is not None:
        bound, problems = bind_layers(root, source.layers)
    elif source.tree is not None:
        bound, problems = bind_tree(root, source.tree), {}
    found: list[Found] = []
    parts: list[Part] = []
    refused: list[Refused] = []
    for place in _places(root):
        layer = place.layer
        try:
            if _is_recurrent(layer):
                found.append(_configured(place, bound, options, problems.get(layer)))
            else:
                parts.append(_part(place, bound.get(layer, ())))
        except (GatewiseError, ValueError, OverflowError) as problem:
            refused.append(Refused(place.name, str(problem)))
    return distinct(found), tuple(parts), tuple(refused)


def _is_recurrent(layer: Layer) -> bool:
    """Say whether a layer is of interest, whether it can be read or not."""
    kind = layer.kind
    return kind in ("Bidirectional", "LSTMCell", "RNN") or kind in RECURRENT or "LSTM" in kind


def _places(model: Layer, prefix: str = "", distributed: bool = False, masked: bool = False) -> Places:
    """Yield the layers of a model, and return whether a mask leaves it, where one may come in."""
    leaving: dict[str, bool] = {}  # whether a mask leaves a layer; all that a layer takes comes before it
    models = {child.name for _, child in model.children if child.holds_layers}
    came_in = masked
    for _, layer in model.children:
        name = f"{prefix}/{layer.name}" if prefix else layer.name
        started = False
        if model.kind == "Functional":
            uses = _calls(layer)
            # Keras 3 tells each mask, but not those that come into a model within, or out of one.
            flows = {
                source for call in uses for source in call.sources if came_in or not call.masks_told or source in models
            }
            told = any(call.arguments.get("mask") is not None for call in uses)
            masked = told or any(leaving.get(source, False) for source in flows) or (came_in and not uses)
            started = any(len(call.sources) > 1 or call.arguments.get("initial_state") is not None for call in uses)
        if layer.holds_layers:
            masked = yield from _places(layer, name, distributed, masked)
        elif layer.kind == "TimeDistributed" and layer.children:
            inner = layer.children[0][1]
            if inner.holds_layers:
                yield from _places(inner, name, True)
            else:
                yield Place(name, inner, masked, True)
        else:
            yield Place(name, layer, masked, distributed, started)
            masked = _mask_after(layer, masked)
        leaving[layer.name] = masked
    return masked


def _calls(layer: Layer) -> list[Call]:
    """Return the calls of a layer, as far as the file tells them."""
    try:
        return calls(layer)
    except FileError:
        return []


def _mask_after(layer: Layer, masked: bool) -> bool:
    """Say whether a layer puts out a mask: the one that reached it, or one that it makes."""
    if _is_recurrent(layer):
        inner = layer.children[0][1] if layer.kind == "Bidirectional" else layer
        return masked and inner.flag("return_sequences")
    return masked or layer.kind == "Masking" or (layer.kind == "Embedding" and layer.flag("mask_zero"))


def _part(place: Place, tensors: Sequence[Tensor]) -> Part:
    layer = place.layer
    if layer.own and layer.kind == "Embedding" and tensors and len(tensors[0].shape) == 2:
        return Part(place.name, "embedding", tensors[0].shape, tensors[0].read)
    if layer.own and layer.kind == "Dense" and tensors and len(tensors[0].shape) == 2:
        return linear(place.name, tensors)
    return Part(place.name, layer.kind, ())


# One recurrent layer with its configuration.


def _configured(
    place: Place, bound: Mapping[Layer, Sequence[Tensor]], options: Options, problem: str | None = None
) -> Found:
    layer, version = place.layer, options.version
    outer = layer
    notes: list[str] = []
    if layer.kind == "Bidirectional":
        forward, backward = (child for _, child in layer.children)
        if forward.flag("go_backwards") or not backward.flag("go_backwards"):
            raise FileError("its forward layer goes backwards")
        if len(forward.cells) > 1 or len(backward.cells) > 1:
            raise FileError("each of its directions is a stack of cells, which meet only at the end")
        directions = [forward, backward]
        merge = layer.config.get("merge_mode", "concat")
        if merge not in MERGES:
            raise FileError(f"it merges its directions by {clean(merge)!r}, which is not known")
        way = MERGES[merge]
        outer = forward
    else:
        directions, way = [layer], "concat"
    for one in (layer, *directions):
        if not one.own:
            raise FileError(f"its class {one.kind!r} is not Keras' own, and its code is not read")
        if one.kind in RECURRENT:
            raise FileError(RECURRENT[one.kind])
        if one.kind not in ("LSTM", "CuDNNLSTM", "LSTMCell", "RNN", "Bidirectional"):
            raise FileError(f"it is a {one.kind}, which is not read")
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
            parameters, style = cell(own, variant, single.config)
            column.append(parameters)
            styles.add(style)
            tensors += own
        columns.append(column)
    backward_only = len(directions) == 1 and layer.flag("go_backwards")
    lstm = joined(columns, way, backward_only)
    notes += _notes(place, outer, layer, version)
    if narrow := {one.kind for one in tensors} & {"float16", "bfloat16"}:
        notes.append(f"it is stored in {min(narrow)}; the numbers are the same in float32")
    return Found(
        place.name,
        lstm,
        f"{version}: {', '.join(sorted(styles))}",
        common(tensors),
        tuple(dict.fromkeys(notes)),
        batch_first=not outer.flag("time_major"),
        time_reversed=backward_only,
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


def _notes(place: Place, outer: Layer, layer: Layer, version: Version) -> list[str]:
    notes = []
    if place.masked:
        way = "zeros" if zero_output(layer, version) else "repeat"
        notes.append(f"a mask reaches it: its calls need mask=… and masked_output={way!r}")
    if place.started:
        notes.append("it starts from a state that the file does not hold (initial_state)")
    if place.distributed:
        notes.append("it runs for each outer step of its input anew (TimeDistributed)")
    if outer.flag("stateful"):
        notes.append("it is stateful: Keras begins each batch in the state in which the last one ended")
    if outer.flag("time_major"):
        notes.append("its axes are (time, batch, feature), as gatewise's are")
    if layer.flag("go_backwards"):
        notes.append("it goes backwards: Keras puts its outputs out last step first")
    if (kind := computed_in(outer)) in ("float16", "bfloat16"):
        notes.append(f"Keras computes it in {kind}, which is less exact")
    return notes


def read(source: Any, name: str | None = None, **omitted: Any) -> LSTM:
    """Return the LSTM of a live Keras layer, or of a file.

    Parameters
    ----------
    source : LSTM, Bidirectional or RNN layer of Keras 3, a model of such, or path
        A layer must have been built.
    name : str, optional
        Which one of a file or a model, where there are several.
    **omitted
        Of a file of weights alone: as in `contents`.

    Raises
    ------
    OptionError
        If a layer is none that can be read, or has no weights yet.
    FileError
        If a file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        from gatewise import storage

        return contents(storage.readable(source), omitted).pick(name).lstm
    if omitted:
        raise OptionError(f"a live layer leaves nothing out, and {', '.join(omitted)} is given")
    described, bound, version = live_tensors(model_layer(source, name))
    try:
        return _configured(Place(described.name, described), bound, Options({}, version)).lstm
    except (FileError, ShapeError) as problem:
        raise OptionError(f"cannot read {described.name!r}: {problem}") from None
