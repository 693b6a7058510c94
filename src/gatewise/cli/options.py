"""The options that commands have in common: what runs, the loss of a backward pass, a new cell, a trained model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import Group, Parameter, Token

from gatewise import gates
from gatewise.cli.choices import Direction, ExampleName, Init
from gatewise.cli.usage import flowing
from gatewise.errors import OptionError, shown
from gatewise.files.storage import split_lines
from gatewise.number_text import parse_integer, parse_number, spelling_hint
from gatewise.parameters import SWITCHES

RUN = Group("Cell and input", sort_key=1)
SHOWN = Group("Display", sort_key=2)
BACK = Group("Backward pass", sort_key=3)
OUTPUT = Group("Output", sort_key=4)
CELL = Group("New cell", sort_key=5)
VARIANT = Group("Variant", sort_key=6)
MODEL = Group("Trained model", sort_key=7)


Record = TypeVar("Record")


def option_group(group: Group) -> Callable[[type[Record]], type[Record]]:
    """Return the decorator of a record of options in a group of the help, for which its docstring explains each."""

    def as_options(record: type[Record]) -> type[Record]:
        """Return a record whose docstring flows, as the options of a command."""
        record.__doc__ = flowing(record.__doc__)
        return Parameter(name="*", group=group)(record)

    return as_options


def _parse_integer(kind: object, tokens: Sequence[Token]) -> int:
    """Return the integer that an option of the command line was given; 1.5 is none."""
    try:
        return parse_integer(tokens[0].value)
    except ValueError:
        raise ValueError(f"it must be an integer, not {shown(tokens[0].value)!r}") from None


def _parse_number(kind: object, tokens: Sequence[Token]) -> float:
    """Return the number that an option of the command line was given."""
    text = tokens[0].value
    try:
        return parse_number(text)
    except ValueError:
        raise ValueError(f"it must be a number, not {shown(text)!r}{spelling_hint(text)}") from None


def _parse_integers(kind: object, tokens: Sequence[Token]) -> list[int]:
    """Return the integers that an option of the command line was given, with commas between them."""
    try:
        return [parse_integer(part) for part in tokens[0].value.split(",")]
    except ValueError:
        raise ValueError(f"it must be integers with commas between them, not {shown(tokens[0].value)!r}") from None


Attributes = Annotated[
    list[Path] | None,
    Parameter(
        negative="",
        help="A .csv file of static attributes for features that INPUT lacks. It has one line per basin, with the id in"
        " the first column. You can give several files.",
    ),
]
Basin = Annotated[
    str | None,
    Parameter(help="The id of the basin in the files of attributes. Default: the name of INPUT without its suffix."),
]
Continuous = Annotated[
    bool,
    Parameter(
        negative="",
        help="Run a windowed model once over all steps. This concerns runs of NeuralHydrology. A note reports how far"
        " the outputs are from those of the windows.",
    ),
]
WindowEnd = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,
        help="Show the window that ends at this step or time. Steps count from 0. This concerns windowed models."
        " Default: the last.",
    ),
]
RecurrentActivation = Annotated[
    str | None,
    Parameter(help="Nonlinearity of the gates if the file lacks it. For example sigmoid or hard_sigmoid."),
]
Merge = Annotated[
    Literal["concat", "sum", "mul", "ave", "none"] | None,
    Parameter(help="How to merge the two directions if the file does not say."),
]
Integer = Annotated[int | None, Parameter(converter=_parse_integer)]
Integers = Annotated[Any, Parameter(converter=_parse_integers)]  # a list, or None
Number = Annotated[float | None, Parameter(converter=_parse_number)]
Count = Annotated[int, Parameter(converter=_parse_integer)]


@option_group(CELL)
@dataclass(frozen=True)
class CellOptions:
    """The sizes and the random weights of a new cell.

    Parameters
    ----------
    input_size
        Number of input features. Default: as many as x has, else 3.
    hidden_size
        Number of hidden units. Default: as many as c or h has, else 2.
    projection_size
        Size of the projected hidden state. Default: no projection.
    init
        How to initialise the weights. As in the worked example (notebook, the default), PyTorch (pytorch) or Keras
        (glorot), or for long memories (chrono).
    scale
        Standard deviation of the weights, with --init notebook. Default: 0.01.
    seed
        Random seed. Default: 1010.
    forget_bias
        Bias of the forget gate, with --init glorot. Default: 1.
    longest
        Longest memory in steps, with --init chrono. Default: 100.
    """

    input_size: Integer = None
    hidden_size: Integer = None
    projection_size: Integer = None
    init: Init | None = None
    scale: Number = None
    seed: Integer = None
    forget_bias: Number = None
    longest: Integer = None


_Activations = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        help="Another nonlinearity, as GATE=NAME[:ALPHA[,BETA]]. For example input_gate=hard_sigmoid:0.2,0.5. GATE is"
        " input_gate, forget_gate, candidate or output_gate, or cell_state for the one applied to the cell state."
        " The letters i, f, g, o and c work too. You can give this option several times.",
    ),
]


def _variant_options() -> type:
    """Return the class of a variant's command-line options: one for each switch, and one for all nonlinearities."""
    options: list[tuple[str, Any, Any]] = []
    for switch in SWITCHES:
        kind = Literal[switch.metadata["choices"]] | None if switch.metadata["choices"] else Number
        help_ = Parameter(help=switch.metadata["explanation"])
        options.append((switch.name, Annotated[kind, help_], field(default=None)))
    options.append(("activation", _Activations, field(default=None)))
    return make_dataclass("VariantOptions", options, namespace={"__module__": __name__}, frozen=True)


if TYPE_CHECKING:  # which switches there are is known when the program runs

    class VariantOptions:
        """The switches of `gatewise.Variant`, under its names; the five nonlinearities are one option."""
else:
    VariantOptions = Parameter(name="*", group=VARIANT)(_variant_options())


@option_group(MODEL)
@dataclass(frozen=True)
class ModelOptions:
    """A cell of a trained model.

    Parameters
    ----------
    model
        A model file, with its input in --x. It can be a file of gatewise, PyTorch, Keras or ONNX, a JSON model, or the
        folder of a NeuralHydrology run.
    name
        Which LSTM, if the file holds several.
    settings
        A setting that the file lacks, as NAME=VALUE. You can give this option several times.
    layer
        Which layer, counted from 0. Default: 0.
    direction
        Which direction of a bidirectional layer. Default: forward. Weights that do not record their direction use the
        one they run in.
    """

    model: Path | None = None
    attributes: Attributes = None
    basin: Basin = None
    continuous: Continuous = False
    name: str | None = None
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None
    recurrent_activation: RecurrentActivation = None
    merge: Merge = None
    layer: Integer = None
    direction: Direction | None = None


_Numbers = Parameter(allow_leading_hyphen=True)


@option_group(RUN)
@dataclass(frozen=True)
class RunOptions:
    """What runs, on what.

    Parameters
    ----------
    example
        A ready-made example. notebook is the worked example and the default. lesson has short weights and gates that
        differ. latch writes, holds and releases one bit.
    given
        A .json, .csv or .npz file of your own weights and inputs. It holds arrays by name: W_f (hidden, hidden + input)
        and b_f, likewise for i, g and o; x, h_prev and c_prev; optionally dh and dc_next.
    x
        Input: numbers separated by commas, or a .csv or .npy file. The file has one step per row. The first line of a
        .csv file may name the features. A first column called time or date labels the steps.
    h
        The previous hidden state. Default: zero, if you give x or c.
    c
        The previous cell state. Default: zero, if you give x or h.
    sort_time
        Sort the rows of x by time. Otherwise an x out of order is an error.
    steps
        Number of steps to run. Default: all of x. An x of one step is repeated.
    at
        Show only this step, by number or time. Steps count from 0, negative numbers from the end. A windowed model runs
        the window that ends there. Its default is the last window, with all its steps.
    """

    example: ExampleName | None = None
    given: Path | None = None
    x: Annotated[str | None, _Numbers] = None
    h: Annotated[str | None, _Numbers] = None
    c: Annotated[str | None, _Numbers] = None
    sort_time: bool = False
    steps: Integer = None
    at: Annotated[str | None, Parameter(group=SHOWN, allow_leading_hyphen=True)] = None


@option_group(BACK)
@dataclass(frozen=True)
class BackOptions:
    """The loss that the backward pass starts from.

    Parameters
    ----------
    dh
        Gradient of the loss with respect to the last hidden state. Default: all ones, so the loss is the sum of the
        last hidden state.
    dc
        Gradient of the loss with respect to the last cell state. Default: zero.
    """

    dh: Annotated[str | None, _Numbers] = None
    dc: Annotated[str | None, _Numbers] = None


@Parameter(name="*")
@dataclass(frozen=True)
class CellRunOptions:
    """The options that describe the run of one cell."""

    run: RunOptions = RunOptions()
    cell: CellOptions = CellOptions()
    variant: VariantOptions = field(default_factory=VariantOptions)
    model: ModelOptions = ModelOptions()

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The options that were given in each group."""
        return [chosen_options(group) for group in vars(self).values()]


WORKED_EXAMPLE, NO_LOSS = CellRunOptions(), BackOptions()


def chosen_options(options: Any) -> dict[str, Any]:
    """Return the options of the command line in a group that were given, by name."""
    if options is None:
        return {}
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def refuse(owner: str, options: Mapping[str, object], verb: str = "does not go with") -> None:
    """Raise OptionError for a command-line option that has a value; `verb` says how it clashes with `owner`."""
    for name, value in options.items():
        if value is not None:
            raise OptionError(f"--{name.replace('_', '-')} {verb} {owner}")


_FIELDS = {"cell_state": "cell_activation", "c": "cell_activation"}  # of Variant, by what GATE may be
for _name, _letter in zip(gates.NAMES, gates.LETTERS, strict=True):
    _FIELDS[_name] = _FIELDS[_letter] = f"{_name.removesuffix('_gate')}_activation"


def switches_of(variant: VariantOptions | None) -> dict[str, Any]:
    """Return the switches of a cell that were typed as options, under the names of `gatewise.Variant`."""
    switches = chosen_options(variant)
    for text in switches.pop("activation", ()):
        gate, equals, name = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise OptionError(
                f"--activation must be GATE=NAME, as in --activation input_gate=hard_sigmoid, not {text!r}"
            )
        if gate not in _FIELDS:
            raise OptionError(f"--activation has no gate {gate!r}; allowed: {', '.join((*gates.NAMES, 'cell_state'))}")
        if _FIELDS[gate] in switches:
            raise OptionError(f"--activation gives {gate} twice")
        switches[_FIELDS[gate]] = name
    return switches


def tokens_in(text: str, steps: int) -> str | list[str]:
    """Return the text of a file if it has a character for each step, with a line break at its end or not; or lines."""
    return next((part for part in (text, text.removesuffix("\n")) if len(part) == steps), split_lines(text))
