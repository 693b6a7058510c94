"""The form of a row of the table of operations, and what rows have in common: costs, and gradients of broadcasting."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy.typing as npt

AnyArray = npt.NDArray[Any]
Gradients = tuple[Any, ...]
Forward = Callable[..., Any]
Vjp = Callable[..., Gradients]


class Estimate(NamedTuple):
    """What an operation will take: numbers in memory, and steps of about a nanosecond each."""

    numbers: int
    steps: int


@dataclass(frozen=True)
class Operation:
    """One operation: everything that gatewise knows about it.

    Attributes
    ----------
    name : str
    forward : function
        ``forward(*arrays, **settings)`` returns an array, or a tuple of arrays. Keyword-only parameters are the
        settings; an optional input that is left out is None.
    vjp : function or None
        ``vjp(g, y, *arrays, **settings)`` returns the gradient with respect to each input, None where there is none.
        `g` and `y` are tuples if there are several outputs. None refuses to differentiate; `FLAT` has zero gradients.
    cost : function
        ``cost(*arrays, **settings)`` returns the `Estimate` of a call, before anything is allocated.
    time : {"each", "carry", "axes", "whole"}
        Along the axis of time: each step by itself; a state goes from step to step; each step by itself if the
        operation's axes do not include time; or all steps are needed.
    affine : {"none", "first", "each", "all"}
        Whether the output is affine in the first input, in each input while the others are fixed, or in all together.
    record : function or None
        ``record(*arrays, **settings)`` returns (outputs, record); `vjp` then receives the record as `y`, and `g` as a
        tuple.
    has_body : bool
        Whether it runs a graph of its own, within the limits of the run.
    onnx, c : object or None
        How ONNX and C express it: see `onnx_forms` and `c_forms`. None if they cannot.
    """

    name: str
    forward: Forward
    vjp: Vjp | None
    cost: Callable[..., Estimate]
    time: str = "whole"
    affine: str = "none"
    record: Callable[..., tuple[Any, Any]] | None = None
    has_body: bool = False
    onnx: Any = None
    c: Any = None

    @cached_property
    def _parameters(self) -> tuple[inspect.Parameter, ...]:
        return tuple(inspect.signature(self.forward).parameters.values())

    @cached_property
    def settings(self) -> dict[str, bool]:
        """The names of the settings, and whether each must be given."""
        result = (item for item in self._parameters if item.kind is item.KEYWORD_ONLY)
        return {parameter.name: parameter.default is parameter.empty for parameter in result}

    @cached_property
    def arity(self) -> tuple[int, int | None]:
        """The least and the largest number of inputs; None if there is no largest."""
        positional = [
            item for item in self._parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
        ]
        least = sum(parameter.default is parameter.empty for parameter in positional)
        several = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in self._parameters)
        return (least, None) if several else (least, len(positional))

    def require(self, inputs: int, settings: Iterable[str]) -> None:
        """Raise TypeError unless the operation takes that many inputs and these settings."""
        provided = set(settings)
        if unknown := sorted(provided - self.settings.keys()):
            raise TypeError(f"the operation has no setting {unknown[0]!r}")
        if missing := [name for name, needed in self.settings.items() if needed and name not in provided]:
            raise TypeError(f"it lacks the setting {missing[0]!r}")
        least, most = self.arity
        if inputs < least or (most is not None and inputs > most):
            allowed = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            raise TypeError(f"it has {inputs} inputs; the operation takes {allowed}")


OPERATIONS: dict[str, Operation] = {}


def FLAT(g: Any, y: Any, *inputs: Any, **settings: Any) -> Gradients:
    """The gradient of an operation whose output is constant almost everywhere."""
    return (None,) * len(inputs)


def add_operation(name: str, forward: Forward, vjp: Vjp | None, cost: Callable[..., Estimate], **more: Any) -> None:
    """Add a row to the table."""
    if name in OPERATIONS:
        raise ValueError(f"there are two operations {name!r}")
    OPERATIONS[name] = Operation(name, forward, vjp, cost, **more)


def set_forms(**forms: Mapping[str, Any]) -> None:
    """Complete rows of the table: ``onnx={"neg": …}`` gives how ONNX expresses an operation, ``c=…`` how C does."""
    for field, by_name in forms.items():
        for name, form in by_name.items():
            OPERATIONS[name] = replace(OPERATIONS[name], **{field: form})


def operation(
    name: str, vjp: Vjp | None, cost: Callable[..., Estimate] | None = None, **more: Any
) -> Callable[[Forward], Forward]:
    """Add the decorated function to the table as an operation's forward; its cost is that of `same_numbers`."""

    def add(forward: Forward) -> Forward:
        add_operation(name, forward, vjp, cost or same_numbers(), **more)
        return forward

    return add


# Costs.


def same_numbers(steps: int = 2) -> Callable[..., Estimate]:
    """Return the cost of an operation that gives as many numbers as it takes, in so many steps each."""

    def cost(*arrays: AnyArray | None, **settings: Any) -> Estimate:
        numbers = sum(array.size for array in arrays if array is not None)
        return Estimate(numbers, steps * numbers)

    return cost


def broadcast_numbers(steps: int = 2) -> Callable[..., Estimate]:
    """Return the cost of an operation that repeats its inputs to a common shape, in so many steps each."""

    def cost(*arrays: AnyArray | None, **settings: Any) -> Estimate:
        numbers = math.prod(broadcast_shape(*(array.shape for array in arrays if array is not None)))
        return Estimate(numbers, steps * numbers)

    return cost


def broadcast_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that arrays have together; NumPy's function takes a second for a million numbers."""
    sizes: list[int] = []
    for shape in shapes:
        sizes = [1] * (len(shape) - len(sizes)) + sizes
        for place, size in enumerate(shape, len(sizes) - len(shape)):
            if size != 1 and sizes[place] not in (1, size):
                raise ValueError(f"arrays of {', '.join(str(tuple(shape)) for shape in shapes)} do not fit each other")
            sizes[place] = sizes[place] if size == 1 else size
    return tuple(sizes)


def shape_numbers(shape: Iterable[int], steps: int = 1) -> Estimate:
    """Return the cost of filling an array of a shape."""
    numbers = math.prod(max(0, int(size)) for size in shape)
    return Estimate(numbers, steps * numbers)


# Gradients.


def unbroadcast(g: AnyArray, like: AnyArray) -> AnyArray:
    """Return a gradient summed over the axes along which an array was repeated, in the array's type."""
    if g.shape != like.shape:
        g = g.sum(axis=tuple(range(g.ndim - like.ndim)))
        g = g.sum(axis=tuple(n for n, size in enumerate(like.shape) if size == 1 != g.shape[n]), keepdims=True)
    return g.astype(like.dtype, copy=False)
