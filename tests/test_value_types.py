"""The types that values of a graph are known to have before a run are those that they have in the run."""

from __future__ import annotations

import numpy as np
import pytest

from gatewise.errors import ShapeError
from gatewise.network.operations import OPERATIONS
from gatewise.network.value_types import RULES, UNKNOWN, SizeOfAxis, ValueType, number_of, type_of, types_after
from tests.operation_examples import EXAMPLES

WITHOUT_RULE = {"move", "flatten", "one_hot", "choose", "unknown", "scan", "loop"}
KNOWN = [example for example in EXAMPLES if example.op in RULES]


def assert_holds(found, arrays):
    """Require that types are those of arrays, as far as they are known."""
    for known, array in zip(found, arrays, strict=True):
        assert known.dtype in (None, array.dtype.name)
        if known.shape is not None:
            assert len(known.shape) == array.ndim
            assert all(number_of(a) in (None, b) for a, b in zip(known.shape, array.shape, strict=True))
        if known.content is not None:
            sizes = known.content if isinstance(known.content, tuple) else (known.content,)
            assert all(number_of(a) in (None, b) for a, b in zip(sizes, np.ravel(array).tolist(), strict=True))


def test_every_operation_but_a_few_has_a_rule():
    assert OPERATIONS.keys() - RULES.keys() == WITHOUT_RULE


@pytest.mark.parametrize("example", KNOWN, ids=lambda example: example.op)
@pytest.mark.parametrize("known", ["all sizes", "no sizes", "no ranks", "no contents"])
def test_the_types_of_outputs_are_those_of_a_run(example, known):
    for settings in [{}, *({name: value} for name, value in example.others.items())]:
        try:
            arrays = example.forward(**settings)
        except ValueError:  # the other setting does not fit the example
            continue
        types = [UNKNOWN if array is None else type_of(np.asarray(array)) for array in example.inputs]
        if known == "no sizes":
            types = [
                one if one.shape is None else ValueType(one.dtype, tuple(SizeOfAxis() for _ in one.shape))
                for one in types
            ]
        elif known == "no ranks":
            types = [ValueType(one.dtype) for one in types]
        elif known == "no contents":
            types = [one._replace(content=None) for one in types]
        found = types_after(example.op, types, {**example.settings, **settings}, len(arrays))
        assert_holds(found, arrays)
        if known == "all sizes" and example.op not in ("slice", "range"):  # of floats, and backwards
            assert all(one.dtype is not None and one.shape is not None for one in found)
            assert not any(size is None for one in found for size in one.sizes)


def test_a_reader_of_an_axis_tells_its_size():
    features, time = SizeOfAxis(), SizeOfAxis()
    x, weight = ValueType("float32", (time, features)), type_of(np.ones((4, 3), np.float32))
    joined = types_after("concat", [x, ValueType("float32", (time, 1))], {"axis": 1}, 1)[0]
    (y,) = types_after("linear", [joined, weight], {}, 1)
    assert (number_of(features), number_of(time), y.sizes) == (2, None, (None, 4))
    with pytest.raises(ShapeError, match="it must have 5"):
        types_after("linear", [x, type_of(np.ones((4, 5), np.float32))], {}, 1)
