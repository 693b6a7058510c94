"""gatewise plot: a picture of a run, or the numbers that it shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from gatewise import insight
from gatewise.arrays import in_bytes
from gatewise.cli.choices import Direction, GateName
from gatewise.cli.inspect import LSTMName
from gatewise.cli.kinds import KINDS, Kind, Order, required
from gatewise.cli.models import NO_ARGUMENTS, InputArguments, InputFile, StatedSettings, inspect_file, open_printing
from gatewise.cli.options import Integer, Number, chosen_options, option_group, tokens_in
from gatewise.cli.printing import announce_cost, print_line, print_notes
from gatewise.cli.usage import flowing
from gatewise.errors import FileError, OptionError
from gatewise.files.storage import beside, npz_names, read_text
from gatewise.insight import Answer
from gatewise.insight.naming import sequence_of
from gatewise.number_text import parse_integer
from gatewise.opening.answers import observed_outputs
from gatewise.opening.runs import OpenedRun
from gatewise.opening.step_values import step_values
from gatewise.plot import saving, terminal
from gatewise.plot.run_records import Gates
from gatewise.progress import working
from gatewise.records.trace import Trace
from gatewise.showing import counted

PICTURE = Group("Picture", sort_key=3)
OPTIONS = {"start": "steps", "stop": "steps", "after": "with"}  # by the arguments that they give
WORK = 4e8  # multiplications of an answer a second, about
WRITTEN = 1e6  # numbers of a table a second, about
PARAMETERS = {"at": "t", "target": "output"}  # by the names of the options
ENDINGS = (*saving.FORMATS, "csv")


@option_group(PICTURE)
@dataclass(frozen=True)
class PictureOptions:
    """What is drawn of a run.

    Parameters
    ----------
    layer
        Which layer, counted from 0. Default: 0.
    direction
        Which direction. Default: the first. Weights that do not record their direction use the one they run in.
    sequence
        Which sequence of a batch, by number from 0 or name. Default: 0.
    gate
        Which gate to draw. Default: the forget gate.
    unit
        Which hidden unit, by number from 0 or name.
    units
        Which hidden units, separated by commas. Default: all that were kept.
    features
        Which features, by number or name, separated by commas.
    quantity
        Gate or state to use, such as cell_state or hidden_state. It colours a text, is probed or is matched.
    sort
        Order of the units. The slowest decay of a cell state between resets first (timescale), or similar ones side by
        side (cluster).
    steps
        Range of steps FIRST:STOP, from 0, without STOP.
    every
        For attention: steps in each block. Each block is a row of the answer.
    lags
        For horizon: the last lag. Default: as many lags as it needs.
    at
        Which step, by number or time. Steps count from 0, negative numbers from the end. A windowed model shows the
        window that ends there. Default: the last.
    target
        Which output, by number from 0 or name. Default: 0, or all for ceiling and influence.
    method
        For attribution: the method. gradient_input, integrated_gradients, lrp or contextual_decomposition.
    long
        For attribution: allow a method that takes long.
    text
        File with the text read: a character or line per step.
    tolerance
        For matches: how far apart equal numbers may be. Default: 0.
    values
        For probe: a file with columns of a number for each step. Cells may be empty. The picture shows the column that
        the states predict best.
    parts
        For ablation: remove units, gates or layers, one at a time. Default: units.
    observed
        For ablation: a file with the observed outputs at each step. Columns are matched by the names of the outputs.
        Cells may be empty.
    metric
        For ablation: compare error or accuracy. Default: what suits the outputs.
    """

    layer: Integer = None
    direction: Direction | None = None
    sequence: str | None = None
    gate: GateName | None = None
    unit: str | None = None
    units: str | None = None
    features: str | None = None
    quantity: str | None = None
    sort: Order | None = None
    steps: str | None = None
    every: Integer = None
    lags: Integer = None
    at: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    target: str | None = None
    method: str | None = None
    long: bool | None = None
    text: Path | None = None
    tolerance: Number = None
    values: Path | None = None
    parts: str | None = None
    observed: Path | None = None
    metric: str | None = None


def plot(
    file: Annotated[Path, Parameter(help="A .safetensors file of gatewise trace, or a model file.")],
    input: InputFile = None,
    /,
    *,
    kind: Annotated[Kind, Parameter(group=PICTURE)] = "gates",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=Group("Output", sort_key=4))] = None,
    name: LSTMName = None,
    settings: StatedSettings | None = None,
    options: InputArguments = NO_ARGUMENTS,
    other: Annotated[Path | None, Parameter(name="--with", group=PICTURE)] = None,
    picture: PictureOptions | None = None,
) -> None:
    """Draw a run of an LSTM, or answer a question about it.

    FILE is a trace, or a model that runs over INPUT. Without --output, gatewise draws gates in the terminal and answers
    questions in a sentence. Pictures need matplotlib: pip install '.[plot]' from a clone.

    The kinds are KINDS.

    For example:

        gatewise plot model.onnx x.csv
        gatewise plot model.pt x.csv --kind unit -o unit.svg

    Parameters
    ----------
    kind
        Which picture or question. Each kind takes some of the options below.
    output
        File to write: .svg, .png, .pdf, or .csv for the numbers.
    other
        With --kind change: the run to compare with. Another trace, or a model that runs over the same INPUT, as before
        and after a conversion.
    """
    ending = None if output is None else output.suffix.lower().removeprefix(".")
    if output is not None and ending not in ENDINGS:
        raise OptionError(
            f"the name of {output} must end in {', '.join(f'.{ending}' for ending in ENDINGS[:-1])} or .csv"
        )
    _require_no_arrays(file, input)
    chosen = chosen_options(picture)
    data, draw = KINDS[kind]
    if draw is None and ending not in (None, "csv"):
        raise OptionError(f"there is no picture of {kind}. Write its numbers with -o NAME.csv.")
    if output is None and kind != "gates" and not hasattr(insight, kind):
        raise OptionError(f"--kind {kind} needs --output. The terminal only shows gates.")
    at = chosen.get("at")
    names_step = at is None or PARAMETERS["at"] in inspect.signature(data).parameters
    if not names_step:
        del chosen["at"]
    if "steps" in chosen:
        chosen["steps"] = _parse_steps(chosen["steps"])
    arguments = _arguments_of(kind, data, chosen, other)
    drawn: dict[str, Any] = {}
    if "steps" in chosen and draw is not None and "steps" in _own_options(data, draw):
        drawn = {"steps": chosen.pop("steps")}
    files = [file] if other is None else [file, other]
    runs = _opened_runs(
        files,
        input,
        partial(open_printing, arguments=options, at=at, names_step=names_step),
        name,
        settings,
        chosen.get("direction"),
    )
    _fit_to_run(runs[0], arguments, drawn, chosen)
    if PARAMETERS["at"] in arguments and any(run.series is not None for run in runs):
        arguments[PARAMETERS["at"]] = -1  # the last step of the window
    traces = [run.trace for run in runs]
    with working("drawing", 3) as done:
        subject, *others = _comparable_runs([_picture_subject(kind, data, trace, chosen) for trace in traces])
        arguments |= dict(zip(("after",), others, strict=False))
        if "text" in arguments:
            arguments["text"] = tokens_in(arguments["text"], len(subject))
        _announce_cost(kind, subject, arguments)
        asked = _columns_of_values(arguments, subject, runs[0], chosen.get("steps", (None, None)))
        records = [data(subject, **options) for options in asked]
        done(1)
        record = _print_answers(records)
        if output is None:
            if isinstance(record, Gates):
                terminal.show(record)
            return
        if draw is None or ending == "csv":
            count = sum(len(column) for column in record.columns.values())
            announce_cost(f"{output} gets {counted(count, 'number')}", count / WRITTEN)
            with beside(output) as temporary, open(temporary, "w", encoding="utf-8", newline="") as table:
                record.write_csv(table)
        else:
            saving.save(output, str(ending), partial(draw, record, **drawn))
        done(2)
    print_line(f"{output}: {kind}, {in_bytes(output.stat().st_size)}")


plot.__doc__ = flowing(plot.__doc__).replace("KINDS", ", ".join(KINDS))


def _print_answers(records: Sequence[Any]) -> Any:
    """Print the sentence of each answer, and below it what checks of it found; return the record that is drawn."""
    for record in records:
        for sentence in (record.sentence, *record.reading) if isinstance(record, Answer) else ():
            print_line(sentence)
    return records[0] if len(records) == 1 else max(records, key=lambda probe: probe.found)


def _require_no_arrays(file: Path, input: Path | None) -> None:
    """Raise FileError for a file of plain arrays that `gatewise trace` wrote."""
    if input is None and file.suffix.lower() == ".npz" and any(name.startswith("layer0.") for name in npz_names(file)):
        raise FileError(
            f"{file} has the arrays of a trace, but not its LSTM. Plot a trace that gatewise trace wrote to a"
            " .safetensors file."
        )


def _opened_runs(
    files: Sequence[Path],
    input: Path | None,
    opens: Callable[..., OpenedRun],
    name: str | None,
    settings: StatedSettings | None,
    direction: str | None,
) -> list[OpenedRun]:
    """Return the runs of the files of `gatewise plot` over one input; a trace beside a model takes no input.

    Where only some of the files have an LSTM of that name, the others may hold a single one.
    """
    several = [inspect_file(file, settings, direction) for file in files]
    if all(contents.trace is not None for contents in several):
        return [opens(contents, input, name=name) for contents in several]
    named = [any(entry.name == name for entry in contents.lstms) for contents in several]
    runs = []
    for contents, has_name in zip(several, named, strict=True):
        if contents.trace is not None:
            runs.append(opens(contents, None, arguments=NO_ARGUMENTS))
        else:
            own_name = name if has_name or not any(named) else None
            runs.append(opens(contents, input, name=own_name))
    return runs


def _announce_cost(kind: str, subject: Any, arguments: dict[str, Any]) -> None:
    """Announce the memory and time of the answer that `gatewise plot` computes, where they can be estimated."""
    cost_of = getattr(insight, f"cost_of_{kind}", None)
    if cost_of is not None:
        parameters = inspect.signature(cost_of).parameters
        cost = cost_of(subject, **{name: value for name, value in arguments.items() if name in parameters})
        work = f"--kind {kind} over {counted(len(subject), 'step')} needs {in_bytes(cost.memory)} of memory"
        announce_cost(work, cost.work / WORK, cost.memory)


# The arguments of a picture, and its subject.


def _arguments_of(kind: str, data: Callable[..., Any], chosen: dict[str, Any], other: Path | None) -> dict[str, Any]:
    """Return the arguments of the function that makes a picture's record, from the options of `gatewise plot`."""
    parameters = inspect.signature(data).parameters
    if other is not None and "after" not in parameters:
        raise OptionError(f"--kind {kind} does not take --with. Leave it out.")
    arguments: dict[str, Any] = {}
    for option, value in chosen.items():
        if option == "steps":
            arguments |= dict(zip(("start", "stop"), value, strict=True)) if "start" in parameters else {}
        if option in ("layer", "direction", "steps"):
            continue
        name = PARAMETERS.get(option, option)
        if name not in parameters:
            raise OptionError(f"--kind {kind} does not take --{option}. Leave it out.")
        arguments[name] = READ[option](value) if option in READ else value
    if "long" in parameters and hasattr(insight, f"cost_of_{kind}"):  # what it takes is announced
        arguments["long"] = True
    for missing in required(data) - set(arguments) - ({"after"} if other is not None else set()):
        raise OptionError(f"--kind {kind} needs --{OPTIONS.get(missing, missing)}")
    return arguments


def _number_or_name(text: str) -> int | str:
    """Return the number that an option was given, or else its text as a name."""
    try:
        return parse_integer(text)
    except ValueError:
        return text


def _numbers_or_names(text: str) -> list[int | str]:
    return [_number_or_name(part.strip()) for part in text.split(",")]


def _parse_steps(text: str) -> tuple[int | None, int | None]:
    """Return the first step and the stop of an option FIRST:STOP, whose ends may be left out."""
    try:
        first, stop = (parse_integer(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise OptionError(f"--steps must be FIRST:STOP, as in --steps 0:100, not {text!r}") from None
    return first or 0, stop


def _fit_to_run(run: OpenedRun, *options: dict[str, Any]) -> None:
    """Replace a file of observed outputs by its numbers, and --steps by the steps of a run that is one window."""
    series = run.series
    for values in options:
        if "observed" in values:
            values["observed"] = observed_outputs(run, values["observed"])
        if series is None:
            continue
        if "start" in values:
            values["start"], values["stop"] = series.steps_inside(values["start"], values["stop"])
        if "steps" in values:
            values["steps"] = series.steps_inside(*values["steps"])


def _columns_of_values(
    arguments: dict[str, Any], subject: Any, run: OpenedRun, steps: tuple[int | None, int | None]
) -> list[dict[str, Any]]:
    """Return the arguments of a probe of each column in the file of --values; of another kind, those of its answer."""
    if "values" not in arguments:
        return [arguments]
    place = None if arguments.get("sequence") is None else sequence_of(subject, arguments["sequence"])
    columns = step_values(arguments["values"], run, place)
    varied = [name for name, array in columns.items() if len({*array[array == array].tolist()}) > 1] or [*columns]
    print_notes([f"{name} is left out: its values do not differ" for name in columns if name not in varied])
    return [
        {
            **arguments,
            "values": columns[name][slice(*steps), 0 if place is not None else slice(None)],
            "name": name,
            "tests": len(columns),
        }
        for name in varied
    ]


READ: dict[str, Callable[[Any], Any]] = {
    "at": _number_or_name,
    "sequence": _number_or_name,
    "unit": _number_or_name,
    "units": _numbers_or_names,
    "features": _numbers_or_names,
    "text": read_text,
}


def _own_options(data: Callable[..., Any], draw: Callable[..., Any]) -> set[str]:
    """Return the options of a picture that are not those of its data."""
    return set(inspect.signature(draw).parameters) - set(inspect.signature(data).parameters)


def _comparable_runs(subjects: list[Any]) -> list[Any]:
    """Return two runs as runs of one kind: without their networks, or of their only cells beside a single cell's."""
    if len({type(run) for run in subjects}) == 1:
        return subjects
    if any(isinstance(run, Trace) for run in subjects) and all(len(run.cells()) == 1 for run in subjects):
        return [run.only_cell("a comparison") for run in subjects]
    return [run.lstm for run in subjects]


def _picture_subject(kind: str, data: Callable[..., Any], trace: Any, chosen: dict[str, Any]) -> Any:
    """Return the subject of a picture or question: the whole run, or the trace of one of its cells."""
    parameters = inspect.signature(data, eval_str=True).parameters
    of_any_run = "LSTMTrace" in str(next(iter(parameters.values())).annotation)
    place = {name: chosen[name] for name in ("layer", "direction") if name in chosen}
    if isinstance(trace, Trace) and place:
        raise OptionError(f"this trace has one cell. Leave out --{next(iter(place))}.")
    cell = trace
    if not (of_any_run or isinstance(trace, Trace)) or place:
        layer, direction = place.get("layer", 0), place.get("direction", trace.lstm.directions[0])
        cell = trace[layer, direction]
        if len(trace.cells()) > 1 and not place:
            print_notes([f"this is layer {layer}, {direction}; --layer and --direction choose another"])
    if "steps" in chosen and "start" not in parameters:
        if not isinstance(cell, Trace):
            raise OptionError(f"--kind {kind} does not take --steps. Leave it out.")
        cell = cell[slice(*chosen["steps"])]
    return cell
