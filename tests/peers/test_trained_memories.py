"""Reports on models that were trained here: do they find the flag, the store, the bracket that these rest on?

What a report says is compared with runs of the same models in PyTorch, over inputs that are changed here.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest

import gatewise as gw
from gatewise import insight

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

from peers import trained_models  # noqa: E402  (needs PyTorch)

CLOSING = [trained_models.SYMBOLS.index(symbol) for symbol in ")]"]
WHY = "Why this output "  # begins the question about the steps that an output rests on
CHANGES = 600  # of an input, that are run
SETS, ROWS = 200, 12  # random sets of steps, and what each is exchanged for
AROUND = 60  # steps before and after an output that are run for it


class Trained(NamedTuple):
    """A trained model, a task that it has not seen, and the network that was read from its weights."""

    model: Any
    task: trained_models.Task
    network: gw.Network

    @property
    def x(self):
        """The input as a network takes it, time first; without a batch axis if there is one sequence."""
        x = np.swapaxes(self.task.x, 0, 1)
        return x if x.shape[1] > 1 else x[:, 0]

    @property
    def y(self):
        """What the model puts out in PyTorch, batches first."""
        return trained_models.outputs(self.model, self.task.x)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return a function that saves a model's weights as people do, and reads them with gatewise."""

    def trained(model, task, **options):
        path = tmp_path_factory.mktemp("trained") / "model.pt"
        torch.save(model.state_dict(), path)
        return Trained(model, task, gw.load_network(path, head="head", **options))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield trained
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def classifier(read):
    return read(trained_models.classifier(), trained_models.flagged(16, seed=1), reads="last")


@pytest.fixture(scope="module")
def regressor(read):
    return read(trained_models.regressor(), trained_models.stored(1, 700, seed=1))


@pytest.fixture(scope="module")
def writer(read):
    return read(trained_models.writer(), trained_models.written(1, 600, seed=1), embedding="embedding")


@pytest.fixture(scope="module")
def tagger(read):
    return read(trained_models.tagger(), trained_models.tagged(1, 500, seed=1))


# Runs of changed inputs, in PyTorch.


def lasting(differences):
    """Return how long each difference (time, change) lasts, and its sum.

    It does until the last step with a tenth of its largest, or until nine tenths of it have come.
    """
    last = len(differences) - 1 - np.argmax((differences >= 0.1 * differences.max(0))[::-1], axis=0)
    part = (np.cumsum(differences, axis=0) < 0.9 * differences.sum(0)).sum(0)
    return np.maximum(last, np.minimum(part, len(differences) - 1)), differences.sum(0)


def most_of(lags, weights):
    """Return the lag within which 90 % of the weight lies."""
    order = np.argsort(lags, kind="stable")
    sums = np.cumsum(weights[order])
    return lags[order][np.searchsorted(sums, 0.9 * sums[-1])]


def states_of(module, inputs, *, silent=None):
    """Return h and c (batch, time, unit) of PyTorch's LSTM in the forward direction, where a unit may put out 0."""
    cell = torch.nn.LSTMCell(module.input_size, module.hidden_size)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data = getattr(module, f"{name}_l0").data
    h = c = torch.zeros(len(inputs), module.hidden_size)
    states = []
    for step in inputs.swapaxes(0, 1):
        h, c = cell(step, (h, c))
        if silent is not None:
            h = h * (torch.arange(module.hidden_size) != silent)
        states.append((h, c))
    return [torch.stack(each, 1) for each in zip(*states, strict=True)]


def every_step(model, x, *, states=False):
    """Return the outputs of a model at every step, also of one that reads the last alone; or its cell states."""
    with torch.no_grad():
        inputs = torch.tensor(x) if model.embedding is None else model.embedding(torch.tensor(x))
        return (states_of(model.lstm, inputs)[1] if states else model.head(model.lstm(inputs)[0])).numpy()


def horizons(trained, lags, *, backward=False, states=False, seed=5):
    """Return how long random changes of one step show in each output, or cell state, in PyTorch: later, or before."""
    rng, (x, *_) = np.random.default_rng(seed), trained.task
    count, steps = x.shape[:2]
    (sequences, sources), others = rng.integers(0, count, (2, CHANGES)), rng.integers(0, steps, CHANGES)
    places = rng.integers(lags if backward else 0, steps if backward else steps - lags, CHANGES)
    changed = x[sequences]
    changed[np.arange(CHANGES), places] = x[sources, others]
    at = places[:, None] + np.arange(lags + 1) * (-1 if backward else 1)
    before, after = (every_step(trained.model, each, states=states) for each in (x, changed))
    d = np.abs(after - before[sequences])[np.arange(CHANGES)[:, None], at].swapaxes(0, 1)
    d[d < 4e-6 * np.abs(before).max()] = 0
    return np.array([most_of(*lasting(d[..., place])) for place in range(d.shape[2])])


def changed_by(trained, sets, output, t, sequence, around, *, seed=3):
    """Return how far an output moves on average where the steps of each set become random others, in PyTorch."""
    rng, x = np.random.default_rng(seed), trained.task.x[sequence]
    first, last = (0, len(x)) if t == -1 else (max(0, t - around), min(len(x), t + around))
    rows = x[rng.integers(0, len(x), ROWS)]
    changed = np.repeat(x[None, first:last], len(sets) * ROWS, axis=0)
    for place, steps in enumerate(sets):
        for n, row in enumerate(rows):
            changed[place * ROWS + n, np.array(steps) - first] = row
    every = every_step(trained.model, np.concatenate([x[None, first:last], changed]))
    values = every[:, t if t == -1 else t - first, output]
    return np.abs(values[1:] - values[0]).reshape(len(sets), ROWS).mean(1)


def assert_deletion_counts(trained, answer, output, t=-1, sequence=0, around=AROUND):
    """Hold the steps that an answer names against random sets of as many of the steps that were looked at."""
    others = np.setdiff1d(np.flatnonzero(np.isfinite(answer.columns["size"])), answer.named)
    rng, count = np.random.default_rng(4), len(answer.named)
    sets = [rng.choice(others, count, replace=False) for _ in range(SETS)]
    found, *random = changed_by(trained, [answer.named, *sets], output, t, sequence, around)
    assert found > max(random)


def answer_of(report, title):
    """Return the first answer of a report to the question that begins so."""
    return next(finding.answer for finding in report.findings if finding.question.startswith(title))


# How long do they remember?


def test_the_models_have_learned_their_tasks_and_gatewise_runs_them_as_pytorch_does(
    classifier, regressor, writer, tagger
):
    for trained in (classifier, regressor, writer, tagger):
        y = np.moveaxis(trained.y, 0, -2 if trained.model.last else 1)
        np.testing.assert_allclose(trained.network(trained.x)[0].reshape(y.shape), y, atol=2e-5)
    (_, wanted, _), y = classifier.task, classifier.y
    assert (y.argmax(-1) == wanted).all()
    (_, wanted, _), y = regressor.task, regressor.y[..., 0]
    assert ((y - wanted) ** 2).mean() < 0.03 * wanted.var()
    (_, wanted, counts), y = tagger.task, tagger.y
    assert (y.argmax(-1) == wanted)[counts].mean() > 0.98
    (_, wanted, _), y = writer.task, writer.y
    on = np.isin(wanted, CLOSING)
    assert (np.take(CLOSING, y[..., CLOSING].argmax(-1)) == wanted)[on].mean() > 0.98


def test_a_report_says_that_the_flag_shows_to_the_end_and_which_units_hold_it(classifier):
    horizon = answer_of(gw.report(classifier.network, classifier.x), "How long does a change")
    assert (horizon.at_least, horizon.stable) == (True, True)
    assert horizon.steps >= 0.9 * (len(classifier.x) - 1)
    assert horizons(classifier, 20).min() >= 18
    flagged = classifier.task.x.copy()
    flagged[..., 0] *= -1  # the other flag
    states, others = (every_step(classifier.model, x, states=True)[:, -1] for x in (classifier.task.x, flagged))
    moved = np.abs(others - states).mean(0) / states.std(0)
    longest = np.argmax(horizon.columns["steps"])
    assert horizon.columns["at_least"][longest]
    assert (moved[horizon.columns["at_least"]] > 0.3).all()


def test_a_report_says_that_the_store_shows_as_long_as_it_keeps_the_rain(regressor):
    horizon = answer_of(gw.report(regressor.network, regressor.x), "How long does a change")
    fading = trained_models.KEEP ** np.arange(257.0)
    assert horizon.steps == pytest.approx(lasting(fading[:, None])[0][0], rel=0.2)
    outputs, states = (horizons(regressor, 200, states=states) for states in (False, True))
    assert horizon.steps == pytest.approx(outputs[0], rel=0.15, abs=1)
    assert not horizon.at_least
    longest = np.argmax(horizon.columns["steps"])
    assert horizon.columns["steps"][longest] == pytest.approx(states[longest], rel=0.3)
    assert states[longest] >= outputs[0] - 3


def test_a_horizon_of_a_writer_ends_with_the_bracket(writer):
    horizon = insight.horizon(writer.network, writer.x)
    assert 10 <= horizon.steps <= 32  # 5 to 15 letters are inside; that may be missed up to the next bracket
    assert not horizon.at_least
    assert horizon.steps == pytest.approx(horizons(writer, 100)[int(horizon.output)], rel=0.4)


def test_a_horizon_tells_the_flags_before_and_after_apart(tagger):
    horizon = insight.horizon(tagger.network, tagger.x)
    for found, backward in ((horizon.steps, False), (horizon.ahead, True)):
        assert 11 <= found <= 16  # a flag comes every 6 to 15 steps
        assert found == pytest.approx(horizons(tagger, 100, backward=backward)[int(horizon.output)], abs=2)
    assert (horizon.at_least, horizon.ahead_at_least) == (False, False)


# Which units carry it?


def test_a_report_names_the_unit_without_which_the_output_changes_most(classifier, regressor):
    cases = [(trained, output) for trained in (classifier, regressor) for output in range(trained.y.shape[-1])]
    for trained, output in cases:
        report = gw.report(trained.network, trained.x, target=output)
        answer, moved = answer_of(report, "What do its units carry?"), []
        with torch.no_grad():
            x = torch.tensor(trained.task.x)
            for unit in range(trained.model.lstm.hidden_size):
                y = trained.model.head(states_of(trained.model.lstm, x, silent=unit)[0]).numpy()
                d = (y[:, -1] if trained.model.last else y) - trained.y
                axes = tuple(range(d.ndim - 1))
                moved.append(np.sqrt((d**2).mean(axes) / trained.y.var(axes)))
        sizes = np.array(moved)[:, output]
        assert answer.metrics[0] == pytest.approx(sizes.max(), rel=0.01)
        assert re.match(rf"Without unit {sizes.argmax()} (the output|output {output}) moves", answer.sentence)
        if output == 0:  # of others, it may stand in the table, because it is not stable
            assert answer in [finding.answer for finding in report.headlines]


# What do their outputs rest on?


def test_a_class_rests_on_the_flag(classifier):
    x, classes, _ = classifier.task
    run = classifier.network.trace(classifier.x)
    flagged = [place for place in range(len(x)) if x[place, :, 0].any()]
    for sequence in flagged:
        output, (flag,) = int(classes[sequence]), np.flatnonzero(x[sequence, :, 0])
        answer = insight.occlusion(run, output, sequence=sequence)
        assert flag in answer.named
        assert_deletion_counts(classifier, answer, output, sequence=sequence)
    report = gw.report(run, sequence=sequence, target=output)
    answer = answer_of(report, "Why this output at the end?")
    assert flag in answer.named
    (headline,) = (finding.headline for finding in report.headlines if finding.answer is answer)
    assert f"step {flag}" in headline


def test_a_storage_rests_on_the_rain_that_is_still_in_it(regressor):
    (rain, _), t = regressor.task.x[0].T, 0
    report = gw.report(regressor.network, regressor.x)
    answers = [finding.answer for finding in report.findings if finding.question.startswith(WHY)]
    run = regressor.network.trace(regressor.x)
    for answer in [*answers, *(insight.occlusion(run, 0, t, steps=100) for t in range(200, 700, 50))]:
        t = answer.step
        lags = np.arange(min(t + 1, 100))
        parts = np.abs(trained_models.KEEP**lags * (rain[t - lags] - rain.mean()))
        largest = (t - lags)[np.argsort(-parts)].tolist()
        if answer.named:
            assert {*answer.named} <= {*largest[: len(answer.named) + 2]}
            assert largest[0] in answer.named
            assert_deletion_counts(regressor, answer, 0, t, around=150)
        assert answer.shares["x0"] > answer.shares["x1"]
    assert sum(bool(answer.named) for answer in answers)


def test_a_closing_bracket_rests_on_the_opening_one(writer):
    text = "".join(trained_models.SYMBOLS[token] for token in writer.x)
    run = writer.network.trace(writer.x)
    report = gw.report(run)  # of where the model is most sure of a bracket
    answers = [finding.answer for finding in report.findings if finding.question.startswith(WHY)]
    for answer in answers:
        opening = max(text.rfind(symbol, 0, answer.step) for symbol in "([")
        assert opening in answer.named
        assert_deletion_counts(writer, answer, CLOSING["([".index(text[opening])], answer.step)
    assert answers
    brackets = [found.span() for found in re.finditer(r"[(\[][ab]*[)\]]", text) if found.start() > 40]
    for opening, after in brackets[:10]:
        answer = insight.occlusion(run, trained_models.SYMBOLS.index(text[after - 1]), after - 2, steps=40)
        assert np.nanargmax(answer.columns["size"]) == opening


def test_a_tag_rests_on_the_flags_before_and_after(tagger):
    x, tags, _ = (each[0] for each in tagger.task)
    places = np.flatnonzero(x[:, 0])
    run, tried = tagger.network.trace(tagger.x), []
    for earlier, last, following, later in zip(places[2:], places[3:], places[4:], places[5:], strict=False):
        if len(tried) < 4 and x[earlier, 0] != x[last, 0] and x[following, 0] != x[later, 0]:
            t = int(last + following) // 2  # whose tag is another one without either flag
            answer = insight.occlusion(run, int(tags[t]), t, steps=45)
            assert {last, following} & {*answer.named}
            assert_deletion_counts(tagger, answer, int(tags[t]), t)
            tried.append((t, {last, following}))
    t, flags = tried[-1]
    report = gw.report(run, at=t, target=int(tags[t]))
    assert flags & {*answer_of(report, f"Why this output at step {t}?").named}
