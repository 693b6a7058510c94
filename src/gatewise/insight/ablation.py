"""What do its parts carry? A metric of a model with its parts disabled, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array, quiet, size
from gatewise.errors import OptionError, join_names
from gatewise.insight.answer import Answer
from gatewise.insight.metrics import Metric, is_window, metric_of, moved_output
from gatewise.insight.naming import duration_of, of_cell, output_of, output_phrase, step_duration, unit_names
from gatewise.insight.raw_outputs import before_classes, raw_outputs
from gatewise.insight.retention import require_range, stored_run
from gatewise.insight.silencing import has_silencing_masks, input_of, outputs_without, run_again
from gatewise.layers import LSTM
from gatewise.margins import TIE, largest_first
from gatewise.network import Network, NetworkTrace
from gatewise.progress import working
from gatewise.records.edits import Edit
from gatewise.records.trace import LSTMTrace, Trace
from gatewise.showing import counted

Edits = Edit | Sequence[Edit]
NOUNS = {"units": "unit", "gates": "gate", "layers": "layer"}  # of parts
DONE = {
    "unit": "silenced (output gate 0)",
    "gate": "left out (always 1)",
    "layer": "silenced (output gates 0)",
    "edit": "made",
}
GATES = ("input_gate", "forget_gate", "output_gate")
SEVERAL = 5  # parts, from which on they have a median
MIN_STEPS = 10  # whose spread is a unit
PART = 0.1 * (1 - TIE)  # of the largest effect: parts with as much are counted


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(Answer):
    """The metric of a model with its parts disabled, one at a time.

    Attributes
    ----------
    unedited : float
        The metric of the unchanged model.
    names : tuple of str
        The names of the edits, the largest effect first.
    edits : tuple of tuple of Edit
    metrics : array (edits,)
    effects : array (edits,)
        The metric less the unedited one.
    title : str
        The name of the metric, with its unit.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> answer = gw.insight.ablation(gw.LSTM.from_cells(cell), x, lambda y: y[-1, 0])
    >>> answer.names, answer.effects.round(2)
    (('unit latch',), array([-0.75]))
    """

    unedited: float
    names: tuple[str, ...]
    edits: tuple[tuple[Edit, ...], ...]
    metrics: Array
    effects: Array
    title: str


@quiet
def ablation(
    model: LSTM | Network | LSTMTrace | NetworkTrace | Trace,
    x: Any = None,
    metric: str | Callable[[Any], Any] | None = None,
    parts: str | Mapping[str, Edits] | Sequence[Edits] = "units",
    *,
    observed: npt.ArrayLike | None = None,
    output: int | str | None = None,
    most: int | None = None,
    **options: Any,
) -> Ablation:
    """Return a metric of the output with each unit, each gate, or something else disabled, one at a time.

    Greff et al., "LSTM: A Search Space Odyssey" (2017), removed one part of the LSTM at a time: without its input,
    forget or output gate, a cell has that gate always at 1. They retrained each variant; here the weights stay.

    Parameters
    ----------
    model : LSTM or Network; or NetworkTrace, LSTMTrace or Trace
        A model, or a run of one that kept everything, in the place of what follows and the options.
    x : array
        The input of the model, as its call takes it.
    metric : {"error", "accuracy"} or callable, optional
        The root mean square of the errors, the share of correct classes, or a function of the output that returns a
        number. By default the accuracy of classes (after a softmax or a sigmoid, or of a logit for each token; nothing
        else is compared with a class), and the error of numbers. Where nothing is observed, the output is compared with
        that of the whole model: the change of numbers, in standard deviations of each output (in its own units if none
        varies), and the share of classes that change.
    parts : {"units", "gates", "layers"}, mapping of str to edits, or sequence of edits
        Silence each unit or each layer (its output gates are 0), or leave out each gate of each layer and direction (it
        is 1), or make these edits: each an `Edit` or a sequence of them that act together, by name in a mapping.
    observed : array, optional
        What was observed of the outputs, in their shape with the time first, or a class for each step (with
        ``reads="last"`` for each sequence). NaN, and steps that are not valid, are left out.
    output : int or str, optional
        The output that is compared, by its number or name: of classes its logit, if nothing is observed. By default all
        outputs are.
    most : int, optional
        The most units to silence: those that put out most (the root mean square of the hidden state). By default all.
    **options
        As in `LSTM.trace`: ``state``, ``lengths``, ``mask``, ``dropout``, ``masked_output``, ``axes``.

    Returns
    -------
    Ablation
        With a row for each edit, the largest effect first: ``edit``, ``metric``, ``effect``.

    Raises
    ------
    OptionError
        If there is nothing to edit, an edit does not fit, the metric is not a finite number, or the run has edits.
    ShapeError
        If what is observed has another shape.
    NotKeptError
        If the run did not keep everything.

    Notes
    -----
    Each row is the metric of a run with these edits. Units run in copies of the batch, several at a time, in their
    layer and those above it; under a projection, with an initial hidden state, with dropout masks, and where two
    directions are added or multiplied, one by one on the reference engine, as all other edits do. Of one window of a
    model that is evaluated in windows, the last step alone is compared. A silenced unit puts out 0, also where it never
    does so by itself; without a head, that is one of the outputs. There is no law.

    Examples
    --------
    >>> from gatewise.examples import latch
    >>> cell, x, *_ = latch()
    >>> lstm, forgetful = gw.LSTM.from_cells(cell), gw.Edit.set("forget_gate", 0)
    >>> answer = ablation(lstm, x, lambda y: y[-1, 0], {"it forgets": forgetful})
    >>> print(answer)
    With 'it forgets' the metric falls from 0.75 to 0.
    """
    is_model = isinstance(model, (LSTM, Network))
    if not is_model and stored_run(model) is not None and (x is not None or options):
        raise OptionError(
            "the run already has its input and options. Leave them out, or pass the model instead of its run."
        )
    if reserved := sorted({"edit", "keep", "units", "every", "out", "engine"} & set(options)):
        raise OptionError(f"an ablation sets {reserved[0]} itself. Leave it out, and pass edits as parts=.")
    source: Any = model.trace(x, **options) if isinstance(model, (LSTM, Network)) else model
    run: Any = stored_run(source)
    run.require_unedited("an ablation")
    run.require("an ablation")
    require_range(run.lstm.first)
    every = dict(_edits_of(run, parts))
    if not every:
        raise OptionError("there is nothing to ablate. Pass at least one edit as parts=.")
    if most is not None and parts != "units":
        raise OptionError("most is a limit on units. Leave it out, or pass parts='units'.")
    edits_by_name = _most_active(run, every, size("most", most)) if most is not None else every
    by_masks = parts == "units" and has_silencing_masks(run)
    base = run_again(run, engine="auto" if by_masks else "reference")
    raw, place = raw_outputs(run), None
    if output is not None:
        if callable(metric):
            raise OptionError("output is for the metrics error and accuracy. With a function as metric, leave it out.")
        place = output_of(output, raw.names, len(raw.names))
    in_own_unit = place is not None and (raw.noun == "logit" or raw.units[place] or _says_little(run))
    if place is not None and metric is None and observed is None and in_own_unit:
        name = "the output" if len(raw.names) == 1 and not raw.units[place] else output_phrase(raw.names[place])
        if raw.noun == "logit":
            name = f"the logit of {name}"
            if run.network.is_in_graph or run.network.head.activation is not None:
                base = before_classes(base)
        when = metric_of(base, run, metric, observed).when
        chosen = moved_output(raw_outputs(base, raw).values, raw.used, place, name, raw.units[place])._replace(
            when=when
        )
    elif not callable(metric):
        chosen = metric_of(base, run, metric, observed, place)
    elif observed is None:
        chosen = Metric(lambda y: metric(y if source.batched else y.squeeze(int(y.ndim > 2))))
    else:
        raise OptionError("observed is for the metrics error and accuracy. With a function as metric, leave it out.")
    with working("ablating", len(edits_by_name)) as done:
        unedited = _finite_metric(chosen.of(base.output), "the unchanged model")
        metrics = np.empty(len(edits_by_name))
        outputs = _outputs_without(base, [*edits_by_name.values()], by_masks=by_masks)
        for row, (name, values) in enumerate(zip(edits_by_name, outputs, strict=True)):
            metrics[row] = _finite_metric(chosen.of(values), name)
            done(1)
    effects = np.where(np.abs(metrics - unedited) > chosen.floor, metrics - unedited, 0.0)
    order = largest_first(np.abs(effects), dtype=run.lstm.first.parameters.dtype)
    names, noun = tuple(np.array(list(edits_by_name))[order].tolist()), NOUNS.get(str(parts), "edit")
    return Ablation(
        columns={"edit": np.array(names), "metric": metrics[order], "effect": effects[order]},
        sentence=_sentence(names, chosen, unedited, effects[order], len(every), noun),
        reading=tuple(_reading(run, names, effects[order], len(every), noun)),
        unedited=unedited,
        names=names,
        edits=tuple(edits_by_name[name] for name in names),
        metrics=metrics[order],
        effects=effects[order],
        title=f"{chosen.title} ({chosen.unit.strip()})" if chosen.unit else chosen.title,
    )


def _says_little(run: Any) -> bool:
    """Return whether the spread of an output says little: of a few steps, or of an input that never changes."""
    x = input_of(run, "an ablation")
    valid = np.ones(x.shape[:2], bool) if run.lstm.first.valid is None else run.lstm.first.valid
    return bool(valid.sum() < MIN_STEPS or not np.ptp(x[valid], axis=0).any())


def _edits_of(run: Any, parts: Any) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Yield the edits of an ablation with their names, from the user's choice of parts."""
    if isinstance(parts, str) and parts in NOUNS:
        yield from _standard_edits(run, parts)
        return
    if isinstance(parts, Mapping):
        named = [(str(name), _edit_tuple(edits)) for name, edits in parts.items()]
    elif isinstance(parts, Sequence) and not isinstance(parts, str):
        tuples = [_edit_tuple(edits) for edits in parts]
        named = [("; ".join(map(str, edits)), edits) for edits in tuples]
    else:
        raise OptionError(f"parts must be {join_names(NOUNS)}, or edits in a mapping or a sequence, not {parts!r}")
    yield from named
    if len(dict(named)) < len(named):
        raise OptionError("the edits of an ablation must differ from each other, or have different names")


def _edit_tuple(edits: Any) -> tuple[Edit, ...]:
    """Return one part of an ablation as a tuple of edits; raise OptionError if it is none."""
    several = (edits,) if isinstance(edits, Edit) else tuple(edits) if isinstance(edits, Sequence) else ()
    if not several or not all(isinstance(edit, Edit) for edit in several):
        raise OptionError(f"an ablation takes Edits, or sequences of them, not {edits!r}")
    return several


def _standard_edits(run: Any, parts: str) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Yield the edits of an ablation that disable each unit, gate or layer, with their names."""
    lstm = run.lstm
    if parts == "layers":
        for layer in range(lstm.num_layers):
            yield f"layer {layer}", (Edit.set("output_gate", 0.0, layer=layer),)
        return
    for (layer, direction), cell in lstm.cells().items():
        where = of_cell(layer, direction, lstm.num_layers, len(lstm.directions))
        if parts == "units":
            for unit, name in enumerate(unit_names(cell)):
                edit = Edit.set("output_gate", 0.0, units=unit, layer=layer, direction=direction)
                yield f"unit {name}{where}", (edit,)
        else:
            for gate in GATES:
                edit = Edit.set(gate, 1.0, layer=layer, direction=direction)
                yield f"no {gate.replace('_', ' ')}{where}", (edit,)


def _most_active(run: Any, edits_by_name: dict[str, Any], most: int) -> dict[str, Any]:
    """Return the edits of the units that put out most, at most so many: by the root mean square of what they do."""
    sizes = {}
    for key, cell in run.cells().items():
        states = cell.hidden_state if cell.parameters.projection is None else cell.unprojected_state
        sizes[key] = np.nanmean(np.square(states, dtype=np.float64), axis=(0, 1))
    of_units = [sizes[edit.layer, edit.direction][edit.units[0]] for (edit,) in edits_by_name.values()]
    chosen = np.sort(largest_first(of_units, most))
    return dict(np.array([*edits_by_name.items()], object)[chosen].tolist())


def _outputs_without(base: NetworkTrace, edits: Sequence[tuple[Edit, ...]], *, by_masks: bool) -> Iterator[Array]:
    """Yield the output of a run with each of some edits, in their order, which is that of its cells."""
    if not by_masks:
        for each in edits:
            yield run_again(base, keep=(), engine="reference", edit=each).output
        return
    for key in base.cells():
        units = [edit.units[0] for (edit,) in edits if (edit.layer, edit.direction) == key]
        yield from outputs_without(base, key, units)


def _finite_metric(metric: Any, name: str) -> float:
    """Return the metric of an ablated model's output as a float; raise OptionError if it is not finite."""
    try:
        value = float(metric)
    except (TypeError, ValueError):
        raise OptionError(f"the metric must return a number; of {name} it is a {type(metric).__name__}") from None
    if not np.isfinite(value):
        raise OptionError(f"the metric must return a finite number; of {name} it is {value}")
    return value


# In words.


def _sentence(names: Sequence[str], metric: Metric, unedited: float, effects: Array, total: int, noun: str) -> str:
    """Return the sentence of an ablation: what its largest effect is, and how many others compare with it."""
    parts = counted(len(names), noun)
    if len(names) < total:
        parts = f"the {parts} that {'was' if len(names) == 1 else 'were'} silenced, of {total:,},"
    if not effects.any():
        return f"None of {parts} changes {metric.subject}."
    part = {"gate": f"With {names[0]}", "edit": f"With {names[0]!r}"}.get(noun, f"Without {names[0]}")
    sentence = f"{part} {metric.clause(unedited, unedited + effects[0])}"
    if len(names) == 1:
        return f"{sentence}."
    count = int((np.abs(effects[1:]) >= PART * abs(effects[0])).sum())
    others = f"{count:,} other{'s have' if count > 1 else ' has'} at least" if count else "no other has"
    return f"{sentence}; of {parts.rstrip(',')}, {others} a tenth of that effect."


def _reading(run: Any, names: Sequence[str], effects: Array, total: int, noun: str) -> Iterator[str]:
    """Yield what an ablation did, a sentence each."""
    time = duration_of(run.num_steps, step_duration(run.lstm.first))
    rank = ""
    if len(names) > 1 and effects.any():
        shares = (100 * abs(effect / effects[0]) for effect in (effects[1], np.median(np.abs(effects))))
        next_share, median = (float(f"{share:.2g}") for share in shares)
        rank = f"; the next, {names[1]}, has {next_share:g} % of the largest effect"
        rank += f", and the median {median:g} %" if len(names) >= SEVERAL else ""
    yield f"Tested: {counted(len(names), noun)} {DONE[noun]}, each in a run of its own over {time}{rank}."
    if len(names) < total:
        yield f"Of {total:,} units, these are the ones with the largest hidden states; the others were not silenced."
    if is_window(run):
        yield "Of the window, its last step is compared, which alone the model puts out."
