"""One LSTM cell: its parameters, how they are initialised, and what can be done with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gatewise import gates
from gatewise.arrays import Array, finite_number, float_type, numbers, quiet, require_memory, size
from gatewise.equations import Moment
from gatewise.errors import OptionError, ShapeError, one_of
from gatewise.parameters import Parameters, Variant, array_declarations, array_shapes
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.step import State, Step

INITS = ("notebook", "pytorch", "glorot", "chrono")
Rng: TypeAlias = "int | np.random.Generator | np.random.RandomState | None"  # a text: who draws nothing imports no more


class LSTMCell:
    """One LSTM cell with random parameters; `from_parameters` builds one from given parameters.

    Parameters
    ----------
    input_size, hidden_size : int
        Number of features of the input, and of units.
    projection_size : int, optional
        Size of the projected hidden state; by default there is no projection.
    variant : Variant, optional
    init, rng, **options
        How the parameters are drawn: see `draw`.
    dtype : float32 or float64
    labels : Labels, optional
        Names of its features and units.

    Raises
    ------
    OptionError
        If a size, a name or an option is not allowed.

    Examples
    --------
    >>> cell = LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010, dtype=np.float64)
    >>> step = cell.step([0.5, 0.8, 0.2], State([0.3, 0.4], [0.2, 0.3]))
    >>> step.forget_gate, step.hidden_state
    (array([0.49336036, 0.49745089]), array([0.04826596, 0.0696416 ]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        projection_size: int | None = None,
        variant: Variant | None = None,
        init: str = "pytorch",
        rng: Rng = None,
        dtype: npt.DTypeLike = np.float32,
        labels: Labels | None = None,
        **options: Any,
    ) -> None:
        drawn = draw(input_size, hidden_size, projection_size, variant, init, rng, dtype, **options)
        self._set_parameters(drawn, labels)

    @classmethod
    def from_parameters(cls, parameters: Parameters, labels: Labels | None = None) -> LSTMCell:
        """Return the cell that has these parameters.

        Parameters
        ----------
        parameters : Parameters
        labels : Labels, optional
            Names of its features and units.

        Raises
        ------
        OptionError
            If either is of another type.
        ShapeError
            If there are not as many names as features or units.
        """
        if not isinstance(parameters, Parameters):
            raise OptionError(f"from_parameters takes Parameters, not {type(parameters).__name__}")
        cell = cls.__new__(cls)
        cell._set_parameters(parameters, labels)
        return cell

    def _set_parameters(self, parameters: Parameters, labels: Labels | None) -> None:
        """Set the parameters and the labels of a cell, or raise an error if they do not fit each other."""
        if labels is not None and not isinstance(labels, Labels):
            raise OptionError(f"labels must be Labels, not {type(labels).__name__}")
        self.parameters = parameters
        self.labels = labels or NO_LABELS
        self.labels.require(features=parameters.input_size, units=parameters.hidden_size)

    @property
    def input_size(self) -> int:
        """How many features the input has."""
        return self.parameters.input_size

    @property
    def hidden_size(self) -> int:
        """How many units the cell has."""
        return self.parameters.hidden_size

    @property
    def recurrent_size(self) -> int:
        """The size of the hidden state: the projection's where there is one, else `hidden_size`."""
        return self.parameters.recurrent_size

    @property
    def num_parameters(self) -> int:
        """How many numbers the cell has: see `Parameters.num_parameters`."""
        return self.parameters.num_parameters

    @property
    def variant(self) -> Variant:
        """The switches of the cell."""
        return self.parameters.variant

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """float32 or float64."""
        return self.parameters.dtype

    def zero_state(self) -> State:
        """Return the state that a run starts from when none is given."""
        return State(np.zeros(self.recurrent_size, self.dtype), np.zeros(self.hidden_size, self.dtype))

    def step(self, x: npt.ArrayLike, state: State | tuple[npt.ArrayLike, npt.ArrayLike] | None = None) -> Step:
        """Return one step of the cell, with everything in it.

        Parameters
        ----------
        x : array (input,)
        state : State, optional
            Arrays (recurrent,) and (hidden,); zeros by default.

        Raises
        ------
        ShapeError
            If a size does not match the cell's.
        """
        try:
            h, c = self.zero_state() if state is None else state
        except (TypeError, ValueError):
            raise ShapeError(f"the state must be a State(h, c), not {state!r}") from None
        moment = Moment(
            self.parameters,
            self._checked_row("x", x, self.input_size),
            self._checked_row("h", h, self.recurrent_size),
            self._checked_row("c", c, self.hidden_size),
        )
        return _stepped(moment, self.labels)

    def _checked_row(self, name: str, value: npt.ArrayLike, count: int) -> Array:
        """Return a vector of one step (count,) as a batch of one in the cell's dtype, or raise ShapeError."""
        array = np.array(numbers(name, value, self.dtype))  # a copy: a step is shown later, and must not change
        if array.shape != (count,):
            raise ShapeError(f"{name} has shape {array.shape}; it must be ({count},), one step of one sequence")
        return array[None]

    def __repr__(self) -> str:
        return repr(self.parameters).replace("Parameters", "LSTMCell", 1)


@quiet
def _stepped(moment: Moment, labels: Labels) -> Step:
    _ = moment.h, moment.c  # computed here, and kept
    return Step(moment, labels)


def draw(
    input_size: int,
    hidden_size: int,
    projection_size: int | None,
    variant: Variant | None,
    init: str,
    rng: Rng,
    dtype: npt.DTypeLike,
    **options: Any,
) -> Parameters:
    """Return the random parameters of a new LSTM cell, whose sizes, variant and dtype are as in `LSTMCell`.

    Parameters
    ----------
    init : {"pytorch", "glorot", "chrono", "notebook"}
        ``pytorch``: all uniform within ±1/sqrt(hidden), the bias a sum of two such numbers, as in `torch.nn.LSTM`.
        ``glorot``: Glorot's uniform input weights with Keras' fans, orthogonal recurrent weights, biases zero except
        the forget gate's, `forget_bias` (1): Keras' defaults
        (Glorot and Bengio 2010; Saxe, McClelland and Ganguli 2014; Jozefowicz, Zaremba and Sutskever 2015).
        ``chrono``: the same with forget biases log(u), u uniform in [1, `longest` - 1], and input biases -log(u),
        for memories of up to `longest` steps (Tallec and Ollivier, "Can Recurrent Neural Networks Warp Time?", 2018).
        ``notebook``: `scale` (0.01) times standard normal numbers of NumPy's legacy generator, started with `seed`,
        gate by gate in the order forget, input, candidate, output, then peepholes and projection; biases zero.
    rng : int or numpy.random.Generator, optional
        The source of random numbers; ``notebook`` takes a `seed` instead, or a `numpy.random.RandomState`.
    **options
        `scale` and `seed` of ``notebook``, `forget_bias` of ``glorot``, `longest` of ``chrono``.

    Raises
    ------
    OptionError
        If a name, a size or an option is not allowed.
    CapacityError
        If the parameters would not fit into memory.
    """
    variant = Variant() if variant is None else variant
    if not isinstance(variant, Variant):
        raise OptionError(f"variant must be a Variant, not {variant!r}")
    one_of("init", init, INITS)
    known = {"notebook": {"scale", "seed"}, "glorot": {"forget_bias"}, "chrono": {"longest"}}.get(init, set())
    for name in options:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "no option of its own"
            raise OptionError(f"the initialiser {init!r} does not take {name}; it takes {allowed}")
    input_size, hidden_size = size("input_size", input_size), size("hidden_size", hidden_size)
    recurrent = hidden_size if projection_size is None else size("projection_size", projection_size)
    if recurrent > hidden_size:
        raise OptionError(f"projection_size must be at most hidden_size, {hidden_size}, but is {projection_size}")
    columns = recurrent + input_size
    dtype = float_type(dtype)
    # Twice: the drawn numbers and what they are made of, or converted to, stand side by side.
    require_memory(2 * (4 * hidden_size * (columns + 1) + hidden_size * recurrent), 8, "a cell of these sizes")
    shapes = array_shapes(variant, input_size, hidden_size, recurrent)
    if projection_size is not None:
        shapes["projection"] = (recurrent, hidden_size)
    declared = array_declarations(variant)
    drawn = {name: shape for name, shape in shapes.items() if shape and not declared[name].initial}
    source = generator(init, rng, options)
    drawing: dict[str, Callable[..., dict[str, Array]]]
    drawing = {"notebook": _draw_notebook, "pytorch": _draw_pytorch, "glorot": _draw_glorot, "chrono": _draw_chrono}
    with np.errstate(over="ignore"):
        arrays = drawing[init](source, drawn, recurrent, options)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise OptionError("the random weights are not finite. Choose a smaller scale or bias.")
    for letter in variant.coupled:
        arrays["weight"][gates.index(letter)] = arrays["bias"][gates.index(letter)] = 0
    for name, shape in shapes.items():
        if shape and (initial := declared[name].initial):
            leading = declared[name].leading
            arrays[name] = np.repeat(np.reshape(initial, leading)[..., None], hidden_size, axis=-1).astype(float)
    return Parameters(variant=variant, **{name: array.astype(dtype) for name, array in arrays.items()})


def generator(init: str, rng: Rng, options: Mapping[str, Any]) -> np.random.Generator | np.random.RandomState:
    """Return the generator of an initialiser's random numbers; one given goes on from cell to cell."""
    if init == "notebook":
        if isinstance(rng, np.random.RandomState):
            return rng
        if rng is not None:
            raise OptionError("the initialiser 'notebook' takes seed=, not rng=")
        return _legacy_generator(options.get("seed", 1010))
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is not None and (isinstance(rng, bool) or not isinstance(rng, (int, np.integer)) or rng < 0):
        raise OptionError(f"rng must be a non-negative integer (a seed) or a numpy.random.Generator, not {rng!r}")
    return np.random.default_rng(rng)


def _legacy_generator(seed: object) -> np.random.RandomState:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise OptionError(f"seed must be an integer from 0 to {2**32 - 1}, not {seed!r}")
    return np.random.RandomState(int(seed))


Shapes = dict[str, tuple[int, ...]]  # of the arrays that are drawn
Arrays = dict[str, Array]


def _draw_notebook(rng: np.random.RandomState, shapes: Shapes, recurrent: int, options: dict[str, Any]) -> Arrays:
    """Return random weights of a cell as the worked example draws them, normal and scaled; the biases are zero."""
    scale = finite_number("scale", options.get("scale", 0.01))
    _, hidden, columns = shapes["weight"]
    drawn = {gate: rng.randn(hidden, columns) * scale for gate in "figo"}  # the notebook's order
    arrays: Arrays = {
        "weight": np.stack([drawn[gate] for gate in gates.LETTERS]),
        "bias": np.zeros((4, hidden)),
    }
    return arrays | {name: rng.randn(*shape) * scale for name, shape in shapes.items() if name not in arrays}


def _draw_pytorch(rng: np.random.Generator, shapes: Shapes, recurrent: int, options: dict[str, Any]) -> Arrays:
    """Return random weights of a cell as PyTorch draws them: uniform within ±1/sqrt(hidden)."""
    _, hidden, columns = shapes["weight"]
    bound = 1 / math.sqrt(hidden)
    arrays: Arrays = {
        "weight": rng.uniform(-bound, bound, (4, hidden, columns)),
        "bias": rng.uniform(-bound, bound, (2, 4, hidden)).sum(0),
    }
    return arrays | {name: rng.uniform(-bound, bound, shape) for name, shape in shapes.items() if name not in arrays}


def _draw_glorot(rng: np.random.Generator, shapes: Shapes, recurrent: int, options: dict[str, Any]) -> Arrays:
    """Return random weights of a cell as Keras draws them: Glorot's for the input, orthogonal recurrent ones."""
    _, hidden, columns = shapes["weight"]
    inputs = columns - recurrent
    limit = math.sqrt(6 / (inputs + 4 * hidden))  # Keras draws one kernel (input, 4 hidden)
    weight = np.empty((4, hidden, columns))
    weight[..., recurrent:] = rng.uniform(-limit, limit, (4, hidden, inputs))
    weight[..., :recurrent] = _orthonormal_columns(rng, 4 * hidden, recurrent).reshape(4, hidden, recurrent)
    bias = np.zeros((4, hidden))
    bias[gates.index("f")] = finite_number("forget_bias", options.get("forget_bias", 1.0))
    arrays: Arrays = {"weight": weight, "bias": bias}
    for name, shape in shapes.items():
        if name not in arrays:
            limit = math.sqrt(6 / (hidden + (recurrent if name == "projection" else hidden)))
            arrays[name] = rng.uniform(-limit, limit, shape)
    return arrays


def _draw_chrono(rng: np.random.Generator, shapes: Shapes, recurrent: int, options: dict[str, Any]) -> Arrays:
    """Return random weights of a cell whose gate biases give memories of up to `longest` steps; see `draw`."""
    longest = size("longest", options.get("longest", 100), least=3)
    arrays = _draw_glorot(rng, shapes, recurrent, {})
    bias = np.log(rng.uniform(1, longest - 1, arrays["bias"].shape[1]))
    arrays["bias"][gates.index("f")], arrays["bias"][gates.index("i")] = bias, -bias
    return arrays


def _orthonormal_columns(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Return random recurrent weights: a matrix with orthonormal columns, uniform over all such (rows >= columns)."""
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    matrix: Array = q * np.sign(np.diag(r))
    return matrix
