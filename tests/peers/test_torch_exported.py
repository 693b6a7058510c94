"""Programs of torch.export that PyTorch writes: what is read runs as the live module does."""

from __future__ import annotations

import logging
import warnings
import zipfile

import numpy as np
import pytest
from agreement import assert_agree

import gatewise as gw
from gatewise.opening.states import file_state

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
LAYOUTS = ("now", "2.8", "before")


class Net(torch.nn.Module):
    """Words, an LSTM that starts from learned states, and a head on its last step."""

    def __init__(self, batch_first, layers=2):
        super().__init__()
        self.embed = torch.nn.Embedding(7, 3)
        self.rnn = torch.nn.LSTM(3, 4, layers, bidirectional=True, batch_first=batch_first)
        self.h0 = torch.nn.Parameter(torch.randn(2 * layers, 1, 4))
        self.c0 = torch.nn.Parameter(torch.randn(2 * layers, 1, 4))
        self.head = torch.nn.Linear(8, 2)

    def forward(self, words):
        x = self.embed(words)
        batch = x.shape[0 if self.rnn.batch_first else 1]
        states = self.h0.expand(-1, batch, -1).contiguous(), self.c0.repeat(1, batch, 1)
        return self.head(self.rnn(x, states)[0])


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)  # what PyTorch has against its own older ways
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def save(program, path, layout):
    """Write a program as PyTorch does now, or as its serializer's parts were packed before."""
    if layout == "now":
        torch.export.save(program, path)
        return
    from torch._export.serde.serialize import serialize

    parts = serialize(program)
    names = {
        "2.8": ("net/models/model.json", "net/data/weights/model.pt", "net/data/constants/model.pt"),
        "before": ("serialized_exported_program.json", "serialized_state_dict.pt", "serialized_constants.pt"),
    }[layout]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in zip(names, (parts.exported_program, parts.state_dict, parts.constants), strict=True):
            archive.writestr(name, data)
        if layout == "2.8":
            archive.writestr("net/data/sample_inputs/model.pt", parts.example_inputs)
            for name, data in (("archive_format", "pt2"), ("archive_version", "0"), (".data/version", "6\n")):
                archive.writestr(f"net/{name}", data)
            archive.writestr("net/byteorder", "little")
        else:
            archive.writestr("serialized_example_inputs.pt", parts.example_inputs)
            archive.writestr("version", "8.1")
    torch.export.load(path)  # PyTorch reads what it wrote


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_exported_network_runs_as_the_live_one(tmp_path, layout, batch_first):
    torch.manual_seed(0)
    net = Net(batch_first).eval()
    words = torch.randint(7, (5, 2))
    save(torch.export.export(net, (words,)), tmp_path / "net.pt2", layout)
    (found,) = gw.inspect(tmp_path / "net.pt2").lstms
    assert (found.name, found.batch_first, found.notes, found.warns) == ("rnn", batch_first, (), ())
    network = gw.load_network(tmp_path / "net.pt2", embedding="embed", head="head")
    steps = words.T.numpy() if batch_first else words.numpy()
    ours = network(steps, file_state(found, steps.shape[1]))[0]
    theirs = net(words).detach().numpy()
    assert_agree({"y": ours}, {"y": theirs.swapaxes(0, 1) if batch_first else theirs}, 1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("projection", [0, 2])
def test_a_decomposed_lstm_is_read_with_its_axes(tmp_path, batch_first, projection):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.LSTM(3, 4, batch_first=batch_first, proj_size=projection))
    program = torch.export.export(net, (torch.zeros(3, 2, 3),))
    save(program.run_decompositions(), tmp_path / "net.pt2", "now")
    (found,) = gw.inspect(tmp_path / "net.pt2").lstms
    assert (found.name, found.batch_first, found.warns) == ("0", batch_first, ())
    assert found.notes == ("its program has it decomposed into other operators",)
    x = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
    theirs = net(torch.from_numpy(x.swapaxes(0, 1).copy() if batch_first else x))[0].detach().numpy()
    assert_agree({"y": found.lstm(x)[0]}, {"y": theirs.swapaxes(0, 1) if batch_first else theirs}, 1e-6)


def test_a_decomposed_lstm_that_is_given_states_warns(tmp_path):
    program = torch.export.export(Net(True), (torch.zeros((2, 3), dtype=torch.long),)).run_decompositions()
    save(program, tmp_path / "net.pt2", "now")
    contents = gw.inspect(tmp_path / "net.pt2")
    assert "initial states, which are not carried" in contents.cautions(contents.lstms[0])[0]


class LastStep(torch.nn.Module):
    """An LSTM, and a head on what a function takes of its output and its final state."""

    def __init__(self, batch_first, take):
        super().__init__()
        self.rnn, self.head = torch.nn.LSTM(3, 4, 2, batch_first=batch_first), torch.nn.Linear(4, 2)
        self.dropout, self.take = torch.nn.Dropout(), take

    def forward(self, x):
        y, (h, _) = self.rnn(x)
        return self.head(self.dropout(self.take(y, h)))


LAST_STEPS = {
    "y[:, -1]": (True, lambda y, h: y[:, -1]),
    "y[:, -1, :]": (True, lambda y, h: y[:, -1, :]),
    "y[-1]": (False, lambda y, h: y[-1]),
    "y.transpose(0, 1)[-1]": (True, lambda y, h: y.transpose(0, 1)[-1]),
    "h[-1]": (True, lambda y, h: h[-1]),
}


@pytest.mark.parametrize("last", LAST_STEPS)
def test_a_head_on_the_last_step_runs_as_the_live_one(tmp_path, last):
    torch.manual_seed(0)
    batch_first, take = LAST_STEPS[last]
    net, x = LastStep(batch_first, take).eval(), torch.randn(5, 3, 3)
    save(torch.export.export(net, (x,)), tmp_path / "net.pt2", "now")
    network = gw.load_network(tmp_path / "net.pt2", head="head", strict=True)
    ours = network(x.numpy().swapaxes(0, 1) if batch_first else x.numpy())[0]
    assert_agree({"y": ours}, {"y": net(x).detach().numpy()}, 1e-6)


class Subclass(torch.nn.LSTM):
    """A class of another name, whose operator is PyTorch's all the same."""


class Frozen(Net):
    def forward(self, words):
        with torch.no_grad():
            y = self.rnn(self.embed(words))[0]
        return self.head(y)


class Masked(Net):
    def forward(self, words):
        weights = [getattr(self.rnn, name) for name in self.rnn._flat_weights_names]
        weights[1] = weights[1] * 0.5
        zeros = torch.zeros(4, 2, 4)
        return torch._VF.lstm(self.embed(words), (zeros, zeros), weights, True, 2, 0.0, False, True, True)[0]


class Lifted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = [torch.randn(16, size) for size in (3, 4)]

    def forward(self, x):
        zeros = torch.zeros(1, 2, 4)
        return torch._VF.lstm(x, (zeros, zeros), self.weights, False, 1, 0.0, False, False, False)[0]


class Cell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = torch.nn.LSTMCell(3, 4)

    def forward(self, x):
        return self.cell(x)


def test_kinds_of_lstms_in_programs(tmp_path):
    words = torch.zeros((2, 5), dtype=torch.long)

    def listed(net, *inputs):
        save(torch.export.export(net, inputs), tmp_path / "net.pt2", "now")
        return gw.inspect(tmp_path / "net.pt2")

    (found,) = listed(torch.nn.Sequential(Subclass(3, 4, batch_first=True)), torch.zeros(2, 5, 3)).lstms
    assert found.batch_first is True
    (found,) = listed(Frozen(True), words).lstms
    assert (found.batch_first, found.state) == (True, None)
    (refused,) = listed(Masked(True), words).refused
    assert refused.reason == "the program gives its LSTM a tensor that it computes in the place of rnn.weight_hh_l0"
    (refused,) = listed(Lifted(), torch.zeros(5, 2, 3)).refused
    assert refused.reason == "the program gives its LSTM lifted_tensor_0 in the place of weight_ih_l0"
    (found,) = listed(Cell(), torch.zeros(2, 3)).lstms
    assert (found.name, found.lstm.hidden_size, found.batch_first) == ("cell", 4, None)
    net = Net(True)
    torch.nn.utils.parametrizations.weight_norm(net.rnn, "weight_hh_l0")
    (found,) = listed(net.half().float(), words).lstms
    assert found.notes[0].startswith("weight_norm")
    (found,) = listed(Net(True).to(torch.bfloat16), words).lstms
    assert "bfloat16" in found.notes[0]


class Between(torch.nn.Module):
    """An LSTM with time first behind words with the batch first; what is no layer of a network before the head."""

    def __init__(self):
        super().__init__()
        self.embed, self.rnn = torch.nn.Embedding(7, 3), torch.nn.LSTM(3, 4)
        self.norm, self.drop, self.head = torch.nn.LayerNorm(4), torch.nn.Dropout(0.2), torch.nn.Linear(4, 2)

    def forward(self, words):
        y = self.rnn(self.embed(words).transpose(0, 1))[0]
        return self.head(torch.relu(self.norm(self.drop(y[-1]))))


@pytest.mark.parametrize("decomposed", [False, True])
def test_what_stands_on_the_way_of_an_lstm_is_said(tmp_path, decomposed):
    program = torch.export.export(Between().eval(), (torch.zeros((2, 5), dtype=torch.long),))
    save(program.run_decompositions() if decomposed else program, tmp_path / "net.pt2", "now")
    contents = gw.inspect(tmp_path / "net.pt2")
    (found,) = contents.lstms
    assert found.batch_first is None
    assert "the program's own input begins with the batch" in found.notes[-1]
    left_out = {entry.layer or entry.name for entry in contents.ledger if not entry.used}
    assert left_out == {"norm", "relu", "select"}
    warnings.simplefilter("always")
    with pytest.warns(gw.WeightsWarning, match=r"left out: .*select.*\(.*, it may change what an LSTM takes"):
        gw.load_network(tmp_path / "net.pt2", embedding="embed", head="head")
