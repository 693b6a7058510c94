"""The calls of a model's LSTMs, put together to one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gatewise.errors import OptionError, join_names
from gatewise.interop.captured import Captured, difference
from gatewise.interop.contents import Contents, StoredLSTM
from gatewise.layers import LSTM
from gatewise.records.trace import LSTMTrace


class JoinedCalls(NamedTuple):
    """The run of one LSTM in a model: its name, its trace, and notes."""

    name: str
    trace: LSTMTrace
    notes: tuple[str, ...]


def join_calls(calls: Sequence[Captured], name: str | None, contents: Contents) -> JoinedCalls:
    """Return the captured calls of one LSTM of a model as one run.

    Calls that continue each other are one run: those of a cell in a loop, or of a model that keeps its state. `name`
    says which LSTM, if the model called several; `contents` are those of its file, which may stack several LSTMs as
    one.
    """
    by_name: dict[str, list[Captured]] = {}
    for call in calls:
        by_name.setdefault(call.name, []).append(call)
    if (stack := _called_stack(by_name, name, contents)) is not None:
        return _stack_run(stack, [by_name[part][0] for part in stack.combines])
    if name is not None and name not in by_name:
        raise OptionError(f"the model called no LSTM {name!r}; it called {join_names(map(repr, by_name))}")
    if name is None and len(by_name) > 1:
        raise OptionError(
            f"the model called {len(by_name)} LSTMs. Choose one with --name: {join_names(map(repr, by_name))}"
        )
    name = next(iter(by_name)) if name is None else name
    calls_of_lstm = by_name[name]
    largest = max(call.difference for call in calls_of_lstm)
    notes = list(dict.fromkeys(note for call in calls_of_lstm for note in call.notes))
    if len(calls_of_lstm) == 1:
        return JoinedCalls(name, calls_of_lstm[0].trace, (difference_note(largest), *notes))
    if not all(_continues_state(before.trace, after.trace) for before, after in pairwise(calls_of_lstm)):
        notes.append(f"the model called it {len(calls_of_lstm):,} times, and not as one run; this is the first call")
        return JoinedCalls(name, calls_of_lstm[0].trace, (difference_note(largest), *notes))
    trace = _one_run([call.trace for call in calls_of_lstm])
    ends = zip(trace.cells().values(), calls_of_lstm[-1].trace.cells().values(), strict=True)
    pairs = ((a, b) for cell, other in ends for a, b in zip(cell.final, other.final, strict=True))
    return JoinedCalls(name, trace, (difference_note(max(largest, difference(pairs))), *notes))


def _called_stack(by_name: Mapping[str, Sequence[Captured]], name: str | None, contents: Contents) -> StoredLSTM | None:
    """Return the stack of that name, or the one made of all LSTMs called, if each of its LSTMs was called once."""
    for stack in contents.lstms:
        called = stack.combines and all(len(by_name.get(part, ())) == 1 for part in stack.combines)
        if called and (stack.name == name or (name is None and stack.stacked and len(by_name) == len(stack.combines))):
            return stack
    return None


def _stack_run(stack: StoredLSTM, calls: Sequence[Captured]) -> JoinedCalls:
    """Return the run of a stack of LSTMs over the input of the first, compared with the captured output of the last."""
    first, last = calls[0].trace, calls[-1]
    cell = next(iter(first.layers[0].values()))
    states = tuple(tuple(part.initial for part in layer.values()) for call in calls for layer in call.trace.layers)
    mask: dict[str, Any] = {} if cell.valid is None else {"mask": cell.valid, "masked_output": last.trace.masked_output}
    trace = stack.lstm.trace(np.asarray(cell.input), states, **mask)
    largest = max(last.difference, difference([(trace.output, last.trace.output)]))
    notes = dict.fromkeys(note for call in calls for note in call.notes)
    return JoinedCalls(stack.name, trace, (difference_note(largest), *notes))


def difference_note(difference: float) -> str:
    """Return the sentence about the largest difference between a trace and the numbers of its model."""
    return f"the trace is off by at most {difference:.2g} from what the model computed"


def _continues_state(before: LSTMTrace, after: LSTMTrace) -> bool:
    """Whether a captured call of an LSTM begins with the state that the previous one ended with, but for rounding."""
    if "backward" in before.directions or before.batch_size != after.batch_size:
        return False
    pairs = zip(before.cells().values(), after.cells().values(), strict=True)
    return all(
        np.abs(a - b).max() <= 1000 * np.finfo(a.dtype).eps * max(1, np.abs(a).max())
        for old, new in pairs
        for a, b in zip(old.final, new.initial, strict=True)
    )


def _one_run(traces: Sequence[LSTMTrace]) -> LSTMTrace:
    """Return the trace of one run over the inputs of several captured calls that continue each other."""
    first = traces[0]
    lstm = LSTM.from_cells([cell.parameters for cell in first.cells().values()])
    x = np.concatenate([np.asarray(trace[0].input) for trace in traces])
    return lstm.trace(x, tuple(tuple(cell.initial for cell in layer.values()) for layer in first.layers))
