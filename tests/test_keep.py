"""Keeping less: exactly that part of the whole, and what it then cannot tell."""

from __future__ import annotations

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise.records.keep import QUANTITIES, Keep


def test_keep_is_settled_once():
    assert Keep("cell_state").quantities == ("cell_state",)
    assert Keep(("hidden_state", "input_gate")).quantities == ("input_gate", "hidden_state")  # in the order of all
    assert Keep().everything
    assert not Keep(units=(0,)).everything


@cases.meeting(
    3,
    projection=["unprojected", "projected"],
    direction=cases.DIRECTIONS,
    keep=[*QUANTITIES, ("forget_gate", "cell_state"), ("output_gate", "input_gate"), None],
    units=[None, (2,), (3, 0, 3)],
    every=[1, 2, 7],
)
def test_what_is_kept_is_exactly_that_part_of_the_whole(projection, direction, keep, units, every):
    run = cases.run_of("plain", projection=projection, valid="mask", direction=direction, time=5)
    whole, part = run.trace(), run.trace(keep=keep, units=units, every=every)
    names = QUANTITIES if keep is None else (keep,) if isinstance(keep, str) else keep
    assert len(part) == len(range(0, 5, every))
    for name in QUANTITIES:
        if name not in names:
            if name != "unprojected_state" or projection != "unprojected" or "hidden_state" not in names:
                with pytest.raises(gw.NotKeptError):
                    part.quantity(name)
            continue
        expected = whole.quantity(name)[::every]
        if units is not None and not (name == "hidden_state" and projection != "unprojected"):
            expected = expected[..., units]
        np.testing.assert_array_equal(part.quantity(name), expected, err_msg=name)
    for when in ("initial", "final"):
        np.testing.assert_array_equal(getattr(part, when).c, getattr(whole, when).c)


def test_the_gates_side_by_side_are_those_that_were_kept():
    run = cases.run_of("plain")
    np.testing.assert_array_equal(run.trace(keep=["output_gate", "forget_gate"]).gates, run.trace().gates[:, :, [1, 3]])


@pytest.mark.parametrize("less", [{"keep": ["forget_gate"]}, {"units": [0, 1, 2, 3]}, {"every": 2}])
@pytest.mark.parametrize(
    "ask",
    [
        lambda trace: trace.step(0),
        lambda trace: trace[0, 0],
        lambda trace: trace[0:2],
        lambda trace: trace.previous,
        lambda trace: trace.combined_input,
        lambda trace: trace.preactivations,
        lambda trace: trace.preactivation("forget_gate"),
        lambda trace: gw.backward(trace, np.zeros((3, 3, 4))),
    ],
)
def test_a_trace_that_kept_less_says_what_it_cannot_tell(less, ask):
    with cases.refusal("needs a whole trace", "keep, units and every", by=gw.NotKeptError):
        ask(cases.run_of("plain").trace(**less))


def test_a_quantity_that_was_not_kept_is_missed_by_name():
    trace = cases.run_of("plain").trace(keep=["forget_gate", "cell_state"])
    for name in ("input_gate", "candidate", "hidden_state"):
        with cases.refusal(f"did not keep {name}", "forget_gate, cell_state", by=gw.NotKeptError):
            trace.quantity(name)
    with cases.refusal("did not keep gates", "cell_state", by=gw.NotKeptError):
        _ = cases.run_of("plain").trace(keep=["cell_state"]).gates


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"keep": "gates"}, ["'gates'", "input_gate", "unprojected_state"]),
        ({"keep": ["cell_state", "h"]}, ["'h'", "hidden_state"]),
        ({"keep": 5}, ["keep", "5"]),
        ({"units": [4]}, ["unit 4", "0 to 3"]),
        ({"units": [-1]}, ["units", "[-1]"]),
        ({"units": []}, ["units", "[]"]),
        ({"units": ["a"]}, ["units", "['a']"]),
        ({"units": [1.7]}, ["units", "1.7"]),
        ({"every": 0}, ["every", "at least 1", "0"]),
        ({"every": 1.5}, ["every", "integer", "1.5"]),
    ],
)
def test_a_wrong_wish_for_less_is_refused_in_one_sentence(options, parts):
    with cases.refusal(*parts, by=gw.OptionError):
        cases.run_of("plain").trace(**options)
