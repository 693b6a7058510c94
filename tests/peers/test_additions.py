"""2,000 files of every kind with one thing added: refused, or in the ledger."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests import additions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(3, 4, batch_first=True)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Added(torch.nn.Module):
    """A network with a tensor that it adds to what it computes, or does not read at all."""

    def __init__(self, net: Net, tensor: torch.Tensor, reads: bool):
        super().__init__()
        self.net = net
        self.added = torch.nn.Parameter(tensor)
        self.reads = reads

    def forward(self, x):
        return self.net(x) + self.added if self.reads else self.net(x)


def a_tensor(chance: random.Random) -> torch.Tensor:
    return torch.full(chance.choice([(1,), (2,)]), 0.5)


def exported(folder: Path, chance: random.Random) -> additions.Addition:
    made = Added(Net(), a_tensor(chance), chance.random() < 0.5).eval()
    torch.export.save(torch.export.export(made, (torch.zeros(2, 5, 3),)), folder / "program.pt2")
    return additions.Addition(folder / "program.pt2", "added")


def scripted(folder: Path, chance: random.Random) -> additions.Addition:
    made = Added(Net(), a_tensor(chance), True).eval()
    script = torch.jit.script(made) if chance.random() < 0.5 else torch.jit.trace(made, torch.zeros(2, 5, 3))
    script.save(str(folder / "model.pt"))
    return additions.Addition(folder / "model.pt", "added")


def whole_module(folder: Path, chance: random.Random) -> additions.Addition:
    """Add a tensor, a layer or a buffer to a module, or to its LSTM, that is pickled whole."""
    net = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 4), "head": torch.nn.Linear(4, 2)})
    owner = chance.choice([net, net["rnn"], net["head"]])
    match chance.randrange(3):
        case 0:
            owner.register_parameter("added", torch.nn.Parameter(a_tensor(chance)))
        case 1:
            owner.register_buffer("added", a_tensor(chance))
        case _:
            owner.add_module("added", chance.choice([torch.nn.LayerNorm(4), torch.nn.PReLU(), torch.nn.BatchNorm1d(4)]))
    torch.save(net, folder / "model.pt")
    inner = "added" if hasattr(owner.added, "shape") else "added.weight"
    return additions.Addition(folder / "model.pt", inner)


def checkpoint(folder: Path, chance: random.Random) -> additions.Addition:
    held = {
        "state_dict": Net().state_dict(),
        "epoch": 3,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    }
    chance.choice([held, held["state_dict"], held["optimizer_states"][0]])["added"] = a_tensor(chance)
    torch.save(held, folder / "last.ckpt")
    return additions.Addition(folder / "last.ckpt", "added")


@pytest.mark.parametrize("seed", range(1, 9))
def test_one_thing_more_is_refused_or_in_the_ledger(seed):
    tally = additions.rounds(225, seed)
    assert tally.total() == 225
    assert {answer for _, answer in tally} >= {"refused", "refused by name", "used", "left out with a warning"}


@pytest.mark.filterwarnings("ignore::Warning")  # of PyTorch
@pytest.mark.parametrize("kind", [exported, scripted, whole_module, checkpoint])
def test_one_thing_more_in_pytorchs_own_files_is_refused_or_in_the_ledger(kind):
    assert additions.rounds(50, 0, {kind.__name__: kind}).total() == 50
