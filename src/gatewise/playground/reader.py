"""The scene of a cell that reads: a trained network that predicts the next letter, and the text that it reads.

Its weights are in assets/reader.json, in hundredths, as ``python -m reading.train`` of the repository learned them.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np

from gatewise.cell import LSTMCell
from gatewise.languages import language
from gatewise.layers import LSTM
from gatewise.network import Linear, Network
from gatewise.parameters import Parameters
from gatewise.playground.assembly import asset
from gatewise.playground.document import of_scene
from gatewise.playground.sequence_run import sequence_run_of

FILE = "reader.json"
LETTERS = ' abcdefghijklmnopqrstuvwxyz"(),.!?'  # tokens from 1 on; any other letter is token 0
NEXT = LETTERS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # what it predicts
ALIKE = {**dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("[{", "("), **dict.fromkeys("]}", ")"), ";": ",", ":": ","}
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
    return [LETTERS.find(" " if letter.isspace() else ALIKE.get(letter, letter)) + 1 for letter in plain]


def network() -> Network:
    """Return the trained network, in float64."""
    arrays = {name: np.array(hundredths) / 100 for name, hundredths in json.loads(asset(FILE)).items()}
    lstm = LSTM.from_cells(LSTMCell.from_parameters(Parameters(arrays["weight"], arrays["bias"])))
    return Network(lstm, embedding=arrays["embedding"], head=Linear(arrays["head"], arrays["head_bias"], "softmax"))


def reader_scene(lang: str) -> Object:
    """Return the document of the scene: the network's run over a sentence."""
    run = sequence_run_of(network(), tokens(SENTENCE), 0, {})
    document = of_scene(run, language.words_in(lang)["titles"]["reader"], ABOUT)
    document["labels"] |= {"times": [*SENTENCE.replace(" ", SPACE)], "outputs": [*NEXT.replace(" ", SPACE)]}
    return document | {"edits": [], "own": ["text"], "reads": {"letters": LETTERS, "alike": ALIKE, "text": SENTENCE}}
