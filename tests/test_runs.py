"""One protocol of runs: the traces of a cell, of an LSTM and of a network answer the same questions."""

import inspect
import pickle
from functools import partial

import cases
import numpy as np
import pytest

import gatewise as gw
from gatewise import insight
from gatewise.records.run_record import RunRecord

LSTM = gw.LSTM(2, 4, rng=0, dtype=np.float64)
DEEP = gw.LSTM(2, 4, num_layers=2, bidirectional=True, rng=1, dtype=np.float64)
HEAD = gw.Linear(np.random.default_rng(2).normal(size=(2, 8)))
X = np.random.default_rng(3).normal(size=(7, 3, 2))
TOKENS = np.random.default_rng(4).integers(0, 5, size=(7, 3))
TABLE = np.random.default_rng(5).normal(size=(5, 2))
MODELS = {
    "a cell": (lambda x, **options: LSTM.trace(x, **options)[0], X),
    "an LSTM": (DEEP.trace, X),
    "unmerged directions": (gw.LSTM(2, 3, bidirectional=True, merge="none", rng=0, dtype=np.float64).trace, X),
    "a projection": (gw.LSTM(2, 4, projection_size=3, rng=0, dtype=np.float64).trace, X),
    "a network": (gw.Network(DEEP, head=HEAD).trace, X),
    "a network of tokens": (gw.Network(DEEP, head=HEAD, embedding=TABLE).trace, TOKENS),
    "a network that reads the last step": (gw.Network(DEEP, head=HEAD, reads="last").trace, X),
    "a network with a scaling": (
        gw.Network(DEEP, head=HEAD, inputs=gw.Scaling([1.0, 2.0], [2.0, 3.0]), skip=2).trace,
        X,
    ),
}
QUANTITIES = ("gates", "input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state")
RECOMPUTED = ("unprojected_state", "activated_cell_state", "combined_input", "preactivations")


def arrays_of(run) -> dict[str, np.ndarray]:
    """Return the quantities of a run by name, in the shapes that a reader sees."""
    arrays = {}
    for key, cell in run.cells().items():
        arrays |= {f"{key} {name}": getattr(cell, name) for name in (*QUANTITIES, *RECOMPUTED)}
        arrays |= {f"{key} {name} before": array for name, array in cell.previous._asdict().items()}
        arrays[f"{key} a"] = cell.preactivation("forget_gate")
    for number, row in enumerate(run.lstm.state):
        arrays |= {
            f"state {number} {place}": np.stack(state)
            for place, state in enumerate(row)
            if len(set(map(np.shape, state))) == 1
        }
    arrays["LSTM output"] = run.lstm.output
    if run.network is not None:
        arrays |= {
            name: getattr(run, name)
            for name in ("output", "features", "tokens", "input")
            if getattr(run, name) is not None
        }
    return arrays


def assert_same(one, other, rtol=0.0, atol=0.0) -> None:
    found, expected = arrays_of(one), arrays_of(other)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("kind", MODELS)
def test_without_a_batch_axis_in_the_input_no_quantity_has_one(kind):
    trace, x = MODELS[kind]
    alone, batch = trace(x[:, 1]), trace(x[:, 1:2])
    assert (alone.batched, batch.batched) == (False, True)
    assert_same(alone.stored, batch)  # what is stored keeps its batch axis
    assert batch.stored is batch
    for name, array in arrays_of(batch).items():
        axis = 1 if len(array) == len(x) or name.startswith("state") else 0
        np.testing.assert_array_equal(arrays_of(alone)[name], np.take(array, 0, axis), err_msg=name)
    for cell in alone.cells().values():
        assert cell.arrays["gates"].ndim == 4
        assert cell.input.shape[:2] == (7, 1)


@pytest.mark.parametrize("kind", MODELS)
def test_a_sequence_of_a_batch_is_its_run_alone(kind):
    trace, x = MODELS[kind]
    batch = trace(x, engine="reference", labels=gw.Labels(sequences=["a", "b", "c"]))
    for sequence in (1, -2, "b"):
        run = batch.sequence(sequence)
        assert type(run) is type(batch)
        assert not run.batched
        assert run.labels.sequences == ("b",)
        assert_same(run, trace(x[:, 1], engine="reference"), rtol=1e-12, atol=1e-14)
    for missing in (3, "d"):
        with cases.refusal("sequence", str(missing), by=gw.OptionError):
            batch.sequence(missing)


@pytest.mark.parametrize("kind", MODELS)
def test_a_cell_is_found_by_layer_and_direction_in_every_run(kind):
    trace, x = MODELS[kind]
    run = trace(x)
    for (layer, direction), cell in run.cells().items():
        assert run[layer, direction] is cell is run.lstm.layers[layer][direction]
        assert isinstance(cell, gw.Trace)
    with pytest.raises(gw.OptionError):
        _ = run[5, "forward"]
    with pytest.raises(gw.OptionError):
        _ = run[0, "sideways"]


@pytest.mark.parametrize("kind", MODELS)
def test_every_run_is_saved_and_loaded_and_pickled(kind, tmp_path):
    trace, x = MODELS[kind]
    for given in (x, x[:, 0]):
        run = trace(given)
        gw.save(run, tmp_path / "run.safetensors")
        for copy in (gw.load(tmp_path / "run.safetensors"), pickle.loads(pickle.dumps(run))):
            assert type(copy) is type(run)
            assert copy.batched == run.batched
            assert repr(copy) == repr(run)
            assert copy.labels == run.labels
            assert_same(copy, run)


def test_only_cell_and_require_raise_one_sentence():
    with cases.refusal("a picture needs the trace of one cell", "4 cells", by=gw.OptionError):
        DEEP.trace(X).only_cell("a picture")
    for run in (LSTM.trace(X, keep="cell_state"), LSTM.trace(X, keep="cell_state")[0]):
        with cases.refusal("a gradient needs", by=gw.NotKeptError):
            run.require("a gradient")
    np.testing.assert_array_equal(DEEP.trace(X).require("a gradient"), X)


@pytest.mark.parametrize("kind", MODELS)
def test_a_table_has_a_row_for_each_step_and_sequence(kind):
    pytest.importorskip("pandas")
    trace, x = MODELS[kind]
    for given in (x, x[:, 1]):
        run = trace(given)
        table = run.to_dataframe()
        assert len(table) == given.size // (1 if given is TOKENS or given.base is TOKENS else 2)
        for (layer, direction), cell in run.cells().items():
            part = table if table.columns.nlevels == 2 else table[f"layer_{layer}/{direction}"]
            gate = part["forget_gate"].to_numpy()
            np.testing.assert_array_equal(gate, cell.forget_gate.reshape(len(table), -1))
    assert list(table.index) == list(range(7))


@pytest.mark.parametrize("kind", MODELS)
def test_every_run_goes_to_xarray(kind):
    pytest.importorskip("xarray")
    trace, x = MODELS[kind]
    run = trace(x)
    tree = run.to_xarray()
    for (layer, direction), cell in run.cells().items():
        part = tree if hasattr(tree, "data_vars") and "forget_gate" in tree else tree[f"layer_{layer}/{direction}"]
        np.testing.assert_array_equal(part["forget_gate"], cell.forget_gate)
    if run.network is not None:
        np.testing.assert_array_equal(tree["network/y"], run.output)


ASKED = {
    "activity": (insight.activity, ()),
    "attention": (insight.attention, ()),
    "contributions": (insight.contributions, ()),
    "matches": (partial(insight.matches, threshold=-1.0), (1, 2)),
    "probe": (partial(insight.probe, folds=2), (np.arange(7.0),)),
    "saturation": (insight.saturation, ()),
    "timescales": (insight.timescales, ()),
    "influence": (insight.influence, ()),
    "attribution": (insight.attribution, ()),
    "word scores": (insight.word_scores, ()),
    "decomposition": (insight.decomposition, (0, 3)),
    "a ceiling": (insight.ceiling, ()),
    "fixed points": (partial(insight.fixed_points, starts=4, rng=0), ()),
    "change": (lambda run: insight.change(run, run), ()),
    "gates": (gw.plot.data.gates, ()),
    "states": (gw.plot.data.states, ()),
    "unit": (gw.plot.data.unit, ()),
    "text": (gw.plot.data.text, ("letters",)),
}


@pytest.mark.parametrize("question", ASKED)
def test_a_question_has_one_answer_with_a_batch_axis_and_without(question):
    ask, arguments = ASKED[question]
    alone, batch = LSTM.trace(X[:, 0]), LSTM.trace(X[:, :1])
    for run, other in ((alone, batch), (alone[0], batch[0])):
        found, expected = ask(run, *arguments), ask(other, *arguments)
        if hasattr(expected, "to_csv"):
            assert found.to_csv() == expected.to_csv()
            assert getattr(found, "sentence", "") == getattr(expected, "sentence", "")


def test_gradients_follow_the_axes_of_the_input():
    alone, batch = LSTM.trace(X[:, 0])[0], LSTM.trace(X[:, :1])[0]
    dy, end = np.ones((7, 4)), gw.State(np.ones(4), np.full(4, 2.0))
    found = gw.backward(alone, dy, end)
    expected = gw.backward(batch, dy[:, None], gw.State(*(array[None] for array in end)))
    for name, array in expected.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], array)
    np.testing.assert_array_equal(found.x, expected.x)
    with pytest.raises(gw.ShapeError):
        gw.backward(alone, dy[:, None])


def test_all_kinds_of_runs_have_the_same_public_names():
    names = {name for name, _ in inspect.getmembers(RunRecord) if not name.startswith("_")}
    for run in (trace(x) for trace, x in MODELS.values()):
        assert isinstance(run, RunRecord)
        assert names <= set(dir(run))
        for name in ("lstm", "network", "tokens", "labels", "batched", "num_steps", "batch_size", "stored", "edits"):
            getattr(run, name)


def test_a_networks_dates_are_those_of_its_output_in_xarray():
    pytest.importorskip("xarray")
    days = np.arange("2001-01-01", "2001-01-08", dtype="datetime64[D]")
    for given in (X, X[:, 0]):
        tree = gw.Network(DEEP, head=HEAD).trace(given, labels=gw.Labels(times=days)).to_xarray()
        np.testing.assert_array_equal(tree["network/y"].time, days)


@pytest.mark.parametrize("given", [X, X[:, 0]])
def test_the_lstm_of_a_cell_that_kept_some_steps_has_tables(given):
    pytest.importorskip("xarray")
    run = LSTM.trace(given, every=3)
    for lstm in (run.lstm, run[0].lstm):
        output = lstm.to_dataframe()["output"].to_numpy()
        np.testing.assert_array_equal(output, lstm[0].stored.hidden_state.reshape(output.shape))
    assert run.to_xarray()["output/y"].time.values.tolist() == list(range(7))
    assert run[0].lstm.to_xarray()["output/y"].time.values.tolist() == [0, 3, 6]
    assert LSTM.trace(given)[0][2:5].lstm.to_xarray()["output/y"].time.values.tolist() == [2, 3, 4]


def test_a_sequence_keeps_the_edits_of_steps_that_were_not_kept():
    edit = gw.Edit.set("forget_gate", 1.0, steps=[5])
    run = LSTM.trace(X, every=2, edit=edit)
    assert run.sequence(1).edits_said() == run.edits_said() != ""


@pytest.mark.parametrize("given", [X[:0], X[:, :0], X[:0, 0]])
def test_a_run_without_a_step_or_a_sequence_has_an_empty_table(given):
    pytest.importorskip("pandas")
    for run in (LSTM.trace(given), LSTM.trace(given)[0], gw.Network(DEEP, head=HEAD).trace(given)):
        table = run.to_dataframe()
        assert len(table) == 0
        assert {"forget_gate", "cell_state"} <= set(table.columns.get_level_values("quantity"))


def test_names_of_outputs_are_left_out_where_some_units_alone_were_kept():
    pytest.importorskip("xarray")
    cell = LSTM.trace(X, units=[0, 2], labels=gw.Labels(outputs=list("abcd")))[0]
    output = cell.lstm.to_xarray()["output/y"]
    np.testing.assert_array_equal(output, cell.hidden_state)
    assert "output" not in output.coords


@pytest.mark.parametrize("action", ["set", "scale"])
def test_an_edit_takes_a_quantity_of_a_run_without_a_batch_axis(action):
    edit, gate = getattr(gw.Edit, action), LSTM.trace(X[:, 1])[0].forget_gate
    alone = LSTM.trace(X[:, 0], edit=edit("forget_gate", gate[2:4, :2], steps=[2, 3], units=[0, 1]))
    batch = LSTM.trace(X[:, :1], edit=edit("forget_gate", gate[2:4, None, :2], steps=[2, 3], units=[0, 1]))
    assert_same(alone, batch.sequence(0))
    assert_same(LSTM.trace(X[:, 0], edit=alone.edits), alone)
