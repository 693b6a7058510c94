"""Networks that are graphs as headers of C: compiled, operations and ordinary networks are what NumPy computes."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from operation_examples import EXAMPLES

import gatewise as gw
from gatewise.c_header.graph_header import graph_parts
from gatewise.errors import OptionError
from gatewise.interop.graph_networks import graph_network
from gatewise.network.graph import Builder
from gatewise.network.operations import OPERATIONS
from gatewise.network.running import run, trace
from gatewise.network.step_graph import Carried, StepGraph, step_graph

torch = pytest.importorskip("torch")
from peers.torch_architectures import ARCHITECTURES, TIME  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:::torch|onnxscript|copyreg")]
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
                with pytest.raises(OptionError, match=rf"^cannot write node 'node' \({example.op}\) as C$"):
                    graph_parts(step, "net")


# Ordinary networks.

PLAYER = """\
{{ {p}_state s; static float x[{steps} * {P}_INPUTS], y[{steps} * {P}_OUTPUTS]; float bad = (float){p}_test();
get(x, sizeof x / sizeof *x); {p}_reset(&s); {p}_block(&s, x, y, {steps});
put(y, sizeof y / sizeof *y); put(&bad, 1); }}"""
STEPS = 6
CAUSAL_IN_C = 36  # of the ordinary networks, the least that have a header
NATIVE = 34  # of them, the least that stream in the native engine; those with tokens do not


def exported(name, folder):
    """Return the graph of an ordinary network by way of ONNX, with free sizes, or None if that cannot be written."""
    module, inputs = ARCHITECTURES[name]()
    names = [f"x{place}" for place in range(len(inputs))]
    axes = {
        names[place]: {0: "batch", 1: "time"} if array.ndim > 1 and array.shape[1] == TIME else {0: "batch"}
        for place, array in enumerate(inputs)
    }
    path = folder / f"{name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(module, inputs, path, dynamo=False, verbose=False, input_names=names, dynamic_axes=axes)
        except torch.onnx.errors.OnnxExporterError:  # of projections
            return None
        return graph_network(gw.inspect(path))


@pytest.mark.filterwarnings("ignore:the network takes")
def test_ordinary_networks_are_the_same_as_headers_and_streams_or_refused_by_name(tmp_path):
    headers, main, want, fed, refused, streamed, native = {}, [], [], [], {}, 0, 0
    for number, name in enumerate(ARCHITECTURES):
        network = exported(name, tmp_path)
        if network is None:
            continue
        try:
            step = step_graph(network.graph)
        except OptionError as refusal:
            refused[name] = str(refusal)
            continue
        rng, prefix = np.random.default_rng(number), f"n{number}"
        shapes = {name: step.run.values[name].shape for name in step.inputs}
        kinds = {port.name: port.dtype for port in network.graph.inputs}
        steps = [
            {
                name: (rng.normal(size=shape) if kinds[name].kind == "f" else rng.integers(0, 9, shape)).astype(
                    kinds[name]
                )
                for name, shape in shapes.items()
            }
            for _ in range(STEPS)
        ]
        for one in steps:  # what has no steps is the same at each
            one |= {name: steps[0][name] for name, axis in step.inputs.items() if axis is None}
        whole = {
            name: steps[0][name] if axis is None else np.concatenate([one[name] for one in steps], axis)
            for name, axis in step.inputs.items()
        }
        outputs, _ = network(**whole)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        stream = network.stream(1)
        by_numpy, rows = network.stream(1, engine="reference"), []
        for one in steps:
            arrays = [
                array if (axis := step.inputs[name]) is None else array.squeeze(axis) for name, array in one.items()
            ]
            row, expected = stream.push(*arrays), by_numpy.push(*arrays)
            rows.append(row if isinstance(row, tuple) else (row,))
            for ours, theirs in zip(rows[-1], expected if isinstance(expected, tuple) else (expected,), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5, err_msg=name)
        native += stream.engine == "native"
        assert stream.engine == "native" or "int64" in stream.not_native
        for place, axis in enumerate(step.outputs.values()):
            ours = rows[-1][place] if axis is None else np.stack([row[place] for row in rows], axis)
            np.testing.assert_allclose(ours, outputs[place], rtol=1e-5, atol=1e-5, err_msg=name)
        streamed += 1
        header = gw.write_c(network, tmp_path / "net.h", name=prefix, rest="none")
        headers[prefix] = header.text
        main.append(PLAYER.format(p=prefix, P=prefix.upper(), steps=STEPS))
        fed.append(np.concatenate([np.ravel(array).astype(np.float32) for one in steps for array in one.values()]))
        sizes = [np.size(row) for row in rows[-1]]
        want.append((name, sizes, list(step.outputs.values()), outputs))
    macros = "".join(f"#define {prefix.upper()}_TEST\n" for prefix in headers)
    headers = {"macros": macros, **headers}
    found = compiled(tmp_path, headers, "\n".join(main), np.concatenate(fed).tobytes(), SANITIZED)
    at = 0
    for name, sizes, axes, outputs in want:
        rows = found[at : at + STEPS * sum(sizes)].reshape(STEPS, sum(sizes))
        at += rows.size + 1
        assert found[at - 1] == 0, name
        begin = 0
        for size, axis, y in zip(sizes, axes, outputs, strict=False):
            part, begin = rows[:, begin : begin + size], begin + size
            steps = y.reshape(1, -1) if axis is None else np.moveaxis(y, axis, 0).reshape(STEPS, -1)
            np.testing.assert_allclose(part[-1:] if axis is None else part, steps, rtol=1e-5, atol=1e-5, err_msg=name)
    assert at == len(found)
    assert len(want) == streamed >= CAUSAL_IN_C
    assert native >= NATIVE
    assert all("node " in text or "cannot tell which axis" in text for text in refused.values())


# A real model: the voice activity detector of the package silero-vad, over three minutes of a drawn voice.

RATE, CONTEXT, CHUNK, SECONDS = 16_000, 64, 512, 180


def voice():
    """Return three minutes of sound: noise, and a voice of harmonics with two formants that comes and goes."""
    t = np.arange(RATE * SECONDS) / RATE
    pitch = 120 + 40 * np.sin(4.4 * t) + 20 * np.sin(0.8 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros(len(t))
    for k in range(1, 20):
        gain = np.exp(-(((k * pitch - 700) / 400) ** 2)) + 0.5 * np.exp(-(((k * pitch - 1800) / 500) ** 2)) + 0.3 / k
        sound += gain * np.sin(k * phase)
    envelope = np.clip(np.sin(1.45 * t) + 0.2, 0, 1) * (0.6 + 0.4 * np.sin(25 * t))
    return (0.2 * sound * envelope + 0.01 * np.random.default_rng(0).normal(size=len(t))).astype(np.float32)


@pytest.mark.filterwarnings("ignore")
def test_silero_vad_as_a_header_equals_onnxruntime_over_three_minutes(tmp_path):
    files = Path(pytest.importorskip("silero_vad").__file__).parent / "data"
    ort = pytest.importorskip("onnxruntime")
    sound = np.concatenate([np.zeros(CONTEXT, np.float32), voice()])
    count = (len(sound) - CONTEXT) // CHUNK
    frames = np.stack([sound[k * CHUNK : k * CHUNK + CONTEXT + CHUNK] for k in range(count)])
    network = gw.load_network(files / "silero_vad_16k_sequence.onnx")
    header = gw.write_c(network, tmp_path / "vad.h", name="vad", rest="none")
    main = PLAYER.format(p="vad", P="VAD", steps=count)
    options = ["-std=gnu99", "-O2"]
    headers = {"macros": "#define VAD_TEST\n", "vad": header.text}
    found = compiled(tmp_path, headers, main, frames.tobytes(), options)
    assert found[-1] == 0
    state, probabilities = np.zeros((2, 1, 128), np.float32), []
    published = ort.InferenceSession(files / "silero_vad.onnx")
    for frame in frames:
        p, state = published.run(None, {"input": frame[None], "state": state, "sr": np.array(RATE)})
        probabilities.append(p[0, 0])
    assert max(probabilities) > 0.5 > min(probabilities)
    assert np.abs(found[:-1] - probabilities).max() < 1e-5
    blocks = network.stream()
    assert np.abs(blocks.push(frames[:500]) - probabilities[:500]).max() < 1e-5
