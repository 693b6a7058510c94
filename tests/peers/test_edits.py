"""The laws of edited runs once more, over all pairs of subjects: only time is heavy here."""

from __future__ import annotations

import pytest
from edited_walks import FIXTURES, HELD, SUBJECTS, hold
from pairwise import pairs

from gatewise.walkthrough.notation import NOTATIONS

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("few_differences")]


def readable(case):
    """Leave out what a law has no reader of: units that are expanded."""
    return not (case.get("law") in ("JSON", "every format") and case.get("way") == "expanded")


@pairs(**SUBJECTS, law=HELD, notation=NOTATIONS, allowed=readable)
def test_every_format_shows_edits_with_numbers_that_follow(
    variant, projection, dropout, turn, way, law, notation, monkeypatch, request
):
    request.getfixturevalue(FIXTURES.get(law, "few_differences"))
    hold(law, monkeypatch, variant, projection, dropout, turn, way, notation)
