"""What PyTorch's two exporters write is read as the stack that it was, and computes what onnxruntime computes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from agreement import assert_agree
from pairwise import cover
from peers.onnx_running import CLOSE, ask

import gatewise as gw

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:::torch|onnxscript|copyreg")]

TIME, BATCH, INPUTS, HIDDEN = 5, 7, 3, 4
CASES = cover(
    {
        "dynamo": (True, False),
        "layers": (1, 2, 3),
        "bidirectional": (False, True),
        "batch_first": (False, True),
        "axes": ("fixed", "dynamic"),
        "state": ("none", "given"),
    }
)


class Stack(torch.nn.Module):
    def __init__(self, case):
        super().__init__()
        options = {name: case[name] for name in ("bidirectional", "batch_first")}
        self.rnn = torch.nn.LSTM(INPUTS, HIDDEN, case["layers"], **options)

    def forward(self, x, h0=None, c0=None):
        y, (hn, cn) = self.rnn(x, None if h0 is None else (h0, c0))
        return y, hn, cn


def exported(model, arguments, path, *, dynamo, axes=None, inputs, outputs):
    """Write a model; `axes` are those of each input that are dynamic, by their names: PyTorch's new way gives the batch
    alone, since its LSTMs have a fixed number of steps.
    """
    options = {}
    if axes is not None and dynamo:
        dim = torch.export.Dim.DYNAMIC
        options["dynamic_shapes"] = tuple({n: dim for n, what in one.items() if what == "batch"} for one in axes)
    elif axes is not None:
        options["dynamic_axes"] = dict(zip(inputs, axes, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), arguments, path, dynamo=dynamo, input_names=inputs, output_names=outputs, **options
        )
    return onnx.load(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_a_stack_of_pytorch_s_is_found_as_one_with_its_names(case, tmp_path, capfd):
    torch.manual_seed(0)
    model, rows = Stack(case), case["layers"] * (1 + case["bidirectional"])
    sizes = (BATCH, TIME) if case["batch_first"] else (TIME, BATCH)
    arguments = [torch.randn(*sizes, INPUTS)]
    if case["state"] == "given":
        arguments += [torch.randn(rows, BATCH, HIDDEN) for _ in range(2)]
    names = ["x", "h0", "c0"][: len(arguments)]
    of_x = dict(enumerate(("batch", "time") if case["batch_first"] else ("time", "batch")))
    axes = [of_x, *[{1: "batch"}] * 2][: len(arguments)] if case["axes"] == "dynamic" else None
    path = tmp_path / "model.onnx"
    written = exported(
        model, tuple(arguments), path, dynamo=case["dynamo"], axes=axes, inputs=names, outputs=["y", "hn", "cn"]
    )
    contents = gw.inspect(path)
    assert not contents.refused
    found = contents.pick()
    layers, given = case["layers"], case["state"] == "given"
    assert (found.lstm.num_layers, found.stacked) == (layers, layers > 1)
    assert found.state is None
    graph = found.graph
    assert (graph.x, graph.y, graph.x_batch_first, graph.y_batch_first) == ("x", "y", *[case["batch_first"]] * 2)
    assert (graph.h0, graph.c0) == (
        ("h0",) * layers if given else (None,) * layers,
        ("c0",) * layers if given else (None,) * layers,
    )
    assert (graph.hn, graph.cn) == (("hn",) * layers, ("cn",) * layers)
    if axes is not None:
        arguments = [one[:3] if case["batch_first"] and n == 0 else one[:, :3] for n, one in enumerate(arguments)]
    arrays = {name: one.numpy() for name, one in zip(names, arguments, strict=True)}
    state = gw.interop.torch.read_state((arrays["h0"], arrays["c0"]), found.lstm) if given else None
    x = arrays["x"].swapaxes(0, 1) if case["batch_first"] else arrays["x"]
    y, ends = found.lstm(x, state)
    hn, cn = gw.interop.torch.write_state(ends)
    got = {"y": y.swapaxes(0, 1) if case["batch_first"] else y, "hn": hn, "cn": cn}
    assert_agree(got, ask(written, arrays), CLOSE)
    other = np.zeros((TIME + 2, 2, INPUTS), np.float32)  # zeros that were written for one batch bind no other
    assert found.lstm(other)[0].shape[:2] == (TIME + 2, 2)


class Tagger(torch.nn.Module):
    """Two bidirectional layers between an embedding and a linear layer, as every tutorial has it."""

    def __init__(self):
        super().__init__()
        self.words = torch.nn.Embedding(11, INPUTS)
        self.rnn = torch.nn.LSTM(INPUTS, HIDDEN, 2, bidirectional=True, batch_first=True, dropout=0.2)
        self.tags = torch.nn.Linear(2 * HIDDEN, 3)

    def forward(self, tokens):
        return torch.log_softmax(self.tags(self.rnn(self.words(tokens))[0]), -1)


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("axes", [None, [{0: "batch", 1: "time"}]], ids=["fixed", "dynamic"])
def test_a_tagger_is_found_with_its_embedding_and_its_head(dynamo, axes, tmp_path, capfd):
    torch.manual_seed(0)
    model, tokens, path = Tagger(), torch.randint(0, 11, (BATCH, TIME)), tmp_path / "model.onnx"
    exported(model, (tokens,), path, dynamo=dynamo, axes=axes, inputs=["tokens"], outputs=["tags"])
    contents = gw.inspect(path)
    with pytest.warns(gw.WeightsWarning, match="LogSoftmax after"):
        assert contents.pick().lstm.num_layers == 2
    (words,) = (one for one in contents.parts if one.kind == "embedding")
    (tags,) = (one for one in contents.parts if one.kind.startswith("linear"))
    with pytest.warns(gw.WeightsWarning, match="LogSoftmax after"):
        network = gw.load_network(path, embedding=words.name, head=tags.name)
    logits = network(tokens.numpy().T)[0].swapaxes(0, 1)
    got = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert_agree({"tags": got}, {"tags": model(tokens).detach().numpy()}, CLOSE)
    (first, second) = gw.capture(path, tokens.numpy())
    assert max(first.difference, second.difference) < CLOSE
