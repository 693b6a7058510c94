"""What Python's users hold in their hands, PyTorch's tensors for instance, is taken wherever an array is."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

LSTM = gw.LSTM(3, 4, rng=0)
HEAD = gw.Linear(np.ones((2, 4), np.float32), np.zeros(2, np.float32))
NETWORK = gw.Network(LSTM, head=HEAD)
SCALED = gw.Network(LSTM, inputs=gw.Scaling(np.zeros(3), np.full(3, 2.0)))
TOKENS = gw.Network(LSTM, embedding=np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32))
X = np.random.default_rng(0).integers(-8, 8, size=(5, 2, 3)).astype(np.float32) / 4  # exact in bfloat16
TRACE = LSTM.trace(X)
DY = np.random.default_rng(2).integers(-8, 8, size=(5, 2, 4)).astype(np.float32) / 4

READERS = {  # each returns arrays
    "a call": lambda x: LSTM(x)[0],
    "a trace": lambda x: LSTM.trace(x).output,
    "the input of a trace": lambda x: LSTM.trace(x)[0].input,
    "a network": lambda x: NETWORK(x)[0],
    "a network's trace": lambda x: NETWORK.trace(x).output,
    "a network with a scaling": lambda x: SCALED.trace(x).output,
    "a stream": lambda x: LSTM.stream(2).push(x),
    "the reference's stream": lambda x: LSTM.stream(2, engine="reference").push(x),
    "a network's stream": lambda x: NETWORK.stream(2).push(x),
    "a step": lambda x: gw.LSTM(3, 4, rng=0).layers[0][0].step(x[0, 0]).hidden_state,
    "an opened run": lambda x: gw.open_run(LSTM, x).trace.output,
    "an opened run of one among several": lambda x: gw.open_run(LSTM, {"a": x, "b": x}, key="a").trace.output,
    "a report": lambda x: np.array([finding.sentence for finding in gw.report(NETWORK, x).findings]),
    "verification": lambda x: np.array(gw.verify(LSTM, x, TRACE.output).verdict),
    "an ablation": lambda x: gw.insight.ablation(LSTM, x, np.sum).metrics,
    "an edit": lambda x: LSTM.trace(X, edit=gw.Edit.set("candidate", x[..., :1])).output,
    "fixed points": lambda x: gw.insight.fixed_points(LSTM, x=x[0, 0]).columns["residual"],
    "values to probe": lambda x: gw.insight.probe(TRACE[0], x[..., 0], draws=20).predicted,
}
KINDS = {
    "float32": lambda tensor: tensor,
    "float64": lambda tensor: tensor.double(),
    "bfloat16": lambda tensor: tensor.bfloat16(),
    "half": lambda tensor: tensor.half(),
    "a gradient": lambda tensor: tensor.clone().requires_grad_(),
    "a parameter": torch.nn.Parameter,
    "part of a graph": lambda tensor: tensor.clone().requires_grad_() * 1,
    "other strides": lambda tensor: tensor.transpose(0, 2).contiguous().transpose(0, 2),
    "negated": lambda tensor: torch._neg_view(-tensor),
    "sparse": lambda tensor: tensor.to_sparse(),
}


CUT = ("a step", "an edit", "fixed points", "values to probe")  # readers that take a part, which not all have


@pytest.mark.parametrize("way", READERS)
def test_a_tensor_is_taken_wherever_an_array_is(way):
    read, tensor = READERS[way], torch.from_numpy(X)
    expected = read(X)
    for name, kind in KINDS.items():
        if (name == "sparse" and way in CUT) or (way == "a report" and name not in ("bfloat16", "a gradient")):
            continue
        result = read(kind(tensor))
        if result.dtype.kind in "US" or name != "float64":
            np.testing.assert_array_equal(result, expected, err_msg=name)
        else:
            np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)


def test_gradients_states_lengths_masks_and_tokens_are_taken_as_tensors():
    for kind in KINDS.values():
        dy = kind(torch.from_numpy(DY))
        np.testing.assert_array_equal(gw.backward(TRACE, dy).x, gw.backward(TRACE, DY).x)
        np.testing.assert_array_equal(
            gw.backward(NETWORK.trace(X), kind(torch.from_numpy(DY[..., :2]))).x,
            gw.backward(NETWORK.trace(X), DY[..., :2]).x,
        )
    start, half = DY[0], torch.from_numpy(DY[0]).bfloat16().requires_grad_()
    y = LSTM(X, [[(start, start)]])[0]
    np.testing.assert_array_equal(LSTM(X, [[(half, half)]])[0], y)
    state = {"h0": half[None], "c0": half[None]}
    np.testing.assert_array_equal(gw.open_run(LSTM, X, state=state).trace.output, y)
    assert gw.verify(LSTM, X, torch.from_numpy(y), state=[[(half, half)]], final=[[(None, half)]]).differences
    lengths, mask = np.array([5, 3]), np.arange(5)[:, None] < np.array([5, 3])
    expected = LSTM(X, lengths=lengths)[0]
    for masking in ({"lengths": torch.from_numpy(lengths)}, {"mask": torch.from_numpy(mask)}):
        np.testing.assert_array_equal(LSTM(X, **masking)[0], expected)
    tokens = np.arange(10).reshape(5, 2) % 7
    for ask in (lambda x: TOKENS(x)[0], lambda x: TOKENS.trace(x).output, lambda x: TOKENS.stream(2).push(x)):
        np.testing.assert_array_equal(ask(torch.from_numpy(tokens)), ask(tokens))


def test_a_trace_does_not_share_the_memory_of_a_tensor():
    tensor = torch.from_numpy(X.copy())
    trace = LSTM.trace(tensor)
    tensor.zero_()
    np.testing.assert_array_equal(trace[0].input, X)


@pytest.mark.parametrize("way", READERS)
def test_a_tensor_on_another_device_is_refused_with_one_sentence(way):
    with cases.refusal("is a PyTorch tensor on the device meta, which has no numbers", by=gw.OptionError):
        READERS[way](torch.empty(5, 2, 3, device="meta"))


def test_a_tensor_on_a_graphics_processor_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "device", torch.device("cuda", 1))
    with cases.refusal("x is a PyTorch tensor on the device cuda:1, ", "Pass its .cpu()", by=gw.OptionError):
        LSTM(torch.from_numpy(X))


@pytest.mark.parametrize("way", [way for way in READERS if way not in CUT])
def test_a_packed_sequence_gets_one_sentence_that_says_what_to_do(way):
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.from_numpy(X), torch.tensor([5, 3]))
    with cases.refusal("is a PackedSequence. ", "pad_packed_sequence", "lengths=", by=gw.OptionError):
        READERS[way](packed)
    x, lengths = torch.nn.utils.rnn.pad_packed_sequence(packed)
    np.testing.assert_array_equal(LSTM(x, lengths=lengths)[0], LSTM(X, lengths=[5, 3])[0])
