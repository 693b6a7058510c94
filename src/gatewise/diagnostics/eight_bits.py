"""The runs of a runtime that rounds the input and the hidden state of an LSTM with 8-bit weights to 8 bits.

onnxruntime's DynamicQuantizeLSTM does so before each product: to 256 steps over the range of the numbers and 0, that of
the whole input, and at every step that of the hidden states that one of its threads computes. (Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018.) Either this
is done here as well, which leaves rounding only; or, where a number close to the middle of two steps may have gone the
other way, the hidden state before it is not known, and all later ones depend on it, noise of that size is the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gatewise.arrays import Array
from gatewise.diagnostics.rounding import Case, answers_by_name, run_layers
from gatewise.equations import Moment
from gatewise.parameters import Parameters

STEPS = 255  # between the least number and the largest
THREADS = 64  # among which the sequences may be divided
SAID = "its runtime rounds the input and the hidden state to 8 bits before each product"


def round_to_8_bits(array: Array) -> Array:
    """Return an array rounded to 8 bits, computed in float32 as a quantised runtime does."""
    single = array.astype(np.float32)
    low, high = min(single.min(initial=0), np.float32(0)), max(single.max(initial=0), np.float32(0))
    if not np.isfinite(high - low) or high == low:
        return array
    step = np.float32((high - low) / np.float32(STEPS))
    zero = np.rint(np.clip(-low / step, 0, STEPS))
    values: Array = (np.clip(np.rint(single / step) + zero, 0, STEPS) - zero) * np.float64(step)
    return values


def eight_bit_answers(case: Case, claims: dict[str, Array]) -> Iterator[tuple[dict[str, Array], int]]:
    """Yield the answers of an 8-bit runtime for each possible number of sequences in a thread, and that number."""
    batch = case.x.shape[1]
    for rows in dict.fromkeys(-(-batch // threads) for threads in range(1, min(THREADS, batch) + 1)):
        yield _eight_bit_answers(case, claims.get("y"), rows), rows


def _eight_bit_answers(case: Case, y: Array | None, count: int) -> dict[str, Array]:
    """Return the answers of a runtime that rounds inputs and hidden states to 8 bits, `count` sequences together."""
    lstm = case.lstm

    def begin(number: int, place: int, p: Parameters, x: Array, h: Array) -> Callable[[int, Any, Array, Array], Moment]:
        """Return the function that computes a step of one cell from hidden states rounded to 8 bits."""
        hidden_claim, before = None, h.copy()
        if y is not None and number == lstm.num_layers - 1 and y.shape[-1] == len(lstm.directions) * p.recurrent_size:
            hidden_claim = y[..., place * p.recurrent_size :][..., : p.recurrent_size]

        def step(t: int, rows: Any, h: Array, c: Array) -> Moment:
            """Return step `t` of some sequences, from hidden states rounded to 8 bits."""
            inputs = np.concatenate([round_to_8_bits(before[at : at + count]) for at in range(0, len(h), count)])
            M = Moment(p, x[t, rows], inputs[rows], c[rows])
            # The runtime's own hidden state, where it is known: a step that went the other way ends there.
            before[rows] = M.h if hidden_claim is None else hidden_claim[t, rows]
            return M

        return step

    start = lstm.zero_state(case.x.shape[1]) if case.state is None else case.state
    return answers_by_name(lstm, *run_layers(case, case.x, start, case.valid, round_to_8_bits, begin))
