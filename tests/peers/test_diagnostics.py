"""The laws of gradients and diagnostics once more, over all that the fast tests leave out: only time is heavy here."""

from __future__ import annotations

import pytest
from cases import VARIANTS
from pairwise import pairs

from tests.test_adjoints import RUNS, hold_adjoints
from tests.test_gradient_check import hold_right_gradients

pytestmark = pytest.mark.peers


@pairs(**RUNS)
def test_the_adjoints_of_every_variant_equal_central_differences(variant, projection, direction, valid, dropout):
    hold_adjoints(variant, projection, direction, valid, dropout)


@pytest.mark.parametrize("projection", ["unprojected", "projected"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_right_gradients_of_every_variant_agree_with_central_differences(variant, projection):
    hold_right_gradients(variant, projection)
