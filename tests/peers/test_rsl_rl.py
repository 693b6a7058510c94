"""rsl_rl, live: a policy that it exports as ONNX or TorchScript is read whole, normaliser and head included."""

from __future__ import annotations

import warnings
import zipfile

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
    assert len(network.lstms) == layers
    assert ("sub" in {node.op for node in network.graph.nodes}) == normalised
    x = np.random.default_rng(0).normal(200, 30, (STEPS, 1, FEATURES)).astype(np.float32)
    state = {"h_in": np.zeros((layers, 1, 4), np.float32), "c_in": np.zeros((layers, 1, 4), np.float32)}
    for step in x:
        answers = ask(str(path), {"obs": step} | state)
        outputs, _ = network(obs=step, **state)
        for name, output in zip(module.output_names, outputs, strict=True):
            assert distance(output, answers[name]) <= CLOSE
        state = {"h_in": answers["h_out"], "c_in": answers["c_out"]}


def scripted(path, layers=1, *, normalised=True, activation="elu"):
    """Write a policy as rsl_rl's exporter does, and return its module."""
    policy = policy_of(layers, normalised=normalised, activation=activation).as_jit()
    with warnings.catch_warnings():  # that PyTorch will drop its script
        warnings.simplefilter("ignore")
        module = torch.jit.script(policy)
        module.save(str(path))
    return module


def rewritten(source, path, old, new):
    """Copy an archive with another text in its code, which must have the old one."""
    count = 0
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".py") and old in content:
                content, count = content.replace(old, new), count + 1
            copy.writestr(name, content)
    assert count


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(
    "activation", ["elu", "selu", "relu", "lrelu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish"]
)
def test_a_policy_that_is_exported_as_torchscript_is_read_whole(layers, normalised, activation, tmp_path):
    path = tmp_path / "policy.pt"
    module = scripted(path, layers, normalised=normalised, activation=activation)
    network = gw.load_network(path, strict=True)
    assert (network.inputs is not None) == normalised
    assert [len(layer.weight) for layer in network.dense] == [7, 6, 3]
    x = np.random.default_rng(0).normal(200, 30, (STEPS, 1, FEATURES)).astype(np.float32)
    with torch.no_grad():
        actions = [module(torch.from_numpy(step)).numpy() for step in x]
    assert distance(network(x)[0], np.stack(actions)) <= CLOSE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.save(str(tmp_path / "later.pt"))  # after these steps
    with torch.no_grad():
        action = module(torch.from_numpy(x[0])).numpy()
    assert distance(gw.load_network(tmp_path / "later.pt", strict=True)(x[:1])[0][0], action) <= CLOSE
    left_out = {entry.name: entry.effect for entry in gw.inspect(path).ledger if not entry.used}
    zeros = ["hidden_state", "cell_state"]  # as every run starts
    assert left_out == dict.fromkeys(zeros + ["obs_normalizer._var", "obs_normalizer.count"] * normalised, "")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"return torch.div(_1", b"return torch.mul(_1", "torch.mul"),
        (b"torch.sub(x, _mean)", b"torch.sub(_mean, x)", "divides"),
        (b"functional.elu(input, 1., False, )", b"functional.hardtanh(input, 1., False, )", "functional.hardtanh"),
        (b"functional.elu(input, 1., False, )", b"functional.elu(input, 1., True, )", "functional.elu"),
        (b"    out = (mlp)", b"    _9 = torch.mul_(x2, 2.)\n    out = (mlp)", "torch.mul_"),
        (b"    out = (mlp)", b"    x3 = torch.dropout(x2, 0.5, True)\n    out = (mlp)", "torch.dropout"),
        (b"    out = (mlp)", b"    if True:\n      pass\n    out = (mlp)", "statement If"),
        (b"return _5\n", b"return torch.clamp(_5, -1., 1.)\n", "torch.clamp"),
        (b"return _5\n", b"return torch.add(_5, x)\n", "torch.add"),
        (b"torch.copy_(torch.slice(hidden_state0), h)", b"h", "keep h and c"),
        (b"torch.copy_(torch.slice(hidden_state0), h)", b"torch.copy_(torch.slice(hidden_state0), c)", "keep h and c"),
        (b"torch.unsqueeze(x0, 0)", b"torch.unsqueeze(x0, 1)", "lstm"),
        (b"(hidden_state, cell_state), )", b"(cell_state, hidden_state), )", "keep h and c"),
        (b"return _5", b"return " + b"(" * 150 + b"_5" + b")" * 150, None),
        (b"return _5", b"return " + b"(" * 900 + b"_5" + b")" * 900, "nested too deeply"),
        (b"return _5", b"return _5" + b".a" * 20_000, "nested too deeply"),
        (b"return _5", b"return " + b"-" * 20_000 + b"_5", "nested too deeply"),
        (b"return _5", b"x9 = torch.add(x, x)\n    " * 40_000 + b"return _5", "300,000"),
        (
            b"return _5\n",  # as many references as would take ages to hash
            b"x9 = torch.foo(x2, x2)\n    " + b"x9 = torch.foo(x9, x9)\n    " * 60 + b"return x9\n",
            "torch.foo",
        ),
        (b"return mlp_output", b"return (self).forward(mlp_output, )", "50,000|nested"),
    ],
)
def test_another_operation_in_the_forward_is_refused_by_name(old, new, reason, tmp_path):
    source, path = tmp_path / "policy.pt", tmp_path / "other.pt"
    scripted(source)
    rewritten(source, path, old, new)
    assert [stored.name for stored in gw.inspect(path).lstms] == ["rnn"]
    if reason is None:
        assert len(gw.load_network(path, strict=True).dense) == 3
        return
    with pytest.raises(gw.FileError, match=reason):
        gw.load_network(path)


def test_what_a_named_head_leaves_out_of_a_policy_is_said(tmp_path):
    scripted(tmp_path / "policy.pt")
    with pytest.warns(gw.WeightsWarning, match=r"'mlp.2' .*'obs_normalizer' \(scaling of the features\)"):
        gw.load_network(tmp_path / "policy.pt", head="mlp.0")
