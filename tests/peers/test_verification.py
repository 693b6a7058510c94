"""The mistakes of runtimes once more, in LSTMs that the fast tests leave out: only time is heavy here."""

from __future__ import annotations

import pytest
from test_verification import hold_every_mistake

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("seed", range(12))
def test_every_mistake_that_is_looked_for_is_found_in_a_dozen_lstms(seed):
    hold_every_mistake(seed)
