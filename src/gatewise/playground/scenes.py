"""The scenes of the teaching page: small pages in one file, each of a cell of its own; one of them reads."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gatewise.cell import LSTMCell
from gatewise.examples import latch
from gatewise.languages import language
from gatewise.layers import LSTM
from gatewise.network import Linear, Network
from gatewise.parameters import Parameters
from gatewise.playground import lesson
from gatewise.playground.assembly import asset
from gatewise.playground.document import scene_document, scenes_document
from gatewise.playground.sequence_run import sequence_run_of
from gatewise.records.labels import Labels

READER_FILE = "reader.json"
LETTERS = ' abcdefghijklmnopqrstuvwxyz"(),.!?'  # tokens from 1 on; any other letter is token 0
PREDICTED_LETTERS = LETTERS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # what it predicts
SIMILAR_LETTERS = {
    **dict.fromkeys("“”„‟«»", '"'),
    **dict.fromkeys("[{", "("),
    **dict.fromkeys("]}", ")"),
    ";": ",",
    ":": ",",
}
SPACE = "␣"
SENTENCE = 'Anna said, "I will bring you the new lamp." Then she walked to the river.'
ABOUT = (
    "The network was trained to predict the next letter of sentences that a small grammar made.",
    "A small penalty kept its cell states from growing.",
)
Object = dict[str, Any]


def tokens(text: str) -> list[int]:
    """Return the token of each letter: without its accent, and the same for capitals."""
    plain = [unicodedata.normalize("NFD", letter)[0].lower() for letter in text]
    return [LETTERS.find(" " if letter.isspace() else SIMILAR_LETTERS.get(letter, letter)) + 1 for letter in plain]


def network() -> Network:
    """Return the trained network, in float64."""
    arrays = {name: np.array(hundredths) / 100 for name, hundredths in json.loads(asset(READER_FILE)).items()}
    lstm = LSTM.from_cells(LSTMCell.from_parameters(Parameters(arrays["weight"], arrays["bias"])))
    return Network(lstm, embedding=arrays["embedding"], head=Linear(arrays["head"], arrays["head_bias"], "softmax"))


def reader_scene(lang: str) -> Object:
    """Return the document of the scene: the network's run over a sentence."""
    run = sequence_run_of(network(), tokens(SENTENCE), 0, {})
    document = scene_document(run, language.words_in(lang)["titles"]["reader"], ABOUT)
    document["labels"] |= {
        "times": [*SENTENCE.replace(" ", SPACE)],
        "outputs": [*PREDICTED_LETTERS.replace(" ", SPACE)],
    }
    return document | {
        "edits": [],
        "own": ["text"],
        "reads": {"letters": LETTERS, "alike": SIMILAR_LETTERS, "text": SENTENCE},
    }


OF_LEARNER = ["task", "delay", "optimiser", "rate", "clip", "bias", "seed", "sequence", "update"]  # in its address
LEARNED_STEPS = 40


def latch_scene(lang: str) -> Object:
    """Return the document of the first scene: a cell that writes a bit, holds it and releases it."""
    example = latch()
    run = sequence_run_of(LSTM.from_cells(example.cell), example.x, 0, {"state": ((example.state,),)})
    about = ["The cell is an example with weights set by hand: it writes a bit, holds it and releases it."]
    return scene_document(run, language.words_in(lang)["titles"]["latch"], about)


def learner_scene(lang: str) -> Object:
    """Return the document of a cell that learns: four units and one output, whose weights its own view sets."""
    network = Network(LSTM(3, 4, rng=0, dtype=np.float64), head=Linear(np.zeros((1, 4)), np.zeros(1)))
    labels = Labels(features=latch().cell.labels.features)
    run = sequence_run_of(network, np.zeros((LEARNED_STEPS, 3)), 0, {"labels": labels})
    about = ["The first weights are drawn on this page, which then trains them."]
    return scene_document(run, language.words_in(lang)["titles"]["learner"], about) | {"own": OF_LEARNER, "edits": []}


SCENES: Mapping[str, Callable[[str], Object]] = {"latch": latch_scene, "reader": reader_scene, "learner": learner_scene}


def teaching(lang: str = "en") -> Object:
    """Return the document of the playground's teaching page in a language."""
    title = language.words_in(lang)["titles"]["page"]
    scenes = {name: scene(lang) | {"about": []} for name, scene in SCENES.items()}  # the chapters say it
    return scenes_document(title, scenes, lesson.chapters(lang), lang)
