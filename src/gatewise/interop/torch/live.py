"""Live modules of PyTorch: read, made, and captured as they run."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import GatewiseError, OptionError, WeightsWarning, join_names, reason, shown
from gatewise.interop.captured import Captured, difference
from gatewise.interop.contents import StoredLSTM, not_finite_sentence
from gatewise.interop.conventions import iterate_arrays
from gatewise.interop.torch.grouping import group_tensors
from gatewise.interop.torch.names import CELL, LAYER, OF_WEIGHTS, PACKED, weight_names
from gatewise.interop.torch.states import import_torch, read_state, to_array, write_state
from gatewise.layers import LSTM
from gatewise.records.trace import LSTMTrace

if TYPE_CHECKING:
    import torch

OWN_FORWARD = "has a forward of its own: the trace is that of a plain LSTM with its weights, at what it was given"
WITHOUT_STATES = "it returned no states to compare with"


def lstms_in(module: torch.nn.Module) -> dict[str, Any]:
    """Return the LSTM and LSTMCell modules in a live PyTorch module by name; the module itself is called lstm."""
    torch = import_torch()
    kinds = (torch.nn.LSTM, torch.nn.LSTMCell)
    return {name or "lstm": part for name, part in module.named_modules() if isinstance(part, kinds)}


def other_lstms_in(module: torch.nn.Module) -> str:
    """Return a clause that names the modules called LSTM in a live one which are none of PyTorch's; empty for none."""
    others: dict[str, str] = {}
    for name, part in module.named_modules():
        within = any(not outer or name.startswith(f"{outer}.") for outer in others)
        if "LSTM" in type(part).__name__ and not within and not lstms_in(part):
            others[name] = f"{name or 'it'} is a {type(part).__module__}.{type(part).__qualname__}"
    return f"{join_names(others.values(), 'and')}, which is not captured" if others else ""


def lstm_of(module: torch.nn.Module, name: str | None = None) -> LSTM:
    """Return the LSTM of a live PyTorch module; see `gatewise.interop.torch.read`."""
    torch = import_torch()
    if not isinstance(module, torch.nn.Module):
        raise OptionError(f"read takes a live PyTorch module or a path, not {type(module).__name__}")
    modules, kind = lstms_in(module), type(module).__name__
    if not modules:
        raise OptionError(f"read takes a torch.nn.LSTM or LSTMCell, or a module that holds one, not {kind}")
    listed = join_names(map(repr, modules))
    if name is None and len(modules) > 1:
        raise OptionError(f"this {kind} holds {len(modules)} LSTMs. Choose one by its name: {listed}")
    part = next(iter(modules.values())) if name is None else modules.get(name)
    if part is None:
        raise OptionError(f"there is no LSTM {name!r} in this {kind}; it has {listed}")
    names = getattr(part, "_flat_weights_names", None) or [key for key, _ in part.named_parameters()]
    weights = {key: getattr(part, key) for key in names}  # parametrised ones too
    stored = _lstm_of_weights(f"this {type(part).__name__}", weights)
    if stored.non_finite:
        sentence = not_finite_sentence(f"this {type(part).__name__}", stored.non_finite)
        warnings.warn(sentence, WeightsWarning, stacklevel=4)
    return stored.lstm


def _lstm_of_weights(owner: str, weights: Mapping[str, Any]) -> StoredLSTM:
    """Return the LSTM of live tensors by PyTorch's names; `owner` is for the error if they are none."""
    lstms, _, refused, _ = group_tensors({name: to_array(tensor) for name, tensor in weights.items()})
    if not lstms:
        reasons = "; ".join(refusal.reason for refusal in refused) or "it has no weights of its own"
        raise OptionError(f"{owner} cannot be read: {reasons}")
    return lstms[0]


def build_module(lstm: LSTM, arrays: Mapping[str, Array]) -> torch.nn.LSTM:
    """Return a live PyTorch module with an LSTM's arrays by PyTorch's names."""
    torch = import_torch()
    first = lstm.layers[0][0].parameters
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


# Capture.


def capture(model: torch.nn.Module, *inputs: Any, **named: Any) -> tuple[Captured, ...]:
    """Run a model once, and return the trace of every call of every LSTM in it, at the inputs it received.

    Parameters
    ----------
    model : torch.nn.Module
        Any module that holds an `nn.LSTM` or `nn.LSTMCell`, or a TorchScript module that `torch.jit.load` returns. It
        runs as it is, without gradients.
    *inputs, **named
        What the model is called with.

    Returns
    -------
    tuple of Captured
        In the order in which the calls ended. A call of an LSTMCell is a trace of one step. The sequences of a packed
        batch are in the order in which they were given.

    Raises
    ------
    OptionError
        If there is no LSTM in the model, or none was called, or one applies random dropout: call ``model.eval()``.
    """
    torch = import_torch()
    if not isinstance(model, torch.nn.Module):
        raise OptionError(f"capture takes a torch.nn.Module, not {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        return _capture_script(model, *inputs, **named)
    modules = lstms_in(model)
    if not modules:
        reason_why = f"; {others}" if (others := other_lstms_in(model)) else ""
        raise OptionError(f"there is no torch.nn.LSTM or LSTMCell in this {type(model).__name__}{reason_why}")
    captured: list[Captured] = []
    lstms: dict[str, LSTM] = {}
    calls: Counter[str] = Counter()

    def trace_call(name: str, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Capture a call of the LSTM of that name: its trace at the same inputs, and how far the outputs differ."""
        if isinstance(module, torch.nn.LSTM) and module.training and module.dropout > 0 and module.num_layers > 1:
            raise OptionError(f"{name} applies random dropout of {module.dropout:g}. Call model.eval() first.")
        if name not in lstms:
            lstms[name] = lstm_of(module)
        arguments = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        batch_first = None if isinstance(module, torch.nn.LSTMCell) else module.batch_first
        kind = type(module)
        notes: tuple[str, ...] = ()
        if getattr(module.forward, "__func__", None) not in (torch.nn.LSTM.forward, torch.nn.LSTMCell.forward):
            if not isinstance(arguments.get("hx"), tuple):
                arguments.pop("hx", None)
            notes = (f"{kind.__module__}.{kind.__qualname__} {OWN_FORWARD}",)
        try:
            trace, deviation, more = _trace_call(
                lstms[name], arguments["input"], arguments.get("hx"), output, batch_first
            )
        except (GatewiseError, AttributeError, KeyError, TypeError, ValueError) as problem:
            if not notes:
                raise
            raise OptionError(f"{name} cannot be captured: {notes[0]} ({reason(problem)})") from None
        captured.append(Captured(name, calls[name], trace, deviation, (*notes, *more)))
        calls[name] += 1

    # Before other hooks, which may change the output; and not compiled, since compiled code would bypass them.
    stance = getattr(torch.compiler, "set_stance", None)
    with ExitStack() as hooks, torch.no_grad(), nullcontext() if stance is None else stance("force_eager"):
        for name, part in modules.items():
            hooks.enter_context(part.register_forward_hook(partial(trace_call, name), with_kwargs=True, prepend=True))
        model(*inputs, **named)
    if others := other_lstms_in(model):
        warnings.warn(f"capture leaves something out: {others}", WeightsWarning, stacklevel=3)
    if not captured:
        raise OptionError(f"the model called none of its LSTMs, {', '.join(modules)}. Give an input that reaches one.")
    return tuple(captured)


CallTrace = tuple[LSTMTrace, float, tuple[str, ...]]


def _trace_call(lstm: LSTM, x: Any, hx: Any, output: Any, batch_first: bool | None) -> CallTrace:
    """Return the trace of a call of PyTorch's LSTM, its difference from the output and states, and notes.

    `batch_first` is None of an LSTMCell, whose call is one step: its arrays get a time axis, and its output is h.
    """
    torch = import_torch()
    packed = torch.nn.utils.rnn.PackedSequence
    has_states = isinstance(output, tuple) and not isinstance(output, packed)
    y, states = output, None
    if has_states:
        y, states = output if batch_first is not None else (output[0], output)
    lengths = None
    if isinstance(x, packed):
        unpack = torch.nn.utils.rnn.pad_packed_sequence
        (x, lengths), (y, _) = unpack(x), unpack(y)  # sequences in the order given, as in the states
    elif batch_first and x.dim() == 3:
        x, y = x.transpose(0, 1), y.transpose(0, 1)

    def batched(tensor: Any) -> Array:
        """Return an array (time or layers, batch, size) of a tensor that may lack the batch, or be a cell's."""
        array = to_array(tensor)
        array = array[None] if batch_first is None else array
        return array if array.ndim == 3 else array[:, None]

    state = None if hx is None else read_state([batched(tensor) for tensor in hx], lstm)
    trace = lstm.trace(batched(x), state, lengths=None if lengths is None else lengths.numpy())
    pairs = [(trace.output, batched(y))]
    if states is not None:
        pairs += zip(write_state(trace.state), map(batched, states), strict=True)
    notes = [] if has_states else [WITHOUT_STATES]
    if (computes_in := str(y.dtype).removeprefix("torch.")) != lstm.dtype.name:
        notes.append(f"the model computes in {computes_in}, the trace in {lstm.dtype}")
    return trace, difference(pairs), tuple(notes)


# TorchScript: its operators are seen on the way to PyTorch's kernels.


def _capture_script(model: torch.jit.ScriptModule, *inputs: Any, **named: Any) -> tuple[Captured, ...]:
    """Run a TorchScript model once, and return the trace of every call of every LSTM in it.

    Its submodules call no hooks. What is watched instead are the operators `lstm` and `lstm_cell`, which every LSTM of
    PyTorch's ends in; they are given the weights, too.
    """
    torch = import_torch()
    from torch.utils._python_dispatch import TorchDispatchMode

    calls: list[tuple[str, dict[str, Any], Any]] = []
    problems: list[Exception] = []

    class OperatorRecorder(TorchDispatchMode):  # type: ignore[misc]  # PyTorch has no types here
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            """Run an operator of the TorchScript model, and record its arguments and result if it is an LSTM."""
            try:
                result = func(*args, **(kwargs or {}))
            except Exception as problem:
                problems.append(problem)  # of which the interpreter keeps no words
                raise
            name = str(func).removeprefix("aten.")
            if name in (LAYER, CELL, PACKED):
                names = (argument.name for argument in func._schema.arguments)
                calls.append((name, dict(zip(names, args, strict=False)) | (kwargs or {}), result))
            return result

    try:
        with torch.inference_mode(), OperatorRecorder():  # outside it, an LSTM is taken apart before it can be seen
            model(*inputs, **named)
    except (RuntimeError, IndexError, ValueError, TypeError, torch.jit.Error) as problem:
        message = _error_message([*problems, problem][0])
        raise OptionError(f"the TorchScript model cannot run at these inputs: {message}") from None
    if not calls:
        raise OptionError("the TorchScript model called no LSTM")
    names = {tensor.data_ptr(): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    order: Counter[str] = Counter()
    captured_calls = []
    for operator, arguments, result in calls:
        if operator == PACKED:
            raise OptionError("the TorchScript model runs an LSTM on a packed batch, which cannot be captured")
        weights = [*iterate_arrays([arguments.get(key) for key in OF_WEIGHTS])]
        name = names.get(weights[0].data_ptr(), "").rpartition(".")[0] or "lstm"
        trace = _trace_operator(arguments, weights, result)
        captured_calls.append(Captured(name, order[name], *trace))
        order[name] += 1
    return tuple(captured_calls)


def _error_message(problem: Exception) -> str:
    """Return the message of an error without the lines of the model's source that led to it."""
    messages = re.findall(r"^(?:[\w.]+Error: )(.+)", str(problem), re.MULTILINE)
    return shown(messages[-1]) if messages else reason(problem)


def _trace_operator(arguments: Mapping[str, Any], weights: list[Any], result: Any) -> CallTrace:
    """Return the trace of a call of the operator lstm or lstm_cell in TorchScript, its difference, and notes."""
    if arguments.get("train") and arguments["dropout"] > 0 and arguments["num_layers"] > 1:
        dropout = arguments["dropout"]
        raise OptionError(f"the TorchScript model applies random dropout of {dropout:g}; call model.eval() first")
    named = dict(zip(weight_names(arguments, len(weights)), weights, strict=True))
    lstm, batch_first = _lstm_of_weights("an LSTM of the TorchScript model", named).lstm, arguments.get("batch_first")
    output = result if batch_first is None else (result[0], result[1:])
    return _trace_call(lstm, arguments["input"], arguments["hx"], output, batch_first)
