"""gatewise's own files: what is written is what is read, and the header names every convention."""

from __future__ import annotations

import json

import cases
import numpy as np
import pytest
from pairwise import pairs
from safetensors import safe_open

import gatewise as gw

CONVENTIONS = {
    "gate_order": "input, forget, candidate, output",
    "weight": "(gate, hidden, recurrent + input); columns act on [h; x]",
    "bias": "(gate, hidden); one bias",
    "peephole": "(input, forget, output; hidden)",
    "projection": "(recurrent, hidden)",
    "norm_gain": "(gate, hidden), or (recurrent, input; gate, hidden)",
    "cell_norm": "(gain, bias; hidden)",
    "sequences": "(time, batch, feature)",
    "gates": "after their nonlinearities",
}


def header_of(path):
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert list(metadata) == ["gatewise"]
    return json.loads(metadata["gatewise"])


def assert_same_lstm(found, expected):
    assert type(found) is gw.LSTM
    assert (found.directions, found.merge, found.num_layers) == (
        expected.directions,
        expected.merge,
        expected.num_layers,
    )
    for row, other in zip(found.layers, expected.layers, strict=True):
        for cell, that in zip(row, other, strict=True):
            assert cell.labels == that.labels
            assert cell.variant == that.variant
            assert set(cell.parameters.arrays()) == set(that.parameters.arrays())
            for name, array in that.parameters.arrays().items():
                assert cell.parameters.arrays()[name].dtype == array.dtype
                np.testing.assert_array_equal(cell.parameters.arrays()[name], array)


@pairs(variant=cases.VARIANTS, projection=cases.PROJECTIONS, dtype=("float32", "float64"), thin=True)
def test_a_cell_is_the_same_after_saving_and_loading(variant, projection, dtype, tmp_path):
    run = cases.run_of(variant, projection=projection, dtype=dtype)
    cell = gw.LSTMCell.from_parameters(run.p, gw.Labels(features=("räin", "sun"), units=tuple("abcd")))
    gw.save(cell, tmp_path / "cell.safetensors")
    loaded = gw.load(tmp_path / "cell.safetensors")
    assert_same_lstm(loaded, gw.LSTM.from_cells(cell))
    np.testing.assert_array_equal(loaded(run.x)[0], run.lstm(run.x)[0])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"direction": "backward"},
        {"num_layers": 3, "projection_size": 2},
        {"bidirectional": True, "num_layers": 2, "merge": ["mul", "none"]},
        {"dtype": np.float64, "variant": gw.Variant(peephole="full", cell_clip=3.0), "bidirectional": True},
    ],
    ids=str,
)
def test_an_lstm_is_the_same_after_saving_and_loading(options, tmp_path):
    lstm = gw.LSTM(3, 4, rng=0, **options)
    gw.save(lstm, tmp_path / "lstm")
    loaded = gw.load(tmp_path / "lstm")
    assert_same_lstm(loaded, lstm)
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    np.testing.assert_array_equal(loaded(x)[0], lstm(x)[0])
    gw.save(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "lstm").read_bytes()


@pytest.mark.parametrize("embedding", [False, True])
@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("reads", ["every", "last"])
def test_a_network_is_the_same_after_saving_and_loading(embedding, head, reads, tmp_path):
    rng = np.random.default_rng(0)
    network = gw.Network(
        gw.LSTM(3, 4, bidirectional=True, rng=rng),
        embedding=rng.normal(size=(7, 3)) if embedding else None,
        head=gw.Linear(rng.normal(size=(2, 8)).astype(np.float32), [1, 2]) if head else None,
        reads=reads,
    )
    gw.save(network, tmp_path / "network")
    loaded = gw.load_network(tmp_path / "network")
    assert_same_lstm(loaded.lstm, network.lstm)
    assert (loaded.reads, loaded.embedding is None, loaded.head is None) == (reads, not embedding, not head)
    x = rng.integers(0, 7, (5, 2)) if embedding else rng.normal(size=(5, 2, 3))
    np.testing.assert_array_equal(loaded(x)[0], network(x)[0])
    assert_same_lstm(gw.load(tmp_path / "network"), network.lstm)  # of a network, its LSTM


def test_a_learned_initial_state_is_what_every_row_of_a_network_starts_from(tmp_path):
    lstm, chance = gw.LSTM(2, 3, num_layers=2, bidirectional=True, rng=0), np.random.default_rng(0)
    initial = [[gw.State(*chance.normal(size=(2, 3)).astype(np.float32)) for _ in range(2)] for _ in range(2)]
    gw.save(gw.Network(lstm, initial=initial), tmp_path / "network")
    network, x = gw.load_network(tmp_path / "network"), np.ones((4, 5, 2), np.float32)
    rows = [[gw.State(*(np.tile(part, (5, 1)) for part in one)) for one in row] for row in initial]
    np.testing.assert_array_equal(network(x)[0], lstm(x, rows)[0])
    np.testing.assert_array_equal(network.trace(x).output, lstm(x, rows)[0])
    np.testing.assert_array_equal(network(x[:, 0])[0], lstm(x[:, 0], initial)[0])
    zeros = lstm.zero_state(5)
    np.testing.assert_array_equal(network(x, zeros)[0], lstm(x)[0])
    with pytest.raises(gw.ShapeError):
        gw.Network(lstm, initial=initial[:1])


@pytest.mark.parametrize("name", ["m.pt", "m.PTH", "m.onnx", "m.keras", "m.h5"])
def test_the_name_of_another_frameworks_file_is_not_given_to_ours(name, tmp_path):
    with pytest.raises(gw.OptionError, match=r"save writes gatewise's own format.*write instead"):
        gw.save(gw.LSTM(2, 3, rng=0), tmp_path / name)
    assert not list(tmp_path.iterdir())


def things():
    lstm = gw.LSTM(2, 3, rng=0)
    trace = lstm.trace(np.ones((4, 1, 2)))
    return {"lstm": lstm, "network": gw.Network(lstm), "trace": trace[0], "lstm_trace": trace}


@pytest.mark.parametrize("kind", things())
def test_the_header_names_its_format_its_kind_and_every_convention(kind, tmp_path):
    gw.save(things()[kind], tmp_path / "file")
    header = header_of(tmp_path / "file")
    assert header["format"] == 1
    assert header["kind"] == kind
    assert header["conventions"] == CONVENTIONS


def test_the_header_names_every_switch_even_those_at_their_defaults(tmp_path):
    gw.save(gw.LSTM(2, 3, rng=0), tmp_path / "lstm")
    (((cell,),),) = [header_of(tmp_path / "lstm")["lstm"]["layers"]]
    assert cell["variant"] == gw.Variant().to_json()
    assert cell["variant"]["input_activation"] == {"name": "sigmoid", "alpha": None, "beta": None}
    assert set(cell["variant"]) >= {"peephole", "coupling", "gate_clip", "cell_clip", "layer_norm", "epsilon"}


def test_the_arrays_lie_in_the_file_under_their_names(tmp_path):
    lstm = gw.LSTM(2, 3, num_layers=2, bidirectional=True, rng=0)
    gw.save(lstm, tmp_path / "lstm")
    with safe_open(tmp_path / "lstm", framework="numpy") as file:
        names = {f"layers.{n}.{d}.{a}" for n in (0, 1) for d in cases.DIRECTIONS for a in ("weight", "bias")}
        assert set(file.keys()) == names
        weight = file.get_tensor("layers.1.backward.weight")
    np.testing.assert_array_equal(weight, lstm[1, "backward"].parameters.weight)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("lstm", ["an LSTM", "not a network"]),
        ("trace", ["the trace of a cell", "gatewise.load returns it"]),
        ("lstm_trace", ["the trace of an LSTM", "gatewise.load returns it"]),
    ],
)
def test_a_file_of_another_kind_is_refused_and_told_by_its_name(kind, words, tmp_path):
    gw.save(things()[kind], tmp_path / "file")
    with cases.refusal(str(tmp_path / "file"), *words):
        gw.load_network(tmp_path / "file")


FOREIGN = type("LSTM", (), {"__module__": "torch.nn.modules.rnn"})()


@pytest.mark.parametrize(
    "thing", [None, 5, np.ones(3), {"weight": 1}, gw.Linear([[1.0]]), cases.run_of("plain").p, FOREIGN]
)
def test_what_is_no_lstm_network_or_trace_is_not_saved(thing, tmp_path):
    with cases.refusal("LSTM", "Network", "Trace", type(thing).__name__, by=gw.OptionError):
        gw.save(thing, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_loaded_lstm_does_not_change_with_its_file(tmp_path):
    lstm = gw.LSTM(2, 3, rng=0)
    gw.save(lstm, tmp_path / "lstm")
    loaded = gw.load(tmp_path / "lstm")
    gw.save(gw.LSTM(2, 3, rng=1), tmp_path / "lstm")
    assert_same_lstm(loaded, lstm)


def test_a_loaded_bidirectional_trace_begins_with_its_forward_direction(tmp_path):
    lstm = gw.LSTM(2, 3, bidirectional=True, rng=0)
    x = np.random.default_rng(0).normal(size=(4, 1, 2))
    gw.save(lstm.trace(x), tmp_path / "trace")
    loaded = gw.load(tmp_path / "trace")
    assert loaded.directions == ("forward", "backward")
    assert next(iter(loaded.cells())) == (0, "forward")
    dy = np.random.default_rng(1).normal(size=(4, 1, 6))
    np.testing.assert_array_equal(gw.backward(loaded, dy).x, gw.backward(lstm.trace(x), dy).x)
