"""Whole networks in ONNX graphs, as PyTorch's two exporters write them, compute what onnxruntime computes."""

from __future__ import annotations

from collections import Counter

import pytest
from agreement import assert_agree
from onnx_reading import counts_in
from pairwise import cover
from peers.onnx_running import CLOSE, ask
from peers.test_onnx_exported import exported

import gatewise as gw

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

TIME, BATCH, INPUTS, HIDDEN = 5, 7, 3, 4
CASES = cover(
    {
        "dynamo": (True, False),
        "layers": (1, 2),
        "bidirectional": (False, True),
        "batch_first": (False, True),
        "before": ("nothing", "embedding", "linear"),
        "head": ("none", "linear", "two", "sigmoid"),
        "last": (False, True),
    },
    allowed=lambda case: not (case["last"] and case["bidirectional"]),
)


class Model(torch.nn.Module):
    def __init__(self, case):
        super().__init__()
        options = {name: case[name] for name in ("bidirectional", "batch_first")}
        self.rnn = torch.nn.LSTM(INPUTS, HIDDEN, case["layers"], **options)
        wide = HIDDEN * (1 + case["bidirectional"])
        linear = torch.nn.Linear
        self.before = {
            "nothing": torch.nn.Identity(),
            "embedding": torch.nn.Embedding(11, INPUTS),
            "linear": torch.nn.Sequential(linear(2, INPUTS), torch.nn.Tanh()),
        }[case["before"]]
        self.head = {
            "none": torch.nn.Identity(),
            "linear": linear(wide, 2),
            "two": torch.nn.Sequential(linear(wide, 5), torch.nn.ReLU(), torch.nn.Dropout(), linear(5, 2)),
            "sigmoid": torch.nn.Sequential(linear(wide, 2, bias=False), torch.nn.Sigmoid()),
        }[case["head"]]
        self.case = case

    def forward(self, x):
        y, _ = self.rnn(self.before(x))
        if self.case["last"]:
            y = y[:, -1] if self.case["batch_first"] else y[-1]
        return self.head(y)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_a_network_in_a_chain_is_read_whole(case, tmp_path, capfd):
    torch.manual_seed(0)
    sizes = (BATCH, TIME) if case["batch_first"] else (TIME, BATCH)
    features = {"nothing": INPUTS, "linear": 2}.get(case["before"])
    x = torch.randint(0, 11, sizes) if features is None else torch.randn(*sizes, features)
    path = tmp_path / "model.onnx"
    model = exported(Model(case), (x,), path, dynamo=case["dynamo"], inputs=["x"], outputs=["y"])
    network = gw.load_network(path)
    assert network.reads == ("last" if case["last"] else "every")
    got, _ = network(x.numpy().swapaxes(0, 1) if case["batch_first"] else x.numpy())
    got = got.swapaxes(0, 1) if case["batch_first"] and not case["last"] else got
    expected = ask(model, {"x": x.numpy()})["y"]
    assert_agree({"y": got}, {"y": expected}, CLOSE)
    ledger = gw.inspect(path).ledger
    assert Counter(entry.kind for entry in ledger) == counts_in(model)
    assert not [entry for entry in ledger if entry.kind != "tensor" and not entry.used]
    if case["before"] != "nothing":  # the graph says which axes its input has
        got = gw.open_run(path, x.numpy()).trace.output
        got = got.swapaxes(0, 1) if case["batch_first"] and not case["last"] else got
        assert_agree({"y": got}, {"y": expected}, CLOSE)
