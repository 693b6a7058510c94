"""The table from Keras' layers, and operations of keras.ops, to nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, shown
from gatewise.interop.keras.accounting import IDLE_SETTINGS, OF_RECURRENT
from gatewise.interop.keras.bare_weights import Options
from gatewise.interop.keras.config import Layer, masked_output
from gatewise.interop.keras.graph_reader import (
    EPSILON,
    MERGES,
    OPERATIONS,
    PASS_MASKS,
    WITHOUT_EFFECT,
    LayerCall,
    ModelReader,
    Row,
    Value,
    Weights,
    reads,
)
from gatewise.interop.keras.layer_graph import LayerEdge, LayerNode
from gatewise.interop.keras.lstm_layers import configured_lstm
from gatewise.layers import LSTM
from gatewise.network.graph import Graph, Unsupported

END = int(np.iinfo(np.int64).max)
OF_TRAINING = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "Identity"),
)


@reads(*OF_TRAINING, masks=True)
def read_identity(call: LayerCall) -> Value:
    """Return the input: these layers only act in training."""
    call.config.get("data_format")
    return call.x


# Activations.


@reads("Activation", masks=True)
def read_activation(call: LayerCall) -> Value:
    """Return a function of each number."""
    return call.activated(call.x)


@reads("ReLU", "LeakyReLU", masks=True)
def read_relu(call: LayerCall) -> Value:
    """Return the positive part, with a slope below zero or a maximum."""
    leaky = call.layer.kind == "LeakyReLU"
    slope = call.config.get("negative_slope", call.config.get("alpha", 0.3 if leaky else 0.0)) or 0.0
    slope = slope.get("value") if isinstance(slope, dict) else slope  # an array, as Keras 2 writes one
    if call.config.get("threshold"):
        raise Unsupported("it has a threshold")
    most = call.config.get("max_value")
    if most is not None and slope:
        raise Unsupported("it has a slope and a maximum")
    if most is not None:
        return str(call.add("clip", call.x, np.float32(0), np.float32(most)))
    return str(call.add("leaky_relu", call.x, alpha=float(slope)) if slope else call.add("relu", call.x))


@reads("ELU", masks=True)
def read_elu(call: LayerCall) -> Value:
    """Return x, and alpha · (exp(x) − 1) if it is negative."""
    alpha = call.config.get("alpha", 1.0)
    return str(call.add("elu", call.x, alpha=float(alpha["value"] if isinstance(alpha, dict) else alpha)))


@reads("PReLU", masks=True)
def read_prelu(call: LayerCall) -> Value:
    """Return x, and a part of it if it is negative; each feature has its own."""
    return str(call.add("prelu", call.x, *call.weights("alpha")))


@reads("Softmax", masks=True)
def read_softmax(call: LayerCall) -> Value:
    """Return the softmax of an axis."""
    axis = np.ravel(call.config.get("axis", -1)).tolist()
    if call.mask or len(axis) > 1:
        raise Unsupported("it has a mask, or several axes")
    return str(call.add("softmax", call.x, axis=axis[0]))


# Axes and shapes.


@reads("Flatten")
def read_flatten(call: LayerCall) -> Value:
    """Return one axis of features for each sequence."""
    call.require(data_format="channels_last")
    return str(call.add("flatten", call.x, start=1))


@reads("Reshape")
def read_reshape(call: LayerCall) -> Value:
    """Return the numbers of each sequence in another shape."""
    return str(call.add("reshape", call.x, np.array([0, *call.config["target_shape"]], np.int64)))


@reads("Permute")
def read_permute(call: LayerCall) -> Value:
    """Return the axes after the batch in another order."""
    return str(call.add("transpose", call.x, order=(0, *call.config["dims"])))


@reads("RepeatVector")
def read_repeat_vector(call: LayerCall) -> Value:
    """Return a vector at each of several steps."""
    return str(call.add("tile", call.add("unsqueeze", call.x, axes=(1,)), np.array([1, int(call.config["n"]), 1])))


@reads("ZeroPadding1D")
def read_zero_padding(call: LayerCall) -> Value:
    """Return more steps of zeros before and after."""
    call.require(data_format="channels_last")
    before, after = np.broadcast_to(call.config["padding"], 2).tolist()
    return str(call.add("pad", call.x, np.array([0, before, 0, 0, after, 0], np.int64)))


@reads("Cropping1D")
def read_cropping(call: LayerCall) -> Value:
    """Return the steps without some at both ends."""
    before, after = np.broadcast_to(call.config["cropping"], 2).tolist()
    return str(call.add("slice", call.x, *bounds(before, -after or END, 1)))


def bounds(start: int, end: int, axis: int, step: int = 1) -> list[Any]:
    """Return the inputs of a slice along one axis."""
    return [np.array([number], np.int64) for number in (start, end, axis, step)]


@reads("UpSampling1D")
def read_up_sampling(call: LayerCall) -> Value:
    """Return each step several times."""
    size = int(np.ravel(call.config["size"])[0])
    repeated = call.add("tile", call.add("unsqueeze", call.x, axes=(2,)), np.array([1, 1, size, 1]))
    ends = [call.add("slice", call.add("shape", call.x), *bounds(at, at + 1, 0)) for at in (0, 2)]
    return str(call.add("reshape", repeated, call.add("concat", ends[0], np.array([-1]), ends[1], axis=0)))


# Several inputs.

COMBINED = {"Add": "add", "Multiply": "mul", "Maximum": "maximum", "Minimum": "minimum", "Subtract": "sub"}


@reads(*COMBINED, "Average", masks=True)
def read_merge(call: LayerCall) -> Value:
    """Return all inputs combined, number by number."""
    mean = call.layer.kind == "Average"
    ranks = {len(call.reader.shapes[value]) for value in call.values if value in call.reader.shapes}
    if len(ranks) > 1:
        raise Unsupported("its inputs have different numbers of axes")
    first, *others = call.values
    for other in others:
        first = call.add("add" if mean else COMBINED[call.layer.kind], first, other)
    return str(call.add("div", first, np.float32(len(call.values))) if mean else first)


@reads("Concatenate", masks=True)
def read_concatenate(call: LayerCall) -> Value:
    """Return inputs one behind another."""
    axis = call.config.get("axis", -1)
    if call.mask and axis not in (-1, 2):
        raise Unsupported("its inputs have masks")
    return str(call.add("concat", *call.values, axis=axis))


@reads("Dot")
def read_dot(call: LayerCall) -> Value:
    """Return sums of products along an axis of each input, for each sequence."""
    parts, ranks = list(call.values), [len(call.shape(value)) for value in call.values]
    first, second = (axis % rank for axis, rank in zip(np.broadcast_to(call.config["axes"], 2), ranks, strict=True))
    if call.flag("normalize"):
        for place, axis in enumerate((first, second)):
            parts[place] = unit_length(call, parts[place], int(axis), 0.0)
    if max(ranks) > 3 or 0 in (first, second):
        raise Unsupported("its inputs have more than three axes, or it sums over sequences")
    letters = [
        "b" + "".join("s" if place == axis else name for place, name in enumerate(free, 1))
        for axis, free, rank in ((first, "xy", ranks[0]), (second, "uv", ranks[1]))
        for free in [free[: rank - 1]]
    ]
    left, right = letters
    output = "b" + "".join(letter for letter in left[1:] + right[1:] if letter != "s")
    y = call.add("einsum", *parts, equation=f"{left},{right}->{output}")
    return str(call.add("unsqueeze", y, axes=(1,)) if len(output) == 1 else y)


def unit_length(call: LayerCall, x: Value, axis: int, least: float) -> Value:
    """Return numbers divided by their length along an axis; the length is at least `least`, and 0 counts as 1."""
    length = call.add("reduce_norm2", x, axes=(axis,), keepdims=True)
    if least:
        return str(call.add("div", x, call.add("maximum", length, np.float32(least))))
    is_zero = call.add("equal", length, np.float32(0))
    return str(call.add("div", x, call.add("where", is_zero, np.float32(1), length)))


# Layers of numbers.


@reads("Masking", masks=True)
def read_masking(call: LayerCall) -> Value:
    """Return zeros at steps whose features all have the value of a mask, which later layers leave out."""
    differs = call.add("not", call.add("equal", call.x, np.float32(call.config.get("mask_value", 0.0))))
    mask = call.add("reduce_any", differs, axes=(-1,))
    y = str(call.add("where", call.add("unsqueeze", mask, axes=(-1,)), call.x, np.float32(0)))
    call.reader.masks[y] = mask
    return y


@reads("Embedding")
def read_embedding(call: LayerCall) -> Value:
    """Return a row of the matrix for each token; with mask_zero, later layers leave out token 0."""
    tokens = call.x
    integers = any(port.name == tokens and port.dtype.kind in "iu" for port in call.build.inputs)
    tokens = tokens if integers else call.add("cast", tokens, dtype="int64")
    y = str(call.add("gather", *call.weights("embeddings"), tokens, axis=0))
    if call.flag("mask_zero"):
        call.reader.masks[y] = call.add("not", call.add("equal", tokens, np.int64(0)))
    return y


def affine(call: LayerCall, y: Value, weights: list[Array], scaled: bool, shifted: bool) -> Value:
    """Return a value scaled by the first array and shifted by the next, as far as the layer does either."""
    y = call.add("mul", y, weights.pop(0)) if scaled else y
    return str(call.add("add", y, weights.pop(0)) if shifted else y)


@reads("Dense", masks=True)
def read_dense(call: LayerCall) -> Value:
    """Return the activation of W x + b."""
    kernel, *bias = call.weights("kernel", *(["bias"] if call.flag("use_bias", True) else []))
    if kernel.ndim != 2 or kernel.shape[1] != call.config.get("units", kernel.shape[1]):
        raise Unsupported(f"its configuration says {call.config.get('units')} units, its weights {kernel.shape}")
    return call.activated(str(call.add("linear", call.x, np.ascontiguousarray(kernel.T), *bias)))


@reads("Normalization", masks=True)
def read_normalization(call: LayerCall) -> Value:
    """Return features less their mean, divided by their deviation; or the reverse."""
    if call.config.get("axis", -1) is not None:
        call.require_last_axis()
    if call.config.get("mean") is not None:
        mean, variance = (np.asarray(call.config[name], np.float32) for name in ("mean", "variance"))
    else:
        mean, variance = call.weights("mean", "variance", of_training=("count",))
    mean, deviation = mean.reshape(-1), np.maximum(np.sqrt(variance), variance.dtype.type(EPSILON)).reshape(-1)
    if call.flag("invert"):
        return str(call.add("add", call.add("mul", call.x, deviation), mean))
    return str(call.add("div", call.add("sub", call.x, mean), deviation))


@reads("Rescaling", masks=True)
def read_rescaling(call: LayerCall) -> Value:
    """Return the numbers times a scale, plus an offset."""
    scale, offset = (
        np.asarray(call.config.get(name, default), np.float32) for name, default in (("scale", 1), ("offset", 0))
    )
    return str(call.add("add", call.add("mul", call.x, scale), offset))


@reads("LayerNormalization", masks=True)
def read_layer_normalization(call: LayerCall) -> Value:
    """Return features of mean 0 and variance 1, scaled and shifted (Ba et al. 2016, equation 4)."""
    call.require(rms_scaling=False)
    call.require_last_axis()
    scaled, shifted = call.flag("scale", True), call.flag("center", True)
    weights = call.weights(*["gamma"] * scaled, *["beta"] * shifted)
    y = call.add("normalise", call.x, axes=(-1,), epsilon=float(call.config.get("epsilon", 1e-3)))
    return affine(call, y, weights, scaled, shifted)


@reads("BatchNormalization", masks=True)
def read_batch_normalization(call: LayerCall) -> Value:
    """Return features less their stored mean, divided by their stored deviation, scaled and shifted."""
    call.require(renorm=False)
    call.require_last_axis()
    scaled, shifted = call.flag("scale", True), call.flag("center", True)
    *weights, mean, variance = call.weights(*["gamma"] * scaled, *["beta"] * shifted, "mean", "variance")
    factor = 1 / np.sqrt(variance + variance.dtype.type(call.config.get("epsilon", 1e-3)))
    return affine(call, str(call.add("mul", call.add("sub", call.x, mean), factor)), weights, scaled, shifted)


@reads("UnitNormalization", masks=True)
def read_unit_normalization(call: LayerCall) -> Value:
    """Return the numbers divided by their length along an axis."""
    (axis,) = np.ravel(call.config.get("axis", -1)).tolist() or [None]
    return unit_length(call, call.x, axis, 1e-12)


@reads("GlobalAveragePooling1D", "GlobalMaxPooling1D")
def read_global_pooling(call: LayerCall) -> Value:
    """Return the mean of the valid steps, or the largest number of all."""
    call.require(data_format="channels_last")
    keepdims = call.flag("keepdims")
    if call.layer.kind == "GlobalMaxPooling1D":
        return str(call.add("reduce_max", call.x, axes=(1,), keepdims=keepdims))
    if not call.mask:
        return str(call.add("reduce_mean", call.x, axes=(1,), keepdims=keepdims))
    valid = call.add("unsqueeze", call.mask, axes=(-1,))
    total = call.add("reduce_sum", call.add("where", valid, call.x, np.float32(0)), axes=(1,), keepdims=keepdims)
    count = call.add("reduce_sum", call.add("cast", valid, dtype="float32"), axes=(1,), keepdims=keepdims)
    return str(call.add("div", total, count))


# Windows of steps.


def over_steps(
    call: LayerCall, op: str, width: int, stride: int, dilation: int, *arrays: Any, **settings: Any
) -> Value:
    """Apply an operation on (batch, channel, time), with windows of steps, to (batch, time, channel)."""
    call.require(data_format="channels_last")
    padding, reach = call.config.get("padding", "valid"), dilation * (width - 1)
    x, pads = call.add("transpose", call.x, order=(0, 2, 1)), (0, 0)
    if padding == "causal":
        pads = reach, 0
    elif padding == "same" and stride == 1:
        pads = reach // 2, reach - reach // 2
    elif padding == "same":
        steps = call.shape(call.x)[1]
        if steps is None:
            raise Unsupported("its padding depends on the number of steps, which the file leaves open")
        total = max((-(-steps // stride) - 1) * stride + reach + 1 - steps, 0)
        pads = total // 2, total - total // 2
    elif padding != "valid":
        raise Unsupported(f"its padding is {shown(str(padding), 40)}")
    if any(pads):
        beyond = np.float32(-np.inf if op == "max_pool" else 0)
        x = call.add("pad", x, np.array([0, 0, pads[0], 0, 0, pads[1]], np.int64), beyond)
    y = call.add(op, x, *arrays, strides=(stride,), dilations=(dilation,), **settings)
    if op == "mean_pool" and any(pads):  # the mean of the steps that are there
        shape = call.add("shape", call.x)
        ones = call.add(
            "fill",
            call.add("concat", np.array([1, 1]), call.add("slice", shape, *bounds(1, 2, 0)), axis=0),
            np.float32(1),
        )
        ones = call.add("pad", ones, np.array([0, 0, pads[0], 0, 0, pads[1]], np.int64))
        y = call.add("div", y, call.add("mean_pool", ones, strides=(stride,), dilations=(dilation,), **settings))
    return str(call.add("transpose", y, order=(0, 2, 1)))


def first_int(value: Any) -> int:
    """Return a number that may be in a list."""
    return int(np.ravel(value)[0])


@reads("Conv1D", "SeparableConv1D", "DepthwiseConv1D")
def read_convolution(call: LayerCall) -> Value:
    """Return the activation of a convolution over steps; a depthwise one has a kernel for each channel."""
    bias = ["bias"] * call.flag("use_bias", True)
    stride, dilation = first_int(call.config.get("strides", 1)), first_int(call.config.get("dilation_rate", 1))
    if call.layer.kind == "Conv1D":
        kernel, *arrays = call.weights("kernel", *bias)
        groups = call.config.get("groups", 1)
        return call.activated(
            over_steps(call, "conv", len(kernel), stride, dilation, kernel.transpose(2, 1, 0), *arrays, groups=groups)
        )
    separable = call.layer.kind == "SeparableConv1D"
    kernel, *arrays = call.weights("depthwise_kernel", *["pointwise_kernel"] * separable, *bias)
    width, channels, each = kernel.shape
    stacked = kernel.transpose(1, 2, 0).reshape(channels * each, 1, width)
    if not separable:
        return call.activated(over_steps(call, "conv", width, stride, dilation, stacked, *arrays, groups=channels))
    y = over_steps(call, "conv", width, stride, dilation, stacked, groups=channels)
    pointwise, *rest = arrays
    return call.activated(str(call.add("linear", y, np.ascontiguousarray(pointwise[0].T), *rest)))


@reads("MaxPooling1D", "AveragePooling1D")
def read_pooling(call: LayerCall) -> Value:
    """Return the largest number or the mean of each window of steps."""
    width = first_int(call.config["pool_size"])
    op = "max_pool" if call.layer.kind == "MaxPooling1D" else "mean_pool"
    return over_steps(call, op, width, first_int(call.config.get("strides") or width), 1, kernel=(width,))


# Attention.


@reads("Attention", "AdditiveAttention")
def read_attention(call: LayerCall) -> Value:
    """Return means of values, weighted by the softmax of scores of queries and keys.

    Scores are products (Luong et al. 2015, equation 8), or sums of tanh (Bahdanau et al. 2015, appendix A.1.2).
    """
    if call.mask or len(call.values) not in (2, 3):
        raise Unsupported("it has a mask")
    call.require_no_more_arguments()
    query, value, key = (*call.values, call.values[1])[:3]
    additive = call.layer.kind == "AdditiveAttention"
    call.require(score_mode="dot")
    scale = call.weights("scale") if call.flag("use_scale", additive) else []
    if additive:
        pairs = call.add("add", call.add("unsqueeze", query, axes=(2,)), call.add("unsqueeze", key, axes=(1,)))
        terms = call.add("tanh", pairs)
        terms = call.add("mul", terms, scale[0]) if scale else terms
        scores = call.add("reduce_sum", terms, axes=(-1,))
    else:
        scores = call.add("matmul", query, call.add("swap", key, first=1, second=2))
        scores = call.add("mul", scores, scale[0]) if scale else scores
    return str(call.add("matmul", call.add("softmax", scores, axis=-1), value))


@reads("MultiHeadAttention", masks=True)
def read_multi_head_attention(call: LayerCall) -> Value:
    """Return the attention of several heads, each with weights of its own (Vaswani et al. 2017, section 3.2.2)."""
    call.require(attention_axes=[1], use_gate=False, sliding_window=None, output_shape=None)
    named = [value for name in ("query", "value", "key") if (value := call.kwargs.pop(name, None)) is not None]
    call.require_no_more_arguments()
    values = [*call.args, *named]
    if call.mask or len(values) not in (2, 3) or not all(isinstance(value, str) for value in values):
        raise Unsupported("it has a mask, or other arguments than values")
    query, value, key = (*values, values[1])[:3]
    if any(len(call.reader.shapes.get(value, (0,) * 3)) != 3 for value in values):
        raise Unsupported("its inputs have other axes than sequences, steps and features")
    parts = [("query", query), ("key", key), ("value", value)]
    names = [f"{name} {kind}" for name in ("query", "key", "value", "output") for kind in ("kernel", "bias")]
    biased = call.flag("use_bias", True)
    weights = call.weights(*(name for name in names if biased or name.endswith("kernel")))
    heads = []
    for _, x in parts:
        y = call.add("einsum", x, weights.pop(0), equation="btf,fhk->bthk")
        heads.append(call.add("add", y, weights.pop(0)) if biased else y)
    scaled = call.add("mul", heads[0], np.float32(1 / np.sqrt(float(call.config["key_dim"]))))
    scores = call.add("softmax", call.add("einsum", scaled, heads[1], equation="bthk,bshk->bhts"), axis=-1)
    y = call.add("einsum", scores, heads[2], equation="bhts,bshk->bthk")
    y = call.add("einsum", y, weights.pop(0), equation="bthk,hkf->btf")
    return str(call.add("add", y, weights.pop(0)) if biased else y)


# Layers within layers.


@reads("TimeDistributed", masks=True)
def read_time_distributed(call: LayerCall) -> Any:
    """Return a layer's output at each step: of all steps at once where the layer treats each by itself anyhow."""
    ((_, inner),) = call.layer.children
    alone = (PASS_MASKS - {"Masking", "TimeDistributed", "Softmax", "Concatenate", *MERGES}) | {"Embedding"}
    if inner.kind in alone and not inner.holds_layers:
        return call.reader.layer(inner, [call.x], {}, call.path)
    if call.mask:
        raise Unsupported("it has a mask")
    shape = call.add("shape", call.x)
    flat = call.add("concat", np.array([-1]), call.add("slice", shape, *bounds(2, END, 0)), axis=0)
    folded = call.add("reshape", call.x, flat)
    if call.x in call.reader.shapes:
        call.reader.shapes[folded] = (None, *call.reader.shapes[call.x][2:])
    (y,) = call.reader.layer(inner, [folded], {}, call.path)
    rest = call.add("slice", call.add("shape", y), *bounds(1, END, 0))
    return call.add("reshape", y, call.add("concat", call.add("slice", shape, *bounds(0, 2, 0)), rest, axis=0))


def require_recurrent_settings(call: LayerCall, layer: Layer) -> None:
    """Refuse a recurrent layer if it or a layer in it has a setting that `configured_lstm` does not read."""
    for name, value in layer.config.items():
        known = name in OF_RECURRENT | WITHOUT_EFFECT or IDLE_SETTINGS.fullmatch(name)
        if value is not None and not known:
            raise Unsupported(f"gatewise does not know its setting {shown(name, 40)!r}")
        call.config.get(name)
    for _, child in layer.children:
        require_recurrent_settings(call, child)


@reads("LSTM", "CuDNNLSTM", "RNN", "Bidirectional")
def read_lstm(call: LayerCall) -> list[Value]:
    """Return the outputs of the layer: the output of every step or the last one, and the states if it says so."""
    require_recurrent_settings(call, call.layer)
    call.require_known_weights()
    layer, reader = call.layer, call.reader
    try:
        stored = configured_lstm(LayerNode(layer.name, layer, LayerEdge()), reader.weights.bound, reader.options)
    except FileError as problem:
        raise Unsupported(str(problem)) from None
    lstm, outer = stored.lstm, layer.forward_layer
    both, returns_state = lstm.bidirectional, outer.flag("return_state")
    initial = call.kwargs.pop("initial_state", None) or call.values[1:]
    states = initial if isinstance(initial, list) else [initial]
    call.require_no_more_arguments()
    if lstm.num_layers > 1 and (states or returns_state):
        raise Unsupported("it has states of several cells")
    if states and len(states) != 2 * (1 + both):
        raise Unsupported(f"it is given {len(states)} states")
    start = [call.add("stack", *states[place::2], axis=0) for place in (0, 1)] if states else ["", ""]

    def ordered(value: Value) -> Value:
        return str(call.add("transpose", value, order=(1, 0, 2))) if stored.batch_first else value

    valid = ""
    if call.mask:
        valid = call.add("transpose", call.mask, order=(1, 0)) if stored.batch_first else call.mask
    y, h, c = ordered(call.x), "", ""
    for number, row in enumerate(lstm.layers):
        single = lstm if lstm.num_layers == 1 else LSTM.from_cells([row])
        name = call.path if lstm.num_layers == 1 else f"{call.path}.{number}"
        filling = masked_output(layer, reader.options.version)
        y, h, c = call.add("lstm", y, *start, valid, name=name, lstm=single, masked_output=filling)
    finals = [[call.add("gather", value, np.int64(way), axis=0) for value in (h, c)] for way in range(1 + both)]
    merge = lstm.merge[-1]
    if layer.returns_sequences:
        y = call.add("flip", y, axes=(0,)) if stored.time_reversed else y
        parts = [call.add("gather", y, np.int64(way), axis=2) for way in (0, 1)] if merge == "none" and both else [y]
        outputs = [ordered(part) for part in parts]
        if call.mask:
            reader.masks[outputs[0]] = call.mask
    else:
        ends = [states[0] for states in finals]
        outputs = [merged(call, ends, merge)] if both and merge != "none" else ends
    return [*outputs, *(value for pair in finals for value in pair)] if returns_state else outputs


def merged(call: LayerCall, ends: Sequence[Value], merge: str) -> Value:
    """Return the last outputs of both directions, merged."""
    if merge == "concat":
        return str(call.add("concat", *ends, axis=-1))
    y = call.add("mul" if merge == "mul" else "add", *ends)
    return str(call.add("div", y, np.float32(2)) if merge == "average" else y)


# Operations of keras.ops, whose inputs come one by one.

NUMBERWISE = {
    "Add": "add",
    "Subtract": "sub",
    "Multiply": "mul",
    "TrueDivide": "div",
    "Divide": "div",
    "Power": "pow",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Equal": "equal",
    "Less": "less",
    "Greater": "greater",
    "LessEqual": "less_equal",
    "GreaterEqual": "greater_equal",
    "LogicalAnd": "and",
    "LogicalOr": "or",
    "LogicalNot": "not",
    "Where": "where",
    "Matmul": "matmul",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Absolute": "abs",
    "Negative": "neg",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "Silu": "silu",
    "Sin": "sin",
    "Cos": "cos",
    "Sign": "sign",
    "Softplus": "softplus",
    "Log1p": "log1p",
    "Expm1": "expm1",
}
REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "Any", "All")


def operation(*kinds: str) -> Callable[[Row], Row]:
    """Add a row for these operations of keras.ops."""

    def add(row: Row) -> Row:
        OPERATIONS.update(dict.fromkeys(kinds, row))
        return row

    return add


def known(call: LayerCall, *names: str) -> None:
    """Refuse an operation whose configuration or call has other settings than these."""
    ignored = {"name", "trainable", "dtype", *names}
    for name, value in {**call.config, **call.kwargs}.items():
        if name not in ignored and value not in (None, False):
            raise Unsupported(f"gatewise does not know its setting {shown(name, 40)!r}")


def axes_of(call: LayerCall, name: str = "axis") -> tuple[int, ...] | None:
    """Return one axis or several of an operation; None if it has none."""
    axes = call.config.get(name, call.kwargs.get(name))
    return None if axes is None else tuple(np.ravel(axes).tolist())


@operation(*NUMBERWISE)
def apply_numberwise(call: LayerCall) -> Value:
    """Return a function of each number, or of several side by side."""
    known(call)
    inputs = [argument if isinstance(argument, str) else np.float32(argument) for argument in call.args]
    return str(call.add(NUMBERWISE[call.layer.kind], *inputs))


@operation("NotEqual", "Square")
def apply_written_out(call: LayerCall) -> Value:
    """Return the result of an operation that takes two nodes."""
    known(call)
    if call.layer.kind == "Square":
        return str(call.add("mul", call.x, call.x))
    other = call.args[1] if isinstance(call.args[1], str) else np.float32(call.args[1])
    return str(call.add("not", call.add("equal", call.args[0], other)))


@operation(*REDUCTIONS)
def apply_reduction(call: LayerCall) -> Value:
    """Return one number for each row of some axes."""
    known(call, "axis", "keepdims")
    op = f"reduce_{call.layer.kind.lower()}"
    return str(call.add(op, call.x, axes=axes_of(call), keepdims=call.flag("keepdims")))


@operation("Concatenate", "Stack")
def apply_concatenation(call: LayerCall) -> Value:
    """Return values one behind another, or on a new axis."""
    known(call, "axis")
    op = "concat" if call.layer.kind == "Concatenate" else "stack"
    return str(call.add(op, *call.values, axis=call.config.get("axis", 0)))


@operation("ExpandDims", "Squeeze", "Flip", "Transpose", "Softmax")
def apply_to_axes(call: LayerCall) -> Value:
    """Return axes added, removed, reversed or exchanged, or the softmax of one."""
    known(call, "axis", "axes")
    kind, axes = call.layer.kind, axes_of(call)
    if kind == "Transpose":
        return str(call.add("transpose", call.x, order=axes_of(call, "axes")))
    if kind == "Softmax":
        return str(call.add("softmax", call.x, axis=-1 if axes is None else axes[0]))
    if kind == "Squeeze":
        return str(call.add("squeeze", call.x, axes=axes))
    if axes is None:
        raise Unsupported("it lacks its axis")
    return str(call.add("unsqueeze" if kind == "ExpandDims" else "flip", call.x, axes=axes))


@operation("GetItem")
def apply_index(call: LayerCall) -> Value:
    """Return a part, by slices and numbers of axes; after an ellipsis, axes count from the last."""
    known(call)
    y, keys = call.args
    keys = keys if isinstance(keys, list) else [keys]
    cut = keys.index(...) if ... in keys else len(keys)
    axis = 0
    for key in keys[:cut]:
        y, axis = _indexed(call, y, key, axis), axis + isinstance(key, slice)
    axis = -1
    for key in reversed(keys[cut + 1 :]):
        y, axis = _indexed(call, y, key, axis), axis - isinstance(key, slice)
    return str(y)


def _indexed(call: LayerCall, y: Value, key: Any, axis: int) -> Value:
    """Return a part of one axis."""
    if isinstance(key, int) and not isinstance(key, bool):
        return str(call.add("gather", y, np.int64(key), axis=axis))
    if not isinstance(key, slice):
        raise Unsupported("its index is no number and no slice")
    if key == slice(None):
        return y
    step = 1 if key.step is None else key.step
    start, end = (0 if step > 0 else END, END if step > 0 else -END)
    start, end = (start if key.start is None else key.start, end if key.stop is None else key.stop)
    return str(call.add("slice", y, *bounds(start, end, axis, step)))


def graph_of_model(root: Layer, weights: Weights, options: Options) -> Graph:
    """Return the graph of a Keras model; FileError if its configuration is malformed."""
    return ModelReader(weights, options).graph(root)
