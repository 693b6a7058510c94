"""Training as textbooks have it, in NumPy: what the page's own training is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import gatewise as gw

MASK = 2**32 - 1
STEPS = 40  # of a sequence


def draws(seed: int, number: int) -> Callable[[], float]:
    """Return a function that draws numbers between 0 and 1: mulberry32, begun from a seed and a number."""
    state = (seed * 2654435761 + number * 2246822507) & MASK

    def draw() -> float:
        nonlocal state
        state = (state + 0x6D2B79F5) & MASK
        mixed = (state ^ state >> 15) * (state | 1) & MASK
        mixed ^= mixed + ((mixed ^ mixed >> 7) * (mixed | 61) & MASK) & MASK
        return (mixed ^ mixed >> 14) / 2**32

    return draw


@dataclass(frozen=True)
class Settings:
    """The settings of a training, under the names that the page gives them."""

    task: str = "latch"
    delay: int = 10
    optimiser: str = "adam"
    rate: float = 0.02
    clip: float = 0.0
    bias: float = 1.0
    seed: int = 1


def sequence(settings: Settings, steps: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs (time, 3) of a task's sequence, and the wanted outputs (time,), NaN where nothing counts."""
    draw = draws(settings.seed if number >= 0 else 0, number + 2)
    x, target = np.zeros((steps, 3)), np.full(steps, np.nan)

    def bit() -> float:
        return -1.0 if draw() < 0.5 else 1.0

    def up_to(most: int) -> int:
        return 1 + int(draw() * most)

    if settings.task == "echo":
        step = up_to(4) - 1
        while step + settings.delay < steps:
            x[step, 0] = target[step + settings.delay] = bit()
            step += settings.delay + up_to(4)
        return x, target
    x[:, 0] = [bit() for _ in range(steps)]
    step, held, writes = 0, 0.0, True
    while step < steps:
        if writes:
            held, x[step, 1] = x[step, 0], 1
        else:
            target[step], x[step, 2] = held, 1
        writes = not writes or draw() < 0.25
        step += up_to(6)
    return x, target


def network(units: int = 4, layers: int = 1) -> gw.Network:
    """Return a network of the tasks' three inputs and one output, its head zeros."""
    lstm = gw.LSTM(3, units, num_layers=layers, rng=0, dtype=np.float64)
    return gw.Network(lstm, head=gw.Linear(np.zeros((1, units)), np.zeros(1)))


def with_weights(model: gw.Network, weights: np.ndarray) -> gw.Network:
    """Return a network with other parameters: of each cell gate by gate, weights before biases; then the head's."""
    numbers = iter(weights)

    def part(*shape: int) -> np.ndarray:
        return np.array([next(numbers) for _ in range(int(np.prod(shape)))]).reshape(shape)

    cells = []
    for (old,) in model.lstm.layers:
        gates, units, columns = old.parameters.weight.shape
        parts = [(part(units, columns), part(units)) for _ in range(gates)]
        weight, bias = (np.array(arrays) for arrays in zip(*parts, strict=True))
        cells.append([gw.LSTMCell.from_parameters(old.parameters.replace(weight=weight, bias=bias))])
    head = gw.Linear(part(*model.head.weight.shape), part(len(model.head.weight)))
    return gw.Network(gw.LSTM.from_cells(cells), head=head)


def pieces(model: gw.Network) -> list[slice]:
    """Return where each parameter is among all numbers."""
    sizes = []
    for (cell,) in model.lstm.layers:
        gates, units, columns = cell.parameters.weight.shape
        sizes += [units * columns, units] * gates
    ends = np.cumsum([*sizes, model.head.weight.size, len(model.head.weight)])
    return [slice(end - size, end) for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)]


def first_weights(model: gw.Network, settings: Settings) -> np.ndarray:
    """Return the weights that training begins from: drawn between ±0.5, the forget gate's biases as set, others 0."""
    draw, weights = draws(settings.seed, 0), []
    for number, piece in enumerate(places := pieces(model)):
        size = piece.stop - piece.start
        if number % 2 == 0:
            weights += [draw() - 0.5 for _ in range(size)]
        else:
            weights += [settings.bias if number % 8 == 3 and number < len(places) - 1 else 0.0] * size
    return np.array(weights)


def gradient(model: gw.Network, x: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean squared error where something is wanted, and its gradient in the order of the weights."""
    trace = model.trace(x)
    off = np.where(np.isnan(target), 0.0, trace.output.reshape(-1) - target)
    count = np.sum(~np.isnan(target))
    gradients = gw.backward(trace, (2 * off / count)[:, None])
    parts = []
    for layer in gradients.lstm.layers:
        (cell,) = layer.values()
        for gate in range(len(cell.weight)):
            parts += [cell.weight[gate], cell.bias[gate]]
    parts += [gradients.head_weight, gradients.head_bias]
    return float(np.sum(off**2) / count), np.concatenate([np.ravel(part) for part in parts])


@dataclass(frozen=True)
class State:
    """The state of a training after so many updates; `mean` and `square` are Adam's (Kingma and Ba, 2015)."""

    at: int
    weights: np.ndarray
    mean: np.ndarray
    square: np.ndarray


def start(model: gw.Network, settings: Settings) -> State:
    """Return the state before the first update."""
    weights = first_weights(model, settings)
    return State(0, weights, np.zeros_like(weights), np.zeros_like(weights))


@dataclass(frozen=True)
class Update:
    """An update: the states before and after it, the loss, and its gradient before clipping."""

    before: State
    after: State
    loss: float
    gradient: np.ndarray


def updates(model: gw.Network, settings: Settings, state: State, count: int) -> Iterator[Update]:
    """Go through updates, one from the other."""
    for _ in range(count):
        x, target = sequence(settings, STEPS, state.at)
        loss, slopes = gradient(with_weights(model, state.weights), x, target)
        norm = np.sqrt(np.sum(slopes**2))
        clipped = slopes * settings.clip / norm if 0 < settings.clip < norm else slopes
        at = state.at + 1
        mean, square = 0.9 * state.mean + 0.1 * clipped, 0.999 * state.square + 0.001 * clipped**2
        step = clipped
        if settings.optimiser == "adam":
            step = (mean / (1 - 0.9**at)) / (np.sqrt(square / (1 - 0.999**at)) + 1e-8)
        after = State(at, state.weights - settings.rate * step, mean, square)
        yield Update(state, after, loss, slopes)
        state = after
