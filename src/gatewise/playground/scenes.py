"""The scenes of the teaching page: small pages in one file, each of a cell of its own.

A scene is a line in `SCENES`; what it shows besides the views of every page, if anything, is a line in `SCENE_VIEWS` of
``assets/teaching.js``. Its chapters name it as their ``scene``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gatewise.examples import latch
from gatewise.languages import language
from gatewise.layers import LSTM
from gatewise.network import Linear, Network
from gatewise.playground import lesson
from gatewise.playground.document import of_scene, of_scenes
from gatewise.playground.reader import reader_scene
from gatewise.playground.sequence_run import sequence_run_of
from gatewise.records.labels import Labels

OF_LEARNER = ["task", "delay", "optimiser", "rate", "clip", "bias", "seed", "sequence", "update"]  # in its address
LEARNED_STEPS = 40
Object = dict[str, Any]


def latch_scene(lang: str) -> Object:
    """Return the document of the first scene: a cell that writes a bit, holds it and releases it."""
    example = latch()
    run = sequence_run_of(LSTM.from_cells(example.cell), example.x, 0, {"state": ((example.state,),)})
    about = ["The cell is an example with weights set by hand: it writes a bit, holds it and releases it."]
    return of_scene(run, language.words_in(lang)["titles"]["latch"], about)


def learner_scene(lang: str) -> Object:
    """Return the document of a cell that learns: four units and one output, whose weights its own view sets."""
    network = Network(LSTM(3, 4, rng=0, dtype=np.float64), head=Linear(np.zeros((1, 4)), np.zeros(1)))
    labels = Labels(features=latch().cell.labels.features)
    run = sequence_run_of(network, np.zeros((LEARNED_STEPS, 3)), 0, {"labels": labels})
    about = ["The first weights are drawn on this page, which then trains them."]
    return of_scene(run, language.words_in(lang)["titles"]["learner"], about) | {"own": OF_LEARNER, "edits": []}


SCENES: Mapping[str, Callable[[str], Object]] = {"latch": latch_scene, "reader": reader_scene, "learner": learner_scene}


def teaching(lang: str = "en") -> Object:
    """Return the document of the playground's teaching page in a language."""
    title = language.words_in(lang)["titles"]["page"]
    scenes = {name: scene(lang) | {"about": []} for name, scene in SCENES.items()}  # the chapters say it
    return of_scenes(title, scenes, lesson.chapters(lang), lang)
