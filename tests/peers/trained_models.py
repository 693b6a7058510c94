"""Four small models, trained here by PyTorch on data of which the mechanism is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")


class Task(NamedTuple):
    """Data of a known mechanism, batches first: inputs, what is to be put out, and where that counts."""

    x: np.ndarray
    y: np.ndarray
    counts: np.ndarray


class Model(torch.nn.Module):
    """An embedding or none, an LSTM, and a linear layer, as people write them."""

    def __init__(self, inputs, hidden, outputs, *, tokens=None, bidirectional=False, last=False):
        super().__init__()
        self.embedding = None if tokens is None else torch.nn.Embedding(tokens, inputs)
        self.lstm = torch.nn.LSTM(inputs, hidden, batch_first=True, bidirectional=bidirectional)
        self.head = torch.nn.Linear(hidden * (2 if bidirectional else 1), outputs)
        self.last = last

    def forward(self, x):
        """Return the outputs (batch, time, output), or (batch, output) of a model that reads the last step."""
        h, _ = self.lstm(x if self.embedding is None else self.embedding(x))
        return self.head(h[:, -1] if self.last else h)


def remembering(model):
    """Set the biases of a model's forget gates to 2, as is usual where memory is long."""
    size = model.lstm.hidden_size
    with torch.no_grad():
        model.lstm.bias_hh_l0[size : 2 * size] = 2.0
    return model


def train(build, task, *, epochs, loss, batch=32, rate=0.01, classes=True):
    """Return a model that has learned a task: its loss is smaller. It is trained with Adam, from up to four seeds."""
    for seed in range(4):
        torch.manual_seed(seed)
        model = build()
        if train_once(model, task, epochs, batch, rate, classes) < loss:
            return model
    raise AssertionError(f"no seed led to a loss below {loss}")


def train_once(model, task, epochs, batch, rate, classes):
    """Train a model on a task; return its loss in the last epoch."""
    x, y, counts = map(torch.tensor, task)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    order = np.random.default_rng(0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * (len(x) // batch))
    for _ in range(epochs):
        losses = []
        for rows in order.permutation(len(x))[: len(x) // batch * batch].reshape(-1, batch):
            found, wanted = model(x[rows])[counts[rows]], y[rows][counts[rows]]
            loss = (
                torch.nn.functional.cross_entropy(found, wanted) if classes else (found[:, 0] - wanted).square().mean()
            )
            optimiser.zero_grad()
            loss.backward()
            losses.append(loss.item())
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return np.mean(losses)


def outputs(model, x):
    """Return what a model puts out for inputs, batches first, as an array."""
    with torch.no_grad():
        return model(torch.tensor(np.asarray(x))).numpy()


# A flag early in the sequence decides the class at the end.


def flagged(count, steps=40, *, seed=0):
    """Return sequences of two features of noise and a flag of 1 or -1 at one of the steps 2 to 9, or none."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, steps, 3), np.float32)
    x[..., 1:] = rng.normal(size=(count, steps, 2))
    classes, places = rng.integers(0, 3, count), rng.integers(2, 10, count)
    x[np.arange(count), places, 0] = classes - 1
    return Task(x, classes, np.ones(count, bool))


def classifier():
    return train(lambda: remembering(Model(3, 16, 3, last=True)), flagged(512), epochs=40, loss=0.1)


# A store fed by rain.

KEEP = 0.95


def stored(count, steps=150, *, seed=0):
    """Return sequences of rain and temperature, and the storage of a bucket that keeps 95 % of it at each step."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.gamma(0.3, 1.0, (count, steps)), rng.normal(size=(count, steps))], -1).astype(np.float32)
    storage = np.zeros((count, steps), np.float32)
    for t in range(steps):
        storage[:, t] = KEEP * (storage[:, t - 1] if t else 0) + 0.05 * x[:, t, 0]
    return Task(x, storage, np.ones((count, steps), bool))


def regressor():
    return train(lambda: Model(2, 8, 1), stored(256), epochs=100, rate=0.02, loss=3e-4, classes=False)


# A language of brackets.

SYMBOLS = "ab()[]"


def written(count, steps=60, *, seed=0):
    """Return texts in which a bracket is closed, after 5 to 15 letters, by the one of its kind."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, steps + 1), np.int64)
    for sequence in range(count):
        text = ""
        while len(text) <= steps:
            outside, inside = ("".join(rng.choice(list("ab"), rng.integers(*most))) for most in ((1, 5), (5, 16)))
            opening = rng.integers(2)
            text += outside + "(["[opening] + inside + ")]"[opening]
        x[sequence] = [SYMBOLS.index(symbol) for symbol in text[: steps + 1]]
    return Task(x[:, :-1], x[:, 1:], np.ones((count, steps), bool))


def writer():
    def build():
        return remembering(Model(8, 24, len(SYMBOLS), tokens=len(SYMBOLS)))

    return train(build, written(512), epochs=40, rate=0.02, batch=16, loss=0.99)


# A tag that depends on the last flag before, and on the next one after.


def tagged(count, steps=80, *, seed=0):
    """Return sequences of noise and flags of 1 or -1, every 6 to 15 steps, and the tag: the last flag and the next."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, steps, 2), np.float32)
    x[..., 1] = rng.normal(size=(count, steps))
    tags, counts = np.zeros((count, steps), np.int64), np.zeros((count, steps), bool)
    for sequence in range(count):
        places = np.cumsum(rng.integers(6, 16, steps))
        places = places[places < steps]
        flags = rng.integers(0, 2, len(places))
        x[sequence, places, 0] = 2 * flags - 1
        for first, after, flag, following in zip(places, places[1:], flags, flags[1:], strict=False):
            tags[sequence, first:after], counts[sequence, first:after] = 2 * flag + following, True
    return Task(x, tags, counts)


def tagger():
    return train(lambda: Model(2, 12, 4, bidirectional=True), tagged(512), epochs=20, loss=0.1)
