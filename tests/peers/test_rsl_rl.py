"""rsl_rl, live: a policy that it exports as ONNX is read whole, normaliser and head included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from agreement import distance
from peers.onnx_running import CLOSE, ask

import gatewise as gw

rnn_model = pytest.importorskip("rsl_rl.models.rnn_model")
torch = pytest.importorskip("torch")
tensordict = pytest.importorskip("tensordict")
pytestmark = pytest.mark.peers

STEPS, FEATURES = 6, 5


def policy_of(layers, *, normalised, activation="elu"):
    """Return a policy as rsl_rl trains it, its normaliser updated on observations of other sizes."""
    torch.manual_seed(layers)
    observations = tensordict.TensorDict({"policy": torch.randn(1, FEATURES)}, batch_size=[1])
    policy = rnn_model.RNNModel(
        observations,
        {"actor": ["policy"]},
        "actor",
        3,
        hidden_dims=(7, 6),
        activation=activation,
        obs_normalization=normalised,
        distribution_cfg={"class_name": "rsl_rl.modules.distribution.GaussianDistribution", "init_std": 1.0},
        rnn_type="lstm",
        rnn_hidden_dim=4,
        rnn_num_layers=layers,
    )
    seen = tensordict.TensorDict({"policy": 30 * torch.randn(64, FEATURES) + 200}, batch_size=[64])
    policy.update_normalization(seen)
    return policy.eval()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("dynamo", [False, True])
def test_a_policy_that_is_exported_as_onnx_is_read_whole(layers, normalised, dynamo, tmp_path):
    module = policy_of(layers, normalised=normalised).as_onnx().eval()
    path = tmp_path / "policy.onnx"
    names = {"input_names": module.input_names, "output_names": module.output_names}
    with warnings.catch_warnings():  # of the exporter, about itself
        warnings.simplefilter("ignore")
        torch.onnx.export(module, module.get_dummy_inputs(), str(path), opset_version=18, dynamo=dynamo, **names)
    network = gw.load_network(path, strict=True)
    assert (network.inputs is not None) == normalised
    assert [len(layer.weight) for layer in network.dense] == [7, 6, 3]
    x = np.random.default_rng(0).normal(200, 30, (STEPS, 1, FEATURES)).astype(np.float32)
    state, actions = {"h_in": np.zeros((layers, 1, 4), np.float32), "c_in": np.zeros((layers, 1, 4), np.float32)}, []
    for step in x:
        answers = ask(str(path), {"obs": step} | state)
        state = {"h_in": answers["h_out"], "c_in": answers["c_out"]}
        actions.append(answers["actions"])
    assert distance(network(x)[0], np.stack(actions)) <= CLOSE
