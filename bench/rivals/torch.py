"""PyTorch: `nn.LSTM`, which hides the gates; `nn.LSTMCell` in a loop; and the hand-written loop that shows them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.cases import FUSED, FUSED_UNTRACED, GATE_LOOP
from bench.problems import Answer, Problem, Run, Way, unstacked
from bench.start import starting

START = """
import torch
with torch.inference_mode():
    torch.nn.LSTM(8, 32)(torch.zeros(1, 1, 8))
"""

State = tuple[Tensor, Tensor]
Forward = Callable[[Tensor, State], tuple[Tensor, State]]


def version() -> str:
    """Return the version."""
    return torch.__version__


def _filled(module: nn.LSTM | nn.LSTMCell, problem: Problem) -> nn.LSTM | nn.LSTMCell:
    inputs, recurrent, bias = map(torch.from_numpy, problem.stacked())
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), (inputs, recurrent, bias, 0 * bias), strict=True):
            parameter.copy_(value)
    return module


def _fused(problem: Problem) -> tuple[Forward, list[Tensor]]:
    lstm = _filled(nn.LSTM(*problem.case.size), problem)
    return lstm, list(lstm.parameters())


def _cells(problem: Problem) -> tuple[Forward, list[Tensor]]:
    cell = _filled(nn.LSTMCell(*problem.case.size), problem)

    def forward(x: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = state[0][0], state[1][0]
        outputs = []
        for x_t in x:
            h, c = cell(x_t, (h, c))
            outputs.append(h)
        return torch.stack(outputs), (h[None], c[None])

    return forward, list(cell.parameters())


def _gates(problem: Problem) -> tuple[Callable[[Tensor, State], tuple[Tensor, Tensor, Tensor]], list[Tensor]]:
    parameters = [torch.from_numpy(array).requires_grad_() for array in problem.stacked()]
    inputs, recurrent, bias = parameters

    def forward(x: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
        h, c = state[0][0], state[1][0]
        outputs, gates, cells = [], [], []
        for a_x in nn.functional.linear(x, inputs, bias):
            a_i, a_f, a_g, a_o = torch.addmm(a_x, h, recurrent.T).chunk(4, 1)
            i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
            c = f * c + i * g
            h = o * c.tanh()
            outputs.append(h)
            gates.append(torch.stack((i, f, g, o), 1))
            cells.append(c)
        return torch.stack(outputs), torch.stack(gates), torch.stack(cells)

    return forward, parameters


def _given(problem: Problem) -> tuple[Tensor, State]:
    return torch.from_numpy(problem.x), (torch.from_numpy(problem.h)[None], torch.from_numpy(problem.c)[None])


def _amp(on: bool) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=on)


def streaming(make: Callable[[Problem], tuple[Forward, list[Tensor]]], *, bf16: bool = False) -> Callable:
    """Return how to prepare one step per call."""

    def prepare(problem: Problem) -> Run:
        forward, _ = make(problem)
        x, state = _given(problem)
        y = x

        def step() -> None:
            nonlocal y, state
            y, state = forward(x, state)

        def half() -> None:
            with _amp(True):
                step()

        return Run(half if bf16 else step, lambda: {"y": y.detach().float().numpy()}, torch.inference_mode())

    return prepare


def inferring(make: Callable[[Problem], tuple[Callable, list[Tensor]]], *, bf16: bool = False) -> Callable:
    """Return how to prepare a whole sequence; its answer has the gates where the forward function returns them."""

    def prepare(problem: Problem) -> Run:
        forward, _ = make(problem)
        x, state = _given(problem)
        found = ()

        def call() -> None:
            nonlocal found
            with _amp(bf16):
                found = forward(x, state)

        def answer() -> Answer:
            names = ("y", "gates", "cell_state") if make is _gates else ("y",)
            return {name: array.float().numpy() for name, array in zip(names, found, strict=False)}

        return Run(call, answer, torch.inference_mode())

    return prepare


def training(make: Callable[[Problem], tuple[Callable, list[Tensor]]], *, bf16: bool = False) -> Callable:
    """Return how to prepare a training step: forward, and backward by autograd."""

    def prepare(problem: Problem) -> Run:
        forward, parameters = make(problem)
        x, state = _given(problem)
        x.requires_grad_()
        dy = torch.from_numpy(problem.dy)
        y, gradients = x, ()

        def call() -> None:
            nonlocal y, gradients
            with _amp(bf16):
                y = forward(x, state)[0]
            gradients = torch.autograd.grad(y, (x, *parameters), dy.to(y.dtype))

        def answer() -> Answer:
            dx, inputs, recurrent, bias = (array.numpy() for array in gradients[:4])
            found = {"d_weight": unstacked(inputs, recurrent), "d_bias": bias.reshape(4, -1), "d_x": dx}
            return {"y": y.detach().float().numpy()} | found

        return Run(call, answer)

    return prepare


CELLS, BF16 = "PyTorch LSTMCell loop", "PyTorch bf16 autocast"
WAYS = (
    Way(FUSED, "stream", streaming(_fused)),
    Way(CELLS, "stream", streaming(_cells)),
    Way(BF16, "stream", streaming(_fused, bf16=True), "bf16"),
    Way(FUSED, "infer", inferring(_fused)),
    Way(CELLS, "infer", inferring(_cells)),
    Way(BF16, "infer", inferring(_fused, bf16=True), "bf16"),
    Way(FUSED, "train", training(_fused)),
    Way(CELLS, "train", training(_cells)),
    Way(GATE_LOOP, "train", training(_gates)),
    Way(BF16, "train", training(_fused, bf16=True), "bf16"),
    Way(GATE_LOOP, "trace", inferring(_gates)),
    Way(FUSED_UNTRACED, "trace", inferring(_fused), "untraced"),
    Way(FUSED, "start", starting(START, "torch")),
)
