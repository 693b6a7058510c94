"""Every node test of the package onnx is exact or refused by name."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
from onnx_nodes import outcome_of

pytestmark = pytest.mark.peers

pytest.importorskip("onnx")

LEAST_EXACT = 980


def test_each_node_test_of_onnx_is_exact_or_refused_by_name():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of onnx, as it computes what it expects
        from onnx.backend.test.loader import load_model_tests

        cases = load_model_tests(kind="node")
    outcomes = {case.name: outcome_of(case) for case in cases}
    assert {name: one.why for name, one in outcomes.items() if one.kind == "wrong"} == {}
    assert [name for name, one in outcomes.items() if one.kind == "refused" and len(one.why) < 20] == []
    counts = Counter(one.kind for one in outcomes.values())
    assert counts["exact"] >= LEAST_EXACT
    assert counts.total() >= 1871
