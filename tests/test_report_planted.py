"""The first lines of a report are true: models that were set by hand, whose truth is known."""

from __future__ import annotations

import re

import planted_models
import pytest

import gatewise as gw
from gatewise.reporting import build, questions

ASKED = (
    "How long",
    "What does it use",
    "Do its weights",
    "Why",
    "What do its units",
    "Which units carry",
    "Is any gate",
)


@pytest.fixture(autouse=True)
def what_makes_headlines(monkeypatch):
    """Leave out the questions without a headline."""
    monkeypatch.setattr(build, "QUESTIONS", [each for each in questions.QUESTIONS if each.title.startswith(ASKED)])


def test_there_are_24_planted_models():
    assert len(planted_models.MODELS) >= 24


@pytest.mark.subjects(1)
@pytest.mark.parametrize("name", planted_models.MODELS)
def test_the_headlines_are_the_planted_truth_and_none_is_false(name):
    planted = planted_models.MODELS[name]()
    report = gw.report(planted.model, planted.x, **planted.options)
    headlines = [finding.headline for finding in report.headlines]
    text = "\n".join(headlines)
    assert 0 < len(headlines) <= 5, str(report)
    for pattern in planted.says:
        assert any(re.search(pattern, headline) for headline in headlines), f"{pattern}\n{report}"
    for pattern in planted.never:
        assert not re.search(pattern, text), f"{pattern}\n{report}"
