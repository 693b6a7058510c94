"""Network: an optional embedding, an LSTM, an optional linear head with its activation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gatewise.activations import Activation
from gatewise.arrays import Array, Mask, frozen, numbers
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.gradients import LSTMGradients
from gatewise.labels import NO_LABELS, Labels
from gatewise.layers import LSTM, backward
from gatewise.layers.arguments import settled_state, unbatched
from gatewise.layers.backward import final_gradients, fitting, gradients_of
from gatewise.layers.merging import MASKED_OUTPUTS, merge, unmerge
from gatewise.layers.stack import States
from gatewise.lstm_trace import LSTMTrace
from gatewise.showing import brief, counted, inline
from gatewise.step import State
from gatewise.trace import Trace

if TYPE_CHECKING:
    from gatewise.symbolic.wiring import Wiring

READS = ("every", "last")
SOFTMAX = "softmax"


@dataclass(frozen=True, eq=False, repr=False)
class Linear:
    """y = φ(W h + b), the same at every step.

    Parameters
    ----------
    weight : array (output, features)
    bias : array (output,), optional
        Zeros by default.
    activation : Activation or str, optional
        φ: one that works on each number, or ``softmax``, across all outputs of a step; the identity by default.

    Raises
    ------
    ShapeError
        If the shapes do not match.
    OptionError
        If there is no such activation.
    """

    weight: Array
    bias: Array | None = None
    activation: Activation | str | None = None

    def __post_init__(self) -> None:
        weight = numbers("the head's weight", self.weight)
        if weight.ndim != 2 or 0 in weight.shape:
            raise ShapeError(f"the head's weight has shape {weight.shape}; it must be (output, features)")
        bias = np.zeros(len(weight), weight.dtype) if self.bias is None else self.bias
        object.__setattr__(self, "weight", frozen(weight, weight.shape, "the head's weight"))
        bias = frozen(numbers("the head's bias", bias, weight.dtype), weight.shape[:1], "the head's bias")
        object.__setattr__(self, "bias", bias)
        if isinstance(self.activation, str) and self.activation != SOFTMAX:
            object.__setattr__(self, "activation", Activation.parse(self.activation))
        elif self.activation is not None and not isinstance(self.activation, (str, Activation)):
            raise OptionError(f"the head's activation must be an Activation or its name, not {self.activation!r}")

    def __repr__(self) -> str:
        activation = "" if self.activation is None else f", activation={self.activation}"
        return f"Linear({self.weight.shape[1]}, {len(self.weight)}{activation})"

    def __call__(self, h: Array) -> Array:
        """Return y (…, output) of features (…, features)."""
        a: Array = h @ self.weight.T + np.asarray(self.bias)
        if self.activation is None:
            return a
        if isinstance(self.activation, Activation):
            return self.activation(a)
        e = np.exp(a - a.max(-1, keepdims=True))
        y: Array = e / e.sum(-1, keepdims=True)
        return y

    def preactivation_gradient(self, dy: Array, y: Array) -> Array:
        """Return ∂L/∂(W h + b), given ∂L/∂y and the output y."""
        if self.activation is None:
            return dy
        if isinstance(self.activation, Activation):
            return dy * self.activation.derivative(y)
        da: Array = y * (dy - (dy * y).sum(-1, keepdims=True))
        return da


@dataclass(frozen=True, eq=False, repr=False)
class NetworkTrace:
    """The record of a network's run.

    Attributes
    ----------
    lstm : LSTMTrace
    tokens : array of int (time, batch) or None
        What was embedded.
    features : array (time, batch, ·) or (batch, ·)
        What the head read.
    output : array
        The output of the network.
    network : Network
    labels : Labels
        Names of features, outputs, sequences and times; those of each cell are in its trace.
    """

    network: Network
    lstm: LSTMTrace
    tokens: npt.NDArray[np.integer[Any]] | None
    features: Array
    output: Array
    labels: Labels = NO_LABELS

    def __repr__(self) -> str:
        steps, batch = counted(self.lstm.num_steps, "step"), counted(self.lstm.batch_size, "sequence")
        title = f"NetworkTrace: {steps} of {batch}, {self.output.dtype.name}, of {self.network!r}"
        return brief(title, {"features": self.features, "output": self.output})

    def _repr_html_(self) -> str:
        return inline(self)


@dataclass(frozen=True, eq=False, repr=False)
class NetworkGradients:
    """The gradients of a loss with respect to everything that went into a network's run; None for a missing part.

    Attributes
    ----------
    lstm : LSTMGradients
    embedding : array (vocabulary, input) or None
    head_weight, head_bias : array or None
    """

    lstm: LSTMGradients
    embedding: Array | None
    head_weight: Array | None
    head_bias: Array | None

    def __repr__(self) -> str:
        arrays = {name: one for name, one in vars(self).items() if isinstance(one, np.ndarray)}
        return brief(f"NetworkGradients: {self.lstm.x.dtype.name}", {**arrays, "lstm.x": self.lstm.x})


class Network:
    """An LSTM with an optional embedding before it and an optional linear head after it.

    Parameters
    ----------
    lstm : LSTM
    embedding : array (vocabulary, input), optional
        If given, the network takes tokens, which are integers, instead of features.
    head : Linear, optional
    reads : {"every", "last"}
        What the head reads (without one: what is returned): the output of every step, or the final hidden state of
        each direction of the last layer, merged (Keras' ``return_sequences=False``).
    masked : float, optional
        Marks the steps that are not valid, if a call gives neither lengths nor a mask: those with this token (Keras'
        ``mask_zero`` means 0) or, without an embedding, those whose features all equal this value (Keras'
        ``Masking``).
    masked_output : {"zeros", "repeat"}
        The LSTM's output at such a step, unless a call says otherwise; see `LSTM`.
    initial : nested sequence of State, ``[layer][direction]``, optional
        The state that every sequence starts from if a call gives none, for example a learned one. Zeros by default.

    Raises
    ------
    ShapeError
        If the parts do not fit together.
    """

    def __init__(
        self,
        lstm: LSTM,
        *,
        embedding: Array | None = None,
        head: Linear | None = None,
        reads: str = "every",
        masked: float | None = None,
        masked_output: str = "zeros",
        initial: States | None = None,
    ) -> None:
        if not isinstance(lstm, LSTM):
            raise OptionError(f"a network is built around an LSTM, not {type(lstm).__name__}")
        self.lstm, self.head, self.reads = lstm, head, one_of("reads", reads, READS)
        self.masked_output = one_of("masked_output", masked_output, MASKED_OUTPUTS)
        if masked is not None and (isinstance(masked, bool) or not isinstance(masked, (int, float, np.number))):
            raise OptionError(f"masked must be a number, not {masked!r}")
        self.masked: float | None = None if masked is None else float(masked)
        self.initial = None if initial is None else settled_state(lstm, initial, None)
        self.embedding: Array | None = None
        if embedding is not None:
            table = numbers("the embedding", embedding, lstm.dtype)
            if table.ndim != 2 or table.shape[1] != lstm.input_size or not len(table):
                raise ShapeError(f"the embedding has shape {table.shape}; it must be (vocabulary, {lstm.input_size})")
            self.embedding = frozen(table, table.shape, "the embedding")
        if head is not None:
            if not isinstance(head, Linear):
                raise OptionError(f"the head must be a Linear, not {type(head).__name__}")
            if lstm.bidirectional and lstm.merge[-1] == "none":
                raise OptionError("a head reads one output; this LSTM's directions are not merged")
            if head.weight.shape[1] != lstm.output_size:
                raise ShapeError(
                    f"the head takes {counted(head.weight.shape[1], 'feature')}; the LSTM puts out {lstm.output_size}"
                )
            if head.weight.dtype != lstm.dtype:
                raise ShapeError(f"the head is {head.weight.dtype}; the LSTM is {lstm.dtype}")

    @property
    def num_parameters(self) -> int:
        """The number of parameters, without an initial state."""
        head = 0 if self.head is None else self.head.weight.size + len(self.head.weight)
        return self.lstm.num_parameters + head + (0 if self.embedding is None else self.embedding.size)

    def __call__(self, x: npt.ArrayLike, state: States | None = None, **options: Any) -> tuple[Array, States]:
        """Run over a sequence.

        Parameters
        ----------
        x : array
            Features (time, batch, input) or (time, input); with an embedding integers (time, batch) or (time,).
        state, **options
            As in a call of `LSTM`.

        Returns
        -------
        y : array
            (time, batch, output) or (time, output); with ``reads="last"`` without the time.
        state : tuple of tuple of State
        """
        features, tokens = self.embed(x)
        start = self._start(features, state)
        y, state = self.lstm(features, start, **self._masking(features, tokens, options))
        return self._head(self._read(y, state)), state

    def trace(self, x: npt.ArrayLike, state: States | None = None, **options: Any) -> NetworkTrace:
        """Run over a sequence and keep everything.

        Parameters
        ----------
        x, state
            As in a call.
        **options
            As in `LSTM.trace`; of the labels, the outputs are those of the head where there is one.

        Returns
        -------
        NetworkTrace
        """
        features, tokens = self.embed(x)
        options, labels = self._labelling(options)
        trace = self.lstm.trace(features, self._start(features, state), **self._masking(features, tokens, options))
        y, state = trace.output, trace.state
        if not trace.batched:
            y, state = y[:, 0], unbatched(state)
        read = self._read(y, state)
        return NetworkTrace(self, trace, tokens, read, self._head(read), labels.or_else(trace.labels))

    def embed(self, x: npt.ArrayLike) -> tuple[npt.ArrayLike, npt.NDArray[np.integer[Any]] | None]:
        """Return what the LSTM is given for `x`, and the tokens where there is an embedding."""
        if self.embedding is None:
            return x, None
        try:
            tokens = np.array(x)  # a copy: a trace holds on to it
        except ValueError:
            raise ShapeError("x must be integers (time, batch) or (time,), in sequences of equal lengths") from None
        if tokens.dtype.kind not in "iu" or tokens.ndim not in (1, 2):
            raise ShapeError(f"x must be integers (time, batch) or (time,), not {tokens.dtype} of {tokens.shape}")
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < len(self.embedding):
            raise OptionError(
                f"x must lie between 0 and {len(self.embedding) - 1}, but has {tokens.min()} to {tokens.max()}"
            )
        return self.embedding[tokens], tokens

    def _labelling(self, options: dict[str, Any]) -> tuple[dict[str, Any], Labels]:
        """Return the options for the LSTM, without the names of a head's outputs, and the labels of the whole run."""
        given: Any = options.get("labels")
        each = [given] if isinstance(given, Labels) else list(given or [None])
        last = each[-1]
        if self.head is None or not isinstance(last, Labels) or last.outputs is None:
            return options, NO_LABELS
        last.require(outputs=len(self.head.weight))
        each[-1] = last.replace(outputs=None)
        rest = each[0] if isinstance(given, Labels) else each
        return {**options, "labels": rest}, NO_LABELS.replace(outputs=last.outputs, measures=last.measures)

    def _start(self, features: npt.ArrayLike, state: States | None) -> States | None:
        """Return what a run starts from: the state that is given, or the network's own for every sequence."""
        if state is not None or self.initial is None or np.ndim(features) not in (2, 3):
            return state
        rows = np.shape(features)[1:2] if np.ndim(features) == 3 else ()
        return tuple(
            tuple(State(*(np.broadcast_to(part, (*rows, *part.shape)) for part in one)) for one in row)
            for row in self.initial
        )

    def _masking(
        self, features: npt.ArrayLike, tokens: npt.NDArray[np.integer[Any]] | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the options of a call with the mask that the marked steps make, where they are to be looked for."""
        if self.masked is None or not (options.get("mask") is None and options.get("lengths") is None):
            return options
        if tokens is None:
            x = numbers("x", features, self.lstm.dtype)
            valid: Mask = (x != x.dtype.type(self.masked)).any(-1)
        else:
            valid = np.asarray(tokens != self.masked)
        if valid.ndim not in (1, 2):  # the LSTM says what is wrong with it
            return options
        return {"masked_output": self.masked_output, **options, "lengths": None, "mask": valid}

    def _read(self, y: Array, state: States) -> Array:
        return y if self.reads == "every" else merge([one.h for one in state[-1]], self.lstm.merge[-1])

    def _head(self, features: Array) -> Array:
        return features if self.head is None else self.head(features)

    def __repr__(self) -> str:
        parts = [] if self.embedding is None else [f"Embedding(vocabulary={len(self.embedding)})"]
        parts.append(repr(self.lstm))
        if self.head is not None:
            parts.append(repr(self.head))
        return f"<Network: {' -> '.join(parts)}, reads {self.reads}, {self.num_parameters:,} parameters>"

    def _repr_html_(self) -> str:
        return inline(self)


@gradients_of.register
def _(trace: NetworkTrace, dy: npt.ArrayLike | None, dstate: Any, out: Any) -> NetworkGradients:
    if out is not None:
        raise OptionError("out is for the gradients of a Trace or an LSTMTrace, not for those of a network")
    network, lstm = trace.network, trace.lstm
    dread = np.zeros_like(trace.output) if dy is None else numbers("dy", dy, lstm.output.dtype)
    if dread.shape != trace.output.shape:
        raise ShapeError(f"dy has shape {dread.shape}; it must be {trace.output.shape}")
    weight = bias = embedding = None
    if network.head is not None:
        dread = network.head.preactivation_gradient(dread, trace.output)
        flat = dread.reshape(-1, dread.shape[-1])
        weight, bias = flat.T @ trace.features.reshape(len(flat), trace.features.shape[-1]), flat.sum(0)
        dread = dread @ network.head.weight
    every = network.reads == "every"
    gradients = backward(lstm, dread, dstate) if every else backward(lstm, None, _final(lstm, dread, dstate))
    if network.embedding is not None and trace.tokens is not None:
        embedding = np.zeros_like(network.embedding)
        np.add.at(embedding, trace.tokens, gradients.x)
    return NetworkGradients(gradients, embedding, weight, bias)


def _final(trace: LSTMTrace, dread: Array, dstate: Any) -> list[list[State]]:
    """Return ∂L/∂(final states), given `dread`, ∂L/∂(merged hidden states of the last layer)."""
    found = [
        [end or State(*map(np.zeros_like, one)) for one, end in zip(layer, ends, strict=True)]
        for layer, ends in zip(trace.state, final_gradients(trace, dstate), strict=True)
    ]
    top = [one.h for one in trace.state[-1]]
    parts = unmerge(dread if trace.batched else dread[None], top, trace.merge[-1])
    found[-1] = [State(fitting("dh", e[0], h) + part, e[1]) for e, h, part in zip(found[-1], top, parts, strict=True)]
    return found if trace.batched else [[State(one.h[0], one.c[0]) for one in layer] for layer in found]


def run_of(
    thing: object, x: npt.ArrayLike | None, options: dict[str, Any], said: str, kinds: str
) -> NetworkTrace | LSTMTrace:
    """Return the run of a model over an input, or one that is given; what is `said` begins what is wrong otherwise."""
    if isinstance(x, (Trace, LSTMTrace, NetworkTrace)):
        raise OptionError(f"x must be numbers, not a {type(x).__name__}: a trace is a run already, and needs none")
    if isinstance(thing, (LSTM, Network)):
        if x is None:
            raise OptionError(f"{said} a model of type {type(thing).__name__} needs x, the input that it runs on")
        return thing.trace(x, **options)
    if not isinstance(thing, (Trace, LSTMTrace, NetworkTrace)):
        raise OptionError(f"{kinds}, not {type(thing).__name__}")
    if extra := ["x"] * (x is not None) + [*options]:
        raise OptionError(f"a trace is a run already: {extra[0]} does not go with it")
    return (
        LSTMTrace(({thing.direction: thing},), thing.hidden_state, ("concat",)) if isinstance(thing, Trace) else thing
    )


def wiring_of(network: Network) -> Wiring:
    """Return the wiring of a network."""
    from gatewise.layers.wired import wiring_of as lstm_wiring  # who only runs networks needs no formulas
    from gatewise.symbolic.wiring import Head

    head = network.head
    return replace(
        lstm_wiring(network.lstm, masked_output=network.masked_output),
        embedding=network.embedding,
        marked=network.masked,
        initial=network.initial,
        reads=network.reads,
        head=None if head is None else Head(head.weight, np.asarray(head.bias), head.activation),
    )
