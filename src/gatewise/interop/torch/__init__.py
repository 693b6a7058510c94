"""The door to PyTorch: files and live modules, read and written; and the traces of a live model's LSTMs.

PyTorch's `nn.LSTM` has its gates in the order i, f, g, o, two biases that are added, and one matrix for the input
and one for the hidden state, by the names ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``, with
``_reverse`` for the backward direction and ``weight_hr_l0`` for a projection; `nn.LSTMCell` has them without ``_l0``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import storage
from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, MissingExtraError, OptionError
from gatewise.interop import conventions
from gatewise.interop.capture import Captured
from gatewise.interop.found import Contents, Found, Part, Refused, omissions
from gatewise.interop.torch.files import Archive, Tensor, open_archive, open_safetensors
from gatewise.interop.torch.writing import write_archive
from gatewise.layers import LSTM
from gatewise.parameters import Parameters
from gatewise.step import State
from gatewise.trace import LSTMTrace

if TYPE_CHECKING:
    import torch

CONVENTION = "PyTorch: gates i f g o, two biases, which are summed"
NAME = re.compile(r"(?:(.*)\.)?(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_l(\d+)(_reverse)?)?", re.DOTALL)
Arrays = Callable[[str], Array]
SUFFIXES = (".pt", ".pth", ".bin", ".pkl")
OLD = tuple(bytes([first]) for first in b"(]})cilIFSVN")  # how a pickle of the protocols 0 and 1 may begin


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Say whether a file is a zip archive of PyTorch's, a pickle, or safetensors."""
    if head.startswith(b"PK\x03\x04"):
        return not any(name in head for name in (b"config.json", b"metadata.json", b"model.weights.h5"))  # Keras' own
    if storage.is_safetensors(head):
        return True
    modern = head[:1] == b"\x80" and head[1:2] <= b"\x05"
    return modern or (Path(path).suffix in SUFFIXES and head[:1] in OLD)


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return what is in a file; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    omissions(name, omitted, ())
    with open(path, "rb") as file:
        head = file.read(16)
    try:
        archive = open_safetensors(Path(path)) if storage.is_safetensors(head) else open_archive(Path(path), head)
    except FileError as problem:
        raise FileError(f"cannot read {name}: {problem}") from None
    found, parts, refused = grouped(archive.tensors, archive.classes)
    count = len(archive.tensors)
    some = ", ".join(list(archive.tensors)[:3])[:200] + (" …" if count > 3 else "")
    holds = f"none of its {count} tensors has a name of an LSTM's ({some})" if count else "it holds no tensors"
    return Contents(name, _format(archive), found, parts, refused, holds=holds)


def _format(archive: Archive) -> str:
    return archive.format if archive.tensors or archive.format != "pickle" else "a pickle"


# From tensors by their names to LSTMs.


def grouped(
    tensors: Mapping[str, Tensor | Array], classes: Mapping[str, str] | None = None
) -> tuple[tuple[Found, ...], tuple[Part, ...], tuple[Refused, ...]]:
    """Return the LSTMs that lie among named tensors, what else matters, and what cannot be read.

    Parameters
    ----------
    tensors : mapping of str to tensor or array
        A state dict: PyTorch's names after any prefix.
    classes : mapping of str to str, optional
        The class of the object at each prefix, where the file tells it.
    """
    found: list[Found] = []
    refused: list[Refused] = []
    groups: dict[str, dict[tuple[str, int, bool], str]] = {}
    for name in tensors:
        if (match := NAME.fullmatch(name)) is not None:
            prefix, kind, layer, reverse = match.groups()
            cell = layer is None
            key = (kind, -1 if cell else int(layer[:6]), reverse is not None)
            groups.setdefault(prefix or "", {})[key] = name
    for prefix, names in groups.items():
        label = prefix or "lstm"
        try:
            if (reason := _not_an_lstm(tensors, names)) is not None:
                refused.append(Refused(label, reason))
                continue
            lstm, notes = _lstm(tensors, names)
        except (GatewiseError, ValueError) as problem:
            refused.append(Refused(label, str(problem)))
            continue
        first = next(iter(names.values()))
        where = f"{len(names)} tensors, {first} and on" if len(names) > 1 else first
        found.append(Found(label, lstm, CONVENTION, where, notes))
    for prefix, kind in (classes or {}).items():
        if prefix not in groups and "quantized" in kind and "LSTM" in kind:
            refused.append(Refused(prefix, f"it is a {kind.rpartition('.')[2]} of PyTorch's quantised kind"))
    return tuple(found), _parts(tensors, groups), tuple(refused)


def _not_an_lstm(tensors: Mapping[str, Tensor | Array], names: Mapping[tuple[str, int, bool], str]) -> str | None:
    """Return why tensors of these names are none of an LSTM's, or None."""
    for (kind, layer, reverse), name in names.items():
        other = names.get(("weight_ih", layer, reverse))
        if kind != "weight_hh" or other is None or ("weight_hr", layer, reverse) in names:
            continue
        one = tensors[name]
        if len(one.shape) == 2 and one.shape[1]:
            rows, columns = one.shape
            if rows == 3 * columns:
                return f"it is a GRU: {name} has 3 gates of {columns} units"
            if rows == columns:
                return f"it is a simple recurrent layer without gates: {name} has shape ({rows}, {columns})"
    return None


def _lstm(
    tensors: Mapping[str, Tensor | Array], names: Mapping[tuple[str, int, bool], str]
) -> tuple[LSTM, tuple[str, ...]]:
    keys = {(layer, reverse) for kind, layer, reverse in names if kind in ("weight_ih", "weight_hh")}
    layers = sorted({layer for layer, _ in keys})
    if (layers != [-1] and layers != list(range(len(layers)))) or not layers:
        raise FileError(f"it has layers {[n for n in layers if n >= 0]}; they must be 0, 1, … without a gap")
    both = any(reverse for _, reverse in keys)
    notes: list[str] = []
    dtypes: set[str] = set()
    rows = []
    for layer in layers:
        rows.append(
            [_cell(tensors, names, layer, reverse, dtypes) for reverse in ((False, True) if both else (False,))]
        )
    if not any(kind.startswith("bias") for kind, _, _ in names):
        notes.append("it has no biases: they are zeros")
    if narrow := dtypes & {"<f2", "bf16"}:
        stored = "bfloat16" if "bf16" in narrow else "float16"
        notes.append(f"it is stored in {stored}; the numbers are the same in float32")
    if len({cell.dtype for row in rows for cell in row}) > 1:
        rows = [[cell.astype(np.float64) for cell in row] for row in rows]
    return LSTM.from_cells(rows), tuple(notes)


def _cell(
    tensors: Mapping[str, Tensor | Array],
    names: Mapping[tuple[str, int, bool], str],
    layer: int,
    reverse: bool,
    dtypes: set[str],
) -> Parameters:
    def array(kind: str) -> Array:
        name = names.get((kind, layer, reverse))
        if name is None:
            suffix = f"{'' if layer < 0 else f'_l{layer}'}{'_reverse' if reverse else ''}"
            raise FileError(f"{kind}{suffix} is missing")
        one = tensors[name]
        if isinstance(one, Tensor):
            dtypes.add(one.kind or "")
            try:
                return one.array()
            except FileError as problem:
                raise FileError(f"{name}: {problem}") from None
        return conventions.real(one)

    biases = [kind for kind in ("bias_ih", "bias_hh") if (kind, layer, reverse) in names]
    if len(biases) == 1:
        array("bias_hh" if biases == ["bias_ih"] else "bias_ih")  # says that it is missing
    projected = ("weight_hr", layer, reverse) in names
    return conventions.parameters(
        "pytorch",
        array("weight_ih"),
        array("weight_hh"),
        [array(kind) for kind in biases],
        projection=array("weight_hr") if projected else None,
    )


def _parts(tensors: Mapping[str, Tensor | Array], groups: Mapping[str, object]) -> tuple[Part, ...]:
    """Return the layers that hold one matrix by the name of weight: linear ones, and embeddings."""
    parts = []
    for name, one in tensors.items():
        prefix, _, last = name.rpartition(".")
        if last != "weight" or len(one.shape) != 2 or prefix in groups or not getattr(one, "floating", True):
            continue
        bias = tensors.get(f"{prefix}.bias")
        whole = bias is not None and tuple(bias.shape) == (one.shape[0],)
        kind = "linear layer" if whole else "embedding or linear layer without bias"
        parts.append(
            Part(prefix, kind, tuple(one.shape), _reader(one), _reader(bias) if whole and bias is not None else None)
        )
    return tuple(parts)


def _reader(one: Tensor | Array) -> Callable[[], Array]:
    return one.array if isinstance(one, Tensor) else lambda: conventions.real(one)


# Live modules.


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtraError("a live PyTorch module needs PyTorch; pip install torch brings it") from None
    return torch


def read(source: torch.nn.Module | str | os.PathLike[str], name: str | None = None) -> LSTM:
    """Return the LSTM of a live module, or of a file.

    Parameters
    ----------
    source : torch.nn.LSTM or torch.nn.LSTMCell, or path
    name : str, optional
        Which one in a file, where there are several.

    Raises
    ------
    OptionError
        If the module is of another kind.
    FileError
        If the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        from gatewise.interop import inspect

        return inspect(source).pick(name).lstm
    torch = _torch()
    if not isinstance(source, (torch.nn.LSTM, torch.nn.LSTMCell)):
        raise OptionError(f"read takes a torch.nn.LSTM or LSTMCell, or a path, not {type(source).__name__}")
    arrays = {name: _numbers(tensor) for name, tensor in source.named_parameters()}
    arrays |= {name: _numbers(tensor) for name, tensor in source.named_buffers()}
    found, _, refused = grouped(arrays)
    if not found:
        reasons = "; ".join(one.reason for one in refused) or "it has no weights of its own"
        raise OptionError(f"this {type(source).__name__} cannot be read: {reasons}")
    return found[0].lstm


def _numbers(tensor: torch.Tensor) -> Array:
    torch = _torch()
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    found: Array = tensor.detach().to("cpu", wide).numpy()
    return found


def write(lstm: LSTM, path: str | os.PathLike[str] | None = None) -> torch.nn.LSTM | None:
    """Write an LSTM as PyTorch's state dict, or return it as a live `torch.nn.LSTM`.

    Parameters
    ----------
    lstm : LSTM
    path : path, optional
        ``.safetensors``, or another name for the zip archive that `torch.load` reads; PyTorch is not needed. Without
        it the live module is returned.

    Raises
    ------
    OptionError
        If PyTorch cannot express the LSTM; nothing is written then.
    FileError
        If the file cannot be written.
    """
    arrays = state_dict(lstm)
    if path is None:
        return _module(lstm, arrays)
    if Path(path).suffix == ".safetensors":
        from safetensors.numpy import save

        with storage.beside(path) as temporary:
            temporary.write_bytes(save(arrays))
    else:
        write_archive(path, arrays)
    return None


def state_dict(lstm: LSTM) -> dict[str, Array]:
    """Return the arrays of an LSTM by PyTorch's names; our one bias is ``bias_ih``, and ``bias_hh`` is zeros.

    Raises
    ------
    OptionError
        If PyTorch cannot express the LSTM.
    """
    first = lstm[0].parameters
    for number, row in enumerate(lstm.layers):
        for cell in row:
            if switches := cell.parameters.variant.differences():
                name, value = next(iter(switches.items()))
                raise OptionError(f"PyTorch's LSTM has no {name} {value!r}, as layer {number} has")
            sizes = (cell.hidden_size, cell.recurrent_size)
            if sizes != (first.hidden_size, first.recurrent_size):
                raise OptionError(
                    f"PyTorch's LSTM has layers of equal sizes; layer {number} has {sizes}, the first"
                    f" {(first.hidden_size, first.recurrent_size)} (units, projected)"
                )
    if first.projection is not None and first.recurrent_size >= first.hidden_size:
        raise OptionError(
            f"PyTorch's projection must be smaller than the {first.hidden_size} units; this has {first.recurrent_size}"
        )
    if lstm.directions == ("backward",):
        raise OptionError("PyTorch's LSTM has no single backward direction")
    if lstm.bidirectional and set(lstm.merge) != {"concat"}:
        raise OptionError(f"PyTorch's LSTM puts its directions side by side (concat); this one has merge {lstm.merge}")
    arrays: dict[str, Array] = {}
    for number, row in enumerate(lstm.layers):
        for cell, direction in zip(row, lstm.directions, strict=True):
            end = f"_l{number}" + ("_reverse" if direction == "backward" else "")
            one = conventions.stacked("pytorch", cell.parameters)
            arrays[f"weight_ih{end}"] = one.input_weight
            arrays[f"weight_hh{end}"] = one.recurrent_weight
            arrays[f"bias_ih{end}"] = one.bias
            arrays[f"bias_hh{end}"] = np.zeros_like(one.bias)
            if one.projection is not None:
                arrays[f"weight_hr{end}"] = one.projection
    return arrays


def _module(lstm: LSTM, arrays: Mapping[str, Array]) -> torch.nn.LSTM:
    torch = _torch()
    first = lstm[0].parameters
    module = torch.nn.LSTM(
        lstm.input_size,
        first.hidden_size,
        lstm.num_layers,
        bidirectional=lstm.bidirectional,
        proj_size=0 if first.projection is None else first.recurrent_size,
        dtype=getattr(torch, lstm.dtype.name),
    )
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return module


# A live model, seen through.


def capture(model: torch.nn.Module, *inputs: Any, **named: Any) -> tuple[Captured, ...]:
    """Run a model once, and return the trace of every call of every LSTM in it, at the inputs it really had.

    Parameters
    ----------
    model : torch.nn.Module
        Any that holds `nn.LSTM` or `nn.LSTMCell`; it runs as it is, without gradients.
    *inputs, **named
        What the model is called with.

    Returns
    -------
    tuple of Captured
        In the order in which the calls ended. A call of an LSTMCell is a trace of one step. A batch of packed
        sequences has its rows in the order in which they were given.

    Raises
    ------
    OptionError
        If there is no LSTM in the model, or none was called, or one drops out numbers at random: call ``model.eval()``.
    """
    torch = _torch()
    if not isinstance(model, torch.nn.Module):
        raise OptionError(f"capture takes a torch.nn.Module, not {type(model).__name__}")
    kinds = (torch.nn.LSTM, torch.nn.LSTMCell)
    modules = {name or "lstm": one for name, one in model.named_modules() if isinstance(one, kinds)}
    if not modules:
        raise OptionError(f"there is no torch.nn.LSTM or LSTMCell in this {type(model).__name__}")
    captured: list[Captured] = []
    lstms: dict[str, LSTM] = {}

    def hook(name: str) -> Callable[..., None]:
        def after(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            if isinstance(module, torch.nn.LSTM) and module.training and module.dropout > 0 and module.num_layers > 1:
                raise OptionError(
                    f"{name} drops out {module.dropout:g} of its outputs at random; call model.eval() first"
                )
            if name not in lstms:
                lstms[name] = read(module)
            call = sum(one.name == name for one in captured)
            given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
            see = _see_cell if isinstance(module, torch.nn.LSTMCell) else _see_lstm
            trace, difference = see(lstms[name], module, given["input"], given.get("hx"), output)
            captured.append(Captured(name, call, trace, difference))

        return after

    handles = [one.register_forward_hook(hook(name), with_kwargs=True) for name, one in modules.items()]
    try:
        with torch.no_grad():
            model(*inputs, **named)
    finally:
        for handle in handles:
            handle.remove()
    if not captured:
        raise OptionError(f"the model called none of its LSTMs: {', '.join(modules)}")
    return tuple(captured)


def _see_cell(lstm: LSTM, module: Any, x: Any, hx: Any, output: Any) -> tuple[LSTMTrace, float]:
    def rows(tensor: Any) -> Array:
        found = _numbers(tensor)
        return found if found.ndim == 2 else found[None]

    state = None if hx is None else ((State(rows(hx[0]), rows(hx[1])),),)
    trace = lstm.trace(rows(x)[None], state)
    final = trace.state[0][0]
    return trace, _difference([(final.h, rows(output[0])), (final.c, rows(output[1]))])


def _see_lstm(lstm: LSTM, module: Any, x: Any, hx: Any, output: Any) -> tuple[LSTMTrace, float]:
    torch = _torch()
    y, (h, c) = output
    lengths = None
    if isinstance(x, torch.nn.utils.rnn.PackedSequence):
        unpack = torch.nn.utils.rnn.pad_packed_sequence
        (x, lengths), (y, _) = unpack(x), unpack(y)  # rows in the order in which they were given, as the states are
    else:
        time_first = x.dim() == 2 or not module.batch_first
        x, y = (one if time_first else one.transpose(0, 1) for one in (x, y))
    values, outputs = _numbers(x), _numbers(y)
    if values.ndim == 2:
        values, outputs = values[:, None], outputs[:, None]
    state = None if hx is None else _states(lstm, *hx)
    trace = lstm.trace(values, state, lengths=None if lengths is None else lengths.numpy())
    pairs = [(trace.output, outputs)]
    for ours, theirs in zip(trace.state, _states(lstm, h, c), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            pairs += [(one.h, other.h), (one.c, other.c)]
    return trace, _difference(pairs)


def _states(lstm: LSTM, h: Any, c: Any) -> tuple[tuple[State, ...], ...]:
    """Return PyTorch's states (layers · directions, batch, size) as ours."""
    hidden, cell = (one if one.ndim == 3 else one[:, None] for one in (_numbers(h), _numbers(c)))
    flat = [State(*pair) for pair in zip(hidden, cell, strict=True)]
    count = len(lstm.directions)
    return tuple(tuple(flat[n : n + count]) for n in range(0, len(flat), count))


def _difference(pairs: Sequence[tuple[Array, Array]]) -> float:
    return float(max((np.max(np.abs(one - other), initial=0.0) for one, other in pairs), default=0.0))
