"""Network: an LSTM with what a model has before it (an embedding, a scaling, dense layers) and after it (a head)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, Mask, frozen, numbers
from gatewise.errors import NotKeptError, OptionError, ShapeError, one_of
from gatewise.labels import NO_LABELS, Labels
from gatewise.layers import LSTM
from gatewise.layers.arguments import settled_state, unbatched
from gatewise.layers.merging import MASKED_OUTPUTS, merge
from gatewise.layers.stack import States
from gatewise.lstm_trace import LSTMTrace
from gatewise.network.dense import Branch, Linear, Scaling, outputs_of
from gatewise.network.fitting import branches_of, head_of
from gatewise.showing import brief, counted, inline
from gatewise.step import State

READS = ("every", "last")


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
        The output of the network, in its own units.
    network : Network
    labels : Labels
        Names of features, outputs, sequences and times; those of each cell are in its trace.
    given : array or None
        The features that the network was given, in their own units, where they are not simply the LSTM's input.
    """

    network: Network
    lstm: LSTMTrace
    tokens: npt.NDArray[np.integer[Any]] | None
    features: Array
    output: Array
    labels: Labels = NO_LABELS
    given: Array | None = None

    @property
    def scaled(self) -> Array:
        """What the network was given, in its own units: after ``inputs``, and before the branches."""
        given = self.lstm.layers[0][self.lstm.directions[0]].input if self.given is None else self.given
        if given is None:
            raise NotKeptError("the input of this run was not kept")
        return self.network.scaled(given)

    def __repr__(self) -> str:
        steps, batch = counted(self.lstm.num_steps, "step"), counted(self.lstm.batch_size, "sequence")
        title = f"NetworkTrace: {steps} of {batch}, {self.output.dtype.name}, of {self.network!r}"
        return brief(title, {"features": self.features, "output": self.output})

    def _repr_html_(self) -> str:
        return inline(self)


class Network:
    """An LSTM with what a model has around it: before it an embedding, or a scaling and dense layers; after it a head.

    Features go through ``inputs``, then ``branches``, into the LSTM; what it puts out goes through ``head``; then come
    ``skip`` and ``outputs``. Every part is optional.

    Parameters
    ----------
    lstm : LSTM
    embedding : array (vocabulary, input), optional
        If given, the network takes tokens, which are integers, instead of features.
    head : Linear, or sequence of Linear, optional
        One linear layer, or several one after another.
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
    skip : int
        How many of the first features, after ``inputs``, are added to the outputs of the head (a skip connection): as
        many as there are outputs, or one, which is added to each.
    inputs : Scaling, optional
        From the physical units of the features to those of the network.
    branches : sequence of Branch, optional
        Dense layers over some of the features each; what they give stands one behind another in the LSTM's input.
    outputs : Scaling, optional
        From the physical units of the outputs to those of the network: it is undone.
    labels : Labels, optional
        Names of the features and the outputs, and what they measure; a run may give others.

    Attributes
    ----------
    hidden : tuple of Linear
        All layers of the head but the last.
    head : Linear or None
        The last layer of the head.

    Raises
    ------
    ShapeError
        If the parts do not fit together.
    OptionError
        If they contradict each other.
    """

    def __init__(
        self,
        lstm: LSTM,
        *,
        embedding: Array | None = None,
        head: Linear | Sequence[Linear] | None = None,
        reads: str = "every",
        masked: float | None = None,
        masked_output: str = "zeros",
        initial: States | None = None,
        skip: int = 0,
        inputs: Scaling | None = None,
        branches: Sequence[Branch] = (),
        outputs: Scaling | None = None,
        labels: Labels = NO_LABELS,
    ) -> None:
        if not isinstance(lstm, LSTM):
            raise OptionError(f"a network is built around an LSTM, not {type(lstm).__name__}")
        self.lstm, self.reads = lstm, one_of("reads", reads, READS)
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
        layers = head_of(lstm, head)
        self.hidden, self.head = layers[:-1], layers[-1] if layers else None
        self.branches, self.inputs, self.outputs = branches_of(lstm, branches), inputs, outputs
        self.skip = self._skip_of(skip)
        self._require_fitting()
        labels.require(features=self.num_features, outputs=self.num_outputs)
        self.labels = labels

    def _skip_of(self, skip: int) -> int:
        """Return how many features are added to the outputs."""
        if isinstance(skip, bool) or not isinstance(skip, (int, np.integer)) or skip < 0:
            raise OptionError(f"skip must be a non-negative integer, not {skip!r}")
        if not skip:
            return 0
        if self.embedding is not None or self.reads != "every":
            raise OptionError("a skip connection needs features as inputs, and a network that reads every step")
        if self.lstm.bidirectional and self.lstm.merge[-1] == "none":
            raise OptionError("a skip connection needs one output; this LSTM's directions are not merged")
        if skip > self.num_features or skip not in (1, self.num_outputs):
            raise ShapeError(
                f"skip must be 1 or the number of outputs, {self.num_outputs}, and at most the number of features,"
                f" {self.num_features}, not {skip}"
            )
        return int(skip)

    def _require_fitting(self) -> None:
        """Raise an error for parts that do not go together."""
        if self.embedding is not None and (self.inputs is not None or self.branches):
            raise OptionError("a network that takes tokens has an embedding, and neither inputs nor branches")
        if self.masked is not None and (self.inputs is not None or self.branches):
            raise OptionError("masked marks steps of the LSTM's own input: it goes with neither inputs nor branches")
        for name, one, count in (
            ("inputs", self.inputs, self.num_features),
            ("outputs", self.outputs, self.num_outputs),
        ):
            if one is not None and len(one.center) != count:
                raise ShapeError(f"{name} scales {counted(len(one.center), 'feature')}; the network has {count}")

    @property
    def num_features(self) -> int:
        """The number of features that the network takes; with an embedding, that of the LSTM."""
        used = {place for one in self.branches for place in one.features}
        return len(used) or self.lstm.input_size

    @property
    def num_outputs(self) -> int:
        """The number of outputs at a step."""
        return self.lstm.output_size if self.head is None else len(self.head.weight)

    @property
    def dense(self) -> tuple[Linear, ...]:
        """All layers of the head, from the LSTM on."""
        return self.hidden if self.head is None else (*self.hidden, self.head)

    @property
    def num_parameters(self) -> int:
        """The number of parameters, without an initial state."""
        layers = [*self.dense, *(layer for one in self.branches for layer in one.layers)]
        table = 0 if self.embedding is None else self.embedding.size
        return self.lstm.num_parameters + table + sum(layer.num_parameters for layer in layers)

    def readout(self, question: str) -> tuple[Linear | None, Array | None]:
        """Return the head as one linear layer, in the units of the outputs, and the least that these can be.

        A skip connection is left out. Without a head and without scaled outputs there is no such layer. `question`
        begins what is wrong otherwise.

        Raises
        ------
        OptionError
            If the head has several layers, or an activation before its outputs are scaled.
        """
        scaled = self.outputs is not None and self.head is not None and self.head.activation is not None
        if self.hidden or scaled:
            has = f"has {len(self.dense)}" if self.hidden else f"has the activation {self.dense[0].activation} as well"
            raise OptionError(
                f"{question} needs a head of one linear layer, and this network's {has}; ask about the LSTM itself,"
                " its trace.lstm"
            )
        if self.outputs is None:
            return self.head, None
        center, scale = self.outputs.center, self.outputs.scale
        if self.head is None:
            return Linear(np.diag(scale), center), self.outputs.least
        weight = self.head.weight.astype(np.float64) * scale[:, None]
        return Linear(weight, np.asarray(self.head.bias, np.float64) * scale + center), self.outputs.least

    def __call__(self, x: npt.ArrayLike, state: States | None = None, **options: Any) -> tuple[Array, States]:
        """Run over a sequence.

        Parameters
        ----------
        x : array
            Features (time, batch, input) or (time, input), in the units of ``inputs``; with an embedding integers
            (time, batch) or (time,).
        state, **options
            As in a call of `LSTM`.

        Returns
        -------
        y : array
            (time, batch, output) or (time, output), in the units of ``outputs``; with ``reads="last"`` without the
            time.
        state : tuple of tuple of State
        """
        features, tokens = self.embed(x)
        start = self._start(features, state)
        y, state = self.lstm(features, start, **self._masking(features, tokens, options))
        return self.put_out(self._read(y, state), x), state

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
        given = None if (features is x and not self.skip) or tokens is not None else numbers("x", x)
        return NetworkTrace(self, trace, tokens, read, self.put_out(read, x), labels.or_else(trace.labels), given)

    def embed(self, x: npt.ArrayLike) -> tuple[npt.ArrayLike, npt.NDArray[np.integer[Any]] | None]:
        """Return what the LSTM is given for `x`, and the tokens where there is an embedding."""
        if self.embedding is None:
            return self._branched(self.scaled(x)) if self.inputs is not None or self.branches else x, None
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

    def scaled(self, x: npt.ArrayLike) -> Array:
        """Return features in the network's units, given them in their own: after ``inputs``, before the branches."""
        given = numbers("x", x)
        if given.ndim not in (2, 3) or given.shape[-1] != self.num_features:
            raise ShapeError(
                f"x has shape {given.shape}; it must be (time, batch, {self.num_features}) or"
                f" (time, {self.num_features})"
            )
        return (given if self.inputs is None else self.inputs(given)).astype(self.lstm.dtype, copy=False)

    def _branched(self, scaled: Array) -> Array:
        """Return what the LSTM is given."""
        found = [outputs_of(one.layers, scaled[..., list(one.features)])[-1] for one in self.branches]
        return np.concatenate(found, axis=-1) if found else scaled

    def _labelling(self, options: dict[str, Any]) -> tuple[dict[str, Any], Labels]:
        """Return the options for the LSTM, with the labels that are true of it, and the labels of the whole run.

        The names of a head's outputs are not the LSTM's, and neither are those of features before a branch; what a
        feature measures is not in its unit any more once it is scaled.
        """
        given: Any = options.get("labels")
        each = [given] if given is None or isinstance(given, Labels) else list(given)
        if (given is None and self.labels is NO_LABELS) or not all(isinstance(one, Labels | None) for one in each):
            return options, NO_LABELS  # the LSTM says what is wrong with labels that are none
        first, last = (one or NO_LABELS for one in (each[0], each[-1]))
        features, outputs = first.features or self.labels.features, last.outputs or self.labels.outputs
        whole = NO_LABELS.replace(
            features=features, outputs=outputs, measures={**self.labels.measures, **first.measures, **last.measures}
        )
        whole.require(features=self.num_features, outputs=self.num_outputs)
        apart = self.head is not None or self.outputs is not None or self.skip > 0
        each[0] = first.replace(
            features=None if self.branches else features, measures=whole.measures if self.inputs is None else {}
        )
        each[-1] = (each[-1] or NO_LABELS).replace(outputs=None if apart else outputs)
        return {**options, "labels": each if isinstance(given, Sequence) else each[0]}, whole

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

    def put_out(self, read: Array, x: npt.ArrayLike) -> Array:
        """Return the output of the network for what its head reads, and what the network was given."""
        y = outputs_of(self.dense, read)[-1]
        if self.skip:
            y = y + self.scaled(x)[..., : self.skip]
        return y if self.outputs is None else self.outputs.undo(y).astype(self.lstm.dtype)

    def __repr__(self) -> str:
        parts = [] if self.embedding is None else [f"Embedding(vocabulary={len(self.embedding)})"]
        parts += [f"Scaling({len(self.inputs.center)})"] if self.inputs is not None else []
        parts += [repr(one) for one in self.branches]
        parts += [repr(self.lstm), *map(repr, self.dense)]
        parts += [f"+ {counted(self.skip, 'feature')}"] if self.skip else []
        parts += [f"Scaling({len(self.outputs.center)})"] if self.outputs is not None else []
        return f"<Network: {' -> '.join(parts)}, reads {self.reads}, {self.num_parameters:,} parameters>"

    def _repr_html_(self) -> str:
        return inline(self)
