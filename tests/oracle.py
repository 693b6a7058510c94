"""An LSTM written out in plain Python: one number at a time, no arrays, nothing of gatewise's equations.

What the laws are held against. It reads the variant's switches and the parameters' numbers, and keeps every quantity
of every step, before and after every clip and nonlinearity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LETTERS = "ifgo"
SELU = (1.6732632423543772, 1.0507009873554805)


def sigmoid(a: float) -> float:
    """Return 1 / (1 + e^-a)."""
    if a != a:
        return a
    return 1 / (1 + math.exp(-a)) if a > -700 else math.exp(max(a, -745.0))


def nonlinearity(activation, a: float) -> float:
    """Return an activation of one number, by the formula that its name stands for."""
    alpha, beta = activation.alpha, activation.beta
    match activation.name:
        case "sigmoid":
            return sigmoid(a)
        case "tanh":
            return math.tanh(a)
        case "hard_sigmoid":
            return min(max(alpha * a + beta, 0.0), 1.0)
        case "relu":
            return max(a, 0.0)
        case "leaky_relu":
            return a if a >= 0 else alpha * a
        case "thresholded_relu":
            return a if a > alpha else 0.0
        case "affine":
            return alpha * a + beta
        case "scaled_tanh":
            return alpha * math.tanh(beta * a)
        case "elu":
            return a if a > 0 else alpha * math.expm1(a)
        case "selu":
            return beta * (a if a > 0 else alpha * math.expm1(a))
        case "softsign":
            return a / (1 + abs(a))
        case "softplus":
            return a + math.log1p(math.exp(-a)) if a > 0 else math.log1p(math.exp(a))
        case "exponential":
            return math.exp(a)
    raise AssertionError(activation.name)


def kinks(activation) -> list[float]:
    """Return where an activation is not twice differentiable."""
    return {
        "hard_sigmoid": lambda: [-activation.beta / activation.alpha, (1 - activation.beta) / activation.alpha],
        "relu": lambda: [0.0],
        "leaky_relu": lambda: [0.0],
        "thresholded_relu": lambda: [activation.alpha],
        "elu": lambda: [0.0],
        "selu": lambda: [0.0],
        "softsign": lambda: [0.0],
    }.get(activation.name, list)()


def gate_of(variant, k: str, a: float) -> float:
    """Return the gate `k` that belongs to a pre-activation."""
    return nonlinearity(variant.activation(k), a)


def limit(activation, a: float) -> float:
    """Return the limit of an activation as its argument goes to plus or minus infinity."""
    try:
        y = nonlinearity(activation, math.copysign(1e200, a))
    except OverflowError:
        return math.inf
    return y if abs(y) < 1e100 else math.copysign(math.inf, y)


def clip(value: float, bound: float | None) -> float:
    """Return `value` between -bound and bound."""
    return value if bound is None else min(max(value, -bound), bound)


def standardized(values: list[float], epsilon: float) -> list[float]:
    """Return values with mean 0 and variance 1."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return [(value - mean) / math.sqrt(variance + epsilon) for value in values]


@dataclass
class Moment:
    """All that happens in one step of one row, in the letters of the equations; by gate, then by unit."""

    z: list[float]
    unclipped: dict[str, list[float]] = field(default_factory=dict)
    a: dict[str, list[float]] = field(default_factory=dict)
    gate: dict[str, list[float]] = field(default_factory=dict)
    c_raw: list[float] = field(default_factory=list)
    c_new: list[float] = field(default_factory=list)
    c: list[float] = field(default_factory=list)
    v: list[float] = field(default_factory=list)
    m: list[float] = field(default_factory=list)
    r_raw: list[float] = field(default_factory=list)
    h: list[float] = field(default_factory=list)


def step(p, x, h, c, *, input=None, recurrent=None, zoneout_cell=None, zoneout_hidden=None, weight=None) -> Moment:
    """Return one step of one row; all arguments are lists, the dropout's of this step."""
    variant = p.variant
    W, b = p.weight.tolist(), p.bias.tolist()
    hidden, n_h, n_x = len(c), len(h), len(x)
    coupled = {"none": "", "forget=1-input": "f", "input=1-forget": "i"}[variant.coupling]
    own = [k for k in LETTERS if k != coupled]
    z_h = [h[j] * (recurrent[j] if recurrent else 1.0) for j in range(n_h)]
    z_x = [x[j] * (input[j] if input else 1.0) for j in range(n_x)]
    M = Moment([*z_h, *z_x])

    # The sums of products.
    u, w = {}, {}
    for k in own:
        row = LETTERS.index(k)
        u[k] = [
            sum(W[row][unit][j] * (weight[row][unit][j] if weight else 1.0) * z_h[j] for j in range(n_h))
            for unit in range(hidden)
        ]
        w[k] = [sum(W[row][unit][n_h + j] * z_x[j] for j in range(n_x)) for unit in range(hidden)]
    if variant.layer_norm == "haste":
        for sums, gain in ((u, p.norm_gain[0].tolist()), (w, p.norm_gain[1].tolist())):
            flat = standardized([value for k in own for value in sums[k]], variant.epsilon)
            for place, k in enumerate(own):
                row = LETTERS.index(k)
                sums[k] = [gain[row][unit] * flat[place * hidden + unit] for unit in range(hidden)]

    def gate(k, seen):
        row = LETTERS.index(k)
        q = [u[k][unit] + w[k][unit] for unit in range(hidden)]
        if variant.peephole == "full" and k in "ifo":
            peephole = p.peephole["ifo".index(k)].tolist()
            q = [q[unit] + peephole[unit] * seen[unit] for unit in range(hidden)]
        if variant.layer_norm == "gates":
            gain = p.norm_gain[row].tolist()
            q = [gain[unit] * value for unit, value in enumerate(standardized(q, variant.epsilon))]
        M.unclipped[k] = [q[unit] + b[row][unit] for unit in range(hidden)]
        M.a[k] = [clip(value, variant.gate_clip) for value in M.unclipped[k]]
        M.gate[k] = [gate_of(variant, k, value) for value in M.a[k]]

    for k in own:
        if k != "o":
            gate(k, c)
    if coupled:
        other = {"f": "i", "i": "f"}[coupled]
        M.gate[coupled] = [1 - value for value in M.gate[other]]
    i, f, g = (M.gate[k] for k in "ifg")

    M.c_raw = [f[unit] * c[unit] + i[unit] * g[unit] for unit in range(hidden)]
    M.c_new = [clip(value, variant.cell_clip) for value in M.c_raw]
    M.c = M.c_new
    if zoneout_cell:
        M.c = [zoneout_cell[n] * c[n] + (1 - zoneout_cell[n]) * M.c_new[n] for n in range(hidden)]

    gate("o", M.c_new)
    M.v_raw = M.c_new
    if variant.layer_norm == "haste":
        gain, bias = p.cell_norm.tolist()
        M.v_raw = [gain[n] * value + bias[n] for n, value in enumerate(standardized(M.c_new, variant.epsilon))]
    M.v = [clip(value, variant.output_clip) for value in M.v_raw]
    M.m = [M.gate["o"][n] * nonlinearity(variant.cell_activation, M.v[n]) for n in range(hidden)]
    M.r_raw = M.m
    if p.projection is not None:
        R = p.projection.tolist()
        M.r_raw = [sum(R[n][unit] * M.m[unit] for unit in range(hidden)) for n in range(n_h)]
    r = [clip(value, variant.projection_clip) for value in M.r_raw]
    M.h = r
    if zoneout_hidden:
        M.h = [zoneout_hidden[n] * h[n] + (1 - zoneout_hidden[n]) * r[n] for n in range(n_h)]
    return M


def run(p, x, state, *, direction="forward", valid=None, dropout=None) -> dict[tuple[int, int], Moment]:
    """Return the moments of a run by (time, row); steps that do not take place are absent."""
    time, batch = x.shape[:2]
    dropout = {} if dropout is None else dropout.fit(p, time, batch).arrays()
    found = {}
    for row in range(batch):
        h, c = state[0][row].tolist(), state[1][row].tolist()
        for t in range(time) if direction == "forward" else reversed(range(time)):
            if valid is not None and not valid[t, row]:
                continue
            given = {n: (array if n == "weight" else array[t, row]).tolist() for n, array in dropout.items()}
            found[t, row] = M = step(p, x[t, row].tolist(), h, c, **given)
            h, c = M.h, M.c
    return found


def margin(p, moments) -> float:
    """Return how far the moments stay from everything that cannot be differentiated twice."""
    variant, closest = p.variant, math.inf

    def watch(values, points):
        nonlocal closest
        closest = min([closest, *(abs(value - point) for value in values for point in points)])

    for M in moments.values():
        for k, values in M.unclipped.items():
            watch(values, [] if variant.gate_clip is None else [-variant.gate_clip, variant.gate_clip])
            watch(values, kinks(variant.activation(k)))
        watch(M.c_raw, [] if variant.cell_clip is None else [-variant.cell_clip, variant.cell_clip])
        watch(M.v_raw, [] if variant.output_clip is None else [-variant.output_clip, variant.output_clip])
        watch(M.v, kinks(variant.cell_activation))
        watch(M.r_raw, [] if variant.projection_clip is None else [-variant.projection_clip, variant.projection_clip])
    return closest


def bites(p, moments) -> dict[str, set[bool]]:
    """Return for every clip whether it changed a value, at one place or another."""
    variant = p.variant
    values = {
        "gate_clip": [value for M in moments.values() for k in M.unclipped for value in M.unclipped[k]],
        "cell_clip": [value for M in moments.values() for value in M.c_raw],
        "output_clip": [value for M in moments.values() for value in M.v_raw],
        "projection_clip": [value for M in moments.values() for value in M.r_raw],
    }
    bounds = {name: getattr(variant, name) for name in values}
    return {name: {abs(v) > bounds[name] for v in values[name]} for name in values if bounds[name] is not None}
