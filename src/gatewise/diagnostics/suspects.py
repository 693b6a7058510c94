"""The usual mistakes of runtimes with an LSTM's weights, axes and states.

Each is a case that differs from the given one in one respect only, to be compared with the same answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gatewise import gates
from gatewise.activations import Activation
from gatewise.arrays import Array
from gatewise.cell import LSTMCell
from gatewise.diagnostics.rounding import DIGITS, Case
from gatewise.equations import Moment
from gatewise.errors import OptionError, ShapeError
from gatewise.layers import LSTM
from gatewise.margins import first_largest
from gatewise.parameters import COUPLINGS, Parameters, Variant
from gatewise.records.step import State

STEPS = 48  # over which biases are fitted, at most
ROUNDS = 40  # of the fit, at most
Supposed = Iterator[tuple[str, Case, dict[str, Array]]]
Change = Callable[[Parameters], Parameters]
Changes = Iterator[tuple[str, Change]]


def mistakes(case: Case, claims: dict[str, Array]) -> Supposed:
    """Yield each mistake that a runtime may have made, in words, with its case and the answers to compare."""
    for sentence, change in _mistakes_in_weights(case.lstm):
        try:
            cells = [
                tuple(LSTMCell.from_parameters(change(cell.parameters)) for cell in row) for row in case.lstm.layers
            ]
            other = LSTM.from_cells(cells, direction=case.lstm.directions[0], merge=case.lstm.merge)
        except (ShapeError, OptionError):
            continue
        yield sentence, replace(case, lstm=other), claims
    yield from _mistakes_in_direction(case, claims)
    yield from _mistakes_in_axes(case, claims)
    yield from _mistakes_in_states(case, claims)


def _mistakes_in_weights(lstm: LSTM) -> Changes:
    """Yield mistakes in the reading of an LSTM's weights, each a sentence and a change of parameters."""
    yield from _mistakes_in_gate_order()
    yield from _mistakes_in_biases()
    yield from _mistakes_in_matrices()
    yield from _mistakes_in_variant(lstm.layers[0][0].parameters.variant)
    for letter, name in zip(gates.LETTERS, gates.NAMES, strict=True):
        words = name.replace("_", " ")
        yield f"the weights of the {words} are negated", partial(_negate_gate, gate=gates.index(letter))


def _mistakes_in_gate_order() -> Changes:
    """Yield mistakes in the order of gates or peepholes, each a sentence and a change of parameters."""
    frameworks: dict[str, list[str]] = {}
    for framework, order in gates.ORDERS.items():
        frameworks.setdefault(order, []).append(framework)
    for order in map("".join, itertools.permutations(gates.LETTERS)):
        if order == gates.LETTERS:
            continue
        whose = f" (the order of {', '.join(frameworks[order])})" if order in frameworks else ""
        change = partial(_reorder_gates, order=order)
        yield f"the gates are stored in the order {' '.join(order)}, not i f g o{whose}", change
    for order in map("".join, itertools.permutations(gates.PEEPHOLES)):
        if order != gates.PEEPHOLES:
            change = partial(_reorder_peepholes, order=order)
            yield f"the peepholes are stored in the order {' '.join(order)}, not i f o", change


def _mistakes_in_biases() -> Changes:
    """Yield mistakes in the biases of an LSTM, each a sentence and a change of parameters."""

    def bias(by: Callable[[Array], Array]) -> Change:
        return lambda p: p.replace(bias=by(p.bias.copy()))

    one_of_forget = np.eye(4)[:, gates.index("f"), None]
    yield "the runtime has no biases", bias(np.zeros_like)
    yield "the runtime adds the biases twice", bias(lambda b: 2 * b)
    yield "the runtime adds only one of two equal biases", bias(lambda b: b / 2)
    yield "the runtime adds 1 to the forget gate's bias", bias(lambda b: b + one_of_forget)
    yield "the runtime lacks the 1 that was added to the forget gate's bias", bias(lambda b: b - one_of_forget)


def _mistakes_in_matrices() -> Changes:
    """Yield transposed and swapped weight matrices, each a sentence and a change of parameters."""
    yield "the recurrent weights are transposed", lambda p: _with_columns(p, p.recurrent_weight.mT, p.input_weight)
    yield "the input's weights are transposed", lambda p: _with_columns(p, p.recurrent_weight, p.input_weight.mT)
    yield "all weights are transposed", lambda p: _with_columns(p, p.recurrent_weight.mT, p.input_weight.mT)
    yield (
        "the input's and the recurrent weights are swapped",
        lambda p: _with_columns(p, p.input_weight, p.recurrent_weight),
    )


def _mistakes_in_variant(now: Variant) -> Changes:
    """Yield mistakes about the LSTM variant `now`, each a sentence and a change of parameters."""

    def variant(**changes: Any) -> Change:
        return lambda p: p.replace(variant=replace(p.variant, **changes))

    sigmoids = ("input_activation", "forget_activation", "output_activation")
    for whose, alpha in (("Keras 2 and ONNX", 0.2), ("Keras 3 and PyTorch", 1 / 6)):
        hard = Activation("hard_sigmoid", alpha, 0.5)
        changes: dict[str, Any] = {name: hard for name in sigmoids if getattr(now, name).name.endswith("sigmoid")}
        if any(getattr(now, name) != hard for name in changes):
            yield f"the gates' nonlinearity is the hard sigmoid of {whose}, {hard}", variant(**changes)
    if any(getattr(now, name).name == "hard_sigmoid" for name in sigmoids):
        soft = {name: "sigmoid" for name in sigmoids if getattr(now, name).name == "hard_sigmoid"}
        yield "the gates' nonlinearity is sigmoid, not hard_sigmoid", variant(**soft)
    for name in ("candidate_activation", "cell_activation"):
        if getattr(now, name).name != "tanh":
            yield f"the {name.replace('_', ' ')} is tanh", variant(**{name: "tanh"})
    if now.gate_clip is not None and now.output_clip is None:
        sentence = "the runtime also clips the cell state before the output's nonlinearity (output_clip)"
        yield sentence, variant(output_clip=now.gate_clip)
    for clip in ("gate_clip", "cell_clip", "output_clip", "projection_clip"):
        if getattr(now, clip) is not None:
            yield f"the runtime does not clip ({clip})", variant(**{clip: None})
    for coupling in COUPLINGS:
        if now.coupling not in ("none", coupling):
            yield f"the coupling of the gates is {coupling}, not {now.coupling}", variant(coupling=coupling)
    if now.peephole != "none":

        def without(p: Parameters) -> Parameters:
            return p.replace(variant=replace(p.variant, peephole="none"), peephole=None)

        yield "the runtime has no peepholes", without


def _reorder_gates(p: Parameters, order: str) -> Parameters:
    """Return parameters with the gates in another order: a mistake that verification tries."""
    places = [order.index(letter) for letter in gates.LETTERS]
    changed = {"weight": p.weight[places], "bias": p.bias[places]}
    if p.peephole is not None:
        without = order.replace("g", "")
        changed["peephole"] = p.peephole[[without.index(letter) for letter in gates.PEEPHOLES]]
    if p.norm_gain is not None:
        changed["norm_gain"] = p.norm_gain[..., places, :]
    return p.replace(**changed)


def _reorder_peepholes(p: Parameters, order: str) -> Parameters:
    """Return parameters with the peepholes in another order: a mistake that verification tries."""
    if p.peephole is None:
        raise OptionError("there are no peepholes")
    return p.replace(peephole=p.peephole[[order.index(letter) for letter in gates.PEEPHOLES]])


def _negate_gate(p: Parameters, gate: int) -> Parameters:
    """Return parameters with the weights and bias of one gate negated: a mistake that verification tries."""
    weight, bias = p.weight.copy(), p.bias.copy()
    weight[gate] *= -1
    bias[gate] *= -1
    return p.replace(weight=weight, bias=bias)


def _with_columns(p: Parameters, recurrent: Array, inputs: Array) -> Parameters:
    if recurrent.shape != p.recurrent_weight.shape or inputs.shape != p.input_weight.shape:
        raise ShapeError("the weights are not square")
    return p.replace(weight=np.concatenate([recurrent, inputs], axis=-1))


def _mistakes_in_direction(case: Case, claims: dict[str, Array]) -> Supposed:
    """Yield mistakes about time and directions that a runtime may have made, each with its case and claims."""
    lstm = case.lstm
    flipped = {name: claim[::-1] if name == "y" else claim for name, claim in claims.items()}
    reversed_case = replace(case, x=case.x[::-1], valid=None if case.valid is None else case.valid[::-1])
    yield "the runtime was given the steps in the reverse order", reversed_case, claims
    if "y" in claims:
        yield "y has the last step first", case, flipped
    if not lstm.bidirectional:
        other = "backward" if lstm.directions[0] == "forward" else "forward"
        other_lstm = LSTM.from_cells([row[0] for row in lstm.layers], direction=other)
        yield f"the runtime runs {other} in time", replace(case, lstm=other_lstm), claims
        return
    ways = {
        "the weights of the two directions are swapped": (1, 0),
        "both directions use the forward weights": (0, 0),
        "both directions use the backward weights": (1, 1),
    }
    for sentence, places in ways.items():
        rows = [tuple(row[place] for place in places) for row in lstm.layers]
        try:
            yield sentence, replace(case, lstm=LSTM.from_cells(rows, merge=lstm.merge)), claims
        except ShapeError:
            continue
    if lstm.merge[-1] == "concat" and "y" in claims:
        half = claims["y"].shape[-1] // 2
        yield "y has the backward direction first", case, {**claims, "y": np.roll(claims["y"], half, -1)}
        turned_back = np.concatenate([claims["y"][..., :half], claims["y"][::-1, :, half:]], -1)
        yield "the backward direction of y has the last step first", case, {**claims, "y": turned_back}


def _mistakes_in_axes(case: Case, claims: dict[str, Array]) -> Supposed:
    """Yield the mistake of a runtime that swaps time and batch, with its case and claims."""
    time, batch = case.x.shape[:2]
    if case.valid is not None or (time, batch) == (1, 1):
        return
    sentence = "the time and batch axes are swapped (axes)"
    swapped = {name: claim.swapaxes(0, 1) if name == "y" else claim for name, claim in claims.items()}
    sizes = {len(claim) for name, claim in claims.items() if name != "y"}
    if sizes <= {time} and (case.state is None or time == batch):
        yield sentence, replace(case, x=case.x.swapaxes(0, 1)), swapped


def _mistakes_in_states(case: Case, claims: dict[str, Array]) -> Supposed:
    """Yield what a runtime may have done wrong with states and masks, each with its case and claims."""
    if case.state is not None:

        def starting(change: Callable[[State], State]) -> Case:
            return replace(case, state=tuple(tuple(map(change, row)) for row in case.state or ()))

        yield "the runtime starts from zeros, not from the initial state", replace(case, state=None), claims
        only_c, only_h = (
            starting(lambda s: State(np.zeros_like(s.h), s.c)),
            starting(lambda s: State(s.h, np.zeros_like(s.c))),
        )
        yield "the runtime starts from a hidden state of zeros", only_c, claims
        yield "the runtime starts from a cell state of zeros", only_h, claims
        if all(initial.h.shape == initial.c.shape for row in case.state for initial in row):
            yield "the initial hidden and cell states are swapped", starting(lambda s: State(s.c, s.h)), claims
    names = {name: f"c{name[1:]}" if name[0] == "h" else f"h{name[1:]}" for name in claims if name[0] in "hc"}
    if names and all(other in claims and claims[other].shape == claims[name].shape for name, other in names.items()):
        turned_claims = {name: claims[names.get(name, name)] for name in claims}
        yield "the final hidden and cell states are swapped", case, turned_claims
    if case.valid is not None:
        yield "the runtime ignores the lengths or the mask", replace(case, valid=None), claims


# Biases, which are fitted.


def other_biases(case: Case, claims: dict[str, Array], u: float) -> str | None:
    """Return in words by how much a runtime's biases differ from the file's, if nothing else does.

    The outputs of a single layer are its hidden states, so that everything that goes into a unit is known except its
    four biases. They are fitted (Levenberg and Marquardt) to the given hidden states, and accepted if only rounding
    remains.
    """
    lstm, y = case.lstm, claims.get("y")
    p = lstm.layers[0][0].parameters
    if y is None or lstm.num_layers > 1 or case.valid is not None or u > DIGITS["float32"] or not np.isfinite(y).all():
        return None
    if p.projection is not None or p.variant.layer_norm != "none" or (lstm.bidirectional and lstm.merge[0] != "concat"):
        return None
    shifts: list[tuple[float, str]] = []
    explained: list[bool] = []
    for place, direction in enumerate(lstm.directions):
        p = lstm[0, direction].parameters
        part = y[..., place * p.hidden_size : (place + 1) * p.hidden_size]
        order = slice(None, None, -1 if direction == "backward" else 1)
        x, h = case.x[order][:STEPS], part[order][:STEPS]
        start = (lstm.zero_state(x.shape[1]) if case.state is None else case.state)[0][place]
        if x.shape[0] * x.shape[1] < 6:
            return None
        by, before, after = _fit_biases(p, x, h, start)
        off = before > 3000 * u
        fits = off & (after < np.maximum(300 * u, before * 1e-4))
        explained += fits[off].tolist()
        if fits.any():
            gate, unit = np.unravel_index(first_largest(np.where(fits & (np.abs(by) < 20), np.abs(by), 0)), by.shape)
            whose = f" of the {direction} direction" if lstm.bidirectional else ""
            shift = f"the {gates.NAMES[gate].replace('_', ' ')} of unit {unit}{whose} by {by[gate, unit]:+.4g}"
            shifts.append((float(np.abs(by[gate, unit])), shift))
    # A unit with saturated gates may leave its biases undetermined; where anything else is wrong, few can be fitted.
    if not explained or np.mean(explained) < 0.8:
        return None
    largest = shifts[first_largest([size for size, _ in shifts])][1]
    return f"the runtime has different biases (as if one of two were missing); the largest change is {largest}"


def _fit_biases(p: Parameters, x: Array, h: Array, start: State) -> tuple[Array, Array, Array]:
    """Fit an LSTM cell's biases to its hidden states; return their change, and units' errors before and after."""
    previous = np.concatenate([start.h[None], h[:-1]])
    sums = np.concatenate([previous, x], -1)[:, None] @ p.weight.mT  # (time, 4, batch, hidden)

    def error(by: Array) -> Array:
        """Return the errors of the hidden states (time and batch, hidden) with the biases changed by `by`."""
        c, errors = start.c, []
        for t in range(len(x)):
            M = Moment(p, x[t], previous[t], c, s=sums[t] + by[:, None])
            c = M.c
            errors.append(M.h - h[t])
        return np.stack(errors).reshape(-1, h.shape[-1])

    by, damping = np.zeros_like(p.bias), np.full(h.shape[-1], 1e-3)
    current = error(by)
    first = np.abs(current).max(axis=0)
    for _ in range(ROUNDS):
        slopes = []
        for gate in range(4):
            shifted = by.copy()
            shifted[gate] += 1e-6
            slopes.append((error(shifted) - current) / 1e-6)
        J = np.stack(slopes, -1)  # (time and batch, hidden, 4)
        normal = np.einsum("nua,nub->uab", J, J)
        ridge = damping[:, None, None] * (np.eye(4) * np.einsum("uaa->ua", normal)[..., None] + 1e-12 * np.eye(4))
        slope = np.einsum("nua,nu->ua", J, current)
        step = np.linalg.solve(normal + ridge + 1e-30 * np.eye(4), slope[..., None])[..., 0]
        trial = by - step.T
        trial_error = error(trial)
        better = (trial_error**2).sum(0) < (current**2).sum(0)
        by, current = np.where(better, trial, by), np.where(better, trial_error, current)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-12, 1e6)
        if not better.any() or np.abs(current).max() < 1e-9:
            break
    return by, first, np.abs(current).max(axis=0)
