"""Amplifiers as PyTorch trains and runs them, with their skip connection, knobs, and states carried between blocks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from agreement import assert_agree

import gatewise as gw

pytestmark = pytest.mark.peers

CLOSE = 2e-6


class Amplifier(torch.nn.Module):
    """What Automated-GuitarAmpModelling calls SimpleRNN: sequences have the axes time, batch, feature."""

    def __init__(self, inputs, hidden, layers, outputs, skip, bias):
        super().__init__()
        self.rec = torch.nn.LSTM(inputs, hidden, layers)
        self.lin = torch.nn.Linear(hidden, outputs, bias=bias)
        self.skip, self.hidden = skip, None

    def forward(self, x):
        h, self.hidden = self.rec(x, self.hidden)
        return self.lin(h) + x[..., : self.skip] if self.skip else self.lin(h)


@pytest.mark.parametrize(
    ("inputs", "layers", "outputs", "skip", "bias"),
    [
        (1, 1, 1, 1, True),
        (2, 1, 1, 1, True),
        (3, 2, 1, 1, False),
        (2, 1, 2, 2, True),
        (2, 1, 2, 1, True),
        (2, 1, 1, 0, True),
    ],
)
@pytest.mark.parametrize("stated", [True, False])
def test_an_amplifier_of_pytorch_gives_its_audio_in_any_blocks(inputs, layers, outputs, skip, bias, stated, tmp_path):
    torch.manual_seed(0)
    model = Amplifier(inputs, 12, layers, outputs, skip, bias)
    data = {"model": "SimpleRNN", "skip": skip, "unit_type": "LSTM"}
    if stated:
        data |= {"input_size": inputs, "output_size": outputs, "num_layers": layers, "hidden_size": 12, "bias_fl": bias}
    arrays = {name: one.tolist() for name, one in model.state_dict().items()}
    (tmp_path / "amp.json").write_text(json.dumps({"model_data": data, "state_dict": arrays}), encoding="utf-8")
    network = gw.load_network(tmp_path / "amp.json")
    x = torch.randn(200, 2, inputs)
    stream, found, expected = network.stream(2), [], []
    with torch.inference_mode():
        for block in x.split(64):  # each carries its own state
            expected.append(model(block).numpy())
            found.append(stream.push(block.numpy()))
    assert_agree({"y": np.concatenate(found)}, {"y": np.concatenate(expected)}, CLOSE)
    np.testing.assert_array_equal(np.concatenate(found), network(x.numpy())[0])
    for got, want in zip(stream.state, zip(*model.hidden, strict=True), strict=True):
        assert_agree({"h": got[0].h, "c": got[0].c}, {"h": want[0].numpy(), "c": want[1].numpy()}, CLOSE)


def test_a_nam_starts_where_pytorch_starts_from_its_state(tmp_path):
    torch.manual_seed(0)
    core, head = torch.nn.LSTM(1, 7, 2, batch_first=True), torch.nn.Linear(7, 1)
    with torch.inference_mode():
        _, (h, c) = core(torch.zeros(1, 300, 1))  # as its exporter finds the state
        flat = []
        for layer in range(2):
            part = {
                name: getattr(core, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            flat += [torch.cat([part["weight_ih"], part["weight_hh"]], 1), part["bias_ih"] + part["bias_hh"]]
            flat += [h[layer, 0], c[layer, 0]]
        weights = torch.cat([one.flatten() for one in (*flat, head.weight, head.bias)]).tolist()
        x = torch.randn(1, 100, 1)
        expected = head(core(x, (h, c))[0])[0].numpy()
    config = {"num_layers": 2, "input_size": 1, "hidden_size": 7}
    document = {"version": "0.5.4", "architecture": "LSTM", "config": config, "weights": weights}
    (tmp_path / "amp.nam").write_text(json.dumps(document), encoding="utf-8")
    y, _ = gw.load_network(tmp_path / "amp.nam")(x[0].numpy())
    assert_agree({"y": y}, {"y": expected}, CLOSE)
