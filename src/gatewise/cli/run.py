"""Which cell runs on what: the options that walk and check have in common, and the steps that they ask for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Group, Parameter, Token

from gatewise import gates
from gatewise.arrays import Array
from gatewise.cli import reading
from gatewise.cli.choices import Coupling, Direction, ExampleName, Init, LayerNorm, Peephole
from gatewise.cli.stepping import steps_of
from gatewise.errors import OptionError, ShapeError, WeightsWarning
from gatewise.examples import EXAMPLES, Example, notebook
from gatewise.layers import LSTM
from gatewise.step import Labels, State, Step

RUN = Group("What runs", sort_key=1)
SHOWN = Group("What is shown", sort_key=2)
BACK = Group("Backward pass", sort_key=3)
OUTPUT = Group("Output", sort_key=4)
CELL = Group("A new cell", sort_key=5)
VARIANT = Group("Its variant", sort_key=6)
MODEL = Group("A trained model", sort_key=7)


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
    """The sizes and the random weights of a new cell."""

    input_size: Annotated[Integer, Parameter(help="Number of input features. Default: as many as x has, else 3.")] = (
        None
    )
    hidden_size: Annotated[
        Integer, Parameter(help="Number of hidden units. Default: as many as c or h has, else 2.")
    ] = None
    projection_size: Annotated[
        Integer, Parameter(help="Size of the projected hidden state. Default: no projection.")
    ] = None
    init: Annotated[
        Init | None,
        Parameter(
            help="How to draw the weights: as in the worked example (notebook, the default), as PyTorch does, as Keras"
            " does (glorot), or for long memories (chrono)."
        ),
    ] = None
    scale: Annotated[
        float | None, Parameter(help="Scale of the random weights (with --init notebook). Default: 0.01.")
    ] = None
    seed: Annotated[Integer, Parameter(help="Random seed. Default: 1010.")] = None
    forget_bias: Annotated[
        float | None, Parameter(help="Bias of the forget gate (with --init glorot). Default: 1.")
    ] = None
    longest: Annotated[Integer, Parameter(help="Longest memory, in steps (with --init chrono). Default: 100.")] = None


@Parameter(name="*", group=VARIANT)
@dataclass(frozen=True)
class VariantOptions:
    """The switches of `gatewise.Variant`, under its names; the five nonlinearities are one option."""

    peephole: Annotated[Peephole | None, Parameter(help="Whether the gates also see the cell state.")] = None
    coupling: Annotated[
        Coupling | None, Parameter(help="Couple the input and the forget gate: one is 1 minus the other.")
    ] = None
    gate_clip: Annotated[float | None, Parameter(help="Clip the gates' pre-activations to [-value, value] (ONNX).")] = (
        None
    )
    cell_clip: Annotated[
        float | None, Parameter(help="Clip the new cell state to [-value, value] (TensorFlow, cuDNN).")
    ] = None
    projection_clip: Annotated[float | None, Parameter(help="Clip the projected hidden state to [-value, value].")] = (
        None
    )
    layer_norm: Annotated[
        LayerNorm | None, Parameter(help="Layer normalization: of each gate (TFLite), or as in Haste.")
    ] = None
    epsilon: Annotated[float | None, Parameter(help="Added to the variance in layer normalization.")] = None
    activation: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="Another nonlinearity, as GATE=NAME, NAME:ALPHA or NAME:ALPHA,BETA: for example"
            " input_gate=hard_sigmoid:0.2,0.5. GATE is input_gate, forget_gate, candidate, output_gate, or cell_state"
            " for the one of the output; or its letter, i, f, g, o or c. May be given several times.",
        ),
    ] = None


@Parameter(name="*", group=MODEL)
@dataclass(frozen=True)
class ModelOptions:
    """A cell of a trained model."""

    model: Annotated[
        Path | None,
        Parameter(help="A file of gatewise, PyTorch, Keras, ONNX, or a JSON model. --x gives the input sequence."),
    ] = None
    name: Annotated[str | None, Parameter(help="Which LSTM, where the file holds several.")] = None
    settings: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            negative="",
            help="A setting that the file does not record, as NAME=VALUE. May be given several times.",
        ),
    ] = None
    layer: Annotated[Integer, Parameter(help="Which layer, counted from 0. Default: 0.")] = None
    direction: Annotated[
        Direction | None, Parameter(help="Which direction of a bidirectional layer. Default: forward.")
    ] = None


_Numbers = Parameter(allow_leading_hyphen=True)


@Parameter(name="*", group=RUN)
@dataclass(frozen=True)
class RunOptions:
    """What runs, on what."""

    example: Annotated[
        ExampleName | None,
        Parameter(
            help="A ready-made example: the worked example (notebook, the default), or a cell that writes, holds and"
            " releases one bit (latch)."
        ),
    ] = None
    given: Annotated[
        Path | None,
        Parameter(
            help="A .json, .csv or .npz file with weights and inputs of your own, by name: W_f (hidden, hidden + input)"
            " and b_f, likewise for i, g and o; x, h_prev and c_prev; optionally dh and dc_next."
        ),
    ] = None
    x: Annotated[
        str | None,
        _Numbers,
        Parameter(
            help="The input: numbers separated by commas, or a .csv or .npy file with one step in each row. The first"
            " line of a .csv file may name the features; a first column called time or date names the steps."
        ),
    ] = None
    h: Annotated[
        str | None, _Numbers, Parameter(help="The previous hidden state. Default: zero, if x or c is given.")
    ] = None
    c: Annotated[
        str | None, _Numbers, Parameter(help="The previous cell state. Default: zero, if x or h is given.")
    ] = None
    steps: Annotated[
        Integer, Parameter(help="How many steps to run. Default: all of x. An x of one step is repeated.")
    ] = None
    at: Annotated[
        Integer, Parameter(group=SHOWN, help="Only this step, counted from 0; negative numbers count from the end.")
    ] = None


@Parameter(name="*", group=BACK)
@dataclass(frozen=True)
class BackOptions:
    """The loss that the backward pass starts from."""

    dh: Annotated[
        str | None,
        _Numbers,
        Parameter(
            help="Gradient of the loss with respect to the last hidden state. Default: all ones, that is, the loss is"
            " the sum of the last hidden state."
        ),
    ] = None
    dc: Annotated[
        str | None,
        _Numbers,
        Parameter(help="Gradient of the loss with respect to the last cell state. Default: zero."),
    ] = None


@dataclass(frozen=True, eq=False)
class Run:
    """What the options describe.

    Attributes
    ----------
    sequences : list of sequence of Step
        The steps of each sequence of the batch, in the order in which they run.
    facts : mapping
        What is known of the cell.
    dh, dc : array or None
        The gradients of the loss with respect to the last states, where given.
    at : int or None
        The place of the only step that is asked for.
    """

    sequences: list[Sequence[Step]]
    facts: Mapping[str, object]
    dh: Array | None = None
    dc: Array | None = None
    at: int | None = None

    @property
    def asked(self) -> list[list[Step]]:
        """The steps that are asked for: all, or the only one."""
        return [list(steps) if self.at is None else [steps[self.at]] for steps in self.sequences]


def build(
    run: RunOptions | None,
    back: BackOptions | None,
    cell: CellOptions | None,
    variant: VariantOptions | None,
    model: ModelOptions | None,
) -> Run:
    """Return the run that the options describe."""
    runs, backs, cells, files = (given(one) for one in (run, back, cell, model))
    switches = switches_of(variant)
    dh, dc = (reading.vector(name, backs[name]) if name in backs else None for name in ("dh", "dc"))
    at = runs.pop("at", None)
    example, x, h, c, steps = (runs.get(name) for name in ("example", "x", "h", "c", "steps"))
    if "given" in runs:
        refuse("--given", {"example": example, "x": x, "h": h, "c": c, "steps": steps} | cells | files)
        made = _of_given(runs["given"], switches)
        dh, dc = made.dh if dh is None else dh, made.dc if dc is None else dc
        return Run(made.sequences, made.facts, dh, dc, _place(at, made.sequences[0]))
    if files:
        if "model" not in files:
            option = next(iter(files)).replace("settings", "set")
            raise OptionError(f"--{option} belongs to a trained model: name its file with --model")
        refuse("--model", {"example": example, "h": h, "c": c} | cells | given(variant))
        walked, facts = _of_model(files, x, steps)
    elif example == "latch":
        refuse("--example latch", {"x": x, "h": h, "c": c} | cells | given(variant))
        walked, facts = _of_example(EXAMPLES[example](), steps)
    else:
        walked, facts = _of_new_cell(cells, switches, x, h, c, steps)
    place = _place(at, walked)
    if place is not None and files.get("direction") == "backward":  # which runs from the last step to the first
        place = len(walked) - 1 - place
    return Run([walked], facts, dh, dc, place)


def _of_given(path: Path, switches: Mapping[str, Any]) -> Run:
    from gatewise.grading import problem, sheet

    found = problem.of_sheet(sheet.read(path, "given"), switches)
    return Run(list(found.rows()), {"numbers": f"given in {path}"}, found.dh, found.dc)


def _place(at: int | None, steps: Sequence[Step]) -> int | None:
    """Return the place of a step; a negative number counts from the end."""
    if at is None or -len(steps) <= at < len(steps):
        return at if at is None else at % len(steps)
    raise OptionError(f"there is no step {at}; this run has steps 0 to {len(steps) - 1}")


Walked = tuple[Sequence[Step], Mapping[str, object]]
_FIELDS = {"cell_state": "cell_activation", "c": "cell_activation"}  # of Variant, by what GATE may be
for _name, _letter in zip(gates.NAMES, gates.LETTERS, strict=True):
    _FIELDS[_name] = _FIELDS[_letter] = f"{_name.removesuffix('_gate')}_activation"


def switches_of(variant: VariantOptions | None) -> dict[str, Any]:
    """Return the switches that were given, under the names of `gatewise.Variant`.

    Raises
    ------
    OptionError
        If a nonlinearity is not given as GATE=NAME, or twice.
    """
    found = given(variant)
    for text in found.pop("activation", ()):
        gate, equals, name = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise OptionError(
                f"--activation must be GATE=NAME, as in --activation input_gate=hard_sigmoid, not {text!r}"
            )
        if gate not in _FIELDS:
            raise OptionError(
                f"--activation names no gate {gate!r}; allowed: {', '.join((*gates.NAMES, 'cell_state'))}"
            )
        if _FIELDS[gate] in found:
            raise OptionError(f"--activation gives the {gate} twice")
        found[_FIELDS[gate]] = name
    return found


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
    cell, x = example.cell, _first(example.x, steps)
    cell.step(x[0], example.state)  # says what does not fit
    lstm = LSTM.from_cells(cell.parameters)
    start = State(*(np.asarray(array)[None] for array in example.state))
    return steps_of(lstm, x, ((start,),), cell.labels), example.facts


def _of_new_cell(
    cells: dict[str, Any], switches: dict[str, Any], x: str | None, h: str | None, c: str | None, steps: int | None
) -> Walked:
    from gatewise.cell import LSTMCell
    from gatewise.parameters import Variant

    default = notebook()
    given = reading.Given(default.x[0]) if x is None else reading.read("x", x)
    states = {name: None if text is None else reading.vector(name, text) for name, text in (("h", h), ("c", c))}
    like = states["c"] if states["c"] is not None else states["h"] if "projection_size" not in cells else None
    inputs = cells.pop("input_size", 3 if x is None else given.values.shape[-1])
    hidden = cells.pop("hidden_size", 2 if like is None else len(like))
    init, seed = cells.pop("init", "notebook"), cells.pop("seed", 1010)
    start = {"seed": seed} if init == "notebook" else {"rng": seed}
    if init == "notebook":
        cells.setdefault("scale", 0.01)
    cell = LSTMCell(inputs, hidden, variant=Variant(**switches), init=init, **start, **cells, dtype=np.float64)
    cells.pop("projection_size", None)
    facts = {"init": init, **cells, "seed": seed}
    sizes = {"x": cell.input_size, "h": cell.recurrent_size, "c": hidden}
    missing = [name for name, text in (("x", x), ("h", h), ("c", c)) if text is None]
    if len(missing) == 3:  # the worked example's numbers, repeated as often as it takes
        numbers = {"x": default.x[0], "h": default.state.h, "c": default.state.c}
    else:
        numbers = {name: np.zeros(sizes[name]) for name in missing}
        facts |= {"not given": f"{_and(missing)}: zero"} if missing else {}
    filled: dict[str, Any] = {name: np.resize(numbers[name], sizes[name]) for name in missing}
    filled |= {name: array for name, array in states.items() if array is not None}
    given = given if x is not None else reading.Given(filled["x"])
    state = State(filled["h"], filled["c"])
    sequence = _sequence(given.values, cell.input_size)
    labels = Labels(features=_features(given, cell.input_size), times=given.times)
    return _of_example(Example(LSTMCell.from_parameters(cell.parameters, labels), sequence, state, facts), steps)


def _and(names: Sequence[str]) -> str:
    """Return the symbols of what was not given."""
    return " and ".join({"x": "x", "h": "h_prev", "c": "c_prev"}[name] for name in names)


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
            raise OptionError("x must be integers: the model embeds them")
        given = reading.Given(np.asarray(network.embed(tokens.astype(np.int64))[0]))
    sequence = _sequence(given.values, lstm.input_size)
    names = lstm.layers[0][0].labels
    labels = Labels(_features(given, lstm.input_size) or names.features, None, None, given.times)
    if lstm.num_layers == 1:
        labels = Labels(labels.features, names.units, None, given.times)
    layer, direction = files.get("layer", 0), files.get("direction", lstm.directions[0])
    walked = steps_of(lstm, _first(sequence, steps, len(sequence)), None, labels, (layer, direction))
    which = {"LSTM": found.name} if len(contents.found) > 1 else {}
    return walked, {"model": path, **which, "layer": layer, "direction": direction}


def _sequence(values: Any, features: int) -> Any:
    """Return x as (time, feature); a plain row is one step, or with a single feature a step for each number."""
    if values.ndim == 1:
        values = values[:, None] if features == 1 else values[None]
    if values.shape[1] != features:
        raise ShapeError(f"x has {values.shape[1]} features; this cell takes {features}")
    return values


def _features(given: reading.Given, count: int) -> tuple[str, ...] | None:
    return given.features if given.features is not None and len(given.features) == count else None


def _first(x: Any, steps: int | None, most: int | None = None) -> Any:
    """Return the steps of x that run: the first ones, or a single one repeated where there is no other limit."""
    if steps is None:
        return x
    if len(x) == 1 and most is None:
        return np.broadcast_to(x, (_count(steps, None), *x.shape[1:]))
    return x[: _count(steps, len(x))]


def _count(steps: int, most: int | None) -> int:
    if steps < 1 or (most is not None and steps > most):
        allowed = "at least 1" if most is None else f"from 1 to {most}, since x has {most} steps"
        raise OptionError(f"--steps must be {allowed}, not {steps}")
    return steps
