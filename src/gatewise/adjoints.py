"""One step of an LSTM backward: the derivative of each equation of `equations.Moment`, from the last to the first.

Backpropagation through time (Werbos, "Backpropagation Through Time: What It Does and How to Do It", 1990) asks of each
step: given dL/dh and dL/dc at its end, what are the derivatives with respect to everything that went into it? Here `dq`
stands for dL/dq.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatewise.arrays import Array
from gatewise.equations import Axis, Moment, inverse_deviation, mean, standardize
from gatewise.gates import LETTERS, PEEPHOLES, of


@dataclass(frozen=True)
class Adjoint:
    """The derivatives of the loss in one step, each with the shape of its quantity.

    They are those with respect to the input x (batch, input), the previous states h_prev (batch, recurrent) and c_prev
    (batch, hidden), the unprojected hidden state m and the new cell state c_new (batch, hidden); with respect to the
    gates after their nonlinearity, before any edit (a coupled gate's share is passed on to the other), and to the
    pre-activations, both (batch, 4, hidden); and with respect to the parameters, summed over the batch.
    """

    x: Array
    h_prev: Array
    c_prev: Array
    m: Array
    c_new: Array
    gates: Array
    preactivations: Array
    parameters: dict[str, Array]


def unstandardize(dy: Array, q: Array, epsilon: float, axis: Axis = -1) -> Array:
    """Return dq behind layer norm's y = standardize(q): dy without its mean and its component along y, rescaled."""
    y, scale = standardize(q, epsilon, axis), inverse_deviation(q, epsilon, axis)
    dq: Array = (dy - mean(dy, axis) - y * mean(dy * y, axis)) * scale
    return dq


def _within(q: Array, clip: float | None) -> Array | float:
    """Return the derivative of clip(q, -clip, clip)."""
    return 1.0 if clip is None else (np.abs(q) <= clip).astype(q.dtype)


def step(M: Moment, dh: Array, dc: Array) -> Adjoint:
    """Return the derivatives of the loss in one step of an LSTM, given those with respect to the states at its end.

    `dh` is (batch, recurrent), `dc` (batch, hidden). The function is left whole: its lines are the chain rule in order,
    each with names that the lines above it define.
    """
    p, variant, dropout = M.p, M.p.variant, M.dropout
    gradients: dict[str, Array] = {}

    # From an edited quantity to what its equation gave.
    if M.edited:
        dh = M.edit_gradient("h", dh)
        dc = dc if dropout.zoneout_cell is None else M.edit_gradient("c", dc)

    # h = kept * h_prev + (1 - kept) * r
    dr, dh_prev = dh, np.zeros_like(dh)
    if (zoneout := dropout.zoneout_hidden) is not None:
        dr, dh_prev = (1 - zoneout) * dh, zoneout * dh

    # r = clip(R m)
    dm = dr
    if p.projection is not None:
        dr_raw = dr * _within(M.r_raw, variant.projection_clip)
        gradients["projection"] = dr_raw.T @ M.m
        dm = dr_raw @ p.projection

    # m = o * t
    do: Array = dm * M.t
    dt = dm * M.o
    if M.edited:
        do = M.edit_gradient("o", do)

    # t = tanh(v)
    dv = dt * variant.activation("c").derivative(M.t)

    # v = clip(v_raw)
    dv = dv * _within(M.v_raw, variant.output_clip)

    # c = kept * c_prev + (1 - kept) * c_new
    dc_new, dc_prev = dc, np.zeros_like(dc)
    if (zoneout := dropout.zoneout_cell) is not None:
        dc_new, dc_prev = (1 - zoneout) * dc, zoneout * dc

    # v_raw = gain * standardize(c_new) + bias
    if p.cell_norm is None:
        dc_new = dc_new + dv
    else:
        gradients["cell_norm"] = np.stack([(dv * standardize(M.c_new, M.epsilon)).sum(0), dv.sum(0)])
        dc_new = dc_new + unstandardize(dv * p.cell_norm[0], M.c_new, M.epsilon)

    # o = σ(a_o), whose sum includes the peephole p_o * c_new: before the cell state, since it sees the new one
    da, dn, dq = dict[str, Array](), dict[str, Array](), dict[str, Array]()
    da["o"], dn["o"], dq["o"] = _gate_derivatives(M, "o", do)
    if p.peephole is not None:
        dc_new = dc_new + dq["o"] * of(p.peephole, "o", PEEPHOLES)

    # c_new = clip(f * c_prev + i * g)
    dc_made = M.edit_gradient("c", dc_new) if M.edited and dropout.zoneout_cell is None else dc_new
    dc_raw = dc_made * _within(M.c_raw, variant.cell_clip)
    df: Array = dc_raw * M.c_prev
    di: Array = dc_raw * M.g
    dg: Array = dc_raw * M.i
    dc_prev = dc_prev + dc_raw * M.f

    # f = 1 - i, or i = 1 - f
    if variant.coupled == "f":
        di, df = di - (M.edit_gradient("f", df) if M.edited else df), np.zeros_like(df)
    elif variant.coupled == "i":
        df, di = df - (M.edit_gradient("i", di) if M.edited else di), np.zeros_like(di)
    if M.edited:
        di, df, dg = M.edit_gradient("i", di), M.edit_gradient("f", df), M.edit_gradient("g", dg)

    # i = σ(a_i), f = σ(a_f), g = tanh(a_g)
    da["i"], dn["i"], dq["i"] = _gate_derivatives(M, "i", di)
    da["f"], dn["f"], dq["f"] = _gate_derivatives(M, "f", df)
    da["g"], dn["g"], dq["g"] = _gate_derivatives(M, "g", dg)

    # a_k = n_k + b_k;  n_k = gain * standardize(q_k);  q_k = s_k + p_k * c
    gradients["bias"] = np.stack([da[k].sum(0) for k in LETTERS])
    if variant.layer_norm == "gates":
        gradients["norm_gain"] = np.zeros_like(p.bias)
        for k in variant.own:
            gradients["norm_gain"][LETTERS.index(k)] = (dn[k] * standardize(M.q(k), M.epsilon)).sum(0)
    if p.peephole is not None:
        gradients["peephole"] = np.zeros_like(p.peephole)
        for k in PEEPHOLES.replace(variant.coupled or " ", ""):
            gradients["peephole"][PEEPHOLES.index(k)] = (dq[k] * M.peeped_state(k)).sum(0)
            if k != "o":
                dc_prev = dc_prev + dq[k] * of(p.peephole, k, PEEPHOLES)

    # s = W z, or gain_u * standardize(U h) + gain_w * standardize(W x)
    weighted = [LETTERS.index(k) for k in variant.own]  # parameters that a coupled gate does not use may hold NaN
    ds = np.stack([dq[k] for k in variant.own])
    dW = np.zeros_like(p.weight)
    if p.norm_gain is not None and variant.layer_norm == "haste":
        gradients["norm_gain"] = np.zeros_like(p.norm_gain)
        gradients["norm_gain"][0, weighted] = (ds * M.across_gates(M.u)[weighted]).sum(1)
        gradients["norm_gain"][1, weighted] = (ds * M.across_gates(M.w)[weighted]).sum(1)
        gain_u, gain_w = p.norm_gain[:, weighted, None]
        du = unstandardize(ds * gain_u, M.u[weighted], M.epsilon, (0, 2))
        dw = unstandardize(ds * gain_w, M.w[weighted], M.epsilon, (0, 2))
        dW[weighted, :, : p.recurrent_size] = du.mT @ M.z_h
        dW[weighted, :, p.recurrent_size :] = dw.mT @ M.z_x
        dz_h, dz_x = (du @ M.U[weighted]).sum(0), (dw @ p.input_weight[weighted]).sum(0)
    else:
        dW[weighted] = ds.mT @ M.z
        dz = (ds @ M.W[weighted]).sum(0)
        dz_h, dz_x = dz[:, : p.recurrent_size], dz[:, p.recurrent_size :]

    # W = [U * mask, W_x];  z = [h_prev * mask; x * mask]
    if dropout.weight is not None:
        dW[..., : p.recurrent_size] *= dropout.weight
    gradients["weight"] = dW
    dx = dz_x if dropout.input is None else dz_x * dropout.input
    dh_prev = dh_prev + (dz_h if dropout.recurrent is None else dz_h * dropout.recurrent)

    gates = np.stack([di, df, dg, do], axis=1)
    return Adjoint(dx, dh_prev, dc_prev, dm, dc_new, gates, np.stack([da[k] for k in LETTERS], axis=1), gradients)


def _gate_derivatives(M: Moment, k: str, dy: Array) -> tuple[Array, Array, Array]:
    """Return the loss's derivatives by gate k's pre-activation a, its sum n before the bias, and its weighted sum q."""
    if k == M.p.variant.coupled:
        return dy, dy, dy  # zeros: the gate has no sum of its own
    da = dy * M.p.variant.activation(k).derivative(M.before_edits(k))
    if M.p.variant.gate_clip is not None:
        da = da * _within(M.unclipped(k), M.p.variant.gate_clip)
    if M.p.norm_gain is None or M.p.variant.layer_norm != "gates":
        return da, da, da
    return da, da, unstandardize(da * of(M.p.norm_gain, k), M.q(k), M.epsilon)
