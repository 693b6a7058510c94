"""Arrays of every shape, type and layout, and copies of every object."""

from __future__ import annotations

import copy
import pickle
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hostile.trying import Refused, agree, asked, hostile, numbers, silent


class Sub(np.ndarray):
    """A subclass that does nothing."""


class Loud(np.ndarray):
    """A subclass that answers everything with itself."""

    def __array_finalize__(self, other: Any) -> None:
        pass

    def __add__(self, other: Any) -> Any:
        return np.asarray(self) * 0 + 7

    __mul__ = __matmul__ = __add__


class Arrayed:
    """What has an array, and is none."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array if dtype is None else self.array.astype(dtype)


def laid_out(x: np.ndarray, chance: random.Random) -> tuple[Any, str]:
    """Return the same numbers in another layout, type or container."""
    way = chance.choice(
        [
            "plain",
            "Fortran",
            "reversed twice",
            "strided",
            "transposed",
            "read-only",
            "unaligned",
            "subclass",
            "loud subclass",
            "list",
            "big-endian",
            "__array__",
            "memory view",
            "broadcast",
            "masked",
            "half",
            "integers",
            "wider",
            "zero stride",
            "object",
            "complex",
            "text",
            "records",
            "generator",
            "matrix",
            "torch",
            "DataFrame",
            "nested arrays",
        ]
    )
    if x.ndim == 0:
        return x, "plain"
    match way:
        case "Fortran":
            return np.asfortranarray(x), way
        case "reversed twice":
            return np.ascontiguousarray(x[::-1])[::-1], way
        case "strided":
            wide = np.full((x.shape[0] * 2, *x.shape[1:]), np.nan, x.dtype)
            wide[::2] = x
            return wide[::2], way
        case "transposed":
            return np.ascontiguousarray(x.transpose()).transpose(), way
        case "read-only":
            copied = x.copy()
            copied.flags.writeable = False
            return copied, way
        case "unaligned":
            memory = np.zeros(x.nbytes + 1, np.uint8)
            view = memory[1:].view(x.dtype).reshape(x.shape)
            view[...] = x
            return view, way
        case "subclass":
            return x.view(Sub), way
        case "loud subclass":
            return x.view(Loud), way
        case "list":
            return x.tolist(), way
        case "big-endian":
            return x.astype(x.dtype.newbyteorder(">")), way
        case "__array__":
            return Arrayed(x), way
        case "memory view":
            return memoryview(np.ascontiguousarray(x)), way
        case "masked":
            mask = np.zeros(x.shape, bool)
            if x.size and chance.random() < 0.5:
                mask[0] = True
            return np.ma.MaskedArray(x, mask), f"masked {mask.any()}"
        case "half":
            return x.astype(np.float16), way
        case "integers":
            return np.round(x).astype(chance.choice([np.int8, np.int64, np.uint8, np.bool_])), way
        case "wider":
            return x.astype(chance.choice([np.float64, np.longdouble])), way
        case "zero stride":
            return np.broadcast_to(x[:1], x.shape), way
        case "object":
            return x.astype(object), way
        case "complex":
            return x.astype(complex), way
        case "text":
            return x.astype(str), way
        case "records":
            return np.zeros(x.shape, [("a", "f4")]), way
        case "generator":
            return (row for row in x), way
        case "matrix":
            return (np.asmatrix(x) if x.ndim == 2 else x), way
        case "nested arrays":
            return [*x], way
        case "torch":
            try:
                import torch
            except ImportError:
                return x, "plain"
            return torch.tensor(x, requires_grad=chance.random() < 0.5), way
        case "DataFrame":
            import pandas

            return (pandas.DataFrame(x) if x.ndim == 2 else x), way
    return x, way


@cache
def lstm() -> Any:
    import gatewise as gw

    return gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=0)


@hostile("arrays of every shape, type and layout", needs=("pandas",))
def arrays(chance: random.Random, folder: Path) -> None:
    """The same numbers give the same output, whatever holds them; others are refused, and no input is changed."""

    rng = numbers(chance)
    shape = (
        chance.randrange(0 if chance.random() < 0.1 else 1, 7),
        *([chance.randrange(1, 4)] if chance.random() < 0.6 else []),
        3,
    )
    x = rng.normal(size=shape).astype(np.float32)
    if chance.random() < 0.1:
        x = rng.normal(size=chance.choice([(), (3,), (2, 3, 4, 3), (4, 2), (0, 3), (4, 0), (2, 0, 3)])).astype(
            np.float32
        )
    if chance.random() < 0.1 and x.size:
        x.reshape(-1)[chance.randrange(x.size)] = chance.choice([np.nan, np.inf, 1e38, -1e38, 1e-45])
    given, way = laid_out(x, chance)
    wrong = x.ndim not in (2, 3) or x.shape[-1] != 3
    before = np.array(given, copy=True) if isinstance(given, np.ndarray) else None
    with np.errstate(all="ignore"):
        found = asked(lstm(), given)[0]
    if before is not None and not np.array_equal(before, np.asarray(given), equal_nan=before.dtype.kind in "fc"):
        silent(f"the input was changed: {way} {shape}")
    if wrong:
        silent(f"a wrong shape is run: {x.shape} {way}")
    if way in ("complex", "text", "records", "generator", "object", "masked True"):
        if way != "object":
            silent(f"what holds no numbers is run: {way}")
        return
    same = (
        np.asarray(given if not isinstance(given, Arrayed) else given.array)
        if way not in ("torch", "nested arrays", "generator")
        else x
    )
    same = np.asarray(same, np.float64 if way in ("wider", "integers", "list") else np.float32)
    with np.errstate(all="ignore"):
        expected = lstm()(np.ascontiguousarray(same, np.float32))[0]
    agree(found, expected, f"{way} {x.shape}", 1e-6)


def objects() -> dict[str, Any]:
    """Return one of each public object."""
    import gatewise as gw

    cell = gw.LSTMCell(3, 2, init="notebook", scale=0.01, seed=1010)
    step = cell.step([0.1, 0.2, 0.3], gw.State(np.array([0.1, 0.2]), np.array([0.3, 0.4])))
    model = lstm()
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    trace = model.trace(x)
    network = gw.Network(model, head=gw.Linear(np.ones((2, 8), np.float32)), labels=gw.Labels(features=("a", "b", "c")))
    run = network.trace(x)
    return {
        "cell": cell,
        "step": step,
        "state": step.state,
        "variant": gw.Variant(coupling="forget=1-input"),
        "activation": gw.Activation("elu", 0.5),
        "parameters": cell.parameters,
        "lstm": model,
        "trace": trace,
        "cell trace": trace[0, "forward"],
        "network": network,
        "network trace": run,
        "labels": network.labels,
        "gradients": gw.backward(trace, np.ones_like(trace.output)),
        "answer": gw.insight.timescales(trace[0, "backward"]),
        "walk": gw.walk(step),
        "linear": gw.Linear(np.ones((2, 3))),
        "scaling": gw.Scaling(np.ones(3), np.full(3, 2.0)),
        "measure": gw.Measure("rain", "mm"),
    }


made: dict[str, Any] = {}


@hostile("copies and pickles of every object", seconds=60)
def copies(chance: random.Random, folder: Path) -> None:
    """A copy prints as the original does, and holds the same numbers."""
    if not made:
        made.update(objects())
    name = chance.choice([*made])
    one = made[name]
    way = chance.choice(["pickle", "deepcopy", "copy"])
    if way == "pickle":
        if name == "walk":
            raise Refused("a walkthrough is built as it is read, and no pickle")
        other = asked(pickle.loads, asked(pickle.dumps, one, protocol=chance.randrange(2, 6)))
    else:
        other = asked(getattr(copy, way), one)
    if type(other) is not type(one) or repr(other) != repr(one):
        silent(f"a copy is another: {name} by {way}: {other!r:.200}, not {one!r:.200}")
    compare(one, other, f"{name} by {way}", 0)


def compare(one: Any, other: Any, what: str, depth: int) -> None:
    """Compare the arrays that two objects hold."""
    if isinstance(one, np.ndarray):
        if one.dtype.kind in "fiub":
            agree(other, one, what)
        return
    if depth > 3:
        return
    if isinstance(one, dict):
        for key in one:
            compare(one[key], other[key], what, depth + 1)
    elif isinstance(one, (list, tuple)):
        for a, b in zip(one, other, strict=True):
            compare(a, b, what, depth + 1)
    elif hasattr(one, "__dict__"):
        for key, value in vars(one).items():
            if not key.startswith("_") and hasattr(other, "__dict__"):
                compare(value, vars(other).get(key), f"{what}.{key}", depth + 1)


@hostile("wrong arguments in Python")
def wrong_arguments(chance: random.Random, folder: Path) -> None:
    """A call with nonsense ends in one of gatewise's errors or Python's TypeError about the call itself."""
    import gatewise as gw

    values = [
        *(
            None,
            True,
            -1,
            0,
            1.5,
            float("nan"),
            10**30,
            "",
            "x",
            "nowhere.pt",
            b"x",
            [],
            {},
            (),
            object(),
            np.nan,
            np.zeros((0, 3)),
        ),
        *(
            [1, [2]],
            "a" * 10_000,
            np.array(None),
            np.zeros((2, 3), complex),
            range(3),
            {"a": 1},
            Path("."),
            lambda: 1,
            type,
            2**63,
        ),
    ]
    value = chance.choice(values)
    calls = {
        "LSTM": lambda: gw.LSTM(*chance.choice([(value, 2), (3, value)])),
        "LSTM, layers": lambda: gw.LSTM(3, 2, num_layers=value),
        "LSTM, rng": lambda: gw.LSTM(3, 2, rng=value),
        "LSTM, dtype": lambda: gw.LSTM(3, 2, dtype=value),
        "LSTM, init": lambda: gw.LSTM(3, 2, init=value),
        "call": lambda: lstm()(value),
        "call, state": lambda: lstm()(np.zeros((2, 3), np.float32), value),
        "lengths": lambda: lstm()(np.zeros((2, 1, 3), np.float32), lengths=value),
        "mask": lambda: lstm()(np.zeros((2, 1, 3), np.float32), mask=value),
        "trace, keep": lambda: lstm().trace(np.zeros((2, 3), np.float32), keep=value),
        "trace, units": lambda: lstm().trace(np.zeros((2, 3), np.float32), units=value),
        "trace, every": lambda: lstm().trace(np.zeros((2, 3), np.float32), every=value),
        "engine": lambda: lstm()(np.zeros((2, 3), np.float32), engine=value),
        "load": lambda: gw.load(value),
        "inspect": lambda: gw.inspect(value),
        "open_run": lambda: gw.open_run(value, value),
        "open_run, input": lambda: gw.open_run(lstm(), value),
        "Activation": lambda: gw.Activation(value),
        "Activation, alpha": lambda: gw.Activation("elu", value),
        "parse": lambda: gw.Activation.parse(value),
        "Variant": lambda: gw.Variant(
            **{chance.choice(["peephole", "coupling", "gate_clip", "layer_norm", "epsilon"]): value}
        ),
        "Labels": lambda: gw.Labels(**{chance.choice(["features", "units", "times", "measures", "sequences"]): value}),
        "State": lambda: gw.State(value, value),
        "Linear": lambda: gw.Linear(value),
        "Network": lambda: gw.Network(lstm(), head=value),
        "walk": lambda: gw.walk(value),
        "backward": lambda: gw.backward(lstm().trace(np.zeros((2, 3), np.float32)), value),
        "timescales": lambda: gw.insight.timescales(value),
        "stream": lambda: lstm().stream(value),
        "check": lambda: gw.check(value),
    }
    name = chance.choice([*calls])
    try:
        result = asked(_typed, calls[name])
    except Refused:
        raise
    if isinstance(value, float) and value != value and name in ("LSTM", "Activation, alpha", "trace, every"):
        silent(f"a number that is none is taken: {name}")
    _ = result


def _typed(call: Any) -> Any:
    """Return what a call returns; an error about a call that can never be is refused as well."""
    from gatewise import OptionError

    try:
        return call()
    except TypeError as problem:
        raise OptionError("TypeError: " + (" ".join(str(problem).split()) or "no words")) from None
