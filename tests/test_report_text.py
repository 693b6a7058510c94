"""A report on a text: its steps are named after what was read; and what a report says of how it was made."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from cases import refusal
from program import exit_code, refusal_of

import gatewise as gw
from gatewise.cli.options import tokens_in
from gatewise.reporting import build, questions
from gatewise.reporting.questions import QUESTIONS
from gatewise.reporting.tokens import read_vocabulary

WORDS = ["a", "b", "(", ")", "\n"]
TEXT = "".join(np.random.default_rng(0).choice(WORDS, 40))


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Ask what names steps alone, and search little."""
    monkeypatch.setattr(questions, "STARTS", 1)
    asked = ("What is in it", "How long", "Why", "Who wrote")
    monkeypatch.setattr(build, "QUESTIONS", tuple(one for one in QUESTIONS if one.title.startswith(asked)))


def models():
    """Return a network that embeds the tokens of the text, an LSTM of one-hot rows, and their inputs."""
    tokens = np.array([WORDS.index(letter) for letter in TEXT])
    rng = np.random.default_rng(1)
    head = gw.Linear(rng.normal(size=(5, 6)), None, "softmax")
    network = gw.Network(gw.LSTM(4, 6, rng=0, dtype=np.float64), embedding=rng.normal(size=(5, 4)), head=head)
    return {"tokens": (network, tokens), "rows": (gw.LSTM(5, 6, rng=0, dtype=np.float64), np.eye(5)[tokens])}


@pytest.mark.subjects(1)
@pytest.mark.parametrize("kind", ["tokens", "rows"])
def test_steps_are_named_after_the_text_or_the_words_of_the_vocabulary(kind):
    model, x = models()[kind]
    by_text, by_list, by_mapping = (
        str(gw.report(model, x, at=[9, 30], **given))
        for given in ({"text": TEXT}, {"vocabulary": WORDS}, {"vocabulary": dict(enumerate(WORDS))})
    )
    assert f"character 9 {TEXT[9]!r} and at character 30 {TEXT[30]!r}" in by_text
    assert f"Why this output at character 30 {TEXT[30]!r}?" in by_text
    assert "A change of one character's input shows" in by_text
    assert by_list == by_mapping
    unnamed = [re.sub(r"utput (\d|'[^']+')", "", page) for page in (by_text, by_list)]
    assert unnamed[0] == unnamed[1]  # the vocabulary has words for outputs, too
    assert "token 9 'b'" in str(gw.report(model, x, at=9, text=["the", *"b" * 39]))


def test_a_text_is_the_picture_of_what_is_explained():
    model, x = models()["rows"]
    (why, *_) = (one for one in gw.report(model, x, at=30, text=TEXT).findings if one.question.startswith("Why"))
    assert why.answer.tokens.tolist() == list(TEXT)


def test_a_vocabulary_names_outputs_beside_a_text_and_labels_name_what_is_read():
    network, tokens = models()["tokens"]
    both = gw.report(network, tokens, at=9, text=TEXT.upper(), vocabulary=WORDS, target=1)
    assert f"explains output 'b': its value at character 9 {TEXT[9].upper()!r}" in both.lead
    named = network.replace(labels=gw.Labels(outputs=WORDS))
    assert f"output 'b': its value at character 9 {TEXT[9]!r}" in gw.report(named, tokens, at=9, target="b").lead
    batch = gw.report(named, np.stack([tokens, tokens], axis=1), at=9)
    assert "at step 9 of sequence 0" in batch.lead  # no text is that of several sequences


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_outputs_of_a_tagger_are_classes_which_a_vocabulary_names(both_ways):
    rng = np.random.default_rng(2)
    head = gw.Linear(rng.normal(size=(3, 12 if both_ways else 6)))
    lstm = gw.LSTM(4, 6, rng=0, dtype=np.float64, bidirectional=both_ways)
    network, tokens = gw.Network(lstm, embedding=rng.normal(size=(9, 4)), head=head), rng.integers(0, 9, 60)
    found = gw.report(network, tokens, vocabulary=["NOUN", "VERB", "OTHER"])
    assert re.search(
        r"explains output '(NOUN|VERB|OTHER)': its values? at step .* where the model is most sure", found.lead
    )
    answer = gw.insight.ablation(network, tokens, output=0)
    assert "the logit of output 0 moves by" in str(answer)
    assert "the share of outputs with another class" in str(gw.insight.ablation(network, tokens))
    measured = network.replace(labels=gw.Labels(outputs=["a", "b", "c"], measures={"a": ("height", "m")}))
    assert "logit" not in str(gw.insight.ablation(measured, tokens, output=0))


def test_a_text_that_does_not_fit_is_refused_in_a_sentence():
    (network, tokens), (lstm, rows) = models().values()
    for model, x, given, words in (
        (network, tokens, {"text": TEXT[:-1]}, "39 characters or tokens; this run has 40 steps"),
        (network, tokens, {"text": 3}, "text must be a str, or a list of tokens, not int"),
        (network, tokens, {"vocabulary": WORDS[:2]}, "no word for one of the tokens"),
        (lstm, 0.5 * rows, {"vocabulary": WORDS}, "one feature at 1 and the others at 0"),
        (lstm, rows[:, None].repeat(3, 1), {"text": TEXT}, "this run has 3. Choose one with sequence"),
        (network, tokens, {"vocabulary": 5}, "a list of words, or a mapping of numbers to words, not 5"),
        (lstm, rows, {"vocabulary": "ab()"}, "a list of words, or a mapping of numbers to words, not 'ab()'"),
    ):
        with refusal(words, by=gw.GatewiseError):
            gw.report(model, x, **given)
    assert "character 9" in gw.report(lstm, rows[:, None].repeat(3, 1), at=9, text=TEXT, sequence=1).lead


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.txt", "a\nb\n(\n)\n?\n"),
        ("v.json", json.dumps(["a", "b", "(", ")", "?"])),
        ("v.json", json.dumps({"0": "a", "1": "b", "2": "(", "3": ")", "4": "?"})),
        ("v.json", json.dumps({"?": 4, "a": 0, ")": 3, "b": 1, "(": 2})),
    ],
)
def test_a_vocabulary_is_read_from_lines_lists_and_both_directions(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    words = read_vocabulary(tmp_path / name)
    assert [words[place] for place in range(5)] == ["a", "b", "(", ")", "?"]


def test_lines_end_at_line_breaks_alone(tmp_path):
    (tmp_path / "v.txt").write_bytes("the\r\npage\x0cbreak\nb\u2028c\n\x85".encode())
    assert read_vocabulary(tmp_path / "v.txt") == ["the", "page\x0cbreak", "b\u2028c", "\x85"]
    for text in (TEXT, f"{TEXT}\n"):
        assert tokens_in(text, 40) == TEXT
    assert tokens_in("the\ncat\n", 2) == ["the", "cat"]
    assert tokens_in("", 2) == []


@pytest.mark.parametrize(
    "content",
    [
        "3",
        '{"a": 0, "b": 0}',
        '{"' + "9" * 5000 + '": "a"}',
        '["a", 1]',
        '{"a": "b"}',
        '{"a": 1.5}',
        "{",
        '{"a": 1, "a": 2}',
        "[" * 9999,
    ],
)
def test_what_is_no_vocabulary_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "v.json").write_text(content)
    with refusal("v.json", by=gw.GatewiseError):
        read_vocabulary(tmp_path / "v.json")


@pytest.mark.thorough
def test_the_program_reads_texts_and_says_how_the_page_was_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network, tokens = models()["tokens"]
    gw.save(network, "m.safetensors")
    np.save("x.npy", tokens)
    Path("t.txt").write_text(TEXT)
    assert exit_code(["report", "m.safetensors", "x.npy", "--at", "9", "--text", "t.txt", "-o", "r.html"]) == 0
    page = Path("r.html").read_text(encoding="utf-8")
    assert f"character 9 {TEXT[9]!r}".replace("'", "&#x27;") in page
    assert "gatewise report m.safetensors x.npy --at 9 --text t.txt -o r.html" in page
    assert hashlib.sha256(Path("m.safetensors").read_bytes()).hexdigest() in page
    assert f"gatewise {gw.__version__}; random numbers from seed 0" in page
    Path("t.txt").write_text(TEXT + "!")
    assert "characters or tokens" in refusal_of(capsys, "report", "m.safetensors", "x.npy", "--text", "t.txt")


def test_the_edits_of_a_run_are_among_its_facts():
    model, x = models()["rows"]
    facts = dict(gw.report(model.trace(x, edit=gw.Edit.set("forget_gate", 0.5, steps=3))).facts)
    assert "forget_gate set to 0.5 at step 3" in facts["Edits of the run"]
