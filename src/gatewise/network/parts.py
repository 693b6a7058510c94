"""Parts: the parts of a network before and after its LSTM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gatewise.arrays import AXES, SEQUENCE, Array, Mask, array_of, frozen, numbers
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.layers import LSTM
from gatewise.layers.arguments import settled_state
from gatewise.layers.merging import MASKED_OUTPUTS
from gatewise.layers.stack import States, map_states
from gatewise.network.dense import Branch, Linear, Scaling, chain_of, outputs_of
from gatewise.network.windows import Windows
from gatewise.records.labels import NO_LABELS, Labels, Measure
from gatewise.records.named_input import named_input
from gatewise.records.named_numbers import is_labelled, is_table
from gatewise.records.times import TimeStep
from gatewise.showing import counted, inline

READS = ("every", "last")
PARTS = (  # arguments that are attributes too; the head's layers are `dense`
    *("lstm", "embedding", "reads", "masked", "masked_output", "initial"),
    *("skip", "inputs", "branches", "outputs", "windows", "time_step", "labels"),
)
Tokens = npt.NDArray[np.integer[Any]]


class Parts:
    """An LSTM with what a model has around it; see `gatewise.network.Network`, which runs it."""

    provenance: Any = None  # where a reader of `interop` found it
    is_in_graph = False  # whether a graph is around the LSTM: see `LSTMInGraph`

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
        windows: Windows | None = None,
        time_step: str | None = None,
        labels: Labels = NO_LABELS,
    ) -> None:
        if not isinstance(lstm, LSTM):
            raise OptionError(f"a Network needs an LSTM, not {type(lstm).__name__}")
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
        layers = _head_of(lstm, head)
        self.dense = layers  # all layers of the head, from the LSTM on
        self.hidden, self.head = layers[:-1], layers[-1] if layers else None
        self.branches, self.inputs, self.outputs = _branches_of(lstm, branches), inputs, outputs
        self.skip, self.windows, self.time_step = self._skip_of(skip), windows, time_step
        if time_step is not None and TimeStep.of(time_step) is None:
            raise OptionError(f"time_step must be a frequency such as 1D, 3h, 15min or 1MS, not {time_step!r}")
        self._require_fitting()
        labels.require(features=self.num_features, outputs=self.num_outputs)
        self.labels = labels

    def replace(self, **parts: Any) -> Self:
        """Return the network with other parts, given as the arguments of `Network`."""
        own = {name: getattr(self, name) for name in PARTS}
        network = type(self)(**{**own, "head": self.dense, **parts})
        network.provenance = self.provenance
        return network

    def _skip_of(self, skip: int) -> int:
        """Return the checked number of features that a network's skip connection adds to the outputs."""
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
        """Raise an error for parts of a network that do not go together."""
        if self.embedding is not None and (self.inputs is not None or self.branches):
            raise OptionError("a network with an embedding takes tokens. Leave out inputs and branches.")
        if self.masked is not None and (self.inputs is not None or self.branches):
            raise OptionError("masked marks steps of the LSTM's own input. Leave out inputs and branches, or masked.")
        if self.windows is not None and not (self.embedding is None and self.masked is None and self.reads == "every"):
            raise OptionError("windows need features as inputs, no masked steps, and reads='every'")
        sizes = ("inputs", self.inputs, self.num_features), ("outputs", self.outputs, self.num_outputs)
        for name, scaling, count in sizes:
            if scaling is not None and len(scaling.center) != count:
                raise ShapeError(f"{name} scales {counted(len(scaling.center), 'feature')}; the network has {count}")

    @property
    def num_features(self) -> int:
        """The number of features that the network takes; with an embedding, that of the LSTM."""
        used = {place for branch in self.branches for place in branch.features}
        return len(used) or self.lstm.input_size

    @property
    def outputs_are_states(self) -> bool:
        """Whether the outputs are hidden states of the LSTM, since there is no head."""
        return self.head is None

    def of_sequences(self, places: Any) -> Self:
        """Return the network as it runs over some sequences of a batch: the same for each, unless they have inputs."""
        return self

    @property
    def feature_names(self) -> Sequence[str] | None:
        """The names of the features that the network takes; None where they have none."""
        return self.labels.features or (None if self.branches else self.lstm.feature_names)

    @property
    def num_outputs(self) -> int:
        """The number of outputs at a step."""
        return self.lstm.output_size if self.head is None else len(self.head.weight)

    @property
    def numbers_of_step(self) -> int:
        """The numbers that a run holds of a step of a sequence, beside what it keeps."""
        return self.num_features + sum(cell.hidden_size for row in self.lstm.layers for cell in row)

    @property
    def num_parameters(self) -> int:
        """The number of parameters of the network, without an initial state."""
        layers = [*self.dense, *(layer for branch in self.branches for layer in branch.layers)]
        table = 0 if self.embedding is None else self.embedding.size
        return self.lstm.num_parameters + table + sum(layer.num_parameters for layer in layers)

    def readout(self, question: str) -> tuple[Linear | None, Array | None]:
        """Return the head as one linear layer, in the units of the outputs, and the least that these can be.

        A skip connection is left out. Without a head and without scaled outputs there is no such layer. OptionError,
        whose sentence begins with `question`, refuses several layers, and an activation before outputs are scaled.
        """
        scaled = self.outputs is not None and self.head is not None and self.head.activation is not None
        if self.hidden or scaled:
            has = f"has {len(self.dense)}" if self.hidden else f"has the activation {self.dense[0].activation} as well"
            raise OptionError(
                f"{question} needs a head of one linear layer, and this network's {has}. Ask about its LSTM, as"
                " trace.lstm."
            )
        if self.outputs is None:
            return self.head, None
        center, scale = self.outputs.center, self.outputs.scale
        if self.head is None:
            return Linear(np.diag(scale), center), self.outputs.least
        weight = self.head.weight.astype(np.float64) * scale[:, None]
        return Linear(weight, np.asarray(self.head.bias, np.float64) * scale + center), self.outputs.least

    def embed(self, x: npt.ArrayLike) -> tuple[npt.ArrayLike, Tokens | None]:
        """Return the input of the network's LSTM for `x`, and the tokens if there is an embedding."""
        if is_table(x) or is_labelled(x):
            x = named_input(x, None, self.feature_names, tokens=self.embedding is not None).x
        if self.embedding is None:
            return self._branched(self.scaled(x)) if self.inputs is not None or self.branches else x, None
        try:
            tokens = np.array(array_of("x", x, (AXES[:2],)))  # a copy: a trace holds on to it
        except ShapeError:
            raise ShapeError("x must be integers (time, batch) or (time,), in sequences of equal lengths") from None
        if tokens.dtype.kind not in "iu" or tokens.ndim not in (1, 2):
            raise ShapeError(f"x must be integers (time, batch) or (time,), not {tokens.dtype} of {tokens.shape}")
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < len(self.embedding):
            raise OptionError(
                f"x must lie between 0 and {len(self.embedding) - 1}, but has {tokens.min()} to {tokens.max()}"
            )
        return self.embedding[tokens], tokens

    def scaled(self, x: npt.ArrayLike) -> Array:
        """Return input features in the network's units, given in their own: after ``inputs``, before the branches."""
        features = self.checked_features(x)
        return (features if self.inputs is None else self.inputs(features)).astype(self.lstm.dtype, copy=False)

    def checked_features(self, x: npt.ArrayLike) -> Array:
        """Return input features in their own units, as numbers (time, batch, input) or (time, input)."""
        features = numbers("x", x, None, SEQUENCE)
        if features.ndim not in (2, 3) or features.shape[-1] != self.num_features:
            raise ShapeError(
                f"x has shape {features.shape}; it must be (time, batch, {self.num_features}) or"
                f" (time, {self.num_features})"
            )
        return features

    def _branched(self, scaled: Array) -> Array:
        """Return the input of the LSTM: the outputs of the branches side by side."""
        outputs = [outputs_of(branch.layers, scaled[..., list(branch.features)])[-1] for branch in self.branches]
        return np.concatenate(outputs, axis=-1) if outputs else scaled

    def initial_state(self, batch_size: int | None) -> States | None:
        """Return the network's initial state, repeated for `batch_size` sequences; None for zeros."""
        if self.initial is None:
            return None
        rows = () if batch_size is None else (batch_size,)
        return map_states(lambda array: np.broadcast_to(array, (*rows, *array.shape)), self.initial)

    def valid_steps(self, features: npt.ArrayLike, tokens: Tokens | None) -> Mask | None:
        """Return the steps whose input is not the network's mark of invalid ones; None if it has no mark."""
        if self.masked is None:
            return None
        if tokens is not None:
            return np.asarray(tokens != self.masked)
        x = numbers("x", features, self.lstm.dtype)
        valid: Mask = (x != x.dtype.type(self.masked)).any(-1)
        return valid

    def predict(self, read: Array, x: npt.ArrayLike) -> Array:
        """Return the output of the network for what its head reads, and what the network was given."""
        return self.apply_head(read, self.scaled(x) if self.skip else None)

    def apply_head(self, read: Array, scaled: Array | None) -> Array:
        """Return the network's output: its dense layers over `read`, plus a skip connection, in the outputs' units."""
        y = read
        for layer in self.dense:
            y = layer(y)
        if self.skip and scaled is not None:
            y = y + scaled[..., : self.skip]
        return y if self.outputs is None else self.outputs.undo(y).astype(self.lstm.dtype)

    def split_labels(self, options: dict[str, Any]) -> tuple[dict[str, Any], Labels]:
        """Return the options for the network's LSTM, with the labels true of it, and the labels of the whole run.

        The names of a head's outputs are not the LSTM's, and neither are those of features before a branch; what a
        feature measures is not in its unit any more once it is scaled.
        """
        labels: Any = options.get("labels")
        each = [labels] if labels is None or isinstance(labels, Labels) else list(labels)
        if (labels is None and self.labels is NO_LABELS) or not all(isinstance(names, Labels | None) for names in each):
            return options, NO_LABELS  # the LSTM says what is wrong with labels that are none
        first, last = (names or NO_LABELS for names in (each[0], each[-1]))
        features, outputs = first.features or self.labels.features, last.outputs or self.labels.outputs
        combined = NO_LABELS.replace(
            features=features, outputs=outputs, measures={**self.labels.measures, **first.measures, **last.measures}
        )
        combined.require(features=self.num_features, outputs=self.num_outputs)
        apart = self.head is not None or self.outputs is not None or self.skip > 0
        scaled = dict.fromkeys(features or (), Measure("scaled"))  # in no unit
        each[0] = first.replace(
            features=None if self.branches else features, measures=combined.measures if self.inputs is None else scaled
        )
        each[-1] = (each[-1] or NO_LABELS).replace(outputs=None if apart else outputs)
        return {**options, "labels": each if isinstance(labels, Sequence) else each[0]}, combined

    def __repr__(self) -> str:
        parts = [] if self.embedding is None else [f"Embedding(vocabulary={len(self.embedding)})"]
        parts += [f"Scaling({len(self.inputs.center)})"] if self.inputs is not None else []
        parts += [repr(branch) for branch in self.branches]
        parts += [repr(self.lstm), *map(repr, self.dense)]
        parts += [f"+ {counted(self.skip, 'feature')}"] if self.skip else []
        parts += [f"Scaling({len(self.outputs.center)})"] if self.outputs is not None else []
        windows = "" if self.windows is None else f", in windows of {counted(self.windows.steps, 'step')}"
        return f"<Network: {' -> '.join(parts)}, reads {self.reads}{windows}, {self.num_parameters:,} parameters>"

    def _repr_html_(self) -> str:
        return inline(self)


def _head_of(lstm: LSTM, head: Linear | Sequence[Linear] | None) -> tuple[Linear, ...]:
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


def _branches_of(lstm: LSTM, branches: Sequence[Branch]) -> tuple[Branch, ...]:
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
        raise OptionError(f"no branch takes feature {min(missing)}; together, the branches must take all of them")
    return chains
