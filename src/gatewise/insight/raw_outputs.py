"""The outputs of a run as numbers that effects are measured in: logits of classes, else the outputs in their units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.activations import SIGMOID
from gatewise.arrays import Array, Mask
from gatewise.insight.metrics import ROUNDING, classes_of, compared_rows
from gatewise.margins import rounding_margin
from gatewise.network import SOFTMAX, Network


def without_activation(network: Network) -> Network:
    """Return a network without the activation of its head."""
    if network.is_in_graph:
        return network.without_activation()  # type: ignore[attr-defined, no-any-return]
    dense = [*network.dense[:-1], replace(network.dense[-1], activation=None)]
    return network.replace(head=dense)


def before_classes(run: Any) -> Any:
    """Return the run of a network for classes without the activation of its head."""
    network: Any = without_activation(run.network)
    if network.is_in_graph:
        return replace(run, network=network, output=network.outputs_after(run.lstm.output, run.lstm.state, run.input))
    return replace(run, network=network, output=network.apply_head(run.features, None))  # classes have no skip


@dataclass(frozen=True, eq=False)
class RawOutputs:
    """The outputs of a run, before a softmax or a sigmoid.

    Attributes
    ----------
    values : array (time, batch, output)
        Of a network that reads the final states, with one step.
    used : boolean array (time, batch)
        The steps that count: the valid ones; of a window, the last.
    noun : str
        ``logit`` of a class, else ``output``.
    units : tuple of str
        That of each output; empty if it has none.
    classes : str
        How the outputs stand for classes: ``several``, ``one`` (a sigmoid for each), or an empty text.
    names : tuple of str
    """

    values: Array
    used: Mask
    noun: str
    units: tuple[str, ...]
    classes: str
    names: tuple[str, ...]

    @cached_property
    def spread(self) -> Array:
        """The standard deviation (output,) of each output over the steps that count; 0 if it differs by rounding."""
        values = self.values[self.used].astype(np.float64)
        size = np.abs(values).max(0, initial=0.0)
        deviation = (values / np.where(size > 0, size, 1)).std(0) * size
        return np.where(deviation > self.floor, deviation, 0.0)

    @cached_property
    def floor(self) -> float:
        """The largest difference that may be one of rounding."""
        size = float(np.abs(self.values[self.used]).max(initial=0.0))
        return ROUNDING * float(np.finfo(self.values.dtype).eps) * size

    @cached_property
    def predicted(self) -> npt.NDArray[Any] | None:
        """The predicted class at each step that counts, or whether each output is above one half; None for numbers."""
        values = self.values[self.used]
        if self.classes == "one":
            return np.asarray(values > rounding_margin(values))
        if self.classes == "several":
            margin = rounding_margin(values, axis=-1)
            return np.asarray((values >= (values.max(-1) - margin)[:, None]).argmax(-1))
        return None


def raw_outputs(run: Any, before: RawOutputs | None = None) -> RawOutputs:
    """Return the outputs of a run with a batch axis, before a softmax or a sigmoid.

    `before` has those of the run that this one was changed from, whose classes and names these have.
    """
    network = getattr(run, "network", None)
    run = run.lstm if network is None else run  # of a cell, those of its LSTM
    y = run.output
    used = compared_rows(run)
    used = used[None] if used.ndim == 1 else used
    count = y.size // max(1, used.size)
    kind = classes_of(network, count)
    if kind in (SOFTMAX, SIGMOID):
        y = before_classes(run).output
    if before is not None:
        return replace(before, values=y.reshape(*used.shape, count))
    labelled = run.labels.outputs
    names = tuple(labelled) if labelled and len(labelled) == count else tuple(map(str, range(count)))
    measures = run.labels.measures
    units = tuple(measures[name].unit if kind is None and name in measures else "" for name in names)
    classes = "" if kind is None else "one" if kind == SIGMOID else "several"
    return RawOutputs(y.reshape(*used.shape, count), used, "output" if kind is None else "logit", units, classes, names)
