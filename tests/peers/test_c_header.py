"""Networks as headers of C, in every build: the numbers of float64, blocks that are steps, resets that are resets."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from c_headers import BUILDS, STRICT, input_of, missing, network_of, outcome, run, subjects

import gatewise as gw
from gatewise.c_header.document import cell_sizes
from gatewise.c_header.writing import LEAST, TIMES, _in_precision

pytestmark = pytest.mark.peers
SUBJECTS = subjects()
HERE = [build for build in BUILDS if not missing(build)]


def test_every_compiler_is_here():
    assert {BUILDS[build][0] for build in HERE} == {"gcc", "g++", "clang"}


def exact_run(network, x, dtype):
    """Return what a network puts out at each step in NumPy, its states and its gates."""
    net = _in_precision(network, dtype)
    fed = x[:, 0].astype(int) if net.embedding is not None else x.astype(np.float64)
    run = net.trace(fed, engine="reference")
    traces = [run.lstm[layer] for layer in range(net.lstm.num_layers)]
    states = np.concatenate([a for t in traces for a in (t.hidden_state, t.cell_state)], axis=1)
    gates = np.concatenate([t.gates.reshape(len(x), -1) for t in traces], axis=1)
    return run.output, states, gates


def off(found, right):
    return float((np.abs(found - right) / (1 + np.abs(right))).max())


def check(network, x, out, tolerance, truth, silent=1e-6):
    """Return what is wrong with a build's run, in words."""
    y, states, gates = truth
    valid = np.ones(len(x), bool)
    if network.masked is not None:
        valid = (x != np.float32(network.masked)).any(1)
    wrong = {
        "outputs": off(out.y, y) > tolerance,
        "states": off(out.states[valid], states[valid]) > tolerance,
        "gates": off(out.gates[valid], gates[valid]) > tolerance,
        "blocks": not np.array_equal(out.blocks, out.y),
        "reset": not np.array_equal(out.after_nan, out.y),
        "get and set": not np.array_equal(out.resumed, out.y),
        "its own test": out.passed != 0,
        "rest": out.rest is not None and off(out.rested, out.rest) > silent,
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]


def sizes(network):
    layers = cell_sizes(network)
    return network.num_outputs, sum(map(sum, layers)), sum(4 * c for _, c in layers)


@pytest.mark.parametrize("number", range(len(SUBJECTS)))
def test_a_header_computes_what_its_network_does_in_every_build(number, tmp_path):
    network = network_of(SUBJECTS[number], seed=number)
    x = input_of(network)
    header = gw.write_c(network, tmp_path / "net.h")
    truth, narrow = (exact_run(network, x, dtype) for dtype in (np.float64, np.float32))
    tolerance = max(LEAST, TIMES * max(off(n, t) for n, t in zip(narrow, truth, strict=True)))
    for build in HERE:
        out = outcome(run(tmp_path, build, x), *sizes(network))
        assert check(network, x, out, tolerance, truth) == [], (SUBJECTS[number], build, header.sentences)


MUTANTS = {  # of a header, one change each that must not go unseen
    "input and forget gates are exchanged": (r"dot_W_i = ", "dot_W_f @= ", r"dot_W_f = ", "dot_W_i = "),
    "the reset does nothing": (r"memset\(s, 0, sizeof \*s\);", "(void)s;"),
    "the rows that are left over are not computed": (
        r"for \(u = 16; u < 18; u \+= 1\) net_layer0",
        "for (u = 16; u < 17; u += 1) net_layer0",
    ),
    "a block begins with its second step": (
        r"for \(k = 0; k < n; k\+\+\) net_run",
        "for (k = n > 1; k < n; k++) net_run",
    ),
    "the hidden state is not carried": (r"net_store_\d+\(s->h1 \+ u, v_h\);", "(void)v_h;"),
    "the bias of the candidate is missing": (r" \+ v_b_g;", " + 0.0f * v_b_g;"),
    "faint states are those below a half": (r"0x26901d7d", "0x3f000000"),
    "tanh ends at 1": (r"9\.0199966f", "1.0f"),
    "h and c are exchanged as they are set": (r"memcpy\(s->c0, flat \+ 18", "memcpy(s->c0, flat + 0"),
    "the features are not added": (r" \+ v_s;", " + 0.0f * v_s;"),
    "the second layer reads its own state": (r"(layer1_w0[^,]*, 72), s->h0", r"\1, s->h1"),
    "half of a sum is forgotten": (r"\(s0_5 \+ s1_5\)", "(s0_5 + 0.0f * s1_5)"),
    "the products of the vector before are lost": (r" = more \?", " = !more ?"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mistake_in_a_header_is_seen(mutant, tmp_path):
    rng = np.random.default_rng(3)
    lstm = gw.LSTM(1, 18, num_layers=2, rng=rng)
    head = gw.Linear(rng.normal(size=(1, 18)).astype(np.float32), rng.normal(size=1).astype(np.float32))
    network = gw.Network(lstm, head=head, skip=1)
    x = input_of(network) * 3
    gw.write_c(network, tmp_path / "net.h")
    truth = exact_run(network, x, np.float64)

    def wrong():
        out = outcome(run(tmp_path, "C99", x), *sizes(network))
        return check(network, x, out, LEAST, truth)

    assert wrong() == []
    text = (tmp_path / "net.h").read_text()
    changes = MUTANTS[mutant]
    for pattern, other in zip(changes[::2], changes[1::2], strict=True):
        assert re.search(pattern, text), pattern
        text = re.sub(pattern, other, text)
    (tmp_path / "net.h").write_text(text.replace("@=", "="))
    assert wrong()


def test_more_weights_than_a_cache_holds_are_read_forward_and_backward_in_turns(tmp_path):
    network = gw.Network(gw.LSTM(3, 70, rng=0), head=gw.Linear(np.ones((1, 70), np.float32)))
    x = input_of(network)
    text = gw.write_c(network, tmp_path / "net.h").text
    truth = exact_run(network, x, np.float64)
    for build in HERE:
        assert check(network, x, outcome(run(tmp_path, build, x), *sizes(network)), LEAST, truth) == [], build
    forgotten = text.replace("h_prev + tile", "h_prev + u")
    assert forgotten != text
    (tmp_path / "net.h").write_text(forgotten)
    assert check(network, x, outcome(run(tmp_path, "C99", x), *sizes(network)), LEAST, truth)


def test_silence_is_not_slow(tmp_path):
    """Cell states that fade become 0 before they are numbers with which processors are slow."""
    lstm = gw.LSTM(1, 8, rng=0)
    p = lstm.layers[0][0].parameters
    fading = dataclasses.replace(p, weight=p.weight * 0, bias=np.full_like(p.bias, -1.0) * [[1], [3], [0], [-1]])
    network = gw.Network(gw.LSTM.from_cells(fading), initial=((gw.State(*np.full((2, 8), 0.5, np.float32)),),))
    gw.write_c(network, tmp_path / "net.h")
    x = np.zeros((40, 1), np.float32)

    def has_slow_numbers():
        states = outcome(run(tmp_path, "C99", x), *sizes(network)).states
        return ((states != 0) & (np.abs(states) < np.finfo(np.float32).tiny)).any()

    assert not has_slow_numbers()
    text = (tmp_path / "net.h").read_text()
    (tmp_path / "net.h").write_text(text.replace("0x26901d7d", "0x1"))
    assert has_slow_numbers()


def test_the_amplifier_of_the_docs_plays_what_the_network_does(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    program = re.search(r"^```c\n(.*?)^```$", page, re.M | re.S)[1]
    (tmp_path / "amplifier.c").write_text(program)
    rng = np.random.default_rng(0)
    head = gw.Linear(rng.normal(0, 0.3, (1, 20)).astype(np.float32))
    network = gw.Network(gw.LSTM(1, 20, rng=0), head=head, skip=1)
    header = gw.write_c(network, tmp_path / "amp.h")
    command = ["gcc", "-O2", "-std=gnu99", *STRICT.split(), "amplifier.c", "-o", "amplifier", "-lm"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stderr == ""
    samples = np.round(20_000 * np.sin(np.arange(5000) / 17)).astype("<i2")
    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    subprocess.run([tmp_path / "amplifier", "in.wav", "out.wav"], cwd=tmp_path, check=True)
    with wave.open(str(tmp_path / "out.wav")) as file:
        played = np.frombuffer(file.readframes(5000), "<i2")
    rest = header.rest.astype(np.float32)
    y, _ = network(samples[:, None] / np.float32(32768), ((gw.State(rest[:20], rest[20:]),),))
    assert np.abs(played - np.clip(y[:, 0], -1, 1) * 32767).max() <= 1
