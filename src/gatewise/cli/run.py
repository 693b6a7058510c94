"""The run of one cell that the options of walk and check describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.arrays import Array, Mask, require_memory, size
from gatewise.cli.models import StatedSettings, inspect_file
from gatewise.cli.options import NO_LOSS, BackOptions, CellRunOptions, refuse, switches_of
from gatewise.cli.printing import print_notes
from gatewise.cli.stepping import steps_of
from gatewise.cli.typed_numbers import SUFFIXES, numbers_from, vector
from gatewise.errors import OptionError, ShapeError, join_names
from gatewise.examples import EXAMPLES, Example, notebook
from gatewise.layers import LSTM
from gatewise.opening.models import OpenedModel, opened_model
from gatewise.opening.preparing import InputOptions, prepare_lstm, read_features
from gatewise.opening.runs import PreparedLSTM
from gatewise.opening.states import file_state
from gatewise.records.labels import Labels
from gatewise.records.named_numbers import NamedNumbers
from gatewise.records.places import step_place
from gatewise.records.step import State, Step
from gatewise.showing import counted

MAX_STEPS = 2**40  # of which no machine holds the numbers


@dataclass(frozen=True, eq=False)
class SteppedRun:
    """The run of one cell, step by step.

    Attributes
    ----------
    sequences : list of sequence of Step
        The steps of each sequence of the batch, in the order in which they run.
    facts : mapping
        Facts about the cell: the name of each, and its value.
    dh, dc : array or None
        The gradients of the loss with respect to the last states.
    at : int or None
        The place of the only step to show; None for all.
    short : bool
        Whether it is shown in short: see `gatewise.walk`.
    """

    sequences: list[Sequence[Step]]
    facts: Mapping[str, object]
    dh: Array | None = None
    dc: Array | None = None
    at: int | None = None
    short: bool = False

    @property
    def steps(self) -> list[list[Step]]:
        """The steps to show, of each sequence: all, or the only one."""
        return [list(steps) if self.at is None else [steps[self.at]] for steps in self.sequences]


def build_run(options: CellRunOptions, back: BackOptions = NO_LOSS) -> SteppedRun:
    """Return the run of the cell that the options of `gatewise walk` and `gatewise check` describe."""
    runs, cells, variant, files = options.groups
    switches = {} if "model" in files else switches_of(options.variant)
    dh, dc = (None if text is None else vector(name, text) for name, text in vars(back).items())
    at = runs.pop("at", None)
    example, x, h, c, steps = (runs.get(name) for name in ("example", "x", "h", "c", "steps"))
    if (sort_time := runs.pop("sort_time", False)) and x is None:
        raise OptionError("--sort-time sorts the rows of --x. Give --x, or leave it out.")
    if "given" in runs:
        refuse("--given", {"example": example, "x": x, "h": h, "c": c, "steps": steps} | cells | files)
        solved = _run_of_given_numbers(runs["given"], switches)
        dh, dc = solved.dh if dh is None else dh, solved.dc if dc is None else dc
        return SteppedRun(solved.sequences, solved.facts, dh, dc, _step_place(at, len(solved.sequences[0])))
    if files:
        if "model" not in files:
            option = next(iter(files)).replace("settings", "set").replace("_", "-")
            raise OptionError(f"--{option} is for a trained model. Give its file with --model.")
        switches = variant
        if (stated := switches.get("activation")) is not None and not any("=" in name for name in stated):
            files["activation"] = switches.pop("activation")[-1]  # what the file leaves out, not that of a new cell
        refuse("--model", {"example": example, "h": h, "c": c} | cells | switches)
        return _run_of_model(files, x, steps, InputOptions(at=at, sort_time=sort_time), dh, dc)
    if example in (None, "notebook"):
        numbers_of_x = None if x is None else numbers_from("x", x, sort_time=sort_time)
        steps_run, facts = _steps_of_new_cell(cells, switches, numbers_of_x, h, c, steps)
    else:
        refuse(f"--example {example}", {"x": x, "h": h, "c": c} | cells | variant)
        steps_run, facts = _steps_of_example(EXAMPLES[example](), steps)
    return SteppedRun([steps_run], facts, dh, dc, _step_place(at, len(steps_run)), example == "lesson")


def _run_of_given_numbers(path: Path, switches: Mapping[str, Any]) -> SteppedRun:
    """Return the run of the weights and inputs in the file of --given, with the loss's gradients in it."""
    from gatewise.grading import problem, sheet

    numbers = problem.read_problem(sheet.read(path, "given"), switches)
    return SteppedRun(list(numbers.sequences()), {"numbers": f"given in {path}"}, numbers.dh, numbers.dc)


def _step_place(at: str | None, steps: int, times: Any = None) -> int | None:
    """Return the place of the step --at in a run of so many steps, by its number or its time."""
    return None if at is None else step_place(at, steps, times)


StepsAndFacts = tuple[Sequence[Step], Mapping[str, object]]


def output_gradients(text: str, steps: Sequence[Step]) -> Array:
    """Return the gradients of every step's output that --dy gives, in the order in which the steps ran.

    Their rows are those of x; plain numbers are one row, or with a single entry of h a row each.
    """
    dy = numbers_from("dy", text).values
    if dy.ndim == 1:
        dy = dy[:, None] if steps[0].parameters.recurrent_size == 1 else dy[None]
    first, last = (steps[place].time or 0 for place in (0, -1))
    return dy if first <= last else dy[::-1]


def _steps_of_example(example: Example, steps: int | None) -> StepsAndFacts:
    """Return the steps of an example's cell over its first inputs, and the facts about it."""
    cell, x = example.cell, _first_steps(example.x, steps)
    cell.step(x[0], example.state)  # raises if the sizes do not fit
    lstm = LSTM.from_cells(cell.parameters)
    start = State(*(np.asarray(array)[None] for array in example.state))
    return steps_of(lstm, x, ((start,),), cell.labels), example.facts


def _steps_of_new_cell(
    cells: dict[str, Any],
    switches: dict[str, Any],
    x: NamedNumbers | None,
    h: str | None,
    c: str | None,
    steps: int | None,
) -> StepsAndFacts:
    """Return the steps of a cell with new weights over x and the typed h and c, and the facts about it."""
    from gatewise.cell import LSTMCell
    from gatewise.parameters import Variant

    default = notebook()
    numbers_of_x = NamedNumbers(default.x[0]) if x is None else x
    states = {name: None if text is None else vector(name, text) for name, text in (("h", h), ("c", c))}
    like = states["c"] if states["c"] is not None else states["h"] if "projection_size" not in cells else None
    inputs = cells.pop("input_size", 3 if x is None else numbers_of_x.values.shape[-1])
    hidden = cells.pop("hidden_size", 2 if like is None else len(like))
    init, seed = cells.pop("init", "notebook"), cells.pop("seed", 1010)
    start = {"seed": seed} if init == "notebook" else {"rng": seed}
    if init == "notebook":
        cells.setdefault("scale", 0.01)
    cell = LSTMCell(inputs, hidden, variant=Variant(**switches), init=init, **start, **cells, dtype=np.float64)
    cells.pop("projection_size", None)
    facts = {"init": init, **cells, "seed": seed}
    sizes = {"x": cell.input_size, "h": cell.recurrent_size, "c": hidden}
    missing = [name for name, given in (("x", x), ("h", h), ("c", c)) if given is None]
    if len(missing) == 3:  # the worked example's numbers, repeated as often as it takes
        numbers = {"x": default.x[0], "h": default.state.h, "c": default.state.c}
    else:
        numbers = {name: np.zeros(sizes[name]) for name in missing}
        symbols = {"x": "x", "h": "h_prev", "c": "c_prev"}
        facts |= {"not given": f"{join_names((symbols[name] for name in missing), 'and')}: zero"} if missing else {}
    filled: dict[str, Any] = {name: np.resize(numbers[name], sizes[name]) for name in missing}
    filled |= {name: array for name, array in states.items() if array is not None}
    if x is None:
        numbers_of_x = NamedNumbers(filled["x"])
    state = State(filled["h"], filled["c"])
    sequence = _as_sequence(numbers_of_x.values, cell.input_size)
    labels = Labels(features=numbers_of_x.features, times=numbers_of_x.times)
    return _steps_of_example(Example(LSTMCell.from_parameters(cell.parameters, labels), sequence, state, facts), steps)


def _run_of_model(
    files: dict[str, Any], x: str | None, steps: int | None, options: InputOptions, dh: Array | None, dc: Array | None
) -> SteppedRun:
    """Return the run of one cell of a trained model over --x, for `gatewise walk` and `gatewise check`."""
    path = files["model"]
    settings = StatedSettings(
        *(files.get(name) for name in ("settings", "activation", "recurrent_activation", "merge"))
    )
    contents = inspect_file(path, settings, files.get("direction"))
    entry = contents.find(files.get("name"))
    if entry.non_finite:
        raise OptionError(f"{path} holds weights that are not finite numbers: {'; '.join(entry.non_finite)}")
    if x is None:
        raise OptionError("--model needs an input sequence. Give one with --x.")
    opened = opened_model(contents, entry)
    named = {name: files[name] for name in ("attributes", "basin", "continuous") if name in files}
    prepared, at = _prepared_run(opened, x, steps, replace(options, **named)), options.at
    print_notes(prepared.notes)
    if prepared.series is not None:  # of which the last step of the window is asked
        at = at and "-1"
    lstm, sequence, labels, valid = opened.lstm, *_lstm_input(prepared)
    count, layer, direction = len(sequence), files.get("layer", 0), files.get("direction", opened.lstm.directions[0])
    place = _step_place(at, count, labels.times)
    _require_valid(valid, place)
    steps_run = steps_of(lstm, sequence, file_state(entry, 1), labels, (layer, direction), valid)
    name = {"LSTM": entry.name} if len(contents.lstms) > 1 else {}
    facts = {"model": path, **name, "layer": layer, "direction": direction}
    if len(steps_run) < count:
        facts["masked"] = f"{counted(count - len(steps_run), 'step')} of {count:,}, which are left out"
    if place is not None:
        place = place if valid is None else int(valid[:place].sum())  # among the valid steps
        if direction == "backward":  # which runs from the last step to the first
            place = len(steps_run) - 1 - place
    return SteppedRun([steps_run], facts, dh, dc, place)


def _prepared_run(model: OpenedModel, x: str, steps: int | None, options: InputOptions) -> PreparedLSTM:
    """Return the run of a model over the first steps of --x, ready to start."""
    source = Path(x) if x.lower().endswith(SUFFIXES) else numbers_from("x", x).values
    data = read_features(model.network, model.contents.path, source, options)
    assert data.single is not None
    if data.single.values.ndim > 2:
        raise ShapeError(f"x has shape {data.single.values.shape}; it must be one sequence, (time, feature)")
    values = _first_steps(data.single.values, steps, len(data.single.values))
    times = None if data.single.times is None else data.single.times[: len(values)]
    numbers = replace(data.single, values=values, times=times)
    prepared = prepare_lstm(model, replace(data, single=numbers), options)
    if prepared.compared is None or model.network is None:
        return prepared
    difference = prepared.compared.difference_note(model.network.trace(prepared.input.x, keep=()).output)
    return replace(prepared, notes=(*prepared.notes, difference))


def _lstm_input(prepared: PreparedLSTM) -> tuple[Array, Labels, Mask | None]:
    """Return the input of the LSTM (time, feature) that its network makes of --x, its labels, and the valid steps."""
    model, x, options = prepared.model, prepared.input.x, prepared.input.options
    labels, names = options["labels"] or Labels(), model.lstm.layers[0][0].labels
    if (network := model.feature_network) is not None:
        x = network.embed(x)[0]
        named = () if network.branches else labels.features or ()  # the cell reads numbers without a unit
        labels = labels.replace(features=tuple(f"{name}, scaled" for name in named) or None)
    labels = Labels(labels.features or names.features, None, None, labels.times)
    return x, labels if model.lstm.num_layers > 1 else labels.replace(units=names.units), options.get("mask")


def _require_valid(valid: Mask | None, place: int | None) -> None:
    """Raise OptionError where the step of --at, or every step of --x, is masked by the model."""
    if valid is not None and not valid.any():
        raise OptionError("the model masks every step of x, so there is no step to show")
    if valid is not None and place is not None and not valid[place]:
        steps = ", ".join(map(str, np.flatnonzero(valid)[:10]))
        raise OptionError(f"the model masks step {place} of x. Choose a valid step, such as {steps}.")


def _as_sequence(values: Any, features: int) -> Any:
    """Return the typed x as (time, feature); a plain row is one step, or a step for each number of one feature."""
    if values.ndim == 1:
        values = values[:, None] if features == 1 else values[None]
    if values.shape[1] != features:
        raise ShapeError(f"x has {counted(values.shape[1], 'feature')}; this cell takes {features}")
    return values


def _first_steps(x: Any, steps: int | None, most: int | None = None) -> Any:
    """Return the steps of x that --steps lets run: the first ones; one step is repeated, unless there are `most`."""
    if steps is None:
        return x
    if len(x) == 1 and most is None:
        count = size("--steps", steps, most=MAX_STEPS)
        require_memory(count * x.shape[-1], x.itemsize, f"a run of {counted(count, 'step')}")
        return np.broadcast_to(x, (count, *x.shape[1:]))
    if not 1 <= steps <= len(x):
        raise OptionError(f"--steps must be from 1 to {len(x)}, since x has {counted(len(x), 'step')}, not {steps}")
    return x[:steps]
