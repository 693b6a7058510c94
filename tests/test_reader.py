"""The network that reads: one of its units follows quotation marks that it has not seen, by its forget gate."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

import gatewise as gw
from gatewise.playground import lesson, scenes
from gatewise.playground.assembly import asset
from reading import train as training
from reading.sentences import Writer, inside_quotes, spoken_in_capitals

LEAST, UNIT = 0.9, 3
MARKS, FORGETTING = (chapter for chapter in lesson.chapters() if chapter.get("scene") == "reader")
SENTENCES = [  # by hand
    'She said "I am going home now" and left.',
    'The cat sat on the mat. "Where is my hat?" asked the king. "I left it on the chair."',
    '"Do you hear the rain?" my brother whispered, and nobody in the whole house answered him.',
    'A sign on the gate said "please keep out of the garden", but the gate stood open.',
    'Our teacher wrote "tomorrow we will go to the museum" on the board and smiled at us.',
    '"Never mind," said Peter, "we can still catch the last train if we hurry."',
    'Grandmother used to tell us a story that began with "once there was a very small bear".',
    'He shouted "stop the car at once" and ran down the hill as fast as he could.',
    'The letter ended with the words "I hope to see you again before the winter comes".',
    '"Two coffees and a piece of that cake, please." The waiter nodded and went away.',
    'They sang "the river runs down to the sea" until the sun came up over the fields.',
    'In the old book (a gift from Ann) somebody had underlined "every door is also a wall".',
]


@cache
def network() -> gw.Network:
    return scenes.network()


@pytest.mark.parametrize("seed", [7, 8])
def test_one_unit_follows_the_marks_of_passages_of_another_seed(seed):
    correlations = np.abs(training.correlations(network(), training.unseen(seed)))
    assert correlations.argmax() == UNIT
    assert correlations[UNIT] >= LEAST
    assert np.sort(correlations)[-2] < LEAST


def test_it_follows_the_marks_of_sentences_by_hand():
    assert abs(training.correlations(network(), SENTENCES)[UNIT]) >= LEAST


def shut(unit: int) -> gw.Network:
    """Return the network with the forget gate of a unit shut."""
    parameters = network().lstm.layers[0][0].parameters
    bias = np.array(parameters.bias)
    bias[1, unit] = -20
    return network().replace(lstm=gw.LSTM.from_cells(parameters.replace(bias=bias)))


def test_without_its_forget_gate_it_follows_them_no_more():
    for texts in (SENTENCES, training.unseen(7)):
        assert abs(training.correlations(shut(UNIT), texts)[UNIT]) < 0.6


def test_the_chapters_ask_for_that_unit_and_say_its_numbers():
    assert MARKS["right"] == UNIT
    assert UNIT not in [mistake["value"] for mistake in MARKS["mistakes"]]
    (edit,) = FORGETTING["edits"]
    assert (edit["name"], edit["at"], edit["value"]) == ("b_f", [UNIT], -20)
    step = FORGETTING["ask"]["step"]
    assert scenes.SENTENCE[step:].startswith("you")
    assert f"bias of {network().lstm.layers[0][0].parameters.bias[1, UNIT]:.2f}" in FORGETTING["text"][0]
    whole, broken = (net.trace(np.array(scenes.tokens(scenes.SENTENCE))).lstm[0] for net in (network(), shut(UNIT)))
    assert f"own bias it held {whole.cell_state[step, UNIT]:.4f}" in FORGETTING["after"]
    new = broken.input_gate[step, UNIT] * broken.candidate[step, UNIT]
    assert broken.cell_state[step, UNIT] == pytest.approx(new, abs=1e-8)


def test_it_expects_capitals_while_it_remembers_that_somebody_speaks():
    text = 'The old man said, "I can see the river'
    inside = np.array(inside_quotes(text))
    capitals = np.array([letter.isupper() for letter in scenes.PREDICTED_LETTERS])
    share = network().trace(np.array(scenes.tokens(text))).output[:, capitals].sum(-1)
    assert share[inside].mean() > 0.5 > 0.2 > share[~inside].mean()


def test_the_weights_are_few_and_say_their_seed():
    stored = asset(scenes.READER_FILE)
    assert len(stored.encode()) <= 15_000
    assert json.loads(stored)["seed"] == training.SEED
    assert network().lstm.layers[0][0].hidden_size <= 24
    weights = {name: np.array(array) / 100 for name, array in json.loads(stored).items() if name != "seed"}
    assert training.written(training.SEED, weights) == stored


def test_every_letter_has_a_token_whatever_its_case_accent_or_kind_of_mark():
    assert scenes.tokens("Zoë said: “No”") == scenes.tokens('zoe said, "no"')
    assert scenes.tokens("🦊\u202eא\x00") == [0, 0, 0, 0]
    assert scenes.tokens("a\nb\tc") == scenes.tokens("a b c")
    assert sorted(scenes.tokens(scenes.LETTERS)) == list(range(1, len(scenes.LETTERS) + 1))


def test_passages_are_of_letters_that_it_knows_and_of_their_seed_alone():
    first, again, other = (Writer(np.random.default_rng(seed)).passage(3000) for seed in (3, 3, 4))
    assert first == again != other
    assert set(spoken_in_capitals(first)) <= set(scenes.PREDICTED_LETTERS)
    assert 0.4 < np.mean(inside_quotes(first)) < 0.7
    assert {"(", ")", ",", "."} <= set(first)


@pytest.mark.peers
def test_the_first_updates_are_the_same_again_and_lower_the_loss():
    runs = [[*training.training(updates=80)] for _ in "ab"]
    assert [loss for loss, _ in runs[0]] == [loss for loss, _ in runs[1]]
    for name, array in runs[0][-1][1].items():
        np.testing.assert_array_equal(array, runs[1][-1][1][name])
    losses = [loss for loss, _ in runs[0]]
    assert losses[0] == pytest.approx(np.log(len(scenes.PREDICTED_LETTERS)), rel=0.1)
    assert losses[-1] < losses[0] - 0.5
