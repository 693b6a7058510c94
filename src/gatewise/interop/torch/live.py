"""Live modules of PyTorch: read, made, and seen through as they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import MissingExtraError, OptionError
from gatewise.interop.capture import Captured, difference
from gatewise.interop.found import warn_of
from gatewise.interop.torch.grouping import grouped
from gatewise.layers import LSTM
from gatewise.lstm_trace import LSTMTrace
from gatewise.step import State

if TYPE_CHECKING:
    import torch

WITHOUT_STATES = "it put out no states to compare with"


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingExtraError("a live PyTorch module needs PyTorch; pip install torch brings it") from None
    return torch


def lstm_of(module: torch.nn.LSTM | torch.nn.LSTMCell) -> LSTM:
    """Return the LSTM of a live module; see `gatewise.interop.torch.read`."""
    torch = _torch()
    if not isinstance(module, (torch.nn.LSTM, torch.nn.LSTMCell)):
        raise OptionError(f"read takes a torch.nn.LSTM or LSTMCell, or a path, not {type(module).__name__}")
    names = getattr(module, "_flat_weights_names", None) or [name for name, _ in module.named_parameters()]
    found, _, refused = grouped({name: _numbers(getattr(module, name)) for name in names})  # parametrised ones too
    if not found:
        reasons = "; ".join(one.reason for one in refused) or "it has no weights of its own"
        raise OptionError(f"this {type(module).__name__} cannot be read: {reasons}")
    warn_of(f"this {type(module).__name__}", found[0].bad)
    return found[0].lstm


def _numbers(tensor: torch.Tensor) -> Array:
    torch = _torch()
    if tensor.is_meta:
        raise OptionError("a module on the device meta has no numbers")
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    found: Array = tensor.detach().to("cpu", wide).numpy()
    return found


def module_of(lstm: LSTM, arrays: Mapping[str, Array]) -> torch.nn.LSTM:
    """Return a live module with an LSTM's arrays by PyTorch's names."""
    torch = _torch()
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
    if isinstance(model, torch.jit.ScriptModule):
        raise OptionError("a TorchScript module cannot be looked into as it runs; capture the module it was made of")
    kinds = (torch.nn.LSTM, torch.nn.LSTMCell)
    modules = {name or "lstm": one for name, one in model.named_modules() if isinstance(one, kinds)}
    if not modules:
        raise OptionError(f"there is no torch.nn.LSTM or LSTMCell in this {type(model).__name__}")
    captured: list[Captured] = []
    lstms: dict[str, LSTM] = {}
    calls: Counter[str] = Counter()

    def hook(name: str) -> Callable[..., None]:
        def after(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            if isinstance(module, torch.nn.LSTM) and module.training and module.dropout > 0 and module.num_layers > 1:
                raise OptionError(
                    f"{name} drops out {module.dropout:g} of its outputs at random; call model.eval() first"
                )
            if name not in lstms:
                lstms[name] = lstm_of(module)
            given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
            see = _see_cell if isinstance(module, torch.nn.LSTMCell) else _see_lstm
            captured.append(
                Captured(name, calls[name], *see(lstms[name], module, given["input"], given.get("hx"), output))
            )
            calls[name] += 1

        return after

    # Before other hooks, which may put out something else; and not compiled, which would go round them.
    handles = [one.register_forward_hook(hook(name), with_kwargs=True, prepend=True) for name, one in modules.items()]
    stance = getattr(torch.compiler, "set_stance", None)
    try:
        with torch.no_grad(), nullcontext() if stance is None else stance("force_eager"):
            model(*inputs, **named)
    finally:
        for handle in handles:
            handle.remove()
    if not captured:
        raise OptionError(f"the model called none of its LSTMs: {', '.join(modules)}")
    return tuple(captured)


Seen = tuple[LSTMTrace, float, tuple[str, ...]]


def _see_cell(lstm: LSTM, module: Any, x: Any, hx: Any, output: Any) -> Seen:
    torch = _torch()

    def rows(tensor: Any) -> Array:
        found = _numbers(tensor)
        return found if found.ndim == 2 else found[None]

    state = None if hx is None else ((State(rows(hx[0]), rows(hx[1])),),)
    trace = lstm.trace(rows(x)[None], state)
    final = trace.state[0][0]
    if isinstance(output, torch.Tensor):
        return trace, difference([(final.h, rows(output))]), (WITHOUT_STATES,)
    return trace, difference([(final.h, rows(output[0])), (final.c, rows(output[1]))]), ()


def _see_lstm(lstm: LSTM, module: Any, x: Any, hx: Any, output: Any) -> Seen:
    torch = _torch()
    packed = torch.nn.utils.rnn.PackedSequence
    whole = isinstance(output, tuple) and not isinstance(output, packed)
    y, states = output if whole else (output, None)
    lengths = None
    if isinstance(x, packed):
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
    for ours, theirs in zip(trace.state, () if states is None else _states(lstm, *states), strict=states is not None):
        for one, other in zip(ours, theirs, strict=True):
            pairs += [(one.h, other.h), (one.c, other.c)]
    return trace, difference(pairs), () if whole else (WITHOUT_STATES,)


def _states(lstm: LSTM, h: Any, c: Any) -> tuple[tuple[State, ...], ...]:
    """Return PyTorch's states (layers · directions, batch, size) as ours."""
    hidden, cell = (one if one.ndim == 3 else one[:, None] for one in (_numbers(h), _numbers(c)))
    flat = [State(*pair) for pair in zip(hidden, cell, strict=True)]
    count = len(lstm.directions)
    return tuple(tuple(flat[n : n + count]) for n in range(0, len(flat), count))
