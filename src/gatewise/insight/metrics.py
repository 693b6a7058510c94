"""Metrics of a model's output: how far it is from what was observed, or from that of the whole model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatewise.activations import SIGMOID, Activation
from gatewise.arrays import Array, Mask, numbers
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.insight.naming import at_step, output_phrase
from gatewise.margins import rounding_margin
from gatewise.network import SOFTMAX, Network, NetworkTrace
from gatewise.records.labels import Labels

LOGITS = "logits"
METRICS = ("error", "accuracy")
ROUNDING = 256  # machine epsilons of the largest output: a smaller difference may be one of rounding


def classes_of(network: Network | None, count: int) -> Activation | str | None:
    """Return how so many outputs stand for classes; None if they are numbers.

    By a softmax, a sigmoid, or, of a model that reads tokens, a logit for each: the next tokens, or the tags of this
    one. Outputs with a measure are numbers.
    """
    if network is not None and network.is_in_graph:
        return network.activation  # type: ignore[attr-defined, no-any-return]
    if network is None or network.head is None or network.outputs is not None or network.skip:
        return None
    activation, table = network.head.activation, network.embedding
    if activation in (SIGMOID, SOFTMAX):
        return activation
    if activation is not None or table is None or count < 2:
        return None
    measured = any(name in network.labels.measures for name in network.labels.outputs or ())
    return None if measured and len(table) != count else LOGITS


class Metric(NamedTuple):
    """A metric of a model's output.

    `of` takes an output with a batch axis; differences up to the `floor` may be of rounding. `words` say what a part
    does to it: it {0}, rises or falls, from {1} to {2} in its `unit`, with which a space comes, as it does with {3},
    `when`. A part changes the `subject`; the `title` names the numbers.
    """

    of: Callable[[Array], Any]
    subject: str = "the metric"
    title: str = "metric"
    words: str = "the metric {0} from {1} to {2}"
    unit: str = ""
    floor: float = 0.0
    when: str = ""

    def clause(self, before: float, after: float) -> str:
        """Return what a part does to the metric, with as many digits as tell both numbers apart."""
        factor = 100 if self.unit == " %" else 1
        pairs = [[f"{factor * number:.{digits}g}" for number in (before, after)] for digits in (3, 6, 17)]
        texts = next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
        words = self.words.removesuffix("s") if texts[1] == "1" and self.words.endswith(" deviations") else self.words
        return words.format("rises" if after > before else "falls", *texts, self.when) + self.unit


def metric_of(whole: NetworkTrace, run: Any, name: str | None, observed: Any, output: int | None = None) -> Metric:
    """Return a metric of outputs, or of one `output`, by its name, or by default the one that suits them.

    `whole` is the run with a batch axis of a network that takes features where that of the `run` takes tokens.
    """
    used, network = compared_rows(whole), run.network or whole.network
    y = whole.output.reshape(*used.shape, whole.output.size // max(used.size, 1))
    classes = classes_of(network, y.shape[-1])
    is_share = y.shape[-1] == 1 and classes == SIGMOID
    by_class = is_share or classes in (SOFTMAX, LOGITS)
    takes_class = y.shape[-1] > 1 and (classes is not None or name == "accuracy")
    values = None if observed is None else fitted(observed, y.shape, takes_class)
    if values is not None and output is not None and values.shape == y.shape:
        values = np.where(np.arange(y.shape[-1]) == output, values, np.nan)
    if values is not None:
        used = used & ~np.isnan(values).all(-1)
        by_class = values.shape != y.shape or (is_share and bool(np.isin(values[used], (0, 1)).all()))
    if not used.any():
        raise OptionError(f"{'a metric needs' if values is None else 'observed has no number at'} a valid step")
    by_name = one_of("metric", name or METRICS[by_class], METRICS)
    metric = (
        _error(y, used, values, run.labels, output)
        if by_name == "error"
        else _accuracy(y, used, values, is_share=is_share)
    )
    return metric._replace(when=f" {at_step(run.lstm.first, whole.num_steps - 1)}") if is_window(whole) else metric


def is_window(run: Any) -> bool:
    """Return whether a run is one window of a network that is evaluated in windows, which puts out its last step."""
    windows = None if run.network is None else run.network.windows
    return windows is not None and run.num_steps == windows.steps


def moved_output(y: Array, used: Mask, output: int, name: str, unit: str) -> Metric:
    """Return the root mean square of the changes of one output (time, batch, output), which has a name and a unit."""
    expected = y[used][:, output].astype(np.float64)
    floor = ROUNDING * float(np.finfo(y.dtype).eps) * (float(np.abs(y[used]).max()) or 1.0)

    def moved(other: Array) -> Any:
        return np.sqrt(np.square(other.reshape(y.shape)[used][:, output] - expected).mean())

    unit = f" {unit}".rstrip()
    return Metric(moved, name, f"change of {name}", f"{name}{{3}} moves by {{2}}", unit, floor)


def _error(y: Array, used: Mask, values: Array | None, labels: Labels, output: int | None) -> Metric:
    """Return the root mean square of the errors, or of the changes of outputs in their standard deviations."""
    expected, scale = (y if values is None else values)[used], np.ones(y.shape[-1])
    if expected.shape[-1] != y.shape[-1]:
        raise OptionError(f"an error needs observed values of all {y.shape[-1]} outputs, not a class")
    units = {labels.measures[name].unit if name in labels.measures else "" for name in labels.outputs or ("",)}
    unit = f" {units.pop()}".rstrip() if len(units) == 1 else ""
    size = float(np.abs(y[used]).max()) or 1.0
    places, floor = ~np.isnan(expected), ROUNDING * float(np.finfo(y.dtype).eps) * size
    subject, title, words = "the error", "error", "the error{3} {0} from {1} to {2}"
    if values is None:
        several = len(scale) > 1 and output is None
        compared = np.ones(len(scale), bool) if output is None else np.arange(len(scale)) == output
        places = np.ones(expected.shape, bool) & compared
        subject, title = "the output", "change of the output"
        named = "the output" if output is None or len(scale) == 1 else output_phrase(_names(labels, len(scale))[output])
        words = "the outputs{3} move by {2}" if several else f"{named}{{3}} moves by {{2}}"
        subject, title = (subject, title) if several else (named, f"change of {named}")
        deviation = size * (expected / size).std(0, dtype=np.float64)
        if (varied := (deviation > floor) & compared).any():
            places, scale, unit = places & varied, np.where(varied, deviation, 1.0), ""
            words += " standard deviations"
            title += " in standard deviations"

    def error(output: Array) -> Any:
        apart = (output.reshape(y.shape)[used] - expected) / scale
        return np.sqrt(np.square(apart[places], dtype=np.float64).mean())

    return Metric(error, subject, title, words, unit, floor / float(scale.min()))


def _names(labels: Labels, count: int) -> tuple[str, ...]:
    labelled = labels.outputs
    return tuple(labelled) if labelled and len(labelled) == count else tuple(map(str, range(count)))


def _accuracy(y: Array, used: Mask, values: Array | None, *, is_share: bool) -> Metric:
    """Return the share of steps whose observed class is predicted, or at which it is not that of the whole model."""
    count = y.shape[-1]

    def predicted(output: Array) -> Any:
        rows = output.reshape(y.shape)[used]
        margin = rounding_margin(rows, axis=-1)
        return rows[:, 0] > 0.5 + margin if count == 1 else (rows >= (rows.max(-1) - margin)[:, None]).argmax(-1)

    expected = predicted(y) if values is None else values[used][:, 0]
    if (count == 1 and not is_share) or (values is not None and values.shape[-1] == count > 1):
        raise OptionError("the accuracy needs an output for each class or a single sigmoid, and one class at each step")
    if not np.isin(expected, range(max(2, count))).all():
        raise OptionError(f"observed classes must be integers from 0 to {max(2, count) - 1}, or NaN")

    def share(output: Array) -> Any:
        return ((predicted(output) == expected) != (values is None)).mean()

    if values is None:
        words = "the share of outputs with another class{3} {0} from {1} to {2}"
        return Metric(share, "the predicted class", "share of other classes", words, " %")
    return Metric(share, "the accuracy", "accuracy", "the accuracy{3} {0} from {1} to {2}", " %")


def compared_rows(run: NetworkTrace) -> Mask:
    """Return the steps (time, batch), or the sequences of a network that reads the last step, that are compared."""
    valid = run.lstm.first.valid
    shape = (run.num_steps, run.batch_size)
    used: Mask = np.ones(shape, bool) if valid is None else np.array(valid).reshape(shape)
    used[: -1 if is_window(run) else 0] = False
    return np.any(used, axis=0) if run.network is not None and run.network.reads == "last" else used


def fitted(observed: Any, shape: tuple[int, ...], takes_class: bool) -> Array:
    """Return what is observed, as float64, in the shape of the outputs, or with one class in the place of them."""
    values, batch = numbers("observed", observed).astype(np.float64), len(shape) - 2
    if np.isinf(values).any():
        raise OptionError("observed must be finite numbers, or NaN where there is none; some are infinite")
    words = "it must be" if takes_class or shape[-1] == 1 else "these outputs are not known to be classes: it must be"
    for expected, meaning in ((shape, ""), ((*shape[:-1], 1), " with a class for each"))[: 1 + takes_class]:
        shapes = [expected, *[expected[:-1]] * (expected[-1] == 1)]
        shapes += [short[:batch] + short[batch + 1 :] for short in shapes if expected[batch] == 1]
        if values.shape in shapes:
            return values.reshape(expected)
        words += f"{', or' * bool(meaning)} {' or '.join(map(str, dict.fromkeys((shapes[-1], expected))))}{meaning}"
    raise ShapeError(f"observed has shape {values.shape}; {words}")
