"""The types of a graph's values before it runs: of their numbers, of each axis, and of sizes that are computed.

Some formats do not state them. A size that only a run knows is an `SizeOfAxis`; what reads it may tell its number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gatewise.errors import ShapeError
from gatewise.network.graph import MAX_AXES, Builder, Input
from gatewise.network.limits import Limits
from gatewise.network.operations import AnyArray

END = int(np.iinfo(np.int64).max)  # what ends a slice that has no end
MAX_SIZES = 64  # of an array of whole numbers that may be sizes


class SizeOfAxis:
    """A size that is not known: a base, which may become known, and what is added to it."""

    __slots__ = ("base", "offset")

    def __init__(self, base: SizeOfAxis | int | None = None, offset: int = 0) -> None:
        self.base, self.offset = base, offset


Size = int | SizeOfAxis
Shape = tuple[Size, ...]


def resolved(size: Size) -> int | tuple[SizeOfAxis, int]:
    """Return the number of a size, or the unknown one that it depends on and what is added to it."""
    offset = 0
    while isinstance(size, SizeOfAxis) and size.base is not None:
        offset += size.offset
        size = size.base
    return (size, offset) if isinstance(size, SizeOfAxis) else size + offset


def number_of(size: Size) -> int | None:
    """Return the number of a size; None if it is not known."""
    outcome = resolved(size)
    return outcome if isinstance(outcome, int) else None


def known_or_not(size: Size) -> Size:
    """Return the number of a size, or the size if it is not known."""
    number = number_of(size)
    return size if number is None else number


def longer(size: Size, offset: int) -> Size:
    """Return a size plus a number."""
    outcome = resolved(size)
    return outcome + offset if isinstance(outcome, int) else SizeOfAxis(outcome[0], outcome[1] + offset)


def same(first: Size, second: Size) -> bool:
    """Return whether two sizes are equal in every run."""
    return resolved(first) == resolved(second)


def require_size(size: Size, number: int, subject: str) -> None:
    """Let a size be a number; ShapeError if it is another one."""
    outcome = resolved(size)
    if isinstance(outcome, tuple):
        outcome[0].base, outcome = number - outcome[1], number
    if outcome != number:
        raise ShapeError(f"{subject} has {outcome} numbers; it must have {number}")


class ValueType(NamedTuple):
    """The type of a value, each part None if it is not known.

    Attributes
    ----------
    dtype : str or None
    shape : tuple of int or SizeOfAxis, or None
    content : int, SizeOfAxis, tuple of these, or None
        The numbers of a value that is a size, or a row of them.
    """

    dtype: str | None = None
    shape: Shape | None = None
    content: Any = None

    @property
    def sizes(self) -> tuple[int | None, ...] | None:
        """The size of each axis, None where it is not known; None if not even their count is."""
        return None if self.shape is None else tuple(map(number_of, self.shape))


UNKNOWN = ValueType()
Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}  # of the operations whose types are known: a function of types and settings


def type_of(array: AnyArray) -> ValueType:
    """Return the type of an array."""
    content = None
    if array.dtype.kind in "iu" and array.ndim < 2 and array.size <= MAX_SIZES:
        content = tuple(array.tolist()) if array.ndim else int(array)
    return ValueType(array.dtype.name, array.shape, content)


def types_after(op: str, types: Sequence[ValueType], settings: Mapping[str, Any], count: int) -> list[ValueType]:
    """Return the types of an operation's outputs, of which there are `count`; ShapeError if its inputs cannot be."""
    if op not in RULES:
        return [UNKNOWN] * count
    outcome = RULES[op](*types, **settings)
    outputs = list(outcome) if isinstance(outcome, list) else [outcome]
    return (outputs + [UNKNOWN] * count)[:count]


class TypedBuilder(Builder):
    """A builder that knows the types of its values, in `types`."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self.types: dict[str, ValueType] = {"": UNKNOWN}

    def typed_input(self, name: str, rank: int | None, dtype: str) -> str:
        """Add an input whose sizes are not known yet, and return its name."""
        value = self.input(name, None, dtype)
        self.types[value] = ValueType(dtype, None if rank is None else tuple(SizeOfAxis() for _ in range(rank)))
        return value

    def fix_inputs(self) -> None:
        """Give each input the sizes that its readers have told."""
        self.inputs = [Input(entry.name, self.types[entry.name].sizes, entry.dtype) for entry in self.inputs]

    def constant(self, value: Any, name: str = "") -> str:
        """Add an array, and return its name."""
        name = super().constant(value, name)
        self.types[name] = type_of(self.constants[name])
        return name

    def add(self, op: str, *inputs: Any, name: str = "", outputs: int = 1, **settings: Any) -> Any:
        """Add a node as `Builder.add` does."""
        computed = super().add(op, *inputs, name=name, outputs=outputs, **settings)
        names = (computed,) if isinstance(computed, str) else computed
        if names[0] in self.constants:
            outcome = [type_of(self.constants[name]) for name in names]
        else:
            outcome = types_after(op, [self.types[name] for name in self.nodes[-1].inputs], settings, len(names))
        self.types |= dict(zip(names, outcome, strict=True))
        return computed


# What rules have in common.


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Add the decorated function as the rule of these operations."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(ops, function))
        return function

    return add


def common_dtype(types: Iterable[ValueType]) -> str | None:
    """Return the type in which NumPy combines numbers."""
    dtypes = [entry.dtype for entry in types]
    return (
        None
        if None in dtypes or not dtypes
        else np.result_type(*(np.dtype(entry) for entry in dtypes if entry is not None)).name
    )


def place_of(axis: int, rank: int) -> int:
    """Return the place of an axis from the front; ShapeError if there is none."""
    if not -rank <= axis < rank:
        raise ShapeError(f"there is no axis {axis} of {rank}")
    return axis % rank


def broadcast(*shapes: Shape | None) -> Shape | None:
    """Return the shape that shapes have in common; an unknown size beside a number other than 1 is that number."""
    if any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    result: list[Size] = []
    for place in range(-max(map(len, known), default=0), 0):
        sizes = [shape[place] for shape in known if len(shape) >= -place]
        numbers = {number for size in sizes if (number := number_of(size)) is not None} - {1}
        unknown = [size for size in sizes if number_of(size) is None]
        if len(numbers) > 1:
            raise ShapeError(f"axes of {sorted(numbers)} numbers cannot be combined")
        if numbers:
            (common,) = numbers
            for size in unknown:
                require_size(size, common, "an axis")
            result.append(common)
        elif not unknown:
            result.append(1)
        else:
            result.append(unknown[0] if all(same(unknown[0], size) for size in unknown) else SizeOfAxis())
    return tuple(result)


def sizes_in(shape: ValueType) -> Shape | None:
    """Return the sizes in a value that is a row of them; with unknown ones if only their count is known."""
    if isinstance(shape.content, tuple):
        return shape.content
    count = None if shape.shape is None or len(shape.shape) != 1 else number_of(shape.shape[0])
    if count is None:
        return None
    if count > MAX_AXES:
        raise ShapeError(f"it would have {count} axes")
    return tuple(SizeOfAxis() for _ in range(count))


# Element by element.

FLOATING = (
    *("exp", "log", "log1p", "expm1", "sqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan", "sinh"),
    *("cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "tanh", "softplus", "softsign", "gelu", "gelu_tanh", "silu"),
    *("mish", "hard_swish", "leaky_relu", "elu", "celu", "selu", "hard_sigmoid", "scaled_tanh", "thresholded_relu"),
    *("affine", "softmax", "log_softmax", "normalise"),
)


@rule(*FLOATING)
def _floating(x: ValueType, **settings: Any) -> ValueType:
    floats = x.dtype is not None and np.dtype(x.dtype).kind == "f"
    return ValueType(x.dtype if floats else None, x.shape)


@rule("neg", "abs", "relu", "identity", "sign", "bitwise_not", "flip", "triangle", "floor", "ceil", "round", "trunc")
def _unchanged(x: ValueType, **settings: Any) -> ValueType:
    return ValueType(x.dtype, x.shape)


@rule("cumsum")
def _cumsum(x: ValueType, axis: int, **settings: Any) -> ValueType:
    if x.shape is not None:
        place_of(axis, len(x.shape))
    return ValueType(*_floating(x))


@rule("not", "is_nan", "is_inf")
def _truth(x: ValueType, **settings: Any) -> ValueType:
    return ValueType("bool", x.shape)


@rule("cast")
def _cast(x: ValueType, dtype: str) -> ValueType:
    return ValueType(np.dtype(dtype).name, x.shape, x.content if np.dtype(dtype) == np.int64 else None)


@rule("cast_like")
def _cast_like(x: ValueType, like: ValueType) -> ValueType:
    return ValueType(like.dtype, x.shape)


@rule("div", "pow", "maximum", "minimum", "mod", "prelu", "bitwise_and", "bitwise_or", "bitwise_xor")
def _combined(*types: ValueType, **settings: Any) -> ValueType:
    return ValueType(common_dtype(types), broadcast(*(entry.shape for entry in types)))


def _with_sizes(combine: Callable[[Size, Size], Size]) -> Rule:
    def combined(first: ValueType, second: ValueType) -> ValueType:
        outcome = ValueType(*_combined(first, second))
        a, b = first.content, second.content
        if a is None or b is None or not outcome.dtype or np.dtype(outcome.dtype).kind not in "iu":
            return outcome
        if not isinstance(a, tuple) and not isinstance(b, tuple):
            return outcome._replace(content=combine(a, b))
        rows = [list(entry) if isinstance(entry, tuple) else [entry] for entry in (a, b)]
        count = max(map(len, rows))
        rows = [row * count if len(row) == 1 else row for row in rows]
        return outcome._replace(content=tuple(combine(*pair) for pair in zip(*rows, strict=True)))

    return combined


def _sum(a: Size, b: Size) -> Size:
    first, second = number_of(a), number_of(b)
    return longer(b, first) if first is not None else longer(a, second) if second is not None else SizeOfAxis()


def _difference(a: Size, b: Size) -> Size:
    second = number_of(b)
    return longer(a, -second) if second is not None else 0 if same(a, b) else SizeOfAxis()


def _product(a: Size, b: Size) -> Size:
    first, second = number_of(a), number_of(b)
    if first is not None and second is not None:
        return first * second
    return b if first == 1 else a if second == 1 else SizeOfAxis()


RULES |= {"add": _with_sizes(_sum), "sub": _with_sizes(_difference), "mul": _with_sizes(_product)}


@rule("equal", "less", "greater", "less_equal", "greater_equal", "and", "or", "xor")
def _comparison(*types: ValueType) -> ValueType:
    return ValueType("bool", broadcast(*(entry.shape for entry in types)))


@rule("where")
def _where(condition: ValueType, a: ValueType, b: ValueType) -> ValueType:
    return ValueType(common_dtype([a, b]), broadcast(condition.shape, a.shape, b.shape))


@rule("clip")
def _clip(x: ValueType, *limits: ValueType) -> ValueType:
    stated = [entry for entry in limits if entry is not UNKNOWN]
    return ValueType(common_dtype([x, *stated]), broadcast(x.shape, *(entry.shape for entry in stated)))


# Axes and parts.


def _rest(shape: Shape, others: list[Size]) -> Size:
    """Return the size of the axis of a new shape that takes what the others leave."""
    left = [known_or_not(size) for size in shape]
    for size in [*others]:
        if (outcome := next((entry for entry in left if same(entry, size)), None)) is not None:
            left.remove(outcome)
            others.remove(size)
    numbers, divisors = ([number_of(size) for size in row] for row in (left, others))
    if None not in numbers and None not in divisors and (divisor := math.prod(size or 0 for size in divisors)):
        return math.prod(size or 0 for size in numbers) // divisor
    return left[0] if len(left) == 1 and not others else SizeOfAxis()


@rule("reshape")
def _reshape(x: ValueType, shape: ValueType, zeros: bool = False) -> ValueType:
    sizes = sizes_in(shape)
    if sizes is None or shape.content is None:
        return ValueType(x.dtype, sizes)
    target = list[Size](known_or_not(size) for size in sizes)
    if not zeros and 0 in target:
        if x.shape is None:
            return ValueType(x.dtype, tuple(SizeOfAxis() if size in (0, -1) else size for size in target))
        target = [x.shape[place] if size == 0 and place < len(x.shape) else size for place, size in enumerate(target)]
    rest = SizeOfAxis() if x.shape is None else _rest(x.shape, [size for size in target if size != -1])
    sizes = tuple(rest if size == -1 else size for size in target)
    row = x.content if isinstance(x.content, tuple) or x.content is None else (x.content,)
    content = None if row is None or len(sizes) > 1 else row if sizes else row[0]
    return ValueType(x.dtype, sizes, content)


@rule("transpose")
def _transpose(x: ValueType, order: Sequence[int] | None = None) -> ValueType:
    if x.shape is None:
        return ValueType(x.dtype, None if order is None else tuple(SizeOfAxis() for _ in order))
    rank = len(x.shape)
    places = range(rank)[::-1] if order is None else [place_of(axis, rank) for axis in order]
    if sorted(places) != [*range(rank)]:
        raise ShapeError(f"{rank} axes cannot have the order {tuple(order or ())}")
    return ValueType(x.dtype, tuple(x.shape[place] for place in places))


@rule("swap")
def _swap(x: ValueType, first: int, second: int) -> ValueType:
    if x.shape is None:
        return ValueType(x.dtype)
    sizes, places = [*x.shape], [place_of(axis, len(x.shape)) for axis in (first, second)]
    sizes[places[0]], sizes[places[1]] = sizes[places[1]], sizes[places[0]]
    return ValueType(x.dtype, tuple(sizes))


@rule("unsqueeze")
def _unsqueeze(x: ValueType, axes: Sequence[int]) -> ValueType:
    if x.shape is None:
        return ValueType(x.dtype)
    rank = len(x.shape) + len(axes)
    places = {place_of(axis, rank) for axis in axes}
    rest = iter(x.shape)
    return ValueType(x.dtype, tuple(1 if place in places else next(rest) for place in range(rank)))


@rule("squeeze")
def _squeeze(x: ValueType, axes: Sequence[int] | None = None) -> ValueType:
    if x.shape is None or (axes is None and None in (x.sizes or ())):
        return ValueType(x.dtype)
    every = [place for place, size in enumerate(x.shape) if size == 1]
    places = every if axes is None else [place_of(axis, len(x.shape)) for axis in axes]
    for place in places:
        require_size(x.shape[place], 1, f"axis {place}")
    content = x.content[0] if isinstance(x.content, tuple) and places else None
    return ValueType(x.dtype, tuple(size for place, size in enumerate(x.shape) if place not in places), content)


@rule("expand")
def _expand(x: ValueType, shape: ValueType) -> ValueType:
    return ValueType(x.dtype, broadcast(x.shape, sizes_in(shape)))


@rule("tile")
def _tile(x: ValueType, repeats: ValueType) -> ValueType:
    each = sizes_in(repeats)
    if x.shape is None or each is None:
        return ValueType(x.dtype)
    if len(each) != len(x.shape):
        raise ShapeError(f"{len(x.shape)} axes cannot be repeated {len(each)} times")
    return ValueType(x.dtype, tuple(map(_product, x.shape, each)))


@rule("concat")
def _concat(*types: ValueType, axis: int) -> ValueType:
    dtype = common_dtype(types)
    shapes = [entry.shape for entry in types]
    if None in shapes or not shapes:
        return ValueType(dtype)
    known = [shape for shape in shapes if shape is not None]
    rank = len(known[0])
    if any(len(shape) != rank for shape in known):
        raise ShapeError(f"values of {', '.join(str(len(shape)) for shape in known)} axes cannot be joined")
    place = place_of(axis, rank)
    sizes: list[Size] = []
    for at in range(rank):
        column = [shape[at] for shape in known]
        if at == place:
            total: Size = 0
            for size in column:
                total = _sum(total, size)
            sizes.append(total)
            continue
        number = next((n for size in column if (n := number_of(size)) is not None), None)
        for size in column if number is not None else ():
            require_size(size, int(number or 0), f"axis {at}")
        sizes.append(column[0])
    rows = [entry.content for entry in types]
    all_of_it = all(isinstance(row, tuple) for row in rows)
    return ValueType(dtype, tuple(sizes), tuple(size for row in rows for size in row) if all_of_it else None)


@rule("stack")
def _stack(*types: ValueType, axis: int) -> ValueType:
    shapes = [entry.shape for entry in types]
    if None in shapes or not shapes:
        return ValueType(common_dtype(types))
    shape = broadcast(*shapes) or ()
    if any(len(entry or ()) != len(shape) for entry in shapes):
        raise ShapeError("values of several counts of axes cannot be stacked")
    place = place_of(axis, len(shape) + 1)
    return ValueType(common_dtype(types), (*shape[:place], len(types), *shape[place:]))


def _parts(x: ValueType, axis: int, sizes: Iterable[Size]) -> list[ValueType]:
    if x.shape is None:
        return [ValueType(x.dtype) for _ in sizes]
    place = place_of(axis, len(x.shape))
    return [ValueType(x.dtype, (*x.shape[:place], size, *x.shape[place + 1 :])) for size in sizes]


@rule("split")
def _split(x: ValueType, sizes: ValueType, axis: int) -> list[ValueType]:
    return _parts(x, axis, sizes_in(sizes) or ())


@rule("chunk")
def _chunk(x: ValueType, count: int, axis: int) -> list[ValueType]:
    number = None if x.shape is None else number_of(x.shape[place_of(axis, len(x.shape))])
    if number is None:
        return _parts(x, axis, [SizeOfAxis() for _ in range(count)])
    each = -(-number // count)
    return _parts(x, axis, [max(0, min(each, number - each * place)) for place in range(count)])


@rule("slice")
def _slice(x: ValueType, starts: ValueType, ends: ValueType, axes: ValueType, steps: ValueType) -> ValueType:
    bounds = [entry.content for entry in (starts, ends, axes, steps)]
    if x.shape is None:
        return ValueType(x.dtype)
    sizes, content = [*x.shape], None
    if not isinstance(bounds[2], tuple) or not isinstance(bounds[3], tuple):
        return ValueType(x.dtype, tuple(SizeOfAxis() for _ in sizes))
    for at, axis in enumerate(bounds[2]):
        place = place_of(int(number_of(axis) or 0), len(sizes))
        each = [number_of(row[at]) if isinstance(row, tuple) else None for row in (bounds[0], bounds[1], bounds[3])]
        sizes[place] = _part_of(sizes[place], *each)
        if isinstance(x.content, tuple) and None not in each:
            content = x.content[slice(each[0], each[1], each[2])]
    return ValueType(x.dtype, tuple(sizes), content)


def _part_of(size: Size, start: int | None, end: int | None, step: int | None) -> Size:
    """Return the size of a part of an axis."""
    number = number_of(size)
    if start is None or end is None or not step:
        return SizeOfAxis()
    if number is not None:
        if step > 0:
            return len(range(*slice(start, end, step).indices(number)))
        return SizeOfAxis()
    if step != 1:
        return SizeOfAxis()
    if start >= 0 and end == END:
        return longer(size, -start)
    return longer(size, end - start) if start >= 0 > end else SizeOfAxis()


@rule("gather")
def _gather(x: ValueType, index: ValueType, axis: int) -> ValueType:
    if x.shape is None or index.shape is None:
        return ValueType(x.dtype)
    place = place_of(axis, len(x.shape))
    content = None
    if isinstance(x.content, tuple) and index.content is not None:
        places = index.content if isinstance(index.content, tuple) else (index.content,)
        numbers = [number_of(entry) for entry in places]
        if all(number is not None and -len(x.content) <= number < len(x.content) for number in numbers):
            outcome = tuple(x.content[number] for number in numbers if number is not None)
            content = outcome if isinstance(index.content, tuple) else outcome[0]
    return ValueType(x.dtype, (*x.shape[:place], *index.shape, *x.shape[place + 1 :]), content)


@rule("gather_elements")
def _gather_elements(x: ValueType, index: ValueType, axis: int) -> ValueType:
    return ValueType(x.dtype, index.shape)


@rule("shape")
def _shape(x: ValueType) -> ValueType:
    if x.shape is None:
        return ValueType("int64", (SizeOfAxis(),))
    return ValueType("int64", (len(x.shape),), x.shape)


@rule("fill")
def _fill(shape: ValueType, value: ValueType) -> ValueType:
    sizes, content = sizes_in(shape), None
    if sizes is not None and len(sizes) == 1 and isinstance(value.content, int):
        count = number_of(sizes[0])
        content = (value.content,) * count if count is not None and count <= MAX_SIZES else None
    return ValueType(value.dtype, sizes, content)


@rule("range")
def _range(start: ValueType, end: ValueType, step: ValueType) -> ValueType:
    count: Size = SizeOfAxis()
    if start.content == 0 and step.content == 1 and end.content is not None:
        count = end.content
    return ValueType(common_dtype([start, end, step]), (count,))


@rule("pad")
def _pad(x: ValueType, pads: ValueType, *value: ValueType, mode: str = "constant") -> ValueType:
    each = sizes_in(pads)
    if x.shape is None or each is None:
        return ValueType(x.dtype)
    rank = len(x.shape)
    if len(each) != 2 * rank:
        raise ShapeError(f"{rank} axes cannot be padded at {len(each)} ends")
    sizes = [_sum(_sum(size, each[place]), each[place + rank]) for place, size in enumerate(x.shape)]
    return ValueType(x.dtype, tuple(sizes))


# Over whole axes.


def _reduced(x: ValueType, axes: Sequence[int] | None, keepdims: bool) -> Shape | None:
    if x.shape is None:
        return None
    rank = len(x.shape)
    places = {*range(rank)} if axes is None else {place_of(axis, rank) for axis in axes}
    remaining = ((place, size) for place, size in enumerate(x.shape) if keepdims or place not in places)
    return tuple(1 if place in places else size for place, size in remaining)


@rule(*(f"reduce_{kind}" for kind in ("sum", "mean", "max", "min", "prod", "logsumexp", "norm2")))
def _reduction(x: ValueType, axes: Sequence[int] | None = None, keepdims: bool = False) -> ValueType:
    floats = x.dtype is not None and np.dtype(x.dtype).kind == "f"
    return ValueType(x.dtype if floats else None, _reduced(x, axes, keepdims))


@rule("reduce_any", "reduce_all")
def _truths(x: ValueType, axes: Sequence[int] | None = None, keepdims: bool = False) -> ValueType:
    return ValueType("bool", _reduced(x, axes, keepdims))


@rule("argmax", "argmin")
def _place(x: ValueType, axis: int, keepdims: bool = False, last: bool = False) -> ValueType:
    return ValueType("int64", _reduced(x, (axis,), keepdims))


# Products.


@rule("linear")
def _linear(x: ValueType, weight: ValueType, *bias: ValueType) -> ValueType:
    dtype = common_dtype([x, weight, *bias])
    if x.shape is None or weight.shape is None or len(weight.shape) != 2:
        return ValueType(dtype)
    if not x.shape:
        raise ShapeError("a single number cannot be multiplied by a matrix")
    if (number := number_of(weight.shape[1])) is not None:
        require_size(x.shape[-1], number, "the last axis")
    return ValueType(dtype, (*x.shape[:-1], weight.shape[0]))


@rule("matmul")
def _matmul(a: ValueType, b: ValueType) -> ValueType:
    dtype = common_dtype([a, b])
    if a.shape is None or b.shape is None:
        return ValueType(dtype)
    if not a.shape or not b.shape:
        raise ShapeError("a single number cannot be multiplied by a matrix")
    first, second = a.shape[-1], b.shape[-2] if len(b.shape) > 1 else b.shape[-1]
    for entry, other in ((first, second), (second, first)):
        if (number := number_of(entry)) is not None:
            require_size(other, number, "the axis that is summed over")
    front = broadcast(a.shape[:-2], b.shape[:-2]) or ()
    rows, columns = a.shape[-2:-1], b.shape[-1:] if len(b.shape) > 1 else ()
    return ValueType(dtype, (*front, *rows, *columns))


@rule("einsum")
def _einsum(*types: ValueType, equation: str) -> ValueType:
    terms, _, result = equation.partition("->")
    dtype, sizes = common_dtype(types), dict[str, Size]()
    if "." in equation or any(entry.shape is None for entry in types):
        return ValueType(dtype)
    for term, entry in zip(terms.split(","), types, strict=True):
        if len(term) != len(entry.shape or ()):
            raise ShapeError(f"{len(entry.shape or ())} axes cannot be the letters {term!r}")
        for letter, size in zip(term, entry.shape or (), strict=True):
            known = sizes.setdefault(letter, size)
            for first, second in ((known, size), (size, known)):
                if (number := number_of(first)) is not None:
                    require_size(second, number, f"axis {letter!r}")
    return ValueType(dtype, tuple(sizes[letter] for letter in result))


def _windows(size: Size, kernel: int, stride: int, dilation: int) -> Size:
    """Return the number of windows on an axis."""
    covered, number = dilation * (kernel - 1), number_of(size)
    if number is not None:
        return max(0, (number - covered - 1) // stride + 1)
    return longer(size, -covered) if stride == 1 else SizeOfAxis()


@rule("conv")
def _conv(
    x: ValueType,
    weight: ValueType,
    *bias: ValueType,
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
) -> ValueType:
    dtype = common_dtype([x, weight, *bias])
    if x.shape is None or weight.shape is None:
        return ValueType(dtype)
    if len(x.shape) != len(weight.shape):
        raise ShapeError(f"{len(x.shape)} axes cannot pass a convolution over {len(weight.shape) - 2}")
    if (channels := number_of(weight.shape[1])) is not None:
        require_size(x.shape[1], channels * groups, "the axis of channels")
    kernel = [number_of(size) for size in weight.shape[2:]]
    windows = [
        SizeOfAxis() if size is None else _windows(length, size, stride, dilation)
        for length, size, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True)
    ]
    return ValueType(dtype, (x.shape[0], weight.shape[0], *windows))


@rule("max_pool", "mean_pool")
def _pool(x: ValueType, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> ValueType:
    if x.shape is None:
        return ValueType(x.dtype)
    front = len(x.shape) - len(kernel)
    if front < 0:
        raise ShapeError(f"{len(x.shape)} axes have no windows over {len(kernel)}")
    windows = map(_windows, x.shape[front:], kernel, strides, dilations)
    return ValueType(x.dtype, (*x.shape[:front], *windows))


@rule("lstm")
def _lstm(x: ValueType, *states: ValueType, lstm: Any, **settings: Any) -> list[ValueType]:
    cell, ways = lstm.layers[0][0], len(lstm.directions)
    for entry, name in ((x, "the input"), *((entry, "the state") for entry in states[:2])):
        if entry.shape is not None and len(entry.shape) != 3:
            raise ShapeError(f"{name} of an LSTM has {len(entry.shape)} axes; it must have 3")
    time, batch, features = x.shape or (SizeOfAxis(), SizeOfAxis(), SizeOfAxis())
    require_size(features, lstm.input_size, "the last axis")
    recurrent, hidden, dtype = cell.recurrent_size, cell.hidden_size, np.dtype(lstm.dtype).name
    for entry, number in zip(states[:2], (recurrent, hidden), strict=False):
        if entry.shape is not None:
            require_size(entry.shape[0], ways, "the first axis of the state")
            require_size(entry.shape[2], number, "the last axis of the state")
    merged = {"concat": (ways * recurrent,), "none": (ways, recurrent)}.get(lstm.merge[0], (recurrent,))
    shapes: tuple[Shape, ...] = (time, batch, *merged), (ways, batch, recurrent), (ways, batch, hidden)
    return [ValueType(dtype, shape) for shape in shapes]
