"""Trained models that come with gatewise, each with the data that it runs on.

The scripts in ``docs/training`` made all of them, weights and data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.network import Network

FOLDER = Path(__file__).parent / "trained"


@dataclass(frozen=True)
class ExampleFiles:
    """The files of a trained example.

    Attributes
    ----------
    model, input : Path
    answers : Path
        The outputs that PyTorch computed for the input.
    observed : Path or None
        The outputs that the model should have.
    values : Path or None
        Columns of numbers that the model was never given, such as a storage.
    text : Path or None
        What the steps of a model of tokens read: a character or a line for each step.
    """

    model: Path
    input: Path
    answers: Path
    observed: Path | None = None
    values: Path | None = None
    text: Path | None = None


def _files(name: str, input: str, **others: str) -> ExampleFiles:
    paths = {kind: FOLDER / f"{name}{ending}" for kind, ending in others.items()}
    return ExampleFiles(FOLDER / f"{name}.safetensors", FOLDER / input, FOLDER / f"{name}_answers.npy", **paths)


TRAINED = {
    "river": _files("river", "river.csv", observed="_observed.csv", values="_values.csv"),
    "amp": _files("amp", "amp.wav", observed="_observed.csv"),
    "flipflop": _files("flipflop", "flipflop.csv", observed="_observed.csv"),
    "agreement": _files("agreement", "agreement.npy", text=".txt"),
    "quotes": _files("quotes", "quotes.npy", text=".txt"),
}


class ExampleData(NamedTuple):
    """The data of a trained example.

    Attributes
    ----------
    x : array (time, feature), or of tokens (time)
        The input.
    observed : array (time, output) or None
        The outputs that the model should have.
    values : mapping of str to array (time)
        What the model was never given, by name: probes can look for it in the states.
    times : array of numpy.datetime64 (time) or None
    text : list of str or None
        What each token stands for.
    files : ExampleFiles
        The files that hold all this, for functions that open files.
    """

    x: npt.NDArray[Any]
    observed: Array | None
    values: Mapping[str, Array]
    times: npt.NDArray[np.datetime64] | None
    text: list[str] | None
    files: ExampleFiles


class TrainedExample(NamedTuple):
    """A trained model, and the data that it runs on."""

    model: Network
    data: ExampleData


def _open(name: str) -> TrainedExample:
    from gatewise.interop import load_network  # which a cell to learn from does not need
    from gatewise.opening.inputs import read_input
    from gatewise.opening.number_files import read_numbers

    files = TRAINED[name]
    numbers = read_input(files.input, None, None, None).single
    assert numbers is not None
    columns = None if files.values is None else read_numbers(files.values)
    network = load_network(files.model)
    assert isinstance(network, Network)
    text = "" if files.text is None else files.text.read_text(encoding="utf-8")
    data = ExampleData(
        numbers.values if numbers.dtype is None else numbers.values.astype(np.intp),
        None if files.observed is None else read_numbers(files.observed).values,
        {} if columns is None else dict(zip(columns.features or (), columns.values.T, strict=True)),
        None if numbers.times is None else np.asarray(numbers.times, np.datetime64),
        (text.splitlines() if "\n" in text else list(text)) or None,
        files,
    )
    return TrainedExample(network, data)


def river() -> TrainedExample:
    """Return a model of a river's discharge, and two years of daily rain and temperature.

    The basin is synthetic: snow, soil and groundwater store its water. The model never saw these two years. The values
    have the water that lies as snow, which the model was never given.

    Returns
    -------
    TrainedExample
        A network of 16 units. Inputs are precipitation (mm/d) and temperature (°C), and the output is the discharge
        (mm/d), (730, 1).

    Examples
    --------
    >>> model, data = gw.examples.river()
    >>> model.trace(data.x).output.shape, str(data.times[0])
    ((730, 1), '1998-10-02')
    """
    return _open("river")


def amp() -> TrainedExample:
    """Return a model of a guitar amplifier, and half a second of guitar at 16 kHz.

    Guitar and amplifier are simulated: a gain that sags after loud notes, and a pair of diodes that clip.

    Returns
    -------
    TrainedExample
        A network of 12 units. Input and output are voltages at each sample, (8000, 1).

    Examples
    --------
    >>> model, data = gw.examples.amp()
    >>> model.trace(data.x).output.shape
    (8000, 1)
    """
    return _open("amp")


def flipflop() -> TrainedExample:
    """Return a model that keeps three bits, and 300 steps of pulses that set them.

    This is the task of Sussillo & Barak (2013, "Opening the black box").

    Returns
    -------
    TrainedExample
        A network of 12 units. Each input has pulses of ±1, and its output is the sign of the last one, (300, 3).

    Examples
    --------
    >>> model, data = gw.examples.flipflop()
    >>> model.trace(data.x).output.shape
    (300, 3)
    """
    return _open("flipflop")


def agreement() -> TrainedExample:
    """Return a model that predicts the next word, and 400 words of sentences whose verbs agree with distant nouns.

    A small grammar after Lakretz et al. (2019) made the sentences.

    Returns
    -------
    TrainedExample
        A network of 32 units. Inputs are tokens, and the 36 outputs are the scores of the next word.

    Examples
    --------
    >>> model, data = gw.examples.agreement()
    >>> " ".join(data.text[:6]), model.trace(data.x).output.shape
    ('the boy near the dogs watches', (400, 36))
    """
    return _open("agreement")


def quotes() -> TrainedExample:
    """Return a model that predicts the next character, and 600 characters of text with quotations.

    Inside quotation marks words are spelled backwards, so that the model has to remember whether a quotation is open.
    After Karpathy et al. (2015), who found a unit that does.

    Returns
    -------
    TrainedExample
        A network of 40 units. Inputs are tokens, and the outputs are the scores of the next character.

    Examples
    --------
    >>> model, data = gw.examples.quotes()
    >>> len(data.text), model.labels.outputs[:3]
    (600, (' ', '.', '"'))
    """
    return _open("quotes")
