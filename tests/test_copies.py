"""Pickles and copies of everything public: what comes back is equal, and what was read-only is so again."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import refusal
from every_command import put_files
from test_public import PLACES

import gatewise as gw
from gatewise import insight, interop, plot
from gatewise.interop import keras, onnx
from gatewise.network import NetworkStream, Windows

WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
ARGUMENTS: dict[str, dict[str, Any]] = {  # that a question or a picture cannot do without
    "change": {"after": None},
    "decomposition": {"start": 3, "stop": 5},
    "effect": {"unit": 0, "scale": 0},
    "matches": {"start": 3, "stop": 5, "threshold": 0.0},
    "probe": {"values": np.arange(30.0)},
    "text": {"text": "a" * 30, "unit": 0},
    "unit": {"unit": 0},
}
# Kept in a record for speed, and found out anew in its copy.
CACHES = {"_hash", "_parts", "_nodes", "_symbols", "_rank", "again", "_arriving"}
NO_RECORDS = {"Bound", "Env", "Formula"}  # protocols, a name of a type, a base


@functools.cache
def roots() -> dict[str, Any]:
    """Return one of each thing that the public functions return, by name."""
    rng = np.random.default_rng(0)
    lstm = gw.LSTM(2, 3, rng=0)
    scaling = gw.Scaling([0.0, 1.0], [1.0, 2.0])
    labels = gw.Labels(features=("a", "b"), measures={"a": ("rain", "mm/d")})
    network = gw.Network(lstm, head=gw.Linear(np.ones((1, 3), np.float32)), inputs=scaling, labels=labels)
    windows = Windows(5, {"c": ("a", 1)})
    windowed = gw.Network(gw.LSTM(3, 3, rng=0), labels=gw.Labels(features=("a", "b", "c")), windows=windows)
    branches = [gw.Branch([0, 2], [gw.Linear(np.ones((1, 2), np.float32))]), gw.Branch([1])]
    branched = gw.Network(lstm, branches=branches)
    x = rng.normal(size=(30, 2)).astype(np.float32)
    trace, deep = network.trace(x), gw.LSTM(2, 3, num_layers=2, bidirectional=True, rng=0).trace(x)
    cell = trace.lstm[0, "forward"]
    short = network.trace(x[:5]).lstm[0, "forward"]
    bound = gw.walk(cell.step(3)).steps[0]
    gradients = gw.backward(trace, np.ones_like(trace.output))
    stream, network_stream = lstm.stream(), network.stream()
    stream.push(x[:4])
    network_stream.push(x[:4])
    dropped = gw.DropoutMasks(input=np.ones((30, 1, 2), np.float32))
    found = {
        "activation": gw.Activation.parse("hard_sigmoid:0.2,0.5"),
        "windowed": windowed,
        "branched": branched,
        "branched gradients": gw.backward(branched.trace(np.ones((4, 3))), np.ones((4, 3))),
        "deep": deep,
        "dropout": dropped,
        "edited": lstm.trace(x, edit=gw.Edit.set("forget_gate", [0.5, 0.2, 0.1])),
        "engines": gw.engines(),
        "gradients": gradients,
        "keep": gw.Keep(("cell_state",)),
        "streams": (stream, network_stream),
        "trace": trace,
        "terms": cell.step(3).terms("forget_gate", unit=1),
        "verification": gw.verify(network, x, network(x)[0]),
        "captured": interop.Captured("lstm", 0, trace.lstm, 0.0),
        "windowed run": gw.open_run(windowed, x),
        "form, program": (bound.form, bound.program, bound.program.carry),
        "marking": gw.check({"f": cell.step(3).preactivation("forget_gate")}, cell.step(3)),
        "walk": gw.walk(cell.step(3), unit=1),
        "walk backward": gw.walk(short, backward=True, dy=np.ones((5, 3)), notation="keras", facts={"of": "a test"}),
        "errors": [getattr(gw, name)("a sentence") for name in gw.MODULES["gatewise.errors"]],
        "report": gw.report(network, x),
        "page": gw.page(),
    }
    for package in (insight, plot.data):
        for name in package.__all__ if package is insight else plot.__all__:
            question = getattr(package, name, None)
            if inspect.isfunction(question):
                options = {key: trace if value is None else value for key, value in ARGUMENTS.get(name, {}).items()}
                found[f"{package.__name__}.{name}"] = _answer(question, trace, options)
    return found


def _answer(question: Callable[..., Any], trace: Any, options: dict[str, Any]) -> Any:
    """Return the answer to a question about a network's run, or about its only cell."""
    try:
        return question(trace, **options)
    except (gw.OptionError, AttributeError):
        return question(trace.lstm[0, "forward"], **options)


def of_files(folder: Path) -> dict[str, Any]:
    """Return what is read from files in a folder."""
    put_files(folder)
    network = gw.load_network("net.safetensors")
    onnx.write(network, "k.onnx")
    keras.write(network.lstm, "k.keras")
    names = ("net.safetensors", "t0.safetensors", "k.onnx", "k.keras")
    found: dict[str, Any] = {f"inspect {name}": gw.inspect(name) for name in names}
    found["opened"] = gw.open_run("net.safetensors", "x.csv")
    found["header"] = gw.write_c(network, "k.h")
    Path("sheet.csv").write_text("f,0.5,0.1,0.9\ni,0.5,one,0.3\n", encoding="utf-8")
    found["marking with a fault"] = gw.check("sheet.csv", network.lstm.trace(np.ones((1, 2)))[0].step(0))
    found["traced"] = network.lstm.trace(np.ones((4, 2)), out="t1.safetensors")
    return found


def state(thing: Any) -> Mapping[str, Any]:
    """Return the attributes of a record, without those that it keeps for speed; of a stream, its state."""
    if isinstance(thing, (gw.Stream, NetworkStream)):
        return {"state": thing.state}
    if isinstance(thing, (interop.Contents, interop.StoredLayer)):  # compare what they read when they are asked
        read = {name: getattr(thing, name, None) for name in ("weight", "bias", "network")}
        others = {name: value for name, value in vars(thing).items() if not callable(value)}
        return others | {name: function() for name, function in read.items() if function is not None}
    cached = {n for kind in type(thing).__mro__ for n, one in vars(kind).items() if isinstance(one, cached_property)}
    return {name: value for name, value in vars(thing).items() if name not in cached | CACHES}


def differences(one: Any, other: Any, seen: set[tuple[int, int]], place: str = "") -> Iterator[str]:
    """Yield where two things differ; only what was read-only must be read-only in the other, too."""
    if one is other or (id(one), id(other)) in seen:
        return
    seen.add((id(one), id(other)))
    of_items = isinstance(one, Sequence) and not isinstance(one, (str, bytes))
    if isinstance(one, (functools.partial, types.MethodType)):
        of_partial = isinstance(one, functools.partial)
        one, other = ((p.func, p.args, p.keywords) if of_partial else p.__self__ for p in (one, other))
        yield from differences(one, other, seen, f"{place}()")
    elif isinstance(one, types.FunctionType):
        if one.__qualname__ != other.__qualname__:
            yield place
    elif isinstance(one, np.ndarray):
        equal = one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
        if not equal:
            yield f"{place}: {one} {other}"
    elif type(one) is not type(other) and not of_items:
        yield f"{place}: {type(one)} {type(other)}"
    elif isinstance(one, Mapping):
        if list(one) != list(other):
            yield f"{place}: {list(one)} {list(other)}"
        for key in one if list(one) == list(other) else ():
            yield from differences(one[key], other[key], seen, f"{place}[{key!r}]")
    elif of_items and not (hasattr(one, "__dict__") and vars(one)):
        if len(one) != len(other):
            yield f"{place}: {len(one)} {len(other)}"
        for number, pair in enumerate(zip(one, other, strict=False)):
            yield from differences(*pair, seen, f"{place}[{number}]")
    elif hasattr(one, "__dict__"):
        if of_items:  # a sequence whose items are made on access
            yield from differences(tuple(one), tuple(other), seen, place)
        else:
            yield from differences(state(one), state(other), seen, f"{place}.{type(one).__name__}")
    elif one != other and not (one != one and other != other):
        yield f"{place}: {one!r} {other!r}"


def parts_of(thing: Any, seen: dict[int, Any]) -> None:
    """Collect a thing, all that it holds, and the values of its public properties."""
    if id(thing) in seen or isinstance(thing, (str, bytes, int, float, np.ndarray, type, types.ModuleType)):
        return
    seen[id(thing)] = thing
    if isinstance(thing, Mapping):
        for value in (*thing, *thing.values()):
            parts_of(value, seen)
    elif isinstance(thing, Sequence):
        for value in thing[:50]:
            parts_of(value, seen)
    if hasattr(thing, "__dict__"):
        for value in state(thing).values():
            parts_of(value, seen)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield {**roots(), **of_files(folder)}


@pytest.mark.thorough
def test_every_public_type_is_among_them(things):
    seen: dict[int, Any] = {}
    parts_of(things, seen)
    found = {kind for thing in seen.values() for kind in type(thing).__mro__}
    exported = {getattr(import_module(place), name) for place in PLACES for name in import_module(place).__all__}
    missing = {kind.__name__ for kind in exported if inspect.isclass(kind)} - {kind.__name__ for kind in found}
    assert missing <= NO_RECORDS


@pytest.mark.parametrize("way", WAYS)
def test_a_pickle_or_a_copy_is_equal(way, things):
    for name, thing in things.items():
        for one in (thing, getattr(thing, "sections", None), getattr(thing, "steps", None)):
            assert list(differences(one, WAYS[way](one), set(), name))[:1] == []


@pytest.mark.subjects(1)
@pytest.mark.parametrize("way", WAYS)
def test_a_walk_prints_the_same_from_its_pickle_which_holds_no_section(way, things):
    for name in ("walk", "walk backward"):
        again = WAYS[way](things[name])
        for format in ("text", "html", "json"):
            assert again.render(format) == things[name].render(format)
        for step, other in zip(things[name].steps, WAYS[way](things[name].steps), strict=True):
            lines = (*step.program.forward, *(step.program.backward if things[name].backward else ()))
            values = ([one.equation(line).value for line in lines] for one in (step, other))
            assert list(differences(*values, set())) == []
    lstm = gw.LSTM(2, 3, rng=0)
    one, many = (len(pickle.dumps(gw.walk(lstm.trace(np.ones((n, 2))), every_step=True))) for n in (1, 101))
    assert many - one < 100 * 40 * 8  # bytes of the numbers that a step keeps


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
def test_what_a_model_holds_stays_read_only(way, things):
    seen: dict[int, Any] = {}
    models = [things["trace"].network, things["edited"].lstm, gw.Edit.scale("cell_state", [0.5, 1.0])]
    parts_of(WAYS[way](models), seen)
    arrays = [array for one in seen.values() if hasattr(one, "__dict__") for array in state(one).values()]
    arrays = [array for array in arrays if isinstance(array, np.ndarray)]
    assert len(arrays) > 5
    assert not any(array.flags.writeable for array in arrays)


def test_the_contents_of_a_file_are_pickled_as_its_name(things, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gw.save(gw.LSTM(2, 3, rng=0), "m.safetensors")
    data = pickle.dumps(gw.inspect("m.safetensors"))
    assert len(data) < 1000
    assert interop.Contents is type(pickle.loads(data))
    gw.save(gw.LSTM(2, 4, rng=0), "m.safetensors")
    with refusal("the file has changed since it was inspected"):
        pickle.loads(data)
    Path("m.safetensors").unlink()
    with refusal("cannot read m.safetensors"):
        pickle.loads(data)
