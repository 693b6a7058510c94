"""Models and inputs on the command line: their options, and runs that print their notes and their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from gatewise import interop
from gatewise.arrays import in_bytes
from gatewise.cli.choices import Direction, TrainedName
from gatewise.cli.options import (
    Attributes,
    Basin,
    Continuous,
    Integers,
    Merge,
    RecurrentActivation,
    chosen_options,
    option_group,
)
from gatewise.cli.printing import announce_cost, print_notes
from gatewise.errors import FileError, OptionError
from gatewise.interop.contents import Contents
from gatewise.number_text import parse_integer, parse_number
from gatewise.opening.preparing import InputOptions
from gatewise.opening.run import prepare, require_windows
from gatewise.opening.runs import OpenedRun, PreparedLSTM, PreparedWholeModel
from gatewise.showing import counted

NUMBER_FILES = (".csv", ".json", ".npy", ".npz")  # whose names are rarely those of models
FILE, INPUT = Group("Model file", sort_key=1), Group("Input", sort_key=2)
RunFile = Parameter(
    help="A model file or folder, or a trace of gatewise. Files of gatewise, PyTorch, NumPy, madmom, Keras and"
    " ONNX, JSON models, and folders of Hugging Face models and NeuralHydrology runs."
)
InputFile = Annotated[
    Path | None,
    Parameter(
        help="Input data: .csv, .npy, .npz, .nc or .wav. It is the input of the LSTM. It is that of the whole model if"
        " the file describes it or its framework is installed to run it (ONNX, TorchScript, Keras). In a .csv file,"
        " each row is a time step. The first line may name the features. A first column called time or date gives"
        " the times, which must increase. An .npz file may give several inputs of the model by name. If the model"
        " file names its features, columns are matched by name."
    ),
]


@option_group(INPUT)
@dataclass(frozen=True)
class InputArguments(InputOptions):
    """The options that say what the numbers of the input are, with their help.

    Parameters
    ----------
    input_of
        Whose input this is, if the shape fits both. The LSTM's own, or that of the whole model.
    axes
        Order of the input's axes, such as batch,time,feature. Needed for the LSTM's own input if the model file does
        not state it, unless there is a single sequence.
    key
        Which array of an .npz file, if it holds several.
    lengths
        Number of valid steps of each sequence. Separate them with commas.
    state
        An .npz file with the initial states h0 and c0 of the LSTM. They are stacked as in PyTorch and ONNX. Default:
        the initial state in the model file, else zeros.
    embedding
        The layer that embeds the tokens of the input, or none. Needed if the file does not connect its layers. Default:
        the only one that fits.
    head
        The layer that makes the outputs, or none. Needed if the file does not connect its layers. Default: the only one
        that fits.
    reads
        Whether the head reads every LSTM output or only the last. Default: as in the file.
    strict
        Refuse incomplete models and inputs with gaps in time. A model is incomplete if something is left out that would
        change the run.
    sort_time
        Sort the rows of the input by time. Otherwise an input out of order is an error.
    frames
        Cut sound into rows of SIZE or SIZE,HOP samples. Rows begin HOP samples apart. For models that take such rows.
    at
        An option of its own in each command.
    """

    input_of: Literal["lstm", "model"] | None = None
    axes: str | None = None
    lengths: Integers = None
    state: Path | None = None
    reads: Literal["every", "last"] | None = None
    attributes: Attributes = None
    basin: Basin = None
    frames: str | None = None
    at: Annotated[Any, Parameter(parse=False)] = None
    continuous: Continuous = False


NO_ARGUMENTS = InputArguments()


@option_group(FILE)
@dataclass(frozen=True)
class StatedSettings:
    """The settings that a model's file leaves out, as weights of Keras without a model do.

    Parameters
    ----------
    settings
        A setting that the file lacks, as NAME=VALUE. For example recurrent_activation=hard_sigmoid:0.2,0.5. You can
        give this option several times. After a wrong name, the error lists those allowed.
    activation
        Nonlinearity of the candidate and the output if the file lacks it. For example tanh.
    example
        Example model and data instead of FILE and INPUT.
    """

    settings: Annotated[list[str] | None, Parameter(name="--set")] = None
    activation: str | None = None
    recurrent_activation: RecurrentActivation = None
    merge: Merge = None
    example: TrainedName | None = None  # `with_example` puts its files in the place of it

    def parsed(self) -> dict[str, Any]:
        """Return the settings by name, as `gatewise.inspect` takes them."""
        options = chosen_options(self)
        values = parse_settings(options.pop("settings", None))
        if "direction" in options:
            options["go_backwards"] = options.pop("direction") == "backward"
        for name, value in options.items():
            if name in values:
                raise OptionError(f"{name} is given twice: with --set, and with its own option")
            values[name] = None if (name, value) == ("merge", "none") else value
        return values


@option_group(FILE)
@dataclass(frozen=True)
class FileSettings(StatedSettings):
    """The settings that a model's file leaves out, with its direction.

    Parameters
    ----------
    direction
        Direction in which the LSTM runs if the file lacks it.
    """

    direction: Direction | None = None


def parse_settings(settings: Sequence[str] | None) -> dict[str, Any]:
    """Return the settings of the options --set NAME=VALUE: true and false, numbers, else text."""
    values: dict[str, Any] = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise OptionError(f"--set must be NAME=VALUE, as in --set recurrent_activation=sigmoid, not {setting!r}")
        if name in values:
            raise OptionError(f"--set gives {name} twice")
        values[name] = _parse_value(value.strip())
    return values


def _parse_value(text: str) -> bool | int | float | str:
    """Return the value of an option --set: true or false, a number, or else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for parse in (parse_integer, parse_number):
        try:
            return parse(text)
        except ValueError:
            continue
    return text


def inspect_file(path: Path, settings: StatedSettings | None, direction: str | None = None) -> Contents:
    """Return the contents of a model's file; if it may hold a person's own numbers, an error names `gatewise check`.

    `direction` is that of a file that leaves it out; any other has its own.
    """
    values = {} if settings is None else settings.parsed()
    try:
        contents = interop.inspect(path, **values)
        if direction is not None and any(
            entry.reason and entry.name.endswith(".go_backwards") for entry in contents.ledger
        ):
            contents = interop.inspect(path, **values, go_backwards=direction == "backward")
        contents.require_sound()
        return contents
    except FileError as problem:
        if path.suffix.lower() not in NUMBER_FILES or not path.is_file():
            raise
        raise FileError(f"{problem}. If it holds numbers that you worked out yourself, use gatewise check.") from None


def print_prepared(prepared: PreparedLSTM | PreparedWholeModel) -> None:
    """Print the notes of a run that is ready to start, and whose input it takes where that could be doubted."""
    print_notes([*[prepared.interpretation] * prepared.ambiguous, *prepared.notes])


def open_printing(
    model: Path | Contents,
    input: Path | None,
    arguments: InputOptions = NO_ARGUMENTS,
    *,
    name: str | None = None,
    settings: StatedSettings | None = None,
    finite: bool = True,
    at: str | None = None,
    names_step: bool = False,
) -> OpenedRun:
    """Return the run of a model over an input, or the one whose trace is in the file; print its notes and cost.

    Its notes are printed on standard error, and before it begins what it takes, where that is much. Weights that are
    not finite are refused where `finite` is set. `at` says where the window ends that is traced of a model that is
    evaluated in windows; for other models it is refused, unless it `names_step`, which is the caller's business.
    """
    contents = model if isinstance(model, Contents) else inspect_file(model, settings)
    prepared = prepare(contents, input, replace(arguments, at=at), name=name, finite=finite)
    require_windows(prepared, None if names_step else at)
    if isinstance(prepared, OpenedRun):
        return prepared
    print_prepared(prepared)
    if isinstance(prepared, PreparedLSTM):
        size, steps = prepared.bytes_kept(), counted(prepared.num_steps, "step")
        announce_cost(f"the run keeps {in_bytes(size)} of {steps}", prepared.seconds(), size)
    run = prepared.run()
    print_notes(run.notes[len(prepared.notes) :])
    return run
