"""TorchScript models captured as they run: their operators are seen on the way to PyTorch's kernels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import OptionError, reason, shown
from gatewise.interop.captured import Captured, difference
from gatewise.interop.torch.grouping import group_tensors
from gatewise.interop.torch.states import import_torch, read_state, to_array, write_state
from gatewise.layers import LSTM

if TYPE_CHECKING:
    import torch

LAYER = "aten::lstm.input"
CELL = "aten::lstm_cell"
PACKED = "aten::lstm.data"


def capture(model: torch.jit.ScriptModule, *inputs: Any, **named: Any) -> tuple[Captured, ...]:
    """Run a TorchScript model once, and return the trace of every call of every LSTM in it.

    Its submodules call no hooks. What is watched instead are the operators `lstm` and `lstm_cell`, which every LSTM of
    PyTorch's ends in; they are given the weights, too.
    """
    torch = import_torch()
    from torch.utils._python_dispatch import TorchDispatchMode

    calls: list[tuple[str, tuple[Any, ...], Any]] = []
    problems: list[Exception] = []

    class Watching(TorchDispatchMode):  # type: ignore[misc]  # PyTorch has no types here
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            try:
                result = func(*args, **(kwargs or {}))
            except Exception as problem:
                problems.append(problem)  # of which the interpreter keeps no words
                raise
            name = func.name()
            if name in (LAYER, CELL, PACKED):
                calls.append((name, (*args, *(kwargs or {}).values()), result))
            return result

    try:
        with torch.inference_mode(), Watching():  # outside it, an LSTM is taken apart before it can be seen
            model(*inputs, **named)
    except (RuntimeError, IndexError, ValueError, TypeError, torch.jit.Error) as problem:
        message = _error_message([*problems, problem][0])
        raise OptionError(f"the TorchScript model cannot run at these inputs: {message}") from None
    if not calls:
        raise OptionError("the TorchScript model called no LSTM")
    names = {tensor.data_ptr(): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    order: Counter[str] = Counter()
    captured_calls = []
    for operator, args, result in calls:
        if operator == PACKED:
            raise OptionError("the TorchScript model runs an LSTM on a packed batch, which cannot be captured")
        name, trace = _module_name(names, args), _trace_call(operator, args, result)
        captured_calls.append(Captured(name, order[name], *trace))
        order[name] += 1
    return tuple(captured_calls)


def _error_message(problem: Exception) -> str:
    """Return the message of an error without the lines of the model's source that led to it."""
    messages = re.findall(r"^(?:[\w.]+Error: )(.+)", str(problem), re.MULTILINE)
    return shown(messages[-1]) if messages else reason(problem)


def _module_name(names: Mapping[int, str], args: tuple[Any, ...]) -> str:
    """Return the name of the module that an operator's first weight belongs to."""
    weight = args[2][0] if isinstance(args[2], (list, tuple)) else args[2]
    return names.get(weight.data_ptr(), "").rpartition(".")[0] or "lstm"


def _trace_call(operator: str, args: tuple[Any, ...], result: Any) -> tuple[Any, float]:
    if operator == CELL:
        x, hx, *weights = args
        lstm = _build_lstm(dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights, strict=False)))
        trace = lstm.trace(to_array(x)[None], read_state([array[None] for array in hx], lstm))
        return trace, difference(zip(trace.state[0][0], map(to_array, result), strict=True))
    x, hx, weights, biased, layers, dropout, train, bidirectional, batch_first = args
    if train and dropout > 0 and layers > 1:
        raise OptionError(f"the TorchScript model applies random dropout of {dropout:g}; call model.eval() first")
    ends = [f"_l{layer}{way}" for layer in range(layers) for way in ("", "_reverse")[: 2 if bidirectional else 1]]
    kinds = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if biased else ()))
    kinds += ("weight_hr",) * (len(weights) > len(ends) * len(kinds))
    lstm = _build_lstm(dict(zip((kind + end for end in ends for kind in kinds), weights, strict=True)))
    y, *states = result
    inputs, outputs = (to_array(array.transpose(0, 1) if batch_first else array) for array in (x, y))
    trace = lstm.trace(inputs, read_state(hx, lstm))
    pairs: list[tuple[Array, Array]] = [(trace.output, outputs)]
    return trace, difference([*pairs, *zip(write_state(trace.state), map(to_array, states), strict=True)])


def _build_lstm(weights: Mapping[str, Any]) -> LSTM:
    lstms, _, refused = group_tensors(
        {name: np.asarray(to_array(array)) for name, array in weights.items() if array is not None}
    )
    if not lstms:
        raise OptionError(f"an LSTM of the TorchScript model cannot be read: {refused[0].reason}")
    return lstms[0].lstm
