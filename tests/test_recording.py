"""Traces in files: saved afterwards, or written as the run goes."""

from __future__ import annotations

import json
from dataclasses import fields

import cases
import numpy as np
import pytest
from stacks import BIDIRECTIONAL, LABELS

import gatewise as gw
from gatewise.layers.arguments import settle
from gatewise.layers.recording import lstm_trace_record, plan_record
from gatewise.layers.run import plan_run, trace_run
from gatewise.records.keep import Keep


def assert_same(found, expected, name="trace"):
    """Assert that two values are the same: arrays bit for bit, records part by part, and all else as equals."""
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, name
        np.testing.assert_array_equal(found, expected, err_msg=name)
        return
    if isinstance(expected, gw.Trace):
        found, expected = (
            {field.name: getattr(trace, field.name) for field in fields(trace)} for trace in (found, expected)
        )
    elif isinstance(expected, (gw.Parameters, gw.DropoutMasks)):
        found, expected = (one.arrays() | {"variant": getattr(one, "variant", None)} for one in (found, expected))
    elif isinstance(expected, gw.State):
        found, expected = found._asdict(), expected._asdict()
    if not isinstance(expected, dict):
        assert found == expected, name
        return
    assert found.keys() == expected.keys(), name
    for part in expected:
        assert_same(found[part], expected[part], f"{name} {part}")


def assert_same_traces(found, expected):
    """Assert that two traces of an LSTM are the same."""
    np.testing.assert_array_equal(found.output, expected.output)
    assert found.output.dtype == expected.output.dtype
    assert (found.merge, found.masked_output, found.batched) == (
        expected.merge,
        expected.masked_output,
        expected.batched,
    )
    assert [tuple(layer) for layer in found.layers] == [tuple(layer) for layer in expected.layers]
    assert list(found.cells()) == list(expected.cells())
    for one, other in zip(found.cells().values(), expected.cells().values(), strict=True):
        assert_same(one, other)


@cases.meeting(variant=cases.VARIANTS, projection=cases.PROJECTIONS, dtype=[np.float32, np.float64])
def test_a_cell_s_trace_is_the_same_after_saving_and_loading(variant, projection, dtype, tmp_path):
    run = cases.run_of(
        variant, projection=projection, valid="mask", dropout=True, time=5, dtype=dtype, direction="backward"
    )
    trace = run.trace(labels=LABELS)
    gw.save(trace, tmp_path / "trace.safetensors")
    loaded = gw.load(tmp_path / "trace.safetensors")
    assert_same(loaded, trace)
    dy = np.ones_like(trace.hidden_state)
    np.testing.assert_array_equal(gw.backward(loaded, dy).weight, gw.backward(trace, dy).weight)


OPTIONS = {
    "whole": {},
    "labels": {"labels": gw.Labels(sequences=["a", "b", "c"], times=range(5))},
    "lengths": {"lengths": [5, 0, 3], "masked_output": "repeat"},
    "less": {"keep": ["forget_gate", "hidden_state"], "units": [1, 3], "every": 2},
    "less of lengths": {"keep": ["cell_state"], "lengths": [5, 2, 3], "every": 3},
    "nothing": {"keep": []},
}


@cases.meeting(options=OPTIONS, merge=["concat", "mul", "none"], dtype=[np.float32, np.float64])
def test_an_lstm_s_trace_is_the_same_in_memory_saved_and_written_as_it_goes(options, merge, dtype, tmp_path):
    merges = ("concat", merge)
    lstm = gw.LSTM(2, 4, num_layers=2, bidirectional=True, merge=merges, projection_size=3, dtype=dtype, rng=0)
    x = np.random.default_rng(0).normal(size=(5, 3, 2))
    trace = lstm.trace(x, **OPTIONS[options])
    written = lstm.trace(x, **OPTIONS[options], out=tmp_path / "written.safetensors")
    gw.save(trace, tmp_path / "saved.safetensors")
    assert_same_traces(written, trace)
    assert_same_traces(gw.load(tmp_path / "written.safetensors"), trace)
    assert_same_traces(gw.load(tmp_path / "saved.safetensors"), trace)
    assert (tmp_path / "written.safetensors").read_bytes() == (tmp_path / "saved.safetensors").read_bytes()


@pytest.mark.parametrize("time", [0, 1])
@pytest.mark.parametrize("batch", [(), (0,), (1,)])
def test_a_trace_of_nothing_or_without_a_batch_can_be_written_too(time, batch, tmp_path):
    lstm = gw.LSTM(**BIDIRECTIONAL, rng=0)
    written = lstm.trace(np.zeros((time, *batch, 2)), out=tmp_path / "trace")
    assert_same_traces(gw.load(tmp_path / "trace"), written)


def test_a_written_trace_reads_from_its_file_and_gives_the_gradients(tmp_path):
    lstm, x = gw.LSTM(**BIDIRECTIONAL, rng=0), np.random.default_rng(0).normal(size=(6, 2, 2))
    plain, written = lstm.trace(x), lstm.trace(x, out=tmp_path / "trace")
    assert isinstance(written[0, "forward"].gates, np.memmap)
    assert not written[0, "forward"].gates.flags.writeable
    dy = np.ones_like(plain.output)
    np.testing.assert_array_equal(gw.backward(written, dy).x, gw.backward(plain, dy).x)
    np.testing.assert_array_equal(
        gw.backward(written, dy)[0, "backward"].weight, gw.backward(plain, dy)[0, "backward"].weight
    )


def test_any_reader_of_safetensors_reads_a_trace(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    lstm, x = gw.LSTM(**BIDIRECTIONAL, rng=0), np.random.default_rng(0).normal(size=(5, 3, 2))
    trace = lstm.trace(x, lengths=[5, 1, 2], out=tmp_path / "trace")
    arrays = load_file(tmp_path / "trace")
    for direction in cases.DIRECTIONS:
        cell = trace[0, direction]
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.gates"], cell.gates)
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.cell_state"], cell.cell_state)
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.parameters.weight"], cell.parameters.weight)
        np.testing.assert_array_equal(arrays[f"layers.0.{direction}.valid"], cell.valid)
    np.testing.assert_array_equal(arrays["output"], trace.output)
    with safe_open(tmp_path / "trace", framework="numpy") as file:
        metadata = file.metadata()
    assert list(metadata) == ["gatewise"]
    header = json.loads(metadata["gatewise"])
    assert header["kind"] == "lstm_trace"
    assert header["conventions"]["gate_order"] == "input, forget, candidate, output"


@pytest.mark.parametrize("before", [None, b"what was here before"])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_a_run_that_fails_midway_leaves_the_folder_as_it_was(before, call, tmp_path, monkeypatch):
    from gatewise.engine import reference

    calls, run = [], reference.run

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise ZeroDivisionError
        return run(*arguments, **options)

    monkeypatch.setattr(reference, "run", failing)
    path = tmp_path / "trace"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(ZeroDivisionError):
        gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0).trace(np.ones((3, 1, 2)), out=path, engine="reference")
    assert len(calls) == call
    assert [file.name for file in tmp_path.iterdir()] == ([] if before is None else ["trace"])
    if before is not None:
        assert path.read_bytes() == before


def test_a_trace_that_is_written_over_does_not_change_under_its_reader(tmp_path):
    """The new file takes the old one's place; who has the old one open keeps it."""
    lstm = gw.LSTM(**BIDIRECTIONAL, rng=0)
    first = lstm.trace(np.ones((3, 1, 2)), out=tmp_path / "trace")
    gates = np.array(first[0, "forward"].gates)
    lstm.trace(np.zeros((3, 1, 2)), out=tmp_path / "trace")
    np.testing.assert_array_equal(first[0, "forward"].gates, gates)


def test_the_two_directions_of_a_layer_have_names_and_sizes_of_their_own(tmp_path):
    cells = [
        gw.LSTMCell.from_parameters(cases.run_of("plain", hidden=hidden).p, gw.Labels(units=tuple(names)))
        for hidden, names in ((2, "ab"), (3, "cde"))
    ]
    trace = gw.LSTM.from_cells([tuple(cells)]).trace(np.zeros((2, 1, 2)), out=tmp_path / "trace")
    assert trace[0, "forward"].labels.units == ("a", "b")
    assert trace[0, "backward"].labels.units == ("c", "d", "e")
    assert gw.load(tmp_path / "trace")[0, "backward"].labels.units == ("c", "d", "e")


@cases.meeting(
    keep=[Keep(), Keep(("hidden_state", "forget_gate"), (3, 1), 2), Keep(("unprojected_state",)), Keep(())],
    merge=["concat", "average", "none"],
    bidirectional=[False, True],
    projection_size=[None, 3],
    lengths=[None, (5, 0, 2)],
    dropout=[False, True],
)
def test_a_plan_tells_beforehand_what_the_run_leaves_behind(
    keep, merge, bidirectional, projection_size, lengths, dropout
):
    ways = ("concat", merge)
    lstm = gw.LSTM(2, 4, num_layers=2, bidirectional=bidirectional, merge=ways, projection_size=projection_size, rng=0)
    x, rng = np.random.default_rng(0).normal(size=(5, 3, 2)), np.random.default_rng(1)
    dropout = (
        [[cases.dropout_of(cell.parameters, 5, 3, rng) for cell in row] for row in lstm.layers] if dropout else None
    )
    plan = plan_run(lstm, settle(lstm, x, lengths=lengths, dropout=dropout), keep)
    trace = trace_run(plan, x)
    left = {
        f"layers.{n}.{cell.direction}.{k}": a
        for n in (0, 1)
        for cell in trace.layers[n].values()
        for k, a in cell.arrays.items()
    }
    assert plan.array_shapes() == {name: array.shape for name, array in {"output": trace.output, **left}.items()}
    arrays, head = lstm_trace_record(trace)
    assert plan_record(plan) == ({name: (array.shape, array.dtype) for name, array in arrays.items()}, head)


@pytest.mark.parametrize("suffix", [".npz", ".NPY", ".csv", ".json", ".pt", ".onnx", ".h5"])
def test_a_trace_is_not_written_under_the_name_of_another_format(suffix, tmp_path):
    lstm = gw.LSTM(2, 3, rng=0)
    for write in (lambda path: lstm.trace(np.ones((2, 2)), out=path), lambda path: gw.save(lstm, path)):
        with cases.refusal(".safetensors", suffix.lower(), by=gw.OptionError):
            write(tmp_path / f"trace{suffix}")
    assert not list(tmp_path.iterdir())
