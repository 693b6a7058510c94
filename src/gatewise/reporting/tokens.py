"""The text that a run read, and its steps named after it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.errors import FileError, OptionError, ShapeError
from gatewise.files.budget import Budget
from gatewise.files.storage import read_text, readable, split_lines
from gatewise.insight.naming import token_names
from gatewise.interop.containers.json_document import read_document
from gatewise.records.brief_names import with_labels
from gatewise.records.labels import Labels

NUMBER = re.compile("[0-9]{1,18}")
Vocabulary = Sequence[str] | Mapping[int, str]


def read_vocabulary(path: Path) -> Vocabulary:
    """Return the words in a file: a .json list, or object of words by number or numbers by word; or a word a line.

    Raises
    ------
    FileError
        If it is none of these.
    """
    if path.suffix.lower() != ".json":
        return split_lines(read_text(path))
    try:
        content = read_document(readable(path), Budget.of(path))
    except FileError as problem:
        raise FileError(f"cannot read {path}: {problem}") from None
    if isinstance(content, list) and all(isinstance(word, str) for word in content):
        return content
    if isinstance(content, dict) and all(type(number) is int for number in content.values()):
        if len({*content.values()}) < len(content):
            raise FileError(f"{path} is not a vocabulary, because two words have the same number")
        return {number: word for word, number in content.items()}
    if isinstance(content, dict) and all(NUMBER.fullmatch(key) and isinstance(content[key], str) for key in content):
        return {int(key): word for key, word in content.items()}
    raise FileError(f"{path} is not a vocabulary. It must be a list of words, words by number, or numbers by word.")


def tokens_of(
    run: Any, text: str | Sequence[str] | None, vocabulary: Vocabulary | None, sequence: int | None
) -> tuple[str, ...] | None:
    """Return the characters or tokens that a sequence of a report's run read, a step each; None if nothing says which.

    A vocabulary has the words of tokens, or of the features where one feature of each step is 1 and the others are 0.
    The outputs of a model that predicts its next token are named after the same words.
    """
    network = run.network
    rows = None if network is None or network.embedding is None else len(network.embedding)
    if text is None and vocabulary is None:
        outputs = run.labels.outputs
        if outputs is None or len(outputs) != rows or (sequence is None and run.lstm.batch_size > 1):
            return None
        vocabulary = outputs
    if text is None and _is_of_outputs_alone(run, vocabulary, rows):
        return None
    steps = run.lstm.num_steps
    if sequence is None and run.lstm.batch_size > 1:
        raise OptionError(
            f"a text belongs to one sequence, but this run has {run.lstm.batch_size:,}. Choose one with sequence."
        )
    sequence = sequence or 0
    if text is not None:
        if not isinstance(text, (str, list, tuple)):
            raise OptionError(f"text must be a str, or a list of tokens, not {type(text).__name__}")
        if len(text) != steps:
            raise ShapeError(f"the text has {len(text):,} characters or tokens; this run has {steps:,} steps")
        return tuple(map(str, text))
    places = None if network is None or run.tokens is None else run.tokens[:, sequence]
    if places is None:
        x = run.require("the text of a run")[:, sequence]
        if not ((x == 0) | (x == 1)).all() or not (x.sum(1) == 1).all():
            raise OptionError(
                "a vocabulary needs tokens, or steps with one feature at 1 and the others at 0. Leave it out."
            )
        places = x.argmax(1)
    return tuple(token_names(places, vocabulary).tolist())


def _is_of_outputs_alone(run: Any, vocabulary: Vocabulary | None, rows: int | None) -> bool:
    """Return whether a vocabulary has as many words as a model has outputs, and another number than it reads."""
    if run.network is None or run.network.outputs_are_states or not isinstance(vocabulary, (Sequence, Mapping)):
        return False
    read = run.require("a vocabulary").shape[-1] if rows is None else rows
    return bool(len(vocabulary) == run.network.num_outputs != read)


def with_named_outputs(run: Any, vocabulary: Vocabulary | None) -> Any:
    """Return a run whose outputs have the words of a vocabulary, if it has one for each and they have no names."""
    network = run.network
    if vocabulary is None or network is None or network.outputs_are_states or run.labels.outputs is not None:
        return run
    if not isinstance(vocabulary, (Sequence, Mapping)) or len(vocabulary) != network.num_outputs:
        return run
    words = token_names(np.arange(network.num_outputs), vocabulary).tolist()
    return run if len({*words}) < len(words) else with_labels(run, lambda labels: labels.replace(outputs=words))


def with_quoted_outputs(run: Any, vocabulary: Vocabulary | None) -> Any:
    """Return a run in whose outputs' names words are in quotation marks, if these are words that it reads or of a text.

    Else a sentence about output the would be hard to read.
    """
    network, outputs = run.network, run.labels.outputs
    table = None if network is None else network.embedding
    if outputs is None or (vocabulary is None and (table is None or len(table) != len(outputs))):
        return run
    return with_labels(run, lambda labels: labels.replace(outputs=[repr(name) for name in outputs]))


def with_named_steps(run: Any, tokens: Sequence[str]) -> Any:
    """Return a run whose steps are named after its text: character 41 'x', or token 41 'the'."""
    noun = "character" if all(len(token) == 1 for token in tokens) else "token"
    names = tuple(f"{noun} {place} {token!r}" for place, token in enumerate(tokens))

    def rename(labels: Labels) -> Labels:
        return labels.replace(times=names)

    return with_labels(run, rename)
