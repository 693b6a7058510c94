"""Trained LSTMs that packages ship, too large to lie beside their answers: each gives those of its own runtime."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from referees import CLOSE, arrays

import gatewise as gw

pytestmark = pytest.mark.referees
LARGEST = 0.06  # difference of an output in 8 bits, whose runtime rounds the input and the hidden state at every step


def packaged(package, file):
    """Return a file of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"could not import '{package}'")
    return Path(spec.submodule_search_locations[0]) / file


def states(h, c):
    return [[gw.State(*pair)] for pair in zip(h, c, strict=True)]


def assert_close(case, run, lstm, *, batch_first=False, every=1):
    """Hold the output and the final states of one call."""
    given = {name: case[f"L{run}.{name}"] for name in ("x", "y", "h0", "c0", "hn", "cn") if f"L{run}.{name}" in case}
    x, y = (given[name].swapaxes(0, 1) if batch_first else given[name] for name in ("x", "y"))
    start = states(given["h0"], given["c0"]) if "h0" in given else None
    output, final = lstm(x, start)
    np.testing.assert_allclose(output[::every], y, rtol=0, atol=CLOSE)
    for ours, theirs in zip(final, states(given["hn"], given["cn"]), strict=True):
        np.testing.assert_allclose(ours[0].h, theirs[0].h, rtol=0, atol=CLOSE)
        np.testing.assert_allclose(ours[0].c, theirs[0].c, rtol=0, atol=5 * CLOSE)


def test_encoder_and_decoder_of_a_translator_give_the_numbers_of_pytorch():
    path, case = packaged("g2p_fa", "data/weights"), arrays("cases", "g2p_fa", "case.npz")
    for run in range(9):
        lstm = gw.load(path, "encoder.rnn" if run == 0 else "decoder.rnn").astype(np.float64)
        assert_close(case, run, lstm)


def test_a_checkpoint_from_before_1_6_gives_the_numbers_of_pytorch():
    path, case = packaged("resemblyzer", "pretrained.pt"), arrays("cases", "resemblyzer", "case.npz")
    assert_close(case, 0, gw.load(path).astype(np.float64), batch_first=True, every=4)


def test_lstms_in_8_bits_are_as_close_as_their_runtime_rounds():
    pytest.importorskip("onnx")
    path, case = packaged("dksplit", "models/dksplit-int8.onnx"), arrays("cases", "dksplit_int8", "case.npz")
    found = [one for one in gw.inspect(path).lstms if not one.stacked]
    assert len(found) == 3
    for run, one in enumerate(found):
        x, y = case[f"L{run}.x"], case[f"L{run}.y"]
        verdict = gw.verify(one.lstm, x, y, eight_bits=one.eight_bits)
        assert (one.eight_bits, verdict.verdict) == (True, "rounding")
        trace = one.lstm.trace(x)
        ours = np.stack([trace[0, way].hidden_state for way in ("forward", "backward")], axis=1)
        assert np.abs(ours - y).max() < LARGEST
