"""Headers in C: networks of every kind, compiled in many ways, and run beside NumPy in float64."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cases import PROJECTIONS, VARIANTS, parameters
from pairwise import cover

import gatewise as gw

STRICT = "-Wall -Wextra -Wpedantic -Wconversion -Wdouble-promotion -Wshadow -Werror"
AS_MSVC = (  # clang with the macros, the words and the few headers of MSVC
    "-std=c11 -O2 -D_MSC_VER=1938 -U__clang__ -U__GNUC__ -fms-extensions -Wno-language-extension-token"
    " -nostdlibinc -isystem msvc"
)
BUILDS = {  # the compiler, its options, and an instruction set that the machine must have
    "C99": ("gcc", "-std=c99 -O2", ""),
    "C99 without vectors": ("gcc", "-std=c99 -O2 -DNET_PLAIN", ""),
    "C99 with intrinsics": ("gcc", "-std=c99 -O2 -DNET_INTRINSICS", "sse2"),
    "AVX2": ("gcc", "-std=gnu99 -O3 -mavx2 -mfma", "avx2"),
    "AVX2 with intrinsics": ("gcc", "-std=gnu99 -O2 -mavx2 -mfma -DNET_INTRINSICS", "avx2"),
    "AVX-512": ("gcc", "-std=gnu99 -O3 -mavx512f -mfma", "avx512f"),
    "C++11": ("g++", "-std=c++11 -O2", ""),
    "C++11 with intrinsics": ("g++", "-std=c++11 -O2 -DNET_INTRINSICS", "sse2"),
    "clang": ("clang", "-std=c99 -O2", ""),
    "clang, AVX2": ("clang", "-std=c99 -O2 -mavx2 -mfma", "avx2"),
    "clang, AVX-512": ("clang", "-std=c99 -O2 -mavx512f", "avx512f"),
    "as MSVC, AVX2": ("clang", f"{AS_MSVC} -mavx2 -mfma", "avx2"),
    "as MSVC, AVX-512": ("clang", f"{AS_MSVC} -mavx512f", "avx512f"),
    "WebAssembly": (
        "clang",
        "--target=wasm32-wasi -msimd128 -std=c99 -O2 -nostdlib -isystem /usr/include/wasm32-wasi",
        "",
    ),
    "sanitizers": ("gcc", "-std=c99 -O1 -fsanitize=address,undefined -fno-sanitize-recover=all", ""),
}
# Of builds with intrinsics, those with extensions of the same width. GCC chooses which products it fuses, so its builds
# with fused products are not among them.
EXTENSIONS = {
    "C99 with intrinsics": "C99",
    "C++11 with intrinsics": "C++11",
    "as MSVC, AVX2": "clang, AVX2",
    "as MSVC, AVX-512": "clang, AVX-512",
}
SYSTEM = {  # what Windows' headers declare of what a header, its driver and the compiler's intrinsics need
    "math.h": """\
float fabsf(float a); float copysignf(float a, float b); float sqrtf(float a); float expf(float a); float logf(float a);
float erff(float a);
#define HUGE_VALF __builtin_huge_valf()
#define NAN __builtin_nanf("")
""",
    "string.h": """\
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t n); void *memset(void *to, int c, size_t n);
""",
    "stdlib.h": """\
#include <stddef.h>
void exit(int status); void *malloc(size_t n); void free(void *p);
void *_aligned_malloc(size_t n, size_t alignment); void _aligned_free(void *p);
""",
    "stdio.h": """\
#include <stddef.h>
typedef struct file FILE;
extern FILE *stdin, *stdout;
size_t fread(void *to, size_t size, size_t n, FILE *from);
size_t fwrite(const void *from, size_t size, size_t n, FILE *to);
""",
    "malloc.h": "",
}
INTRINSICS = """\
#pragma push_macro("_MSC_VER")
#ifndef _WIN32
#undef _MSC_VER /* clang's own header must not take Linux for Windows */
#endif
#include_next <immintrin.h>
#pragma pop_macro("_MSC_VER")
"""
WASI = Path("/usr/lib/wasm32-wasi")
RUN_WASI = """\
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
const wasi = new WASI({ version: "preview1", returnOnExit: true });
const { instance } = await WebAssembly.instantiate(readFileSync("net"), wasi.getImportObject());
process.exitCode = wasi.start(instance);
"""
UNBOUNDED = ("relu", "selu", "elu", "softplus", "exponential", "affine", "softsign")
AROUND = ("nothing", "linear", "hidden and skip", "branches, scaled", "softmax", "embedding", "masked", "last, initial")
CELLS = {"variant": VARIANTS, "projection": PROJECTIONS, "layers": (1, 2, 3)}
SHAPES = {"around": AROUND, "hidden": (1, 5, 8, 18, 20, 37), "inputs": (1, 3)}
STEPS = 40
SECOND = """\
#include "net.h"
void step_elsewhere(net_state *s, const float *x, float *y);
void step_elsewhere(net_state *s, const float *x, float *y) { net_step(s, x, y); }
"""
# Reads the input; writes outputs and states of single steps, then outputs of blocks, outputs after a NaN and a reset,
# outputs with a state that was read and set half-way, gates, the header's own test, how often it is wrong about whether
# a state is finite, and the states before and after 1,000 silent steps.
DRIVER = """\
#define NET_TEST
#define NET_WITH_GATES
#include "net.h"
#include "net.h"
#include <stdio.h>
#include <stdlib.h>
void step_elsewhere(net_state *s, const float *x, float *y);
struct placed { char before; net_state s; };
typedef char aligned_at_16_at_most[offsetof(struct placed, s) <= 16 ? 1 : -1];

static void put(const float *v, size_t n) { if (fwrite(v, sizeof(float), n, stdout) != n) exit(3); }

static float mistakes_about_finite(void)
{
    static const float strange[3] = {NAN, HUGE_VALF, -HUGE_VALF};
    static float flat[NET_STATES], x[NET_INPUTS], y[NET_OUTPUTS];
    net_state s;
    size_t k, n, m;
    int finite, wrong = 0;
    for (k = 0; k < NET_STATES; k++) flat[k] = k %% 2 ? 3.4028235e38f : -3.4028235e38f;
    for (k = 0; k < NET_STATES; k++)
        for (n = 0; n < 3; n++) {
            const float kept = flat[k];
            flat[k] = strange[n];
            net_set(&s, flat);
            wrong += net_is_finite(&s);
            flat[k] = kept;
            net_set(&s, flat);
            wrong += !net_is_finite(&s);
        }
    for (k = 0; k < NET_INPUTS; k++)
        for (n = 0; n < 3; n++) {
            net_reset(&s);
            wrong += !net_is_finite(&s);
            x[k] = strange[n];
            net_step(&s, x, y);
            x[k] = 0.0f;
            net_get(&s, flat);
            for (finite = 1, m = 0; m < NET_STATES; m++) finite &= flat[m] - flat[m] == 0.0f;
            wrong += net_is_finite(&s) != finite || (n == 0 && finite);
        }
    return (float)wrong;
}

int main(void)
{
    enum { STEPS = %d };
    static float x[STEPS * NET_INPUTS], y[STEPS * NET_OUTPUTS], flat[NET_STATES], gates[NET_GATES], poison[NET_INPUTS];
    net_state s, other;
    size_t k, begin;
    const size_t sizes[4] = {1, 7, 0, STEPS - 8};
    float passed;
    if (fread(x, sizeof(float), sizeof x / sizeof(float), stdin) != sizeof x / sizeof(float)) return 2;
    net_reset(&s);
    for (k = 0; k < STEPS; k++) {
        step_elsewhere(&s, x + k * NET_INPUTS, y);
        put(y, NET_OUTPUTS);
        net_get(&s, flat);
        put(flat, NET_STATES);
    }
    net_reset(&s);
    for (k = 0, begin = 0; k < 4; begin += sizes[k], k++)
        net_block(&s, x + begin * NET_INPUTS, y + begin * NET_OUTPUTS, sizes[k]);
    put(y, STEPS * NET_OUTPUTS);
    for (k = 0; k < NET_INPUTS; k++) poison[k] = NAN;
    net_step(&s, poison, y);
    net_reset(&s);
    net_block(&s, x, y, STEPS);
    put(y, STEPS * NET_OUTPUTS);
    net_reset(&s);
    net_block(&s, x, y, STEPS / 2);
    net_get(&s, flat);
    net_reset(&other);
    net_set(&other, flat);
    net_block(&other, x + STEPS / 2 * NET_INPUTS, y + STEPS / 2 * NET_OUTPUTS, STEPS - STEPS / 2);
    put(y, STEPS * NET_OUTPUTS);
    net_reset(&s);
    for (k = 0; k < STEPS; k++) {
        net_step_gates(&s, x + k * NET_INPUTS, y, gates);
        put(gates, NET_GATES);
    }
    passed = (float)net_test();
    put(&passed, 1);
    passed = mistakes_about_finite();
    put(&passed, 1);
#if NET_HAS_REST
    net_rest(&s);
    net_get(&s, flat);
    put(flat, NET_STATES);
    for (k = 0; k < NET_INPUTS; k++) poison[k] = 0.0f;
    for (k = 0; k < 1000; k++) net_step(&s, poison, y);
    net_get(&s, flat);
    put(flat, NET_STATES);
#endif
    return 0;
}
"""


@dataclass
class Outcome:
    """What the driver wrote."""

    y: np.ndarray
    states: np.ndarray
    blocks: np.ndarray
    after_nan: np.ndarray
    resumed: np.ndarray
    gates: np.ndarray
    passed: float
    mistakes: float
    rest: np.ndarray | None
    rested: np.ndarray | None


def subjects():
    """Return networks in which all pairs of a variant, a projection and a number of layers meet.

    So do all pairs of a number of inputs, a number of units and what is around the LSTM.
    """
    cells, shapes = cover(CELLS), cover(SHAPES)
    return [cells[n % len(cells)] | shapes[n % len(shapes)] for n in range(max(len(cells), len(shapes)))]


def network_of(case, seed=0):
    """Return the network of a case, in float32, with weights that keep it from running away."""
    rng = np.random.default_rng(seed)
    size, hidden = case["inputs"], case["hidden"]
    projection, clip = PROJECTIONS[case["projection"]]
    projection = None if projection is None else min(projection, hidden)
    read = 4 if case["around"] == "branches, scaled" else size
    cells, taken = [], read
    for _ in range(case["layers"]):
        switches = VARIANTS[case["variant"]] | ({} if clip is None else {"projection_clip": clip})
        p = parameters(switches, rng, inputs=taken, hidden=hidden, projection=projection)
        unbounded = any(name in str(value) for value in switches.values() for name in UNBOUNDED)
        scale = (0.3 if unbounded else 1) / np.sqrt(max(1, hidden / 4))
        arrays = {name: (array * scale).astype(np.float32) for name, array in p.arrays().items()}
        cells.append(gw.Parameters(variant=p.variant, **arrays))
        taken = projection or hidden
    lstm = gw.LSTM.from_cells([[cell] for cell in cells])

    def linear(outputs, features, activation=None):
        weight = rng.normal(0, 1 / np.sqrt(features), (outputs, features))
        return gw.Linear(weight.astype(np.float32), rng.normal(size=outputs).astype(np.float32), activation)

    scaling = gw.Scaling(1000 * rng.normal(size=3), rng.uniform(1, 3, 3))
    parts = {
        "nothing": {},
        "linear": {"head": linear(1, taken)},
        "hidden and skip": {"head": [linear(6, taken, "gelu"), linear(size, 6, "tanh")], "skip": size},
        "branches, scaled": {
            "branches": (gw.Branch((0, 2), (linear(2, 2, "silu"),)), gw.Branch((1, 0))),
            "inputs": scaling,
            "outputs": gw.Scaling([3.0, 0.1], [2.0, 1.0], [0, -np.inf]),
            "head": linear(2, taken),
        },
        "softmax": {"head": [linear(5, taken, "relu"), linear(7, 5, "softmax")]},
        "embedding": {"embedding": rng.normal(size=(11, size)).astype(np.float32), "head": linear(4, taken, "mish")},
        "masked": {"masked": 0.25, "head": linear(2, taken)},
        "last, initial": {
            "reads": "last",
            "head": linear(2, taken, "gelu_tanh"),
            "initial": tuple(
                (gw.State(*(rng.normal(0, 0.3, n).astype(np.float32) for n in (taken, hidden))),)
                for _ in range(case["layers"])
            ),
        },
    }
    return gw.Network(lstm, **parts[case["around"]])


def input_of(network, seed=1):
    """Return some steps of input, in float32."""
    rng = np.random.default_rng(seed)
    if network.embedding is not None:
        return rng.integers(0, len(network.embedding), (STEPS, 1)).astype(np.float32)
    x = rng.normal(size=(STEPS, network.num_features))
    x = (x if network.inputs is None else network.inputs.undo(x)).astype(np.float32)
    if network.masked is not None:
        x[rng.random(STEPS) < 0.3] = network.masked
    return x


def missing(build):
    """Return why a build cannot be made here, or nothing."""
    compiler, options, instructions = BUILDS[build]
    for tool in (compiler, *(("wasm-ld", "node") if "wasm32" in options else ())):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    if "wasm32" in options and not WASI.exists():
        return f"there is no {WASI}"
    cpu = Path("/proc/cpuinfo")
    if instructions and cpu.exists() and f" {instructions} " not in f"{cpu.read_text()} ":
        return f"this machine has no {instructions}"
    return ""


def write_system(folder):
    """Write the headers of `SYSTEM` to a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "immintrin.h").write_text(INTRINSICS)
    for name, text in SYSTEM.items():
        linkage = ('#ifdef __cplusplus\nextern "C" {\n#endif\n', "#ifdef __cplusplus\n}\n#endif\n")
        (folder / name).write_text(f"#pragma once\n{linkage[0]}{text}{linkage[1]}")


def run(folder, build, x):
    """Compile the header net.h of a folder with a build's options, run it, and return what came out."""
    compiler, options, _ = BUILDS[build]
    (folder / "driver.c").write_text(DRIVER % STEPS)
    (folder / "second.c").write_text(SECOND)
    write_system(folder / "msvc")
    language = ["-x", "c++"] if compiler == "g++" else []
    command = [compiler, *STRICT.split(), *options.split(), *language, "driver.c", "second.c", "-o", "net", "-lm"]
    program = [folder / "net"]
    if "wasm32" in options:
        command += [f"{WASI}/crt1-command.o", f"-L{WASI}", "-lc"]
        (folder / "run.mjs").write_text(RUN_WASI)
        program = ["node", "--no-warnings", "run.mjs"]
    compiled = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr[:4000]
    ran = subprocess.run(program, cwd=folder, input=x.tobytes(), capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()[:4000]
    return np.frombuffer(ran.stdout, np.float32)


def outcome(numbers, outputs, states, gates):
    """Return the driver's numbers, apart."""
    at = 0

    def take(*shape):
        nonlocal at
        at += (size := int(np.prod(shape)))
        return numbers[at - size : at].reshape(shape)

    each = take(STEPS, outputs + states)
    parts = [take(STEPS, outputs) for _ in range(3)]
    gate_values, passed, mistakes = take(STEPS, gates), float(take(1)[0]), float(take(1)[0])
    rest = take(2, states) if at < len(numbers) else (None, None)
    assert at == len(numbers)
    return Outcome(each[:, :outputs], each[:, outputs:], *parts, gate_values, passed, mistakes, *rest)
