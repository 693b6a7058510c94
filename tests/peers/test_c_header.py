"""Networks as headers of C, in every build: the numbers of float64, blocks that are steps, resets that are resets."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from c_headers import BUILDS, EXTENSIONS, STRICT, input_of, missing, network_of, outcome, run, subjects, write_system

import gatewise as gw
from gatewise.c_header.document import cell_sizes
from gatewise.c_header.writing import LEAST, TIMES, _in_precision

pytestmark = pytest.mark.peers
SUBJECTS = subjects()
HERE = [build for build in BUILDS if not missing(build)]
IN_TURNS = (  # builds that compile and run every third network each; C99 has all of them
    ("clang, AVX2", "as MSVC, AVX2", "AVX2", "sanitizers"),
    ("clang, AVX-512", "as MSVC, AVX-512", "AVX-512", "C99 without vectors", "clang"),
    ("C++11", "C++11 with intrinsics", "C99 with intrinsics", "AVX2 with intrinsics", "WebAssembly"),
)


def turn_of(number):
    """Return whose turn a network of `SUBJECTS` is; a plain remainder would keep sizes of networks from builds."""
    return (number + number // 3) % len(IN_TURNS)


def builds_of(number):
    """Return the builds that are here in which a network of `SUBJECTS` is compiled."""
    return [build for build in ("C99", *IN_TURNS[turn_of(number)]) if build in HERE]


def test_every_build_meets_every_part_of_a_network():
    assert {"C99", *(build for turn in IN_TURNS for build in turn)} == {*BUILDS}
    wanted = {(factor, value) for subject in SUBJECTS for factor, value in subject.items()}
    for turn in range(len(IN_TURNS)):
        its_subjects = [subject for number, subject in enumerate(SUBJECTS) if turn_of(number) == turn]
        assert {pair for subject in its_subjects for pair in subject.items()} == wanted


def test_every_compiler_is_here():
    assert {BUILDS[build][0] for build in HERE} == {"gcc", "g++", "clang"}
    assert "WebAssembly" in HERE


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
        "whether states are finite": out.mistakes != 0,
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
    numbers = {build: run(tmp_path, build, x) for build in builds_of(number)}
    for build, found in numbers.items():
        out = outcome(found, *sizes(network))
        assert check(network, x, out, tolerance, truth) == [], (SUBJECTS[number], build, header.sentences)
    for build in numbers.keys() & EXTENSIONS.keys():
        np.testing.assert_array_equal(numbers[build].view(np.int32), numbers[EXTENSIONS[build]].view(np.int32), build)


OWN_VECTORS = "-O2 -fno-vectorize -fno-slp-vectorize"  # none that the compiler finds in loops and lines
PACKED = {  # instructions that multiply vectors of four numbers, eight and sixteen
    "WebAssembly": ("--target=wasm32-wasi -msimd128 -isystem /usr/include/wasm32-wasi", r"\bf32x4\.mul\b"),
    "x64": ("--target=x86_64-pc-windows-msvc", r"\bmulps\b.*%xmm"),
    "x86 with /arch:SSE2": ("--target=i686-pc-windows-msvc -msse2", r"\bmulps\b.*%xmm"),
    "/arch:AVX": ("--target=x86_64-pc-windows-msvc -mavx", r"\bvmulps\b.*%ymm"),
    "/arch:AVX2": ("--target=x86_64-pc-windows-msvc -mavx2 -mfma", r"\bvfmadd\w+ps\b.*%ymm"),
    "/arch:AVX512": ("--target=x86_64-pc-windows-msvc -mavx512f", r"\bvfmadd\w+ps\b.*%zmm"),
}


@pytest.mark.parametrize("language", ["-x c -std=c11", "-x c++ -std=c++14"])
@pytest.mark.parametrize("target", PACKED)
def test_vectors_of_webassembly_and_of_windows_become_their_instructions(target, language, tmp_path):
    """Clang without its own macros takes what MSVC takes, with the rules of names, types and calls of Windows."""
    options, instruction = PACKED[target]
    if "windows" in options:
        write_system(tmp_path / "msvc")
        options += " -U__clang__ -isystem msvc -Wno-language-extension-token"
    network = gw.Network(gw.LSTM(1, 20, rng=0), head=gw.Linear(np.ones((1, 20), np.float32)))
    gw.write_c(network, tmp_path / "net.h", rest="none")
    (tmp_path / "step.c").write_text(
        '#define NET_TEST\n#include "net.h"\nint test(void);\nint test(void) { return net_test(); }\n'
    )

    def products(more):
        command = f"clang {STRICT} {options} {language} {more} {OWN_VECTORS} -S step.c -o -"
        done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return len(re.findall(instruction, done.stdout))

    assert products("") >= 30
    assert products("-DNET_PLAIN") == 0


FAST = """\
#include "net.h"
#include <stdio.h>

int main(void)
{
    static const uint32_t strange[3] = {0x7fc00000u, 0x7f800000u, 0xff800000u}; /* NaN, infinity, - infinity */
    static float flat[NET_STATES];
    net_state s;
    int k, n, wrong = 0;
    for (k = 0; k < NET_STATES; k++)
        for (n = 0; n < 3; n++) {
            memcpy(flat + k, strange + n, sizeof(float));
            net_set(&s, flat);
            wrong += net_is_finite(&s);
            flat[k] = 0.0f;
            net_set(&s, flat);
            wrong += !net_is_finite(&s);
        }
    return wrong;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_fast_mathematics_does_not_hide_a_nan_in_a_state(compiler, tmp_path):
    gw.write_c(gw.LSTM(2, 18, num_layers=2, rng=0), tmp_path / "net.h", rest="none")
    (tmp_path / "fast.c").write_text(FAST)
    subprocess.run([compiler, "-O3", "-ffast-math", "fast.c", "-o", "fast", "-lm"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "fast"]).returncode == 0


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
    "the bias of the candidate is missing": (r"dot_W_g, v_b_g\)", "dot_W_g, 0.0f * v_b_g)"),
    "faint states are those below a half": (r"0x26901d7d", "0x3f000000"),
    "tanh ends at 1": (r"9\.0199966f", "1.0f"),
    "h and c are exchanged as they are set": (r"memcpy\(s->c0, flat \+ 18", "memcpy(s->c0, flat + 0"),
    "the features are not added": (r" \+ v_s;", " + 0.0f * v_s;"),
    "the second layer reads its own state": (r"(layer1_w0[^,]*, 72), s->h0", r"\1, s->h1"),
    "half of a sum is forgotten": (r"4, s0_5, s1_5\)", "4, s0_5, 0.0f * s1_5)"),
    "a cell state is not looked at": (r"net_bits_1\(s->c1\[k\]\)", "net_bits_1(s->h1[k])"),
    "only infinity is not finite": (r"& 0x7f800000\) ==", "& 0x7fffffff) =="),
    "the products of the vector before are lost": (r" = more \?", " = !more ?"),
}
WITH_INTRINSICS = {  # the same of what is written for intrinsics
    "products are differences": (r"_MUL\(n, a, b\) NET_OF_##n\(mul_ps\)", "_MUL(n, a, b) NET_OF_##n(sub_ps)"),
    "a sum and a product are exchanged": (
        r"NET_ADD\(n, NET_MUL\(n, a, b\), c\)",
        "NET_MUL(n, NET_ADD(n, a, b), c)",
    ),
    "two of four sums are lost": (r"_mm_shuffle_ps\(v, v, 1\)", "_mm_setzero_ps()"),
    "faint states are kept, and others not": (r"_mm_cmpnlt_ps", "_mm_cmplt_ps"),
    "the larger is the smaller": (r"_mm_max_ps", "_mm_min_ps"),
}


def deep_network():
    """Return a network of two layers that adds its input, the steps for it, and what it computes in float64."""
    rng = np.random.default_rng(3)
    lstm = gw.LSTM(1, 18, num_layers=2, rng=rng)
    head = gw.Linear(rng.normal(size=(1, 18)).astype(np.float32), rng.normal(size=1).astype(np.float32))
    network = gw.Network(lstm, head=head, skip=1)
    x = input_of(network) * 3
    return network, x, exact_run(network, x, np.float64)


def mistakes_of(folder, build):
    """Return what is wrong with the header of the deep network in a folder."""
    network, x, truth = deep_network()
    return check(network, x, outcome(run(folder, build, x), *sizes(network)), LEAST, truth)


@pytest.mark.parametrize("build", ["C99", "C99 with intrinsics"])
def test_a_header_without_a_mistake_has_none(build, tmp_path):
    gw.write_c(deep_network()[0], tmp_path / "net.h")
    assert mistakes_of(tmp_path, build) == []


@pytest.mark.parametrize("mutant", [*MUTANTS, *WITH_INTRINSICS])
def test_a_mistake_in_a_header_is_seen(mutant, tmp_path):
    text = gw.write_c(deep_network()[0], tmp_path / "net.h").text
    changes = (MUTANTS | WITH_INTRINSICS)[mutant]
    for pattern, other in zip(changes[::2], changes[1::2], strict=True):
        assert re.search(pattern, text), pattern
        text = re.sub(pattern, other, text)
    (tmp_path / "net.h").write_text(text.replace("@=", "="))
    assert mistakes_of(tmp_path, "C99 with intrinsics" if mutant in WITH_INTRINSICS else "C99")


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
    program = (Path(__file__).parents[2] / "docs" / "amplifier.c").read_text(encoding="utf-8")
    (tmp_path / "amplifier.c").write_text(program, encoding="utf-8")
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
