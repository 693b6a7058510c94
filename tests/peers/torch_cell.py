"""Every variant of the LSTM once more, in PyTorch, as the papers and the frameworks write it.

Nothing of gatewise's equations is used: each gate has its own matrix product, layer norm and most nonlinearities are
PyTorch's, and the derivatives are autograd's.

- Peepholes: Gers and Schmidhuber (2000).
- Coupling: Greff et al. (2017), and TensorFlow's `CoupledInputForgetGateLSTMCell`.
- Clips: of pre-activations (ONNX), of the new cell state and of the projection (TensorFlow's `LSTMCell`).
- Layer norm `gates`: TensorFlow Lite's `UnidirectionalSequenceLSTM`; `haste`: Haste's `LayerNormLSTM`.
- Zoneout: Krueger et al. (2017); recurrent dropout: Gal and Ghahramani (2016); DropConnect: Merity et al. (2018).
"""

from __future__ import annotations

import numpy as np
import torch
from agreement import assert_agree
from peers.torch_live import tensor, tensors
from torch.nn import functional as F

import gatewise as gw

FORWARD, BACKWARD = 1e-12, 1e-10


def nonlinearity(activation):
    """Return PyTorch's function for one of gatewise's activations."""
    alpha, beta = activation.alpha, activation.beta
    if activation.name == "selu" and (alpha, beta) == (1.6732632423543772, 1.0507009873554805):
        return F.selu
    other = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        # F.hardsigmoid has the slope 1/6 too, but goes back with that number rounded to float32, in float64 as well.
        "hard_sigmoid": lambda a: torch.clamp(alpha * a + beta, 0, 1),
        "leaky_relu": lambda a: F.leaky_relu(a, alpha),
        "thresholded_relu": lambda a: F.threshold(a, alpha, 0.0),
        "affine": lambda a: alpha * a + beta,
        "scaled_tanh": lambda a: alpha * torch.tanh(beta * a),
        "elu": lambda a: F.elu(a, alpha),
        "softplus": lambda a: F.softplus(a, threshold=100),  # above its threshold PyTorch's is the identity
        "exponential": torch.exp,
    }
    return other.get(activation.name) or getattr(F, activation.name, None) or getattr(torch, activation.name)


class TorchCell:
    """One cell.

    Parameters
    ----------
    variant : gatewise.Variant
        Its switches.
    leaves : dict of tensor
        The cell's arrays, by gatewise's names.
    edits : sequence of function
        Of a quantity's letter, the step, and the quantity.
    """

    def __init__(self, variant, leaves, edits=()):
        self.variant, self.leaves, self.edits, self.now = variant, leaves, edits, None
        self.hidden = leaves["bias"].shape[1]
        self.recurrent = leaves["projection"].shape[0] if "projection" in leaves else self.hidden
        self.coupled = {"none": "", "forget=1-input": "f", "input=1-forget": "i"}[variant.coupling]

    def sums(self, h, x, connected):
        """Return the weighted sums of the gates that have weights of their own, by letter."""
        recurrent = self.leaves["weight"][:, :, : self.recurrent]
        recurrent = recurrent if connected is None else recurrent * connected
        own = [k for k in "ifgo" if k != self.coupled]
        from_h = {k: F.linear(h, recurrent["ifgo".index(k)]) for k in own}
        from_x = {k: F.linear(x, self.leaves["weight"]["ifgo".index(k), :, self.recurrent :]) for k in own}
        if self.variant.layer_norm == "haste":
            from_h = self.normed_across(from_h, self.leaves["norm_gain"][0])
            from_x = self.normed_across(from_x, self.leaves["norm_gain"][1])
        return {k: from_h[k] + from_x[k] for k in own}

    def normed_across(self, sums, gain):
        """Return sums under one layer norm over the units of all gates together, without a bias."""
        gain = torch.cat([gain["ifgo".index(k)] for k in sums])
        normed = F.layer_norm(torch.cat(list(sums.values()), -1), gain.shape, gain, eps=self.variant.epsilon)
        return dict(zip(sums, normed.split(self.hidden, -1), strict=True))

    def gate(self, k, sums, seen):
        """Return a gate, given the sums and the cell state that its peephole sees."""
        total, place = sums[k], "ifgo".index(k)
        if self.variant.peephole == "full" and k != "g":
            total = total + self.leaves["peephole"]["ifo".index(k)] * seen
        if self.variant.layer_norm == "gates":
            gain = self.leaves["norm_gain"][place]
            total = F.layer_norm(total, gain.shape, gain, eps=self.variant.epsilon)
        total = total + self.leaves["bias"][place]
        names = {"i": "input", "f": "forget", "g": "candidate", "o": "output"}
        return nonlinearity(getattr(self.variant, names[k] + "_activation"))(clipped(total, self.variant.gate_clip))

    def step(self, x, h, c, dropout):
        """Return the gates and the new states of one step: i, f, g, o, m (before any projection), c, h."""
        sums = self.sums(h * dropout.get("recurrent", 1), x * dropout.get("input", 1), dropout.get("weight"))
        keep_c, keep_h = dropout.get("zoneout_cell", 0), dropout.get("zoneout_hidden", 0)
        g = self.edited("g", self.gate("g", sums, None))
        i = None if self.coupled == "i" else self.edited("i", self.gate("i", sums, c))
        f = self.edited("f", 1 - i if self.coupled == "f" else self.gate("f", sums, c))
        i = self.edited("i", 1 - f) if self.coupled == "i" else i
        new_c = clipped(f * c + i * g, self.variant.cell_clip)
        if "zoneout_cell" not in dropout:
            new_c = self.edited("c", new_c)
        o = self.edited("o", self.gate("o", sums, new_c))
        shown = new_c
        if self.variant.layer_norm == "haste":
            gain, bias = self.leaves["cell_norm"]
            shown = F.layer_norm(new_c, gain.shape, gain, bias, self.variant.epsilon)
        m = o * nonlinearity(self.variant.cell_activation)(clipped(shown, self.variant.output_clip))
        new_h = m
        if "projection" in self.leaves:
            new_h = clipped(F.linear(m, self.leaves["projection"]), self.variant.projection_clip)
        c, h = keep_c * c + (1 - keep_c) * new_c, keep_h * h + (1 - keep_h) * new_h
        c, h = self.edited("c", c) if "zoneout_cell" in dropout else c, self.edited("h", h)
        return {"i": i, "f": f, "g": g, "o": o, "m": m, "c": c, "h": h}

    def edited(self, letter, quantity):
        """Return what edits make of a quantity at the step that runs: each edit gets it, and gives what it becomes."""
        for edit in self.edits:
            quantity = edit(letter, self.now, quantity)
        return quantity

    def run(self, x, h, c, dropout=None, *, valid=None, reverse=False):
        """Run over time; return each quantity (time, batch, ·) in the input's time, and the final h and c."""
        kept = [None] * len(x)
        for t in reversed(range(len(x))) if reverse else range(len(x)):
            masks = {name: mask if name == "weight" else mask[t] for name, mask in (dropout or {}).items()}
            self.now = t
            kept[t] = self.step(x[t], h, c, masks)
            if valid is not None:
                kept[t] |= {
                    "h": torch.where(valid[t][:, None], kept[t]["h"], h),
                    "c": torch.where(valid[t][:, None], kept[t]["c"], c),
                }
            h, c = kept[t]["h"], kept[t]["c"]
        return {name: torch.stack([step[name] for step in kept]) for name in kept[0]}, h, c


def clipped(tensor, bound):
    """Return a tensor within a bound on both sides, where there is one."""
    return tensor if bound is None else torch.clamp(tensor, -bound, bound)


def assert_like_autograd(run, edits=None, in_torch=()):
    """Hold a run, and its gradients with respect to all that went into it, against the cell under autograd.

    What is edited, and steps that are not valid, have their states compared; all other runs every gate too.
    """
    trace, rng = run.trace(edit=edits), np.random.default_rng(1)
    dy, end = rng.normal(size=trace.hidden_state.shape), [rng.normal(size=part.shape) for part in run.state]
    leaves = tensors(run.p.arrays() | {"x": run.x, "h0": run.state.h, "c0": run.state.c}, leaf=True)
    steps, *final = TorchCell(run.p.variant, leaves, in_torch).run(
        leaves["x"],
        leaves["h0"],
        leaves["c0"],
        tensors(trace.dropout.arrays()),
        valid=None if run.valid is None else tensor(run.valid),
        reverse=run.direction == "backward",
    )
    loss = (steps["h"] * tensor(dy)).sum()
    (loss + sum((part * tensor(by)).sum() for part, by in zip(final, end, strict=True))).backward()
    kept = {"c": trace.cell_state, "h": trace.hidden_state}
    if edits is None and run.valid is None:
        kept |= {letter: trace.gates[:, :, place] for place, letter in enumerate("ifgo")}
        kept["m"] = trace.unprojected_state
    assert_agree(kept, {name: steps[name].detach() for name in kept}, FORWARD)
    assert_agree(trace.final._asdict(), dict(zip("hc", (part.detach() for part in final), strict=True)), FORWARD)
    found = gw.backward(trace, dy, gw.State(*end))
    got = found.parameters | {"x": found.x, "h0": found.state.h, "c0": found.state.c}
    assert_agree(got, {name: leaf.grad for name, leaf in leaves.items()}, BACKWARD)
