"""Models that were set by hand, with what a report should say of them on top: 24 of them, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import planted
from planted import SURE

import gatewise as gw

RNG = np.random.default_rng


@dataclass(frozen=True)
class PlantedModel:
    """A model, its input, the options of its report, and patterns that its headlines must and must not match."""

    model: Any
    x: Any
    says: tuple[str, ...]
    never: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


MODELS: dict[str, Callable[[], PlantedModel]] = {}


def planted_model(build: Callable[[], PlantedModel]) -> Callable[[], PlantedModel]:
    MODELS[build.__name__.replace("_", " ")] = build
    return build


def cell(hidden, inputs, others=0, seed=0, size=0.3):
    """Return weights and biases of units that take in everything, forget everything and put out everything.

    The last `others` of them are small and random.
    """
    rng = RNG(seed)
    weight, bias = np.zeros((4, hidden, hidden + inputs)), np.zeros((4, hidden))
    bias[:] = np.array([SURE, -SURE, 0, SURE])[:, None]
    if others:
        weight[:, -others:] = rng.normal(0, size, weight[:, -others:].shape)
        bias[:, -others:] = rng.normal(0, size, (4, others))
    return weight, bias


def forget_bias(timescale):
    return -np.log(np.expm1(1 / timescale))


def lstm_of(weight, bias, **options):
    return gw.LSTM.from_cells(gw.Parameters(weight, bias), **options)


def reading(unit, hidden, outputs=1, gain=1.0):
    weight = np.zeros((outputs, hidden))
    weight[0, unit] = gain
    return gw.Linear(weight, np.zeros(outputs))


@planted_model
def leak():
    weight, bias = cell(6, 1, others=5)
    bias[1, 0], weight[2, 0, 6] = forget_bias(20), 1e-2
    network = gw.Network(lstm_of(weight, bias), head=reading(0, 6, gain=100.0))
    says = (r"shows in the output for 4[4-8] steps", r"Without unit 0 the output moves by")
    return PlantedModel(network, RNG(1).exponential(size=(600, 1)), says, ("until the input ends", "untrained"))


@planted_model
def latch():
    memory = planted.memory("held in c", gap=25, others=5, steps=600)
    return PlantedModel(memory.network, memory.x, (r"shows in the output for 2[1-5] steps",), ("untrained",))


@planted_model
def counter():
    memory = planted.memory("counting", others=4, steps=300)
    return PlantedModel(memory.network, memory.x, (r"shows in the output for at least 2\d\d steps",), ("until",))


def shift_register(delay, others=4):
    weight, bias = cell(delay + 1 + others, 1, others=others)
    hidden = weight.shape[1]
    weight[2, 0, hidden] = 0.5
    weight[2, np.arange(1, delay + 1), np.arange(delay)] = 1
    return gw.Network(lstm_of(weight, bias), head=reading(delay, hidden))


@planted_model
def echo():
    says = (r"shows in the output for 7 steps",)
    return PlantedModel(shift_register(7), RNG(1).normal(size=(400, 1)), says, ("until the input", "untrained"))


@planted_model
def echo_of_the_step_itself():
    weight, bias = cell(5, 2, others=4)
    weight[2, 0, 5] = 1
    network = gw.Network(lstm_of(weight, bias), head=reading(0, 5), labels=gw.Labels(features=["level", "wind"]))
    says = (r"ignores wind|Input level explains 9\d %|explains 9\d %",)
    return PlantedModel(network, RNG(1).normal(size=(300, 2)) * 0.3, says, (r"for \d\d+ steps",))


def tagger(forward=True):
    """A flag at step 6 shows where the question comes, at step 54, or the other way round."""
    held, held_bias = cell(4, 3, others=3, size=0.2)
    held[:, 0], held_bias[:, 0] = 0, [SURE, SURE, 0, -SURE]
    held[2, 0, 4], held[3, 0, 5] = 1, 2 * SURE
    other, other_bias = cell(4, 3, others=3, seed=1, size=0.2)
    other[2, 0, 6] = 0.1
    both = [gw.Parameters(held, held_bias), gw.Parameters(other, other_bias)]
    lstm = gw.LSTM.from_cells([both if forward else both[::-1]])
    weight = np.zeros((1, 8))
    weight[0, [0, 4]] = (9, 1) if forward else (1, 9)
    x = RNG(0).normal(size=(60, 3))
    x[:, :2] = 0
    x[6 if forward else 53, 0] = x[54 if forward else 5, 1] = 1
    return gw.Network(lstm, head=gw.Linear(weight, None)), x


@planted_model
def tagger_forward():
    return PlantedModel(*tagger(), (r"shows in the output for (4[6-9]|5[0-4]) steps",), ("at up to 1 step before",))


@planted_model
def tagger_backward():
    return PlantedModel(*tagger(forward=False), (r"at up to (4[6-9]|5[0-4]) steps before it",), ("for 1 step ",))


@planted_model
def classifier_with_one_decisive_unit():
    weight, bias = cell(20, 2, others=19, size=0.4)
    order = RNG(5).permutation(20)
    place = int(np.flatnonzero(order == 0)[0])
    weight[2, 0, 20] = 2.0
    weight, bias = weight[:, order][:, :, [*order, 20, 21]], bias[:, order]
    head = np.zeros((2, 20))
    head[0, place] = 8.0
    network = gw.Network(
        lstm_of(weight, bias),
        head=gw.Linear(head, np.array([60.0, 0.0]), "softmax"),
        labels=gw.Labels(outputs=["storm", "calm"]),
    )
    x = RNG(1).normal(size=(300, 2))
    moved = 8 * np.sqrt(np.square(network.lstm(x)[0][:, place]).mean())
    says = (rf"^Without unit {place} the logit of output storm moves by {moved:.3g}\.",)
    return PlantedModel(network, x, says, ("no unit",), {"target": "storm"})


@planted_model
def oscillator():
    weight, bias = cell(6, 1, others=4)
    turn = 2 * np.pi / 12
    weight[2, :2, :2] = 2.0 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    network = gw.Network(lstm_of(weight, bias), head=reading(0, 6))
    state = [[gw.State(np.array([0.5] + [0.0] * 5), np.array([0.5] + [0.0] * 5))]]
    run = network.trace(RNG(1).normal(size=(240, 1)), state)
    return PlantedModel(run, None, (r"^No input moves the output",), (r"output for",))


@planted_model
def untrained():
    network = gw.Network(gw.LSTM(3, 16, rng=0), head=gw.Linear(RNG(0).normal(size=(1, 16)).astype(np.float32), None))
    return PlantedModel(network, RNG(1).normal(size=(300, 3)), (r"These weights look untrained: all 1,216",))


@planted_model
def untrained_as_keras_draws():
    lstm = gw.LSTM(8, 16, rng=0, init="glorot")
    network = gw.Network(lstm, head=gw.Linear(RNG(0).normal(size=(1, 16)).astype(np.float32), None))
    return PlantedModel(network, RNG(1).normal(size=(300, 8)), (r"These weights look untrained",))


@planted_model
def saturated():
    rng = RNG(0)
    weight, bias = rng.normal(0, 0.1, (4, 12, 14)), 20 * rng.choice([-1.0, 1.0], (4, 12))
    network = gw.Network(lstm_of(weight, bias), head=gw.Linear(rng.normal(size=(1, 12)), None))
    says = (r"\d+ of 12 units.*(never moves|hardly move)",)
    return PlantedModel(network, rng.normal(size=(300, 2)), says, ("untrained",))


@planted_model
def ignoring_an_input():
    weight, bias = cell(8, 3, others=7, size=0.5)
    weight[:, :, 10] = 0
    weight[2, 0, 8] = 1.5
    labels = gw.Labels(features=["rain", "warmth", "wind"])
    network = gw.Network(lstm_of(weight, bias), head=gw.Linear(RNG(3).normal(size=(1, 8)), None), labels=labels)
    return PlantedModel(network, RNG(1).normal(size=(300, 3)), (r"ignores wind",), ("ignores (rain|warmth)",))


@planted_model
def leaking_target():
    weight, bias = cell(8, 3, others=7, size=0.4)
    weight[2, 0, 10] = 0.3
    head = gw.Linear(np.concatenate([[[20.0]], 0.3 * RNG(3).normal(size=(1, 7))], 1), None)
    labels = gw.Labels(features=["rain", "warmth", "flow"], outputs=["q"])
    network = gw.Network(lstm_of(weight, bias), head=head, labels=labels)
    says = (r"^Input flow explains 9\d % of output q at the same step",)
    return PlantedModel(network, RNG(1).normal(size=(300, 3)), says, ("untrained", "ignores"))


@planted_model
def seasonal():
    weight, bias = cell(8, 2, others=6, size=0.3)
    bias[1, 0], weight[2, 0, 8] = forget_bias(5), 1e-2
    season = np.sin(2 * np.pi * np.arange(730) / 365)
    x = np.stack([season + RNG(1).normal(0, 0.3, 730), RNG(2).normal(size=730)], axis=1)
    labels = gw.Labels(
        features=["warmth", "rain"], outputs=["snow"], times=np.datetime64("2001-01-01") + np.arange(730)
    )
    network = gw.Network(lstm_of(weight, bias), head=reading(0, 8, gain=100.0))
    says = (r"shows in the output for 1[0-3] days", r"ignores rain")
    return PlantedModel(network.trace(x, labels=labels), None, says, (r"365|for \d{2,} weeks", "warmth for"))


@planted_model
def two_outputs_with_different_memories():
    weight, bias = cell(8, 1, others=6, size=0.3)
    bias[1, 0], weight[2, 0, 8], weight[2, 1, 8] = forget_bias(20), 1e-2, 0.3
    head = np.zeros((2, 8))
    head[0, 0], head[1, 1] = 100.0, 1.0
    labels = gw.Labels(outputs=["slow", "fast"])
    network = gw.Network(lstm_of(weight, bias), head=gw.Linear(head, None), labels=labels)
    says = (r"shows in output slow for 4[4-8] steps, 0 to 4[4-8] steps over the 2 outputs",)
    return PlantedModel(network, RNG(1).exponential(size=(500, 1)), says, ("output fast",), {"target": "slow"})


@planted_model
def the_other_of_two_outputs():
    model = two_outputs_with_different_memories()
    return PlantedModel(model.model, model.x, (r"output fast",), ("in output slow", "output slow"), {"target": "fast"})


@planted_model
def dead_units():
    weight, bias = cell(12, 1, others=5, size=0.5)
    bias[3, 1:7] = -SURE
    weight[2, 0, 12] = 1.0
    network = gw.Network(lstm_of(weight, bias), head=reading(0, 12))
    return PlantedModel(network, RNG(1).normal(size=(300, 1)), (r"6 of 12 units hardly move",))


@planted_model
def outside_the_training_range():
    weight, bias = cell(8, 2, others=7, size=0.5)
    weight[2, 0, 8] = 1.0
    labels = gw.Labels(features=["rain", "warmth"])
    network = gw.Network(
        lstm_of(weight, bias), head=reading(0, 8), inputs=gw.Scaling([2.0, 10.0], [3.0, 4.0]), labels=labels
    )
    x = np.stack([RNG(1).exponential(2, 300), RNG(2).normal(293, 4, 300)], axis=1)
    says = (r"Input warmth is 29\d.* on average; the model's own scaling is made for about 2 to 18",)
    return PlantedModel(network, x, says, ("standard deviations from",))


@planted_model
def window_of_a_model_in_windows():
    weight, bias = cell(6, 1, others=5, size=0.3)
    bias[1, 0], weight[2, 0, 6] = forget_bias(33), 1e-2
    network = gw.Network(lstm_of(weight, bias), head=reading(0, 6, gain=100.0), windows=gw.network.Windows(90))
    says = (r"shows in the output for (6[5-9]|7\d|8[0-5]) steps",)
    return PlantedModel(network, RNG(1).exponential(size=(300, 1)), says, ("for 4[0-9] steps",))


@planted_model
def a_constant_input():
    weight, bias = cell(8, 2, others=7, size=0.5)
    weight[2, 0, 8] = 1.0
    x = RNG(1).normal(size=(300, 2))
    x[:, 1] = 3.0
    network = gw.Network(lstm_of(weight, bias), head=reading(0, 8), labels=gw.Labels(features=["rain", "area"]))
    return PlantedModel(network, x, (r"area never changes here",), ("ignores area", "standard deviations from its"))


@planted_model
def a_unit_that_carries_a_storage():
    lstm, rain, storage = planted.leaky_bucket(800, others=5)
    says = (r"Unit 0 carries column 0: r 1\.00",)
    return PlantedModel(lstm, rain, says, (), {"values": storage, "target": 0})


@planted_model
def noise_that_no_unit_carries():
    lstm, rain, _ = planted.leaky_bucket(400, others=5)
    return PlantedModel(lstm, rain, (r"shows",), ("carries",), {"values": RNG(7).normal(size=400)})


@planted_model
def all_outputs_equal():
    network = gw.Network(lstm_of(*cell(6, 1, others=6)), head=gw.Linear(np.zeros((2, 6)), np.array([0.5, 0.5])))
    says = (r"^No input moves output 0", "No change of one step's input shows in output 0")
    return PlantedModel(network, RNG(1).normal(size=(200, 1)), says, ("0 for", "cannot bring", "Without unit"))
