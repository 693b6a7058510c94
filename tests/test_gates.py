"""The gates' names and orders."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise import gates

# By hand, from the frameworks' own documents: where each keeps the input gate, forget gate, candidate, output gate.
WRITTEN = {
    "gatewise": ["input_gate", "forget_gate", "candidate", "output_gate"],
    "pytorch": ["input_gate", "forget_gate", "candidate", "output_gate"],
    "cudnn": ["input_gate", "forget_gate", "candidate", "output_gate"],
    "equinox": ["input_gate", "forget_gate", "candidate", "output_gate"],
    "keras": ["input_gate", "forget_gate", "candidate", "output_gate"],
    "onnx": ["input_gate", "output_gate", "forget_gate", "candidate"],
    "haste": ["input_gate", "candidate", "forget_gate", "output_gate"],
    "haiku": ["input_gate", "candidate", "forget_gate", "output_gate"],
    "tensorflow": ["input_gate", "candidate", "forget_gate", "output_gate"],
    "deeplearning4j": ["candidate", "forget_gate", "output_gate", "input_gate"],
}


def test_every_framework_s_order_is_the_one_written_down():
    found = {name: [gates.NAMES[gates.index(letter)] for letter in order] for name, order in gates.ORDERS.items()}
    assert found == WRITTEN


@pytest.mark.parametrize("source", gates.ORDERS)
def test_reordering_brings_every_gate_to_its_place(source):
    theirs = np.array(WRITTEN[source])
    assert gates.reorder(theirs, source).tolist() == list(gates.NAMES)
    for target in gates.ORDERS:
        assert gates.reorder(theirs, source, target).tolist() == WRITTEN[target]
        assert gates.reorder(np.stack([theirs, theirs]), source, target, axis=1).tolist() == [WRITTEN[target]] * 2


def test_a_gate_is_found_by_its_name_and_by_its_letter():
    assert [gates.index(name) for name in gates.NAMES] == [0, 1, 2, 3]
    assert [gates.index(letter) for letter in "ifgo"] == [0, 1, 2, 3]


@pytest.mark.parametrize("wrong", ["forget", "", "if", "ifgo", "c", "Forget_gate"])
def test_a_gate_that_does_not_exist_is_refused_by_name(wrong):
    with cases.refusal(repr(wrong), *gates.NAMES, by=gw.OptionError):
        gates.index(wrong)


@pytest.mark.parametrize(("source", "target"), [("theano", "gatewise"), ("gatewise", "theano")])
def test_an_unknown_framework_is_refused_by_name(source, target):
    with cases.refusal("'theano'", "keras", "deeplearning4j", by=gw.OptionError):
        gates.reorder(np.zeros(4), source, target)
