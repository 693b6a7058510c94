"""The kinds of files that PyTorch and its friends write: what is read runs as the live module, the rest is named."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from agreement import assert_agree

import gatewise as gw

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


class Net(torch.nn.Module):
    """An LSTM of two layers and a head."""

    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch has against its own older ways
        yield


def assert_same_run(net, path, name="rnn"):
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = net.rnn(torch.from_numpy(x).transpose(0, 1))[0].transpose(0, 1).numpy()
    assert_agree({"y": gw.load(path, name)(x)[0]}, {"y": theirs}, 1e-6)


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("way", ["old", "new", "old, whole module"])
def test_weight_norm_runs_as_the_live_module(way, dim, net, tmp_path, quiet):
    norm = torch.nn.utils.parametrizations.weight_norm if way == "new" else torch.nn.utils.weight_norm
    for name in ("weight_hh_l0", "weight_ih_l1_reverse"):
        norm(net.rnn, name, dim=dim)
    state = {
        key: 1.5 * value if key.endswith(("_g", "original0")) else value for key, value in net.state_dict().items()
    }
    net.load_state_dict(state)  # so that a weight kept from before would be another
    torch.save(net if "module" in way else net.state_dict(), tmp_path / "net.pt")
    assert_same_run(net, tmp_path / "net.pt")


def test_spectral_norm_is_refused_by_name(net, tmp_path, quiet):
    for name, norm in (("a", torch.nn.utils.spectral_norm), ("b", torch.nn.utils.parametrizations.spectral_norm)):
        other = Net()
        norm(other.rnn, "weight_hh_l0")
        torch.save(other.state_dict(), tmp_path / name)
        (refused,) = gw.inspect(tmp_path / name).refused
        assert "spectral_norm" in refused.reason


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_model_in_several_files_runs_as_the_live_module(kind, net, tmp_path):
    from safetensors.torch import save_file

    state, where = net.state_dict(), {}
    for number in (0, 1):
        shard = f"model-0000{number + 1}-of-00002.{kind}"
        held = {name: state[name] for name in list(state)[number::2]}
        (save_file if kind == "safetensors" else torch.save)(held, tmp_path / shard)
        where |= dict.fromkeys(held, shard)
    index = {"safetensors": "model.safetensors.index.json", "bin": "pytorch_model.bin.index.json"}[kind]
    (tmp_path / index).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    assert_same_run(net, tmp_path / index)
    assert_same_run(net, tmp_path)


def test_a_checkpoint_of_lightnings_runs_as_the_live_module(net, tmp_path):
    """The layout of a checkpoint as Trainer.save_checkpoint writes it: more than the state dict, and of any class."""
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.zeros(1, 2, 3)).sum().backward()
    optimizer.step()
    torch.save(
        {
            "epoch": 3,
            "global_step": 12,
            "pytorch-lightning_version": "2.5.0",
            "state_dict": net.state_dict(),
            "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
            "callbacks": {
                "ModelCheckpoint{'monitor': None}": {"best_model_path": "a.ckpt", "kth_value": torch.tensor(1.0)}
            },
            "optimizer_states": [optimizer.state_dict()],
            "lr_schedulers": [],
            "hparams_name": "kwargs",
            "hyper_parameters": {"hidden_size": 4, "network": Net},
        },
        tmp_path / "last.ckpt",
    )
    found = gw.inspect(tmp_path / "last.ckpt")
    assert [one.name for one in found.lstms] == ["state_dict.rnn"]
    assert_same_run(net, tmp_path / "last.ckpt", None)


@pytest.mark.parametrize("whole", [False, True], ids=["state dict", "whole module"])
@pytest.mark.parametrize("dtype", ["qint8", "float16"])
@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.LSTMCell])
def test_quantised_lstms_are_refused_by_name(kind, dtype, whole, tmp_path, quiet):
    net = torch.nn.ModuleDict({"rnn": kind(3, 4)})
    quantised = torch.ao.quantization.quantize_dynamic(net, {kind}, dtype=getattr(torch, dtype))
    torch.save(quantised if whole else quantised.state_dict(), tmp_path / "net.pt")
    contents = gw.inspect(tmp_path / "net.pt")
    assert not contents.lstms
    (refused,) = contents.refused
    assert refused.name == "rnn"
    assert "PyTorch quantised" in refused.reason
    assert "before that" in refused.reason


def test_an_lstm_that_is_prepared_for_quantisation_is_refused_by_name(tmp_path, quiet):
    torch.save(
        {f"rnn.{name}": one for name, one in torch.ao.nn.quantizable.LSTM(3, 4).state_dict().items()}, tmp_path / "a"
    )
    (refused,) = gw.inspect(tmp_path / "a").refused
    assert refused.name == "rnn"
    assert "prepared for it" in refused.reason


class Words(torch.nn.Module):
    """An LSTM in a module inside the model, behind an embedding."""

    def __init__(self, batch_first, second_batch_first):
        super().__init__()
        self.embed = torch.nn.Embedding(7, 3)
        self.inner = torch.nn.Sequential(torch.nn.LSTM(3, 4, batch_first=batch_first))
        self.second = torch.nn.LSTM(4, 4, batch_first=second_batch_first)

    def forward(self, words):
        return self.second(self.inner(self.embed(words))[0])[0]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("way", ["scripted", "traced", "whole"])
def test_nested_lstms_say_their_axes(way, batch_first, tmp_path, quiet):
    net, words = Words(batch_first, not batch_first).eval(), torch.zeros((2, 5), dtype=torch.long)
    if way == "whole":
        torch.save(net, tmp_path / "net.pt")
    else:
        script = torch.jit.script(net) if way == "scripted" else torch.jit.trace(net, words)
        script.save(str(tmp_path / "net.pt"))
    contents = gw.inspect(tmp_path / "net.pt")
    axes = {one.name: one.batch_first for one in contents.lstms}
    assert axes == {"inner.0": batch_first, "second": not batch_first}
    left_out = [entry.name for entry in contents.ledger if not entry.used]
    assert left_out == ([] if way == "whole" else ["the code of the module"])


@pytest.mark.parametrize("way", ["script", "trace", "optimised"])
def test_a_frozen_module_is_named_with_the_way_out(way, tmp_path, quiet):
    net, words = Words(True, True).eval(), torch.zeros((2, 5), dtype=torch.long)
    script = torch.jit.trace(net, words) if way == "trace" else torch.jit.script(net)
    script = torch.jit.optimize_for_inference(script) if way == "optimised" else torch.jit.freeze(script)
    script.save(str(tmp_path / "net.pt"))
    with pytest.raises(gw.FileError, match=r"torch\.jit\.freeze made its weights constants .* as it was before"):
        gw.load(tmp_path / "net.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_as_lightning_stores_it_states_its_epoch(zipped, tmp_path):
    content = {"epoch": 7, "pytorch-lightning_version": "2.5.0", "state_dict": torch.nn.LSTM(3, 4).state_dict()}
    torch.save(content, tmp_path / "last.ckpt", _use_new_zipfile_serialization=zipped)
    assert gw.load(tmp_path / "last.ckpt").provenance.attributes()["model_epoch"] == 7


def double(module, inputs, output):
    return 2 * output[0], output[1]


@pytest.mark.parametrize("where", ["rnn", "head"])
def test_hooks_of_a_pickled_module_are_said(where, net, tmp_path, quiet):
    getattr(net, where).register_forward_hook(double)
    torch.save(net, tmp_path / "net.pt")
    (entry,) = [entry for entry in gw.inspect(tmp_path / "net.pt").ledger if not entry.used]
    assert entry.name == f"{where}.forward hook ({double.__module__}.double)"
    assert entry.lstms == (where,)


@pytest.mark.parametrize("subclass", [False, True])
def test_lazily_negated_weights_are_resolved_and_subclasses_refused(subclass, net, tmp_path):
    state = net.state_dict()
    name = "rnn.weight_hh_l1"
    negated = torch._neg_view(state[name])
    state[name] = state[name].as_subclass(Weights) if subclass else negated
    torch.save(state, tmp_path / "net.pt")
    if subclass:
        with pytest.raises(gw.FileError, match=r"rnn\.weight_hh_l1: it is a tensor of the class .*Weights"):
            gw.load(tmp_path / "net.pt")
        return
    net.load_state_dict(state)
    assert_same_run(net, tmp_path / "net.pt")


class Weights(torch.Tensor):
    """A tensor that may compute in its own way."""


def test_every_tensor_of_a_checkpoint_is_accounted_for(net, tmp_path, quiet):
    net.norm, net.act = torch.nn.BatchNorm1d(8), torch.nn.PReLU(8)
    optimizer = torch.optim.Adam(net.parameters())
    (net(torch.zeros(1, 2, 3)).sum() + net.norm.weight.sum() + net.act.weight.sum()).backward()
    optimizer.step()
    torch.save({"state_dict": net.state_dict(), "optimizer_states": [optimizer.state_dict()]}, tmp_path / "net.pt")
    contents = gw.inspect(tmp_path / "net.pt")
    reasons = {entry.name.removeprefix("state_dict."): entry.reason for entry in contents.ledger if not entry.used}
    training = [name for name in reasons if name.startswith("optimizer_states.")]
    assert len(training) == 3 * sum(parameter.grad is not None for parameter in net.parameters())
    assert {reasons[name] for name in (*training, "norm.num_batches_tracked")} == {"a record of the training"}
    assert reasons["norm.running_mean"] == "a batch norm"
    assert reasons["act.weight"] == "a scale or slope (RMSNorm, PReLU)"
    with pytest.warns(
        gw.WeightsWarning, match=r"left out: .*norm\.weight, .* \(a batch norm, .*; state_dict\.act\.weight \(a s"
    ):
        gw.load_network(tmp_path / "net.pt", head="state_dict.head")


# Live modules that are captured.


class Starting(Net):
    """An LSTM that starts from learned states."""

    def __init__(self, kind=torch.nn.LSTM):
        super().__init__()
        self.rnn = kind(3, 4, batch_first=True)
        self.h0, self.c0 = (torch.nn.Parameter(torch.randn(1, 1, 4)) for _ in "hc")

    def forward(self, x):
        states = self.h0.expand(-1, x.shape[0], -1), self.c0.expand(-1, x.shape[0], -1)
        return self.rnn(x, states)[0]


class Doubling(torch.nn.LSTM):
    """A subclass that computes something else."""

    def forward(self, x, hx):
        return super().forward(2 * x, hx)


class Masking(torch.nn.LSTM):
    """A subclass with other arguments."""

    def forward(self, x, mask):
        return [super().forward(x, mask)[0].sum()]


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_captured_lstm_starts_from_learned_states_and_notes_its_precision(dtype, scripted, quiet):
    net = Starting().to(dtype)
    x = torch.randn(2, 5, 3).to(dtype)
    (captured,) = gw.capture(torch.jit.script(net) if scripted else net, x)
    half = dtype.itemsize == 2
    name = str(dtype).removeprefix("torch.")
    assert captured.notes == ((f"the model computes in {name}, the trace in float32",) if half else ())
    assert captured.difference < (0.05 if half else 1e-6)
    first = captured.trace[0].step(0, sequence=1)
    np.testing.assert_array_equal(first.previous.h, net.h0[0, 0].detach().float() if half else net.h0[0, 0].detach())


def test_subclasses_with_a_forward_of_their_own_are_noted_or_refused(quiet):
    x = torch.randn(2, 5, 3)
    (captured,) = gw.capture(Starting(Doubling), x)
    assert captured.notes[0].endswith(
        "Doubling has a forward of its own: the trace is that of a plain LSTM with its weights, at what it was given"
    )
    assert captured.difference > 1e-3
    with pytest.raises(gw.OptionError, match=r"lstm cannot be captured: .*Masking has a forward of its own"):
        gw.capture(Masking(3, 4), x, None)


def test_lstms_of_other_classes_are_named(quiet):
    made = torch.ao.quantization.quantize_dynamic(
        torch.nn.Sequential(torch.nn.LSTM(3, 4)), {torch.nn.LSTM}, dtype=torch.qint8
    )
    with pytest.raises(gw.OptionError, match=r"0 is a torch\.ao.*\.LSTM, which is not captured"):
        gw.capture(made, torch.zeros(5, 2, 3))

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = made[0], torch.nn.LSTM(4, 3)

        def forward(self, x):
            return self.second(self.first(x)[0])

    with pytest.warns(gw.WeightsWarning, match=r"something out: first is a torch\.ao.*\.LSTM, which is not captured"):
        (captured,) = gw.capture(Both(), torch.zeros(5, 2, 3))
    assert captured.name == "second"
