"""The layers of a Keras model: their names with those of the models around them, and what arrives at each.

What passes from layer to layer is followed through models within models: masks, and outputs that the layers after them
leave as they are when a model is run.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from gatewise.errors import FileError
from gatewise.interop.keras.config import Layer
from gatewise.interop.keras.inbound import Call, calls, compared, mask_of, named, tensors

NOTHING = {  # layers that leave their input as it is when a model is run, and let masks through
    *("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "Identity"),
}

RECURRENT = {
    "GRU": "it is a GRU",
    "CuDNNGRU": "it is a GRU",
    "GRUCell": "it is a GRU's cell",
    "SimpleRNN": "it is a simple recurrent layer without gates",
    "SimpleRNNCell": "it is a cell without gates",
    "ConvLSTM1D": "it is a convolutional LSTM",
    "ConvLSTM2D": "it is a convolutional LSTM",
    "ConvLSTM3D": "it is a convolutional LSTM",
}


@dataclass(frozen=True, eq=False)
class Flow:
    """What a layer is given, or returns.

    Attributes
    ----------
    mask : hashable, optional
        What stands for the mask that comes with it: equal for two masks that are known to be the same.
    source : Place, optional
        The layer whose output it is: the one that changed it last. None for the input of the whole model, and where
        it is not one layer's.
    flipped : bool
        Whether its steps come in the reverse of the order in which that layer returns them.
    """

    mask: Hashable = None
    source: Place | None = None
    flipped: bool = False


@dataclass(frozen=True, eq=False)
class Place:
    """A layer of a model: its name with those of the models around it, and what it is given.

    One that is `started` is given more than that: an initial state, or the outputs of several layers.
    """

    name: str
    layer: Layer
    given: Flow = Flow()
    distributed: bool = False
    started: bool = False

    @property
    def masked(self) -> bool:
        """Whether a mask arrives at it."""
        return self.given.mask is not None

    @property
    def sequences(self) -> bool:
        """Whether a recurrent layer returns every step, not only the last."""
        layer = self.layer
        return (layer.children[0][1] if layer.kind == "Bidirectional" else layer).flag("return_sequences")


Places = Generator[Place, None, Flow]


def is_recurrent(layer: Layer) -> bool:
    """Say whether a layer is of interest, whether it can be read or not."""
    kind = layer.kind
    return kind in ("Bidirectional", "LSTMCell", "RNN") or kind in RECURRENT or "LSTM" in kind


def is_identity(layer: Layer) -> bool:
    """Say whether a layer leaves its input as it is when a model is run, and lets masks through."""
    if layer.kind == "TimeDistributed" and layer.own and layer.children:
        layer = layer.children[0][1]
    linear = layer.kind == "Activation" and layer.config.get("activation") == "linear"
    return layer.own and (layer.kind in NOTHING or linear)


def places(model: Layer, prefix: str = "", distributed: bool = False, given: Flow = Flow()) -> Places:
    """Yield the layers of a model that is given something, and return what leaves it."""
    leaving: dict[str, Flow] = {}  # of each layer; all that a layer takes comes before it
    wiring = _Wiring(model, given) if model.kind == "Functional" else None
    flow = given = given if model.own else Flow(given.mask)
    for _, layer in model.children:
        name = f"{prefix}/{layer.name}" if prefix else layer.name
        uses = _calls(layer) if wiring else []
        started = any(len(call.sources) > 1 or call.arguments.get("initial_state") is not None for call in uses)
        if wiring:
            flow = wiring.arriving(layer, uses, leaving)
        place = Place(name, layer, flow, distributed, started)
        if layer.holds_layers:
            flow = yield from places(layer, name, distributed, flow)
        elif layer.kind == "TimeDistributed" and layer.children:
            inner = layer.children[0][1]
            if inner.holds_layers:
                yield from places(inner, name, True)
                flow = Flow(flow.mask)
            else:
                place = Place(name, inner, flow, True, started)
                yield place
                flow = flow if is_identity(layer) else Flow(flow.mask, place)
        else:
            yield place
            flow = _after(place, uses, model)
        if len(uses) > 1 or not model.own:  # each call of it returns something else, or other code does what it likes
            flow = Flow(flow.mask)
        leaving[layer.name] = flow
    return wiring.leaving(leaving, flow) if wiring else flow


class _Wiring:
    """How a functional model connects its layers, and what it is given itself."""

    def __init__(self, model: Layer, given: Flow) -> None:
        children = [child for _, child in model.children]
        self.model, self.given = model, given
        self.models = {child.name for child in children if child.holds_layers}
        self.one_input = len(named(model.config.get("input_layers"))) == 1
        try:
            self.compared: Mapping[str, Hashable] = compared(children)
        except FileError:
            self.compared = {}

    def arriving(self, layer: Layer, uses: Sequence[Call], leaving: Mapping[str, Flow]) -> Flow:
        """Return what a layer is given, by what leaves those before it."""
        if not uses:
            return self.given if self.one_input and layer.kind == "InputLayer" else Flow(self.given.mask)
        masks = {mask for call in uses for mask in self._masks(layer, call, leaving)}
        mask = None if not masks else masks.pop() if len(masks) == 1 else (id(layer), "several")
        (call, *more) = uses
        alone = not more and call.sources and call.outputs[0] == 0 and (len(call.sources) == 1 or is_recurrent(layer))
        return replace(leaving.get(call.sources[0], Flow()) if alone else Flow(), mask=mask)

    def _masks(self, layer: Layer, call: Call, leaving: Mapping[str, Flow]) -> set[Hashable]:
        """Return the masks that come with a call: the one it is given by name, or those of what it takes.

        Keras 3 states each mask, but not those that enter or leave an inner model.
        """
        told = call.arguments.get("mask")
        if told is not None:
            try:
                names = tensors(told) or [name for name, _ in named(told)]
            except FileError:
                names = []
            one = self.compared.get(names[0], names[0]) if len(names) == 1 else (id(layer), "given")
            return {(id(self.model), one)}
        entered = self.given.mask is not None
        flows = {one for one in call.sources if entered or not call.masks_stated or one in self.models}
        return {leaving[one].mask for one in flows if one in leaving} - {None}

    def leaving(self, leaving: Mapping[str, Flow], last: Flow) -> Flow:
        """Return what leaves the model: its one output, or of several only whether a mask does."""
        ends = named(self.model.config.get("output_layers"))
        if len(ends) == 1 and ends[0][0] in leaving:
            name, output = ends[0]
            return leaving[name] if output == 0 else Flow(leaving[name].mask)
        return Flow(last.mask)


def _calls(layer: Layer) -> list[Call]:
    """Return the calls of a layer, as far as the file says."""
    try:
        return calls(layer)
    except FileError:
        return []


def _after(place: Place, uses: Sequence[Call], model: Layer) -> Flow:
    """Return what leaves a layer that holds no others."""
    layer, given = place.layer, place.given
    if is_recurrent(layer):
        return Flow(given.mask if place.sequences else None, place)
    if is_identity(layer):
        return given
    if layer.own and layer.kind == "Flip" and layer.config.get("axis") in (1, [1], -2):
        return replace(given, flipped=not given.flipped)
    if layer.kind == "Masking" or (layer.kind == "Embedding" and layer.flag("mask_zero")):
        sources = uses[0].sources if len(uses) == 1 else ()
        return Flow((id(model), mask_of(layer, sources) or id(layer)), place)
    return Flow(given.mask, place)
