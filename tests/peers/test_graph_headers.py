"""Networks that are graphs as headers of C: compiled, operations and ordinary networks are what NumPy computes."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from operation_examples import EXAMPLES

from gatewise.c_header.graph_header import graph_parts
from gatewise.errors import OptionError
from gatewise.network.graph import Builder
from gatewise.network.operations import OPERATIONS
from gatewise.network.running import run, trace
from gatewise.network.step_graph import Carried, StepGraph

pytestmark = pytest.mark.peers
STRICT = "-std=c99 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wdouble-promotion -Wshadow -Werror"
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
DRIVER = """\
#include <stdio.h>
static void put(const float *v, size_t n) { fwrite(v, sizeof(float), n, stdout); }
static void get(float *v, size_t n) { if (fread(v, sizeof(float), n, stdin) != n) put(v, 0); }
"""
CLOSE = 2e-5
WITHOUT = {"choose", "scan", "loop", "unknown", "lstm"}
# What has no form in C, by operation: integers, places known only as it runs, orders of axes that need no steps.
REFUSED = {"mod", "is_inf", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "one_hot", "triangle", "cumsum"}
REFUSED |= {"gather_elements", "fill", "range", "reduce_any", "reduce_all", "shape"}


def compiled(folder, headers, main, fed=b"", options=()):
    """Return the floats that a program of some headers writes."""
    for name, text in headers.items():
        (folder / f"{name}.h").write_text(text)
    includes = "".join(f'#include "{name}.h"\n' for name in headers)
    (folder / "main.c").write_text(f"{includes}{DRIVER}int main(void)\n{{\n{main}\nreturn 0;\n}}\n")
    command = ["gcc", *STRICT.split(), *options, "main.c", "-o", "main", "-lm"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[:3000]
    ran = subprocess.run([folder / "main"], input=fed, capture_output=True, timeout=100)
    assert ran.returncode == 0, ran.stderr.decode()[:3000]
    return np.frombuffer(ran.stdout, np.float32)


def single(array):
    return np.asarray(array, np.float32) if np.asarray(array).dtype == np.float64 else np.asarray(array)


def step_of(example):
    """Return one step of a graph of one node, and its inputs; numbers are inputs, integers arrays."""
    build, read, fed = Builder(), [], {}
    for place, item in enumerate(example.inputs):
        if item is None:
            read.append("")
        elif single(item).dtype.kind in "fb" and (example.op not in ("linear", "conv") or place == 0):
            read.append(build.input(f"in{place}", np.shape(item), single(item).dtype))
            fed[read[-1]] = single(item)
        else:
            read.append(build.constant(single(item)))
    settings = dict(example.settings)
    settings |= {"dtype": "int64"} if example.op == "cast" else {}
    results = build.add(example.op, *read, outputs=len(example.forward()), name="node", **settings)
    ends = [results] if isinstance(results, str) else list(results)
    memory = build.input("memory", (1,), np.float32)  # a header is written of what has a state
    state = Carried(memory, build.add("add", memory, memory), np.ones(1, np.float32))
    graph = build.graph([*ends, state.following])
    first = trace(graph, fed | {memory: state.initial})
    return StepGraph(graph, dict.fromkeys(fed), dict.fromkeys(ends), (state,), {}, first), fed


def test_every_operation_that_c_expresses_computes_the_same_in_it(tmp_path):
    headers, main, want, fed = {}, [], [], []
    for place, example in enumerate(EXAMPLES):
        if example.op in WITHOUT | REFUSED or all(single(item).dtype.kind in "iu" for item in example.inputs[:1]):
            continue
        step, given = step_of(example)
        if len(step.graph.nodes) < 2 or not any(y.size for y in example.forward()):
            continue
        name = f"n{place}"
        try:
            parts, code, _, _ = graph_parts(step, name)
        except OptionError:  # of these numbers, or of these axes
            continue
        headers[name] = parts.text((name,))
        states = f"{name}_state s; float x[{max(code.inputs, 1)}], y[{code.outputs}];"
        main.append(
            f"{{ {states} {name}_reset(&s); get(x, {code.inputs}); {name}_step(&s, x, y); put(y, {code.outputs}); }}"
        )
        fed.append(np.concatenate([np.ravel(array).astype(np.float32) for array in given.values()]))
        want.append(
            (
                example.op,
                np.concatenate([np.ravel(y).astype(np.float64) for y in run(step.graph, given | step.initial)[:-1]]),
            )
        )
    assert len({op for op, _ in want}) > 80
    found, at = compiled(tmp_path, headers, "\n".join(main), np.concatenate(fed).tobytes(), SANITIZED), 0
    for op, y in want:
        np.testing.assert_allclose(found[at : at + len(y)], y, rtol=CLOSE, atol=CLOSE, err_msg=op)
        at += len(y)
    assert at == len(found)


def test_what_has_no_form_in_c_is_refused_by_its_node():
    for example in EXAMPLES:
        if OPERATIONS[example.op].c is None and example.op not in WITHOUT | {"fill", "range", "shape"}:
            step, _ = step_of(example)
            if len(step.graph.nodes) > 1:
                with pytest.raises(OptionError, match=rf"^node 'node' \({example.op}\) has no form in C$"):
                    graph_parts(step, "net")
