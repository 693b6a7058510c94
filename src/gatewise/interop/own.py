"""gatewise's native files: safetensors with one JSON header that names every convention."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import product
from typing import Any, NamedTuple

from gatewise.activations import Activation
from gatewise.arrays import size
from gatewise.cell import LSTMCell
from gatewise.errors import OptionError
from gatewise.files import storage
from gatewise.interop.containers.lookups import Lookups, lookups_within, walk_entries
from gatewise.interop.contents import Contents, Refused, StoredLSTM, check_options, held_layer
from gatewise.interop.conventions import nested_state
from gatewise.interop.ledger import looked_up_entries, owners_by_prefix
from gatewise.layers import LSTM
from gatewise.layers.recording import lstm_trace_from, lstm_trace_record
from gatewise.network import Branch, Linear, Network, NetworkTrace, Run, Scaling, Windows
from gatewise.records import named_arrays
from gatewise.records.labels import NO_LABELS, Labels
from gatewise.records.named_arrays import Arrays, Header, take_array, trace_from
from gatewise.records.run_record import RunRecord
from gatewise.records.trace import LSTMTrace, Trace

Path = str | os.PathLike[str]
FORMAT = "gatewise"
CONVENTION = "gatewise: gates i f g o, one bias"
Content = LSTM | Network | Run
FOREIGN = {".pt": "torch", ".pth": "torch", ".onnx": "onnx", ".keras": "keras", ".h5": "keras"}


def write(thing: LSTM | LSTMCell | Network | Run, path: Path, *, overwrite: bool = False) -> None:
    """Write an LSTM, a cell (as an LSTM of one layer), a network or a trace to a file of gatewise's own format.

    Parameters
    ----------
    thing : LSTM, LSTMCell, Network, Trace, LSTMTrace or NetworkTrace
    path : path
        Of a safetensors file, which `load` or `load_network` reads.
    overwrite : bool
        Replace a file that this process has read. Without it gatewise refuses, so that no output replaces the model or
        the data that it was made from. A file that gatewise wrote in this process is replaced in any case.

    Raises
    ------
    OptionError
        If it is none of these, or the name is that of another framework's file.
    FileError
        If the file cannot be written, or was read; an existing one is then left as it was.

    Examples
    --------
    >>> import tempfile
    >>> lstm, x = gw.LSTM(3, 2, rng=0), np.ones((5, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gw.save(lstm, f"{folder}/model.safetensors")
    ...     y, _ = gw.load(f"{folder}/model.safetensors")(x)
    >>> np.array_equal(y, lstm(x)[0])
    True
    """
    if (suffix := storage.path_of(path).suffix.lower()) in FOREIGN:
        raise OptionError(
            f"save writes gatewise's own format (.safetensors), not {suffix}."
            f" Call gatewise.interop.{FOREIGN[suffix]}.write instead"
        )
    if isinstance(thing, LSTMCell):
        thing = LSTM.from_cells(thing)
    if type(thing) not in _KINDS:
        name = f"{type(thing).__module__}.{type(thing).__qualname__}"
        raise OptionError(f"save takes an LSTM, LSTMCell, Network, Trace, LSTMTrace or NetworkTrace, not {name}")
    kind = _KINDS[type(thing)]
    arrays, content = kind.record(thing)
    storage.write(path, arrays, named_arrays.header(kind.name, **content), overwrite=overwrite)


def read(path: Path) -> Content:
    """Return the object in a file of gatewise's own format, which must hold the kind that its header says."""
    return _read_content(path)[0]


def _read_content(path: Path) -> tuple[Content, list[tuple[str, bool]]]:
    """Return the object in a file of gatewise's own format, the names of its arrays and settings, and which it has."""
    read_arrays, read_head = storage.read(path)
    arrays, head = Lookups(read_arrays), lookups_within(read_head)
    kinds = {kind.name: kind for kind in _KINDS.values()}

    def build() -> Content:
        """Return the object from the arrays and the header of the file."""
        if (name := head.get("kind")) not in kinds:
            raise OptionError(f"it holds {name!r}; this version reads {', '.join(kinds)}")
        content: Content = kinds[name].read(arrays, head)
        return content

    content = named_arrays.checked(os.fspath(path), head, build)
    settings = ((name, used) for name, used in walk_entries(head) if not used)
    return content, [*walk_entries(arrays), *settings]


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Return whether a file is safetensors with gatewise's header."""
    return storage.is_safetensors(head) and storage.written_here(path)


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the contents of a file of gatewise's own format; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    check_options(name, omitted, ())
    content, entries = _read_content(path)
    found = contents_of(content, name)
    if found.trace is not None:
        return found
    owner = owners_by_prefix(part.name for part in found.parts)
    unknown = "such a file has nothing of this name"
    ledger = looked_up_entries(entries, lambda path: owner(path) or "lstm", ["lstm"], unknown, kind="tensor")
    return replace(found, ledger=tuple(ledger))


def contents_of(thing: Content, name: str, where: str = "the whole file", batch_first: bool | None = None) -> Contents:
    """Return an LSTM, a network or a trace as the contents of a file of that name, or of an object described so.

    `where` is the place of the LSTM there; `batch_first` is as in `StoredLSTM`.
    """
    if isinstance(thing, RunRecord):
        kind = _KINDS[type(thing)].description
        refused = Refused("trace", f"it is {kind}, not an LSTM; gatewise.load returns it")
        return Contents(name, FORMAT, refused=(refused,), trace=thing)
    network = thing if isinstance(thing, Network) else Network(thing)
    start = network.initial_state(1)
    stored = StoredLSTM("lstm", network.lstm, CONVENTION, where, (), start, batch_first)
    layers = [] if network.embedding is None else [held_layer("embedding", network.embedding)]
    layers += [held_layer(place, layer) for place, layer in _dense_layers(network)]
    build = None if thing is not network else lambda: network
    return Contents(name, FORMAT, (stored,), tuple(layers), network=build)


# What each kind of content is made of.


def _trace_file(trace: Trace) -> tuple[Arrays, Header]:
    arrays, content = named_arrays.trace_record(trace)
    return arrays, {"trace": content} if trace.batched else {"trace": content, "batched": False}


def _trace_from(arrays: Arrays, head: Header) -> Trace:
    return trace_from(arrays, head["trace"], batched=head.get("batched", True))


def _network_record(network: Network) -> tuple[Arrays, Header]:
    """Return the arrays and the header of a network, for a file of gatewise's own format."""
    arrays, lstm = _lstm_record(network.lstm)
    if network.embedding is not None:
        arrays["embedding"] = network.embedding
    for name, layer in _dense_layers(network):
        arrays |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    for name in ("inputs", "outputs"):
        scaling = getattr(network, name)
        for part in () if scaling is None else ("center", "scale", "least"):
            if (array := getattr(scaling, part)) is not None:
                arrays[f"{name}.{part}"] = array
    for number, row in enumerate(network.initial or ()):
        for direction, state in zip(network.lstm.directions, row, strict=True):
            place = f"initial.{number}.{direction}"
            arrays |= {f"{place}.hidden_state": state.h, f"{place}.cell_state": state.c}
    return arrays, {**lstm, "reads": network.reads, **_network_settings(network)}


def _network_trace_record(run: NetworkTrace) -> tuple[Arrays, Header]:
    """Return the arrays and the header of a network's trace, for a file of gatewise's own format."""
    arrays, lstm_trace = lstm_trace_record(run.lstm)
    parts, network = _network_record(run.network)
    arrays |= {f"network.{name}": array for name, array in parts.items()}
    for name in ("tokens", "features", "output", "input"):
        if (array := getattr(run, name)) is not None:
            arrays[f"run.{name}"] = array
    return arrays, {**lstm_trace, "network": network, "labels": run.labels.to_json()}


def _read_network_trace(arrays: Arrays, head: Header) -> NetworkTrace:
    """Return the trace of a network, from the arrays and the header of a file of gatewise's own format."""
    lstm = lstm_trace_from(arrays, head)
    network = _read_network(
        {name.removeprefix("network."): array for name, array in arrays.items() if name.startswith("network.")},
        head["network"],
    )
    steps = (lstm.num_steps, lstm.batch_size) if lstm.batched else (lstm.num_steps,)
    reads = steps if network.reads == "every" else steps[1:]
    width = lstm.output.shape[len(steps) :]

    def array_of(name: str, shape: tuple[int, ...], kind: str = "f") -> Any:
        return take_array(arrays, f"run.{name}", shape, kind=kind) if f"run.{name}" in arrays else None

    return NetworkTrace(
        network,
        lstm,
        array_of("tokens", steps, "i"),
        take_array(arrays, "run.features", (*reads, *width)),
        take_array(arrays, "run.output", (*reads, *(width if len(width) > 1 else (network.num_outputs,)))),
        Labels.from_json(head["labels"]),
        array_of("input", (*steps, network.num_features)),
    )


def _lstm_record(lstm: LSTM) -> tuple[Arrays, Header]:
    """Return the arrays and the header of an LSTM, for a file of gatewise's own format."""
    arrays: dict[str, Any] = {}
    layers = []
    for number, row in enumerate(lstm.layers):
        cells = []
        for cell, direction in zip(row, lstm.directions, strict=True):
            cell_arrays, variant = named_arrays.parameters_record(cell.parameters, f"layers.{number}.{direction}.")
            arrays |= cell_arrays
            cells.append({"variant": variant, "labels": cell.labels.to_json()})
        layers.append(cells)
    content = {"layers": layers, "directions": list(lstm.directions), "merge": list(lstm.merge)}
    return arrays, {"lstm": content}


def _dense_layers(network: Network) -> Iterator[tuple[str, Linear]]:
    """Yield the dense layers that are written to a file of gatewise's own format, each with its name there."""
    if network.head is not None:
        yield "head", network.head
    for number, layer in enumerate(network.hidden):
        yield f"hidden.{number}", layer
    for number, branch in enumerate(network.branches):
        for place, layer in enumerate(branch.layers):
            yield f"branches.{number}.{place}", layer


def _network_settings(network: Network) -> dict[str, Any]:
    """Return the settings of a network that differ from the defaults, for gatewise's own file format."""
    activations = {
        name: layer.activation if isinstance(layer.activation, str) else asdict(layer.activation)
        for name, layer in _dense_layers(network)
        if layer.activation is not None
    }
    branches = [{"features": branch.features, "layers": len(branch.layers)} for branch in network.branches]
    settings = {
        "activation": activations.pop("head", None),
        "activations": activations or None,
        "masked": network.masked,
        "masked_output": None if network.masked is None else network.masked_output,
        "skip": network.skip or None,
        "hidden": len(network.hidden) or None,
        "branches": branches or None,
        "windows": None if network.windows is None else asdict(network.windows),
        "time_step": network.time_step,
        "labels": None if network.labels == NO_LABELS else network.labels.to_json(),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _read_network(arrays: Arrays, head: Header) -> Network:
    """Return a network, from the arrays and the header of a file of gatewise's own format."""
    if "activation" in head and "head.weight" not in arrays:
        raise OptionError("it names an activation, but has no head")
    activations = {**head.get("activations", {}), "head": head.get("activation")}

    def linear(name: str) -> Linear:
        record = activations.get(name)
        activation = Activation(**record) if isinstance(record, Mapping) else record
        return Linear(arrays[f"{name}.weight"], arrays[f"{name}.bias"], activation)

    def scaling(name: str) -> Scaling | None:
        if f"{name}.center" not in arrays:
            return None
        return Scaling(arrays[f"{name}.center"], arrays[f"{name}.scale"], arrays.get(f"{name}.least"))

    dense = [linear(f"hidden.{number}") for number in range(head.get("hidden", 0))]
    if "head.weight" in arrays:
        dense.append(linear("head"))
    branches = [
        Branch(branch["features"], [linear(f"branches.{number}.{place}") for place in range(branch["layers"])])
        for number, branch in enumerate(head.get("branches", ()))
    ]
    lstm, initial = _read_lstm(arrays, head), None
    if any(name.startswith("initial.") for name in arrays):
        places = product(range(lstm.num_layers), lstm.directions, ("hidden_state", "cell_state"))
        initial = nested_state(lstm, [arrays[f"initial.{n}.{direction}.{part}"] for n, direction, part in places])
    return Network(
        lstm,
        embedding=arrays.get("embedding"),
        head=dense or None,
        reads=head["reads"],
        **{name: head[name] for name in ("masked", "masked_output", "skip") if name in head},
        initial=initial,
        inputs=scaling("inputs"),
        branches=branches,
        outputs=scaling("outputs"),
        windows=_read_windows(head["windows"]) if "windows" in head else None,
        time_step=head.get("time_step"),
        labels=Labels.from_json(head["labels"]) if "labels" in head else NO_LABELS,
    )


def _read_windows(record: Mapping[str, Any]) -> Windows:
    """Return the windows of a network, from the header of a file of gatewise's own format."""
    lags = {
        str(name): (str(column), size("a lag", steps, least=-(2**31)))
        for name, (column, steps) in record["lags"].items()
    }
    return Windows(record["steps"], lags)


def _read_lstm(arrays: Arrays, head: Header) -> LSTM:
    """Return an LSTM, from the arrays and the header of a file of gatewise's own format."""
    content = head["lstm"]
    directions = content["directions"]
    if directions not in (["forward"], ["backward"], ["forward", "backward"]):
        raise OptionError(f"there are no directions {directions!r}")
    rows = [
        tuple(
            LSTMCell.from_parameters(
                named_arrays.parameters_from(arrays, f"layers.{number}.{direction}.", cell["variant"]),
                Labels.from_json(cell["labels"]),
            )
            for direction, cell in zip(directions, cells, strict=True)
        )
        for number, cells in enumerate(content["layers"])
    ]
    return LSTM.from_cells(rows, direction=directions[0], merge=content["merge"])


class _ContentKind(NamedTuple):
    """A kind of content: its name in the header, what it is, and its conversion to arrays and plain data and back."""

    name: str
    description: str
    record: Callable[[Any], tuple[Arrays, Header]]
    read: Callable[[Arrays, Header], Any]


_KINDS = {
    LSTM: _ContentKind("lstm", "an LSTM", _lstm_record, _read_lstm),
    Network: _ContentKind("network", "a network", _network_record, _read_network),
    Trace: _ContentKind("trace", "the trace of a cell", _trace_file, _trace_from),
    LSTMTrace: _ContentKind("lstm_trace", "the trace of an LSTM", lstm_trace_record, lstm_trace_from),
    NetworkTrace: _ContentKind("network_trace", "the trace of a network", _network_trace_record, _read_network_trace),
}
