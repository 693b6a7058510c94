"""PyTorch's own files and live modules: what is read from them runs as they do, and what we write it reads."""

from __future__ import annotations

import io
import warnings
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from agreement import assert_agree
from fuzzing import everything, fuzz, in_archive
from pairwise import cover
from peers.torch_live import INPUTS, TOLERANCE, lstm_module, run, tensor, torch

import gatewise as gw
from gatewise.interop import torch as gw_torch
from tests.test_states import drawn

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]

FORMS = ("zip", "stream", "safetensors", "script", "module", "checkpoint")
CASES = cover(
    {
        "layers": (1, 2, 3),
        "bidirectional": (False, True),
        "projected": (False, True),
        "bias": (True, False),
        "batch_first": (False, True),
        "packed": (False, True),
        "dtype": ("float32", "float64"),
        "form": FORMS,
    },
    strength=4,
)


class Net(torch.nn.Module):
    """An LSTM inside of something else."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.head = torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.rnn(x)[0]


def saved(module, form, path):
    """Save a module as PyTorch's users do, and return the name of its LSTM in the file."""
    net = Net(module).to(next(module.parameters()).dtype)
    if form == "zip":
        torch.save(module.state_dict(), path)
        return "lstm"
    if form == "stream":
        torch.save(net.state_dict(), path, _use_new_zipfile_serialization=False)
    elif form == "safetensors":
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    elif form == "script":
        example = torch.zeros(2, 1, module.input_size, dtype=next(module.parameters()).dtype)
        with _quiet():
            torch.jit.trace(net, example).save(str(path))
    elif form == "module":
        torch.save(net, path)
    else:
        optimizer = torch.optim.Adam(net.parameters())
        net(torch.zeros(2, 1, module.input_size, dtype=next(module.parameters()).dtype)).sum().backward()
        optimizer.step()
        torch.save({"epoch": 1, "state_dict": net.state_dict(), "optimizer_states": [optimizer.state_dict()]}, path)
        module.zero_grad()
        return "state_dict.rnn"
    return "rnn"


@contextmanager
def _quiet():
    """Let PyTorch say what it has against its own older ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def named(case):
    return ", ".join(f"{name}={value}" for name, value in case.items())


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_file_of_pytorchs_runs_as_its_module_does(case, tmp_path):
    module = lstm_module(case)
    name = saved(module, case["form"], tmp_path / "file")
    lstm = gw.load(tmp_path / "file", name)
    assert_same_run(module, lstm, case)


def assert_same_run(module, lstm, case):
    """Hold outputs and final states against the module's; test_torch.py has the gradients."""
    chance = np.random.default_rng(0)
    lengths = np.array([7, 2, 5]) if case["packed"] else None
    x, state = chance.normal(size=(7, 3, INPUTS)).astype(case["dtype"]), drawn(lstm, 3, chance)
    with torch.no_grad():
        y, (h, c) = run(module, tensor(x), tuple(map(tensor, gw_torch.write_state(state))), lengths)
    trace = lstm.trace(x, state, lengths=lengths)
    got = {"y": trace.output} | dict(zip("hc", gw_torch.write_state(trace.state), strict=True))
    assert_agree(got, {"y": y.numpy(), "h": h.numpy(), "c": c.numpy()}, TOLERANCE[case["dtype"]])


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("case", CASES[::4], ids=named)
def test_what_is_written_pytorch_loads_and_its_output_is_ours(case, suffix, tmp_path):
    lstm = gw_torch.read(lstm_module(case))
    path = tmp_path / f"file{suffix}"
    gw_torch.write(lstm, path)
    if suffix == ".pt":
        state = torch.load(path, weights_only=True)
    else:
        from safetensors.torch import load_file

        state = load_file(path)
    module = lstm_module(case | {"bias": True, "batch_first": False})
    module.load_state_dict(state)
    live = gw_torch.write(lstm)
    x = torch.randn(5, 2, 4, dtype=module.weight_ih_l0.dtype)
    for one in (module, live):
        y, (h, c) = one(x)
        ours, states = lstm(x.numpy())
        got = {"y": ours} | dict(zip("hc", gw_torch.write_state(states), strict=True))
        want = {name: part.detach().numpy() for name, part in (("y", y), ("h", h), ("c", c))}
        assert_agree(got, want, TOLERANCE[case["dtype"]])


@pytest.mark.parametrize("case", CASES[::6], ids=named)
def test_live_modules_are_read_and_written_bit_for_bit(case):
    lstm = gw_torch.read(lstm_module(case))
    again = gw_torch.read(gw_torch.write(lstm))
    for ours, theirs in zip(lstm.layers, again.layers, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            for name, array in a.parameters.arrays().items():
                np.testing.assert_array_equal(array, b.parameters.arrays()[name], strict=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("new", [True, False])
def test_halves_and_strided_storages_are_read(dtype, new, tmp_path):
    module = torch.nn.LSTM(3, 4, dtype=getattr(torch, dtype))
    state = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    all_in_one = torch.cat([part.reshape(-1) for part in state.values()])
    pieces, at = {}, 0
    for name, part in state.items():
        pieces[name] = all_in_one[at : at + part.numel()].view(part.shape)  # an offset into a shared storage
        at += part.numel()
    pieces["weight_hh_l0"] = pieces["weight_hh_l0"].t().contiguous().t()  # columns first
    torch.save(pieces, tmp_path / "file", _use_new_zipfile_serialization=new)
    found = gw.inspect(tmp_path / "file").pick()
    assert dtype in found.notes[0]
    for name, array in gw_torch.state_dict(found.lstm).items():
        want = state[name].float() if "bias" not in name else None
        if want is not None:
            np.testing.assert_array_equal(array, want.numpy(), strict=True)


def test_a_module_on_another_device_is_read_as_it_is_described(tmp_path):
    module = torch.nn.LSTM(3, 4)
    torch.save(module.state_dict(), tmp_path / "cpu.pt")
    data = (tmp_path / "cpu.pt").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(tmp_path / "cuda.pt", "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name.endswith("data.pkl"):
                assert b"X\x03\x00\x00\x00cpu" in part
                part = part.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            new.writestr(name, part)
    np.testing.assert_array_equal(
        gw.load(tmp_path / "cuda.pt")[0].parameters.weight, gw.load(tmp_path / "cpu.pt")[0].parameters.weight
    )


@pytest.mark.parametrize("kind", [torch.nn.GRU, torch.nn.RNN])
def test_other_recurrent_layers_are_refused_by_name(kind, tmp_path):
    torch.save(kind(3, 4).state_dict(), tmp_path / "file.pt")
    with pytest.raises(gw.FileError, match="GRU" if kind is torch.nn.GRU else "without gates"):
        gw.load(tmp_path / "file.pt")
    with pytest.raises(gw.OptionError, match="not " + kind.__name__):
        gw_torch.read(kind(3, 4))


@pytest.mark.parametrize("form", ["script", "checkpoint"])  # test_spoiled.py has those that are written without it
def test_spoiled_files_of_pytorchs_own_are_answered_or_refused(form, tmp_path):
    saved(torch.nn.LSTM(4, 3, 2), form, tmp_path / "whole")
    tally = fuzz([(tmp_path / "whole").read_bytes()], everything, 2_000, tmp_path, also=[in_archive])
    assert tally.answered
    assert tally.refused


# Capture.


class Captured(torch.nn.Module):
    """Several LSTMs that are called in several ways."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.LSTM(4, 5, 2, bidirectional=True, batch_first=True, dropout=0.5)
        self.decoder = torch.nn.LSTM(10, 6, proj_size=3)
        self.cell = torch.nn.LSTMCell(3, 7)

    def forward(self, x, lengths):
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(self.encoder(packed)[0])
        y, state = self.decoder(y)
        y, state = self.decoder(torch.ones(2, x.shape[0], 10), hx=state)
        h = c = torch.zeros(x.shape[0], 7)
        for row in y:
            h, c = self.cell(row, (h, c))
        self.decoder(torch.ones(3, 10))  # without a batch
        self.cell(torch.ones(3))
        return h


def test_every_call_of_every_lstm_in_a_live_model_is_captured_at_its_real_inputs():
    torch.manual_seed(0)
    model = Captured().eval()
    lengths = torch.tensor([3, 6, 1])
    seen = gw_torch.capture(model, torch.randn(3, 6, 4), lengths=lengths)
    names = [(one.name, one.call) for one in seen]
    calls = [("encoder", 0), ("decoder", 0), ("decoder", 1), ("cell", 0), ("cell", 1), ("decoder", 2), ("cell", 2)]
    assert names == calls
    assert all(one.difference < 1e-6 for one in seen)
    assert seen[0].trace[1, "backward"].forget_gate.shape == (6, 3, 5)
    np.testing.assert_array_equal(seen[0].trace[0, "forward"].valid.sum(0), lengths)
    assert all(not module._forward_hooks for module in model.modules())


def test_a_difference_is_reported():
    model = Net(torch.nn.LSTM(4, 3))
    plain = model.rnn.forward
    model.rnn.forward = lambda *args: (plain(*args)[0] + 0.25, plain(*args)[1])
    (seen,) = gw_torch.capture(model, torch.randn(5, 2, 4))
    assert seen.difference == pytest.approx(0.25, abs=1e-6)


def test_what_a_file_tells_of_the_order_of_its_axes_is_read(tmp_path):
    for batch_first in (False, True):
        net = Net(torch.nn.LSTM(4, 3, batch_first=batch_first))
        torch.save(net, tmp_path / "whole.pt")
        torch.save(net.state_dict(), tmp_path / "state.pt")
        with _quiet():
            torch.jit.script(net.rnn).save(str(tmp_path / "scripted.pt"))
        for name, told in (("whole", batch_first), ("state", None), ("scripted", batch_first)):
            assert gw.inspect(tmp_path / f"{name}.pt").pick().batch_first is told, name


class Subclass(torch.nn.LSTM):
    """May compute anything."""


def test_a_class_that_may_compute_something_else_is_refused_by_name(tmp_path):
    torch.save(Net(Subclass(4, 3)), tmp_path / "file.pt")
    with pytest.raises(gw.FileError, match=r"rnn: its class is .*Subclass, which may compute something else"):
        gw.load(tmp_path / "file.pt")


def test_a_compiled_model_is_captured():
    with _quiet():
        (seen,) = gw_torch.capture(torch.compile(Net(torch.nn.LSTM(4, 3))), torch.randn(5, 2, 4))
    assert seen.difference < 1e-6


def test_an_lstm_with_parametrised_weights_is_captured_with_the_weights_it_has():
    rnn = torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(4, 3), "weight_hh_l0")
    (seen,) = gw_torch.capture(Net(rnn), torch.randn(5, 2, 4))
    assert seen.difference < 1e-6
    assert gw_torch.read(rnn).hidden_size == 3


class OutputAlone(torch.nn.LSTM):
    """Keeps its states to itself."""

    def forward(self, x):
        return super().forward(x)[0]


class Head(torch.nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x):
        return self.rnn(x)


def test_a_subclass_that_returns_no_states_is_compared_in_its_output():
    (seen,) = gw_torch.capture(Head(OutputAlone(4, 3)), torch.randn(5, 2, 4))
    assert seen.difference < 1e-6
    own, states = seen.notes
    assert own.startswith("tests.peers.test_torch_files.OutputAlone has a forward of its own")
    assert states == "it returned no states to compare with"


def test_what_cannot_be_captured_is_refused_in_a_sentence():
    with _quiet():
        script = torch.jit.script(torch.nn.Linear(4, 3))
    with pytest.raises(gw.OptionError, match="the TorchScript model called no LSTM"):
        gw_torch.capture(script, torch.zeros(1, 1, 4))
    with pytest.raises(gw.OptionError, match="cannot run at these inputs: mat1 and mat2 shapes cannot be multiplied"):
        gw_torch.capture(script, torch.zeros(1, 1, 5))
    with pytest.raises(gw.OptionError, match="no numbers"):
        gw_torch.read(torch.nn.LSTM(4, 3, device="meta"))
    module = torch.nn.LSTM(4, 3)
    with torch.no_grad():
        module.bias_hh_l0[0] = np.nan
    with pytest.warns(gw.WeightsWarning, match="1 of 12 numbers in bias"):
        gw_torch.read(module)


class Scripted(torch.nn.Module):
    """An LSTM of every kind that PyTorch has, then a cell in a loop."""

    def __init__(self, **options):
        super().__init__()
        self.rnn = torch.nn.LSTM(4, 3, **options)
        self.batch_first = options.get("batch_first", False)
        self.cell = torch.nn.LSTMCell(options.get("proj_size", 3) * (1 + options.get("bidirectional", False)), 2)

    def forward(self, x):
        y, _ = self.rnn(2 * x)
        y = y.transpose(0, 1) if self.batch_first else y
        h = c = torch.zeros(y.shape[1], 2)
        for t in range(y.shape[0]):
            h, c = self.cell(y[t], (h, c))
        return h


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
        {"num_layers": 2, "proj_size": 2, "bias": False},
        {"bidirectional": True, "bias": False},
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_torchscript_model_is_captured_as_the_module_that_it_was_made_from(options, tmp_path):
    model, x = Scripted(**options).eval(), torch.randn(5, 2, 4)
    torch.jit.script(model).save(str(tmp_path / "model.pt"))
    found, expected = (gw_torch.capture(one, x) for one in (torch.jit.load(str(tmp_path / "model.pt")), model))
    assert [(one.name, one.call) for one in found] == [(one.name, one.call) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert max(one.difference, other.difference) < 1e-6
        np.testing.assert_allclose(one.trace.output, other.trace.output, atol=1e-6)


def test_random_dropout_between_layers_is_refused_since_nobody_could_repeat_it():
    with pytest.raises(gw.OptionError, match=r"encoder applies random dropout of 0.5.* model.eval\(\)"):
        gw_torch.capture(Captured(), torch.randn(3, 6, 4), torch.tensor([3, 6, 1]))


def test_a_model_without_an_lstm_or_that_calls_none_is_refused():
    with pytest.raises(gw.OptionError, match="there is no torch"):
        gw_torch.capture(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    model = Net(torch.nn.LSTM(4, 3))
    model.forward = lambda x: x
    with pytest.raises(gw.OptionError, match="called none of its LSTMs, rnn"):
        gw_torch.capture(model, torch.zeros(1, 2))
    with pytest.raises(gw.OptionError, match=r"takes a torch\.nn\.Module, not str"):
        gw_torch.capture("model")
