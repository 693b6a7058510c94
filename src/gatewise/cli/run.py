"""Which cell runs on what: the options that walk and check have in common, and the steps that they ask for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Group, Parameter, Token

from gatewise.arrays import Array, require_memory
from gatewise.cli import reading
from gatewise.cli.choices import Coupling, Direction, ExampleName, Init, LayerNorm, Peephole
from gatewise.errors import OptionError, ShapeError, WeightsWarning
from gatewise.examples import EXAMPLES, Example, notebook
from gatewise.labels import Labels
from gatewise.step import State, Step

RUN = Group("The run", sort_key=1)
BACK = Group("The way back", sort_key=2)
PAGE = Group("The page", sort_key=3)
CELL = Group("A new cell", sort_key=4)
VARIANT = Group("Its variant", sort_key=5)
MODEL = Group("A trained model", sort_key=6)


def _integer(kind: object, tokens: Sequence[Token]) -> int:
    """Read an integer as Python does; 1.5 is none."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"it must be an integer, not {tokens[0].value!r}") from None


Integer = Annotated[int | None, Parameter(converter=_integer)]
Count = Annotated[int, Parameter(converter=_integer)]


@Parameter(name="*", group=CELL)
@dataclass(frozen=True)
class CellOptions:
    """Where a new cell's sizes and numbers come from."""

    input_size: Annotated[Integer, Parameter(help="Features of the input; by default as many as x has, or 3.")] = None
    hidden_size: Annotated[Integer, Parameter(help="Units; by default as many as c has, or 2.")] = None
    projection_size: Annotated[Integer, Parameter(help="Size of the projected hidden state.")] = None
    init: Annotated[
        Init | None,
        Parameter(help="How weights are drawn: as in the worked example (the default), or as PyTorch or Keras do."),
    ] = None
    scale: Annotated[float | None, Parameter(help="Of init notebook: what standard normal numbers are times.")] = None
    seed: Annotated[Integer, Parameter(help="Where drawing starts; 1010 by default.")] = None
    forget_bias: Annotated[float | None, Parameter(help="Of init glorot: 1 by default.")] = None
    longest: Annotated[Integer, Parameter(help="Of init chrono: the longest memory in steps, 100 by default.")] = None


_Act = Annotated[str | None, Parameter(help="As name, name:alpha or name:alpha,beta.")]


@Parameter(name="*", group=VARIANT)
@dataclass(frozen=True)
class VariantOptions:
    """The switches of `gatewise.Variant`, under its names."""

    peephole: Annotated[Peephole | None, Parameter(help="Whether gates see the cell state.")] = None
    coupling: Annotated[Coupling | None, Parameter(help="One gate as 1 minus another.")] = None
    gate_clip: Annotated[float | None, Parameter(help="Bound on the gates' pre-activations (ONNX).")] = None
    cell_clip: Annotated[float | None, Parameter(help="Bound on the new cell state (TensorFlow, cuDNN).")] = None
    projection_clip: Annotated[float | None, Parameter(help="Bound on the projected hidden state.")] = None
    layer_norm: Annotated[LayerNorm | None, Parameter(help="Of each gate (TFLite), or as Haste has it.")] = None
    epsilon: Annotated[float | None, Parameter(help="Added to the variance in layer norm.")] = None
    input_activation: _Act = None
    forget_activation: _Act = None
    candidate_activation: _Act = None
    output_activation: _Act = None
    cell_activation: _Act = None


@Parameter(name="*", group=MODEL)
@dataclass(frozen=True)
class ModelOptions:
    """One step of a trained model on a sequence."""

    model: Annotated[
        Path | None, Parameter(help="Of gatewise, PyTorch, Keras, ONNX, or a JSON model; --x gives the sequence.")
    ] = None
    name: Annotated[str | None, Parameter(help="Which LSTM, where the file holds several.")] = None
    settings: Annotated[
        list[str] | None, Parameter(name="--set", negative="", help="What the file leaves out, as NAME=VALUE.")
    ] = None
    layer: Annotated[Integer, Parameter(help="Which layer, from 0 (the default).")] = None
    direction: Annotated[Direction | None, Parameter(help="Of a bidirectional model.")] = None
    at: Annotated[Integer, Parameter(help="Which step of the sequence, from 0 (the default); -1 is the last.")] = None


_Numbers = Parameter(allow_leading_hyphen=True)


@Parameter(name="*", group=RUN)
@dataclass(frozen=True)
class RunOptions:
    """What runs, on what."""

    example: Annotated[
        ExampleName | None,
        Parameter(help="The worked example (the default), or a latch that writes, holds and releases a bit."),
    ] = None
    given: Annotated[
        Path | None,
        Parameter(
            help="A .json, .csv or .npz file of named numbers: W_f (hidden, hidden + input) and b_f, likewise i, g and"
            " o, x, h_prev and c_prev; if wanted dh and dc_next."
        ),
    ] = None
    x: Annotated[
        str | None,
        _Numbers,
        Parameter(
            help="The input: numbers with commas between them, or a .csv or .npy file of one row or of a sequence, a"
            " row a step. The first line of a .csv may name the features; a first column called time or date gives"
            " the times."
        ),
    ] = None
    h: Annotated[str | None, _Numbers, Parameter(help="The previous hidden state.")] = None
    c: Annotated[str | None, _Numbers, Parameter(help="The previous cell state.")] = None
    steps: Annotated[Integer, Parameter(help="How many steps; a single x is the input of each of them.")] = None


@Parameter(name="*", group=BACK)
@dataclass(frozen=True)
class BackOptions:
    """Where the way back begins."""

    dh: Annotated[
        str | None,
        _Numbers,
        Parameter(help="The derivatives of the loss by the last hidden state; by default 1 each: the loss is its sum."),
    ] = None
    dc: Annotated[
        str | None, _Numbers, Parameter(help="The derivatives of the loss by the last cell state; 0 by default.")
    ] = None


@dataclass(frozen=True, eq=False)
class Run:
    """The steps of each row, what is known of the cell, and the derivatives by the last states, where given."""

    rows: list[list[Step]]
    facts: Mapping[str, object]
    dh: Array | None = None
    dc: Array | None = None


def build(
    run: RunOptions | None,
    back: BackOptions | None,
    cell: CellOptions | None,
    variant: VariantOptions | None,
    model: ModelOptions | None,
) -> Run:
    """Return the run that the options describe."""
    runs, backs, cells, switches, files = (given(one) for one in (run, back, cell, variant, model))
    dh, dc = (reading.vector(name, backs[name]) if name in backs else None for name in ("dh", "dc"))
    example, x, h, c, steps = (runs.get(name) for name in ("example", "x", "h", "c", "steps"))
    if "given" in runs:
        refuse("--given", {"example": example, "x": x, "h": h, "c": c, "steps": steps} | cells | files)
        made = _of_given(runs["given"], switches)
        return Run(made.rows, made.facts, made.dh if dh is None else dh, made.dc if dc is None else dc)
    if files:
        if "model" not in files:
            raise OptionError(
                f"--{next(iter(files)).replace('settings', 'set')} belongs to a saved model; --model names its file"
            )
        refuse("--model", {"example": example, "h": h, "c": c} | cells | switches)
        walked, facts = _of_model(files, x, steps)
    elif example == "latch":
        refuse("--example latch", {"x": x, "h": h, "c": c} | cells | switches)
        walked, facts = _of_example(EXAMPLES[example](), steps)
    else:
        walked, facts = _of_new_cell(cells, switches, x, h, c, steps)
    return Run([walked], facts, dh, dc)


def _of_given(path: Path, switches: Mapping[str, Any]) -> Run:
    from gatewise.grading import problem, sheet

    found = problem.of_sheet(sheet.read(path, "given"), switches)
    return Run(found.rows(), {"numbers": f"given in {path}"}, found.dh, found.dc)


STEP = 25_000  # bytes that a step of a small cell takes until it is shown
Walked = tuple[list[Step], Mapping[str, object]]


def given(options: Any) -> dict[str, Any]:
    """Return the options that were given, by name."""
    if options is None:
        return {}
    return {one.name: value for one in fields(options) if (value := getattr(options, one.name)) is not None}


def refuse(owner: str, options: Mapping[str, object]) -> None:
    """Raise OptionError for an option that does not go with another."""
    for name, value in options.items():
        if value is not None:
            raise OptionError(f"--{name.replace('_', '-')} does not go with {owner}")


def _of_example(example: Example, steps: int | None) -> Walked:
    x = _rows(example.x, steps)
    cell, state, walked = example.cell, example.state, []
    times = cell.labels.times
    for n, row in enumerate(x):
        step = cell.step(row, state)
        step.time, step.name = n, None if times is None else str(times[n])
        walked.append(step)
        state = step.state
    return walked, example.facts


def _of_new_cell(
    cells: dict[str, Any], switches: dict[str, Any], x: str | None, h: str | None, c: str | None, steps: int | None
) -> Walked:
    from gatewise.cell import LSTMCell
    from gatewise.parameters import Variant

    given = reading.Given(notebook().x[0]) if x is None else reading.read("x", x)
    old_h, old_c = (None if text is None else reading.vector(name, text) for name, text in (("h", h), ("c", c)))
    default = notebook()
    inputs = cells.pop("input_size", 3 if x is None else given.values.shape[-1])
    like = next((old for old in (old_c, old_h if "projection_size" not in cells else None) if old is not None), None)
    hidden = cells.pop("hidden_size", 2 if like is None else len(like))
    init, seed = cells.pop("init", "notebook"), cells.pop("seed", 1010)
    start = {"seed": seed} if init == "notebook" else {"rng": seed}
    if init == "notebook":
        cells.setdefault("scale", 0.01)
    cell = LSTMCell(inputs, hidden, variant=Variant(**switches), init=init, **start, **cells, dtype=np.float64)
    if x is None:
        given = reading.Given(np.resize(default.x[0], inputs))
    # Where no state is given, the worked example's numbers are repeated as often as it takes.
    state = State(
        np.resize(default.state.h, cell.recurrent_size) if old_h is None else old_h,
        np.resize(default.state.c, hidden) if old_c is None else old_c,
    )
    cells.pop("projection_size", None)
    facts = {"init": init, **cells, "seed": seed}
    sequence = _sequence(given.values, cell.input_size)
    cell = LSTMCell.from_parameters(
        cell.parameters, Labels(features=_features(given, cell.input_size), times=given.times)
    )
    return _of_example(Example(cell, sequence, state, facts), steps)


def _of_model(files: dict[str, Any], x: str | None, steps: int | None) -> Walked:
    path = files["model"]
    contents = reading.inspected(path, files.get("settings"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeightsWarning)
        found = contents.pick(files.get("name"))
    if found.bad:
        raise OptionError(f"{path} holds weights that are not finite numbers: {'; '.join(found.bad)}")
    lstm, network = found.lstm, reading.network_of(contents, found)
    if x is None:
        raise OptionError("--model needs --x, the sequence that it runs on")
    given = reading.read("x", x)
    if network is not None and network.embedding is not None:
        tokens = given.values.reshape(-1)
        if (tokens != np.rint(tokens)).any():
            raise OptionError("x must be whole numbers: the model embeds them")
        given = reading.Given(np.asarray(network.embed(tokens.astype(np.int64))[0]))
    sequence = _sequence(given.values, lstm.input_size)
    names = lstm.layers[0][0].labels
    labels = Labels(_features(given, lstm.input_size) or names.features, None, None, given.times)
    if lstm.num_layers == 1:
        labels = Labels(labels.features, names.units, None, given.times)
    trace = lstm.trace(sequence, labels=labels, engine="reference")  # the same digits on every machine
    layer, direction = files.get("layer", 0), files.get("direction", lstm.directions[0])
    cell = trace[layer, direction]
    at = files.get("at", 0)
    if not -len(sequence) <= at < len(sequence):
        raise OptionError(f"there is no step {at}; x has steps 0 to {len(sequence) - 1}")
    at %= len(sequence)
    count = 1 if steps is None else _count(steps, len(sequence) - at, f"x has {len(sequence)} steps, from {at} on")
    which = {"LSTM": found.name} if len(contents.found) > 1 else {}
    facts = {"model": path, **which, "layer": layer, "direction": direction}
    if count == 1:
        facts["step"] = at if given.times is None else given.times[at]
    walked = [cell.step(t) for t in range(at, at + count)]
    return (walked if direction == "forward" else walked[::-1]), facts


def _sequence(values: Any, features: int) -> Any:
    """Return x as (time, feature); a plain row is one step, or with a single feature a step for each number."""
    if values.ndim == 1:
        values = values[:, None] if features == 1 else values[None]
    if values.shape[1] != features:
        raise ShapeError(f"x has {values.shape[1]} features; this cell takes {features}")
    return values


def _features(given: reading.Given, count: int) -> tuple[str, ...] | None:
    return given.features if given.features is not None and len(given.features) == count else None


def _rows(x: Any, steps: int | None) -> Any:
    """Return the rows of x to walk through; a single row is repeated."""
    if steps is None:
        return x
    if len(x) == 1:
        count = _count(steps, None, "")
        require_memory(count, STEP, f"a walk of {count} steps")
        return np.repeat(x, count, axis=0)
    return x[: _count(steps, len(x), f"x has {len(x)} steps")]


def _count(steps: int, most: int | None, why: str) -> int:
    if steps < 1 or (most is not None and steps > most):
        allowed = "at least 1" if most is None else f"from 1 to {most}, since {why}"
        raise OptionError(f"--steps must be {allowed}, not {steps}")
    return steps
