"""The cases that an engine is judged on: each is a design from which the same numbers are drawn every time."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.diagnostics.rounding import Case
from gatewise.layers import LSTM
from gatewise.layers.arguments import valid_steps
from gatewise.parameters import Parameters, Variant
from gatewise.records.step import State
from gatewise.showing import counted

REVERSE, BIDIRECTIONAL = "direction = reverse", "direction = bidirectional"
CLIP, COUPLED, PEEPHOLES, NO_BIAS = "clip", "input_forget", "peepholes", "no bias"
INITIAL_H, INITIAL_C, LENGTHS, EMPTY = "initial_h", "initial_c", "lengths", "lengths of 0"
BATCH_FIRST, LAYERS, PROJECTION = "batch first", "two layers", "projection"
PLAIN = "plain LSTM"
BATCHES = "batches of 1 to 17"
FILE = "file"
SEED = 6  # of the plain case, whose numbers show every attribute
CLIP_AT = 0.5  # most pre-activations reach it, and the cell state too
_ACTIVATIONS = {  # with constants that float32 holds exactly
    "HardSigmoid": Activation("hard_sigmoid", 0.2, 0.5),
    "HardSigmoid with alpha, beta": Activation("hard_sigmoid", 0.25, 0.375),
    "Relu": Activation("relu"),
    "Softsign": Activation("softsign"),
    "Softplus": Activation("softplus"),
    "LeakyRelu": Activation("leaky_relu", 0.01),
    "LeakyRelu with alpha": Activation("leaky_relu", 0.125),
    "Elu": Activation("elu", 1.0),
    "Elu with alpha": Activation("elu", 0.75),
    "Affine": Activation("affine", 0.5, 0.25),
    "ScaledTanh": Activation("scaled_tanh", 1.5, 0.75),
    "ThresholdedRelu": Activation("thresholded_relu", 0.25),
    "Sigmoid": Activation("sigmoid"),
    "Tanh": Activation("tanh"),
    "HardSigmoid of slope 1/6": Activation("hard_sigmoid", 1 / 6, 0.5),
}
_SWITCHES = {
    "f": ("input_activation", "forget_activation", "output_activation"),
    "g": ("candidate_activation",),
    "h": ("cell_activation",),
    "g and h": ("candidate_activation", "cell_activation"),
}
DEFAULTS = {"f": "Sigmoid", "g": "Tanh", "h": "Tanh"}


def activation_attributes(names: Iterable[str], slots: Iterable[str] = "fgh") -> tuple[str, ...]:
    """Return the attributes that put activations into slots: f (gates), g (candidate) and h (cell state)."""
    return tuple(f"{slot} = {name}" for name in names for slot in slots if DEFAULTS.get(slot) != name)


ONNX_ACTIVATIONS = activation_attributes(name for name in _ACTIVATIONS if name != "HardSigmoid of slope 1/6")
_GROUPS = ({REVERSE, BIDIRECTIONAL}, {LENGTHS, EMPTY})  # of which a case has one at most


def group_of(attribute: str) -> str:
    """Return a name that an attribute shares with those that cannot be together with it."""
    if " = " in attribute and attribute not in (REVERSE, BIDIRECTIONAL):
        return attribute.partition(" = ")[0]
    return next((str(sorted(group)) for group in _GROUPS if attribute in group), attribute)


@dataclass(frozen=True)
class Design:
    """What a case is made of. The arrays of a design don't change if an attribute is added or left out.

    Attributes
    ----------
    attributes : frozenset of str
        What differs from a plain LSTM of one direction.
    input_size, hidden_size, num_steps, batch_size : int
    opset : int
        Of an ONNX model.
    dtype : str
        ``float32`` or ``float64``.
    values : str
        What the input is like: ``normal``, ``saturating``, ``tiny`` or ``NaN``; ``file`` if a file has the model.
    feature : str
        The row of the table that the case belongs to, if not to those of its attributes.
    seed : int
    """

    attributes: frozenset[str] = frozenset()
    input_size: int = 3
    hidden_size: int = 4
    num_steps: int = 5
    batch_size: int = 3
    opset: int = 14
    dtype: str = "float32"
    values: str = "normal"
    feature: str = ""
    seed: int = SEED

    def __str__(self) -> str:
        sizes = [
            counted(self.input_size, "feature"),
            counted(self.hidden_size, "unit"),
            counted(self.num_steps, "step"),
        ]
        sizes.append(f"batch {self.batch_size}")
        others = [f"opset {self.opset}"] * (self.opset != 14) + [self.dtype] * (self.dtype != "float32")
        others += [f"{self.values} input"] * (self.values != "normal")
        return ", ".join([*sorted(self.attributes), *sizes, *others])

    def rows(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return the rows of the table that the case belongs to; `labels` has those of attributes with another name."""
        if self.feature:
            return (self.feature,)
        return tuple(dict.fromkeys(labels.get(name, name) for name in sorted(self.attributes))) or (PLAIN,)

    @property
    def is_file(self) -> bool:
        """Whether it stands for a model from a file, which has its own sizes."""
        return self.values == FILE

    def without(self, *attributes: str) -> Design:
        """Return the same case without some attributes."""
        return replace(self, attributes=self.attributes - {*attributes})

    @property
    def of_one_sequence(self) -> Design | None:
        """The same case with one sequence; None if it has one, or is about several."""
        is_about_several = self.feature == BATCHES or bool(self.attributes & {LENGTHS, EMPTY})
        return None if self.batch_size == 1 or is_about_several else replace(self, batch_size=1)

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions of its layers."""
        if BIDIRECTIONAL in self.attributes:
            return "forward", "backward"
        return ("backward",) if REVERSE in self.attributes else ("forward",)

    def variant(self) -> Variant:
        """Return the switches of its cells."""
        switches: dict[str, Any] = {}
        for attribute in self.attributes:
            slot, _, name = attribute.partition(" = ")
            if slot in _SWITCHES and name in _ACTIVATIONS:
                switches |= dict.fromkeys(_SWITCHES[slot], _ACTIVATIONS[name])
        return Variant(
            gate_clip=CLIP_AT if CLIP in self.attributes else None,
            coupling="forget=1-input" if COUPLED in self.attributes else "none",
            peephole="full" if PEEPHOLES in self.attributes else "none",
            **switches,
        )


@dataclass(frozen=True, eq=False)
class Trial:
    """A design with its numbers.

    Attributes
    ----------
    design : Design
    case : Case
        The run in float64, which is taken as the truth.
    second_bias : tuple of tuple of array
        The part of each cell's bias that belongs to the recurrent sums, where a format has two.
    lengths : array of int or None
    """

    design: Design
    case: Case
    second_bias: tuple[tuple[Array, ...], ...]
    lengths: npt.NDArray[np.int64] | None = None
    truth: dict[str, Array] = field(default_factory=dict)


def draw(design: Design) -> Trial:
    """Return the numbers of a design. Each array is drawn from its own seed, so attributes don't move other arrays."""
    single = design.dtype == "float32"
    attributes, variant = design.attributes, design.variant()
    hidden, steps, batch = design.hidden_size, design.num_steps, design.batch_size
    recurrent = max(1, hidden // 2) if PROJECTION in attributes else hidden

    def random(name: str, *shape: int, scale: float = 1.0) -> Array:
        rng = np.random.default_rng([design.seed, zlib.crc32(name.encode())])
        array = scale * rng.standard_normal(shape)
        return array.astype(np.float32).astype(np.float64) if single else array

    rows: list[list[Parameters]] = []
    second: list[tuple[Array, ...]] = []
    width = design.input_size
    for layer in range(1 + (LAYERS in attributes)):
        row, biases = [], []
        for place in range(len(design.directions)):
            name = f"{layer} {place}"
            columns = recurrent + width
            # Strong enough for every switch to show, weak enough for a long run to converge.
            weight = random(f"weight {name}", 4, hidden, columns, scale=1.6 / np.sqrt(columns))
            first, other = (random(f"bias {part} {name}", 4, hidden, scale=0.5) for part in (1, 2))
            if NO_BIAS in attributes:
                first, other = np.zeros_like(first), np.zeros_like(other)
            peephole = random(f"peephole {name}", 3, hidden, scale=0.7) if PEEPHOLES in attributes else None
            projection = None
            if PROJECTION in attributes:
                projection = random(f"projection {name}", recurrent, hidden, scale=1.6 / np.sqrt(hidden))
            row.append(Parameters(weight, first + other, variant, peephole, projection))
            biases.append(other)
        rows.append(row)
        second.append(tuple(biases))
        width = recurrent * len(row)
    lstm = LSTM.from_cells(rows, direction=design.directions[0])
    scale = {"saturating": 50.0, "tiny": 1e-30}.get(design.values, 1.0)
    x = random("x", steps, batch, design.input_size, scale=scale)
    if design.values == "NaN":
        x[steps // 2, 0, 0] = np.nan
    state = None
    if attributes & {INITIAL_H, INITIAL_C}:
        state = tuple(
            tuple(
                State(
                    random(f"h {n} {place}", batch, recurrent) * (INITIAL_H in attributes),
                    random(f"c {n} {place}", batch, hidden) * (INITIAL_C in attributes),
                )
                for place in range(len(row))
            )
            for n, row in enumerate(rows)
        )
    lengths = None
    if attributes & {LENGTHS, EMPTY}:
        rng = np.random.default_rng([design.seed, 7])
        lengths = rng.integers(1, steps + 1, batch)
        lengths[0] = steps
        if batch > 1:
            lengths[-1] = 0 if EMPTY in attributes else max(1, steps // 2)
    case = Case(lstm, x, state, valid_steps(lengths, None, steps, batch))
    return Trial(design, case, tuple(second), lengths, case.answers("reference"))


def alone(attributes: Iterable[str]) -> Iterator[Design]:
    """Yield a plain case, and one with each attribute alone."""
    yield Design()
    yield from (Design(frozenset({attribute})) for attribute in attributes)


def pairs(attributes: Iterable[str]) -> Iterator[Design]:
    """Yield a case with each pair of attributes that can be together."""
    for first, second in itertools.combinations(attributes, 2):
        if group_of(first) != group_of(second):
            yield Design(frozenset({first, second}))


QUICK_SIZES = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 70)


def sizes(base: frozenset[str], *, every: bool) -> Iterator[Design]:
    """Yield cases of many sizes: hidden units from 1 to 70, batches, features, one step, no batch of more than one."""
    for hidden in range(1, 71) if every else QUICK_SIZES:
        yield Design(base, hidden_size=hidden, feature="1 to 70 units", num_steps=3, batch_size=2, seed=hidden)
    for batch in range(1, 20) if every else (1, 2, 7, 16, 17):
        yield Design(base, batch_size=batch, feature=BATCHES, num_steps=3, seed=batch)
    for features in range(1, 71) if every else (1, 2, 8, 17, 70):
        yield Design(base, input_size=features, feature="1 to 70 features", num_steps=3, seed=features)
    for seed in range(20 if every else 3):
        yield Design(base, num_steps=1, feature="one step", seed=seed)


def values(base: frozenset[str], *, every: bool) -> Iterator[Design]:
    """Yield cases with unusual numbers, and long runs."""
    for seed in range(10 if every else 2):
        for kind in ("saturating", "tiny", "NaN"):
            yield Design(base, values=kind, feature=f"{kind} input", seed=seed)
    for steps in (300, 1000, 3000) if every else (300,):
        yield Design(base, num_steps=steps, batch_size=2, feature="long runs", seed=steps)


def drawn(attributes: tuple[str, ...], count: int, seed: int = 1) -> Iterator[Design]:
    """Yield random cases: any attributes that can be together, in any sizes."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        chosen: dict[str, str] = {}
        for attribute in rng.permutation(np.array(attributes, object))[: rng.integers(0, 6)]:
            chosen.setdefault(group_of(attribute), attribute)
        sized = partial(rng.integers, 1)
        yield Design(
            frozenset(chosen.values()), int(sized(9)), int(sized(20)), int(sized(9)), int(sized(6)), seed=1000 + number
        )
