"""Findings of the literature on recurrent networks, found again in the trained examples by gatewise's own questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gatewise.arrays import Array
from gatewise.errors import one_of
from gatewise.examples.trained_models import agreement, flipflop, quotes, river
from gatewise.margins import first_largest

NOUNS = ("boy", "girl", "farmer", "actor", "car", "tree", "dog", "aunt")
VERBS = {"singular": ("greets", "knows", "sees", "likes", "hears", "watches")}
VERBS["plural"] = ("greet", "know", "see", "like", "hear", "watch")
BETWEEN = ("near", "behind")


@dataclass(frozen=True)
class Reproduction:
    """A finding of a paper, and what the same question finds in a trained example.

    Attributes
    ----------
    source : str
        The paper.
    published : str
        What it found.
    found : tuple of str
        What was found here, in sentences.
    calls : tuple of str
        The lines of Python that find it.
    numbers : mapping
        The numbers in those sentences, by what they are of.

    Examples
    --------
    >>> answer = gw.examples.reproduce("flipflop")
    >>> answer.source
    'Sussillo & Barak (2013), "Opening the Black Box"'
    >>> answer.numbers["stable"]
    8
    """

    source: str
    published: str
    found: tuple[str, ...]
    calls: tuple[str, ...]
    numbers: Mapping[Any, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        found, calls = "\n".join(f"  {line}" for line in self.found), "\n".join(f"  {line}" for line in self.calls)
        return f"{self.source}\n\nPublished\n  {self.published}\n\nFound here\n{found}\n\nThe calls\n{calls}"


def reproduce(name: str) -> Reproduction:
    """Repeat a finding of the literature in a trained example.

    Each run asks the questions anew. It takes seconds.

    Parameters
    ----------
    name : {"flipflop", "agreement", "river", "quotes"}
        Fixed points of three bits that are kept, number units of long-distance agreement, snow in a cell state, or a
        unit that follows quotations.

    Raises
    ------
    OptionError
        If there is no finding of that name.
    """
    return REPRODUCTIONS[one_of("name", name, tuple(REPRODUCTIONS))]()


def _flipflop() -> Reproduction:
    from gatewise.insight import fixed_points  # which the program's help does not need

    model, data = flipflop()
    run = model.trace(data.x)
    points = fixed_points(run[0], starts=100)
    assert model.head is not None
    outputs = model.head(points.hidden_state)
    stable = np.array([kind == "stable" for kind in points.kinds])
    corners = np.sign(outputs[stable])
    off = float(np.abs(outputs[stable] - corners).max())
    saddles = points.columns["growing"] == 1
    # On an edge of the cube, two bits have values and the third is between its own.
    edges = saddles & ((np.abs(outputs) > 0.8).sum(axis=1) == 2)
    numbers = {
        "stable": int(stable.sum()),
        "corners": len({tuple(corner) for corner in corners}),
        "off": off,
        "saddles": int(saddles.sum()),
        "edges": int(edges.sum()),
    }
    return Reproduction(
        'Sussillo & Barak (2013), "Opening the Black Box"',
        "A network that keeps three bits has a stable fixed point for each of the eight memories. Saddle points with"
        " one unstable direction lie between them, and mediate the transitions.",
        (
            points.sentence,
            f"The stable points hold {numbers['corners']} different memories. Outputs are within {off:.2g} of ±1.",
            f"{numbers['saddles']} saddles have one unstable direction. At {numbers['edges']} of them, two bits keep"
            " their values and the third is in between.",
        ),
        (
            "model, data = gw.examples.flipflop()",
            "run = model.trace(data.x)",
            "points = gw.insight.fixed_points(run[0], starts=100)",
            "outputs = model.head(points.hidden_state)",
        ),
        numbers,
    )


def sentences(words: Sequence[str], subject: str, between: str) -> npt.NDArray[np.intp]:
    """Return beginnings of sentences such as ". the boy near the cars behind the dogs", up to the verb.

    Parameters
    ----------
    words : sequence of str
        The vocabulary of the model: the names of its outputs.
    subject, between : {"singular", "plural"}
        The number of the subject, and that of the two nouns between it and its verb.

    Returns
    -------
    array of int (9, 64)
        A sentence for each pair of a subject and another noun.
    """
    place = {word: number for number, word in enumerate(words)}
    ending, other = ("s" if number == "plural" else "" for number in (subject, between))
    rows = [
        [".", "the", first + ending, *(part for word in BETWEEN for part in (word, "the", second + other))]
        for first in NOUNS
        for second in NOUNS
    ]
    return np.array([[place[word] for word in row] for row in rows]).T


def agreeing(words: Sequence[str], output: Array, subject: str) -> float:
    """Return the share of sentences after which the most likely verb has the number of the subject.

    Parameters
    ----------
    words : sequence of str
        The vocabulary of the model.
    output : array (time, batch, words)
        Its output for `sentences`.
    subject : {"singular", "plural"}
    """
    best = {
        number: output[-1][:, [words.index(verb) for verb in verbs]].max(axis=-1) for number, verbs in VERBS.items()
    }
    other = "plural" if subject == "singular" else "singular"
    return float((best[subject] > best[other]).mean())


def _agreement() -> Reproduction:
    from gatewise.insight import ablation  # which the program's help does not need

    model, _ = agreement()
    words = model.labels.outputs
    assert words is not None
    found: list[str] = []
    numbers: dict[tuple[str, str], dict[str, float]] = {}
    for subject in VERBS:
        for between in VERBS:
            x = sentences(words, subject, between)
            answer = ablation(model, x, metric=partial(agreeing, words, subject=subject))
            unchanged = agreeing(words, model.trace(x).output, subject)
            (unit, share), (other, next_share) = sorted(
                zip(answer.columns["edit"].tolist(), answer.columns["metric"].tolist(), strict=True),
                key=lambda row: row[1],
            )[:2]
            numbers |= {(subject, between): {"whole": unchanged, unit: share, other: next_share}}
            without = "and as many without any one unit"
            if share < unchanged:
                without = f"{share:.0%} without {unit}, and {next_share:.0%} without {other}"
            found.append(f"{subject} subject, {between} nouns between: {unchanged:.0%} of the verbs agree, {without}.")
    found = [line[0].upper() + line[1:].replace("%", " %") for line in found]
    return Reproduction(
        'Lakretz et al. (2019), "The emergence of number and syntax units in LSTM language models"',
        "Two units carry the number of the subject over long distances, one for each number. Without one of them, verbs"
        " of that number no longer agree if nouns of the other number are between. All other sentences stay right.",
        tuple(found),
        (
            "from gatewise.examples.literature import agreeing, sentences",
            "model, _ = gw.examples.agreement()",
            "words = model.labels.outputs",
            'x = sentences(words, "plural", "singular")',
            'answer = gw.insight.ablation(model, x, metric=lambda y: agreeing(words, y, "plural"))',
        ),
        numbers,
    )


def _river() -> Reproduction:
    from gatewise.insight import effect, probe  # which the program's help does not need

    model, data = river()
    run = model.trace(data.x)
    snow = data.values["snow"]
    answer = probe(run[0], snow, name="snow")
    unit = first_largest(np.abs(answer.columns["correlation"]))
    correlation = float(answer.columns["correlation"][unit])
    change = effect(run, unit=unit, scale=0)
    difference = np.abs(change.difference[:, 0, 0])
    melting = (snow > 0) & (data.x[:, 1] > 0)
    numbers = {
        "unit": unit,
        "correlation": correlation,
        "melting": float(difference[melting].mean()),
        "bare": float(difference[(snow == 0)].mean()),
    }
    return Reproduction(
        'Lees et al. (2022), "Hydrological concept formation inside long short-term memory (LSTM) networks"',
        "An LSTM that was trained on discharge alone keeps the snow of the basin in its cell states. A linear probe"
        " reads it from there.",
        (
            answer.sentence,
            f"The model never saw the snow. Its correlation with the cell state of unit {unit} is {correlation:.2f}.",
            f"Without unit {unit} the discharge changes by {numbers['melting']:.2f} mm/d on days when snow melts, and"
            f" by {numbers['bare']:.2f} mm/d on days without snow.",
        ),
        (
            "model, data = gw.examples.river()",
            "run = model.trace(data.x)",
            'answer = gw.insight.probe(run[0], data.values["snow"], name="snow")',
            f"change = gw.insight.effect(run, unit={unit}, scale=0)",
        ),
        numbers,
    )


def _quotes() -> Reproduction:
    from gatewise.insight import effect, probe  # which the program's help does not need

    model, data = quotes()
    run = model.trace(data.x)
    assert data.text is not None
    marks = [character == '"' for character in data.text]
    inside = np.cumsum(marks) % 2
    answer = probe(run[0], inside, name="being inside a quotation")
    unit = answer.best
    change = effect(run, unit=unit, scale=0)
    before, after = (_bits(output.reshape(len(data.x), -1), data.x) for output in (run.output, change.run.output))
    spoken = inside[:-1] == 1
    spoken_before, spoken_after = (float(bits[spoken].mean()) for bits in (before, after))
    other_before, other_after = (float(bits[~spoken].mean()) for bits in (before, after))
    numbers = {
        "correlation": float(answer.columns["correlation"][unit]),
        "held_out": answer.held_out,
        "inside": (spoken_before, spoken_after),
        "outside": (other_before, other_after),
    }
    return Reproduction(
        'Karpathy, Johnson & Fei-Fei (2015), "Visualizing and Understanding Recurrent Networks"',
        "Of the units of an LSTM that predicts the next character, one is on inside quotations and off outside.",
        (
            answer.sentence,
            f"In blocks that were held out, unit {unit} has r {answer.held_out:.2f} with being inside.",
            f"Without unit {unit}, a character inside a quotation costs {spoken_after:.2f} bits instead of"
            f" {spoken_before:.2f}, and one outside {other_after:.2f} instead of {other_before:.2f}.",
        ),
        (
            "import numpy as np",
            "model, data = gw.examples.quotes()",
            "run = model.trace(data.x)",
            "inside = np.cumsum([character == '\"' for character in data.text]) % 2",
            'answer = gw.insight.probe(run[0], inside, name="being inside a quotation")',
            f"change = gw.insight.effect(run, unit={unit}, scale=0)",
        ),
        numbers,
    )


def _bits(scores: Array, tokens: npt.NDArray[Any]) -> Array:
    """Return the bits with which scores (time, token) predict each next token."""
    scores = scores.astype(np.float64)
    scores = scores - scores.max(-1, keepdims=True)
    scores = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    bits: Array = -scores[np.arange(len(tokens) - 1), tokens[1:]] / np.log(2)
    return bits


REPRODUCTIONS = {"flipflop": _flipflop, "agreement": _agreement, "river": _river, "quotes": _quotes}
