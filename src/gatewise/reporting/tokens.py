"""The text that a run read, and its steps named after it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
            raise FileError(f"{path} holds no vocabulary: two words have the same number")
        return {number: word for word, number in content.items()}
    if isinstance(content, dict) and all(NUMBER.fullmatch(key) and isinstance(content[key], str) for key in content):
        return {int(key): word for key, word in content.items()}
    raise FileError(f"{path} holds no vocabulary: a list of words, words by number, or numbers by word")


def tokens_of(
    run: Any, text: str | Sequence[str] | None, vocabulary: Vocabulary | None, sequence: int | None
) -> tuple[str, ...] | None:
    """Return the characters or tokens that a sequence of a report's run read, a step each; None if nothing says which.

    A vocabulary has the words of tokens, or of the features where one feature of each step is 1 and the others are 0.
    """
    if text is None and vocabulary is None:
        return None
    if text is not None and vocabulary is not None:
        raise OptionError("a report takes a text or a vocabulary, not both")
    steps = run.lstm.num_steps
    if sequence is None and run.lstm.batch_size > 1:
        raise OptionError(f"a text is that of one sequence, and this run has {run.lstm.batch_size:,}: name a sequence")
    sequence = sequence or 0
    if text is not None:
        if not isinstance(text, (str, list, tuple)):
            raise OptionError(f"text must be a str, or a list of tokens, not {type(text).__name__}")
        if len(text) != steps:
            raise ShapeError(f"the text has {len(text):,} characters or tokens; this run has {steps:,} steps")
        return tuple(map(str, text))
    places = None if run.network is None or run.tokens is None else run.tokens[:, sequence]
    if places is None:
        x = run.require("the text of a run")[:, sequence]
        if not ((x == 0) | (x == 1)).all() or not (x.sum(1) == 1).all():
            raise OptionError("a vocabulary is for tokens, or for steps of which one feature is 1 and the others are 0")
        places = x.argmax(1)
    return tuple(token_names(places, vocabulary).tolist())


def with_named_steps(run: Any, tokens: Sequence[str]) -> Any:
    """Return a run whose steps are named after its text: character 41 'x', or token 41 'the'."""
    noun = "character" if all(len(token) == 1 for token in tokens) else "token"
    names = tuple(f"{noun} {place} {token!r}" for place, token in enumerate(tokens))

    def rename(labels: Labels) -> Labels:
        return labels.replace(times=names)

    return with_labels(run, rename)
