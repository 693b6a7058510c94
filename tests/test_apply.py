"""A model over labelled data: what each sequence gets, what it is called, and what is refused."""

from __future__ import annotations

import sys

import cases
import numpy as np
import pytest
from native_subjects import needs_native

import gatewise as gw
from gatewise import insight
from gatewise.chunked.questions import KINDS
from gatewise.records.keep import QUANTITIES

xarray = pytest.importorskip("xarray")
RNG = np.random.default_rng(7)
RAW = RNG.normal(size=(6, 5, 3))
DAYS = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]").astype("datetime64[ns]")
BASINS = ["north", "east", "south", "west", "sea"]
HEAD = gw.Linear(RNG.normal(size=(2, 4)).astype(np.float32), activation="tanh")
MODELS = {
    "LSTM": gw.LSTM(3, 4, rng=1),
    "stack": gw.LSTM(3, 4, num_layers=2, bidirectional=True, rng=2),
    "projected": gw.LSTM(3, 4, projection_size=2, rng=3, dtype=np.float64),
    "reference": gw.LSTM(3, 4, variant=gw.Variant(layer_norm="gates", epsilon=1e-3), rng=4),
    "network": gw.Network(gw.LSTM(3, 4, rng=5), head=HEAD),
    "last": gw.Network(gw.LSTM(3, 4, rng=6), head=HEAD, reads="last"),
    "dense": gw.Network(
        gw.LSTM(6, 4, rng=7),
        head=[gw.Linear(RNG.normal(size=(4, 4)).astype(np.float32), activation="relu"), HEAD],
        branches=[gw.Branch([2, 0, 1], [gw.Linear(RNG.normal(size=(6, 3)).astype(np.float32))])],
        outputs=gw.Scaling([1.0, 2.0], [3.0, 4.0]),
        skip=2,
    ),
    "large layers": gw.Network(
        gw.LSTM(400, 4, rng=8),
        head=[
            gw.Linear(RNG.normal(size=(300, 4)).astype(np.float32), activation="tanh"),
            gw.Linear(np.ones((4, 300), np.float32)),
        ],
        branches=[gw.Branch([2, 0, 1], [gw.Linear(RNG.normal(size=(400, 3)).astype(np.float32))])],
    ),
    "large head": gw.Network(
        gw.LSTM(3, 16, rng=9, dtype=np.float64), head=gw.Linear(RNG.normal(size=(100, 16))), reads="last"
    ),
}


def labelled(raw: np.ndarray = RAW, **more) -> xarray.DataArray:
    """Return data with names on their axes."""
    coordinates = {"time": DAYS, "basin": BASINS, "area": ("basin", np.arange(5.0)), **more}
    return xarray.DataArray(raw, dims=("time", "basin", "feature"), coords=coordinates)


@pytest.mark.parametrize("name", MODELS)
def test_each_sequence_gets_to_the_bit_what_the_model_gives_for_it_alone(name):
    model = MODELS[name]
    found = gw.apply(model, labelled())
    assert {"y", *QUANTITIES} - {"unprojected_state"} <= set(found)
    for basin in range(5):
        alone, table = model.trace(RAW[:, basin]), found.isel(basin=basin)
        np.testing.assert_array_equal(table.y, alone.output)
        for way, cell in alone.lstm.layers[-1].items():
            one = table.sel(direction=way) if "direction" in table.dims else table
            for quantity in cell.distinct():
                np.testing.assert_array_equal(one[quantity], cell.quantity(quantity))


def test_the_order_of_the_axes_and_how_many_count_sequences_changes_nothing():
    model = MODELS["network"]
    expected = gw.apply(model, labelled())
    turned = gw.apply(model, labelled().transpose("feature", "basin", "time"))
    assert turned.cell_state.dims == ("basin", "time", "unit")
    xarray.testing.assert_identical(turned.transpose(*expected.dims), expected.transpose(*expected.dims))
    raw = np.stack([RAW, 2 * RAW])
    data = xarray.DataArray(raw, dims=("member", "day", "basin", "forcing"))
    several = gw.apply(model, data, dims={"time": "day", "feature": "forcing"})
    assert several.cell_state.dims == ("member", "day", "basin", "unit")
    np.testing.assert_array_equal(several.y[0], expected.y)
    one = gw.apply(model, data[1, :, 2], dims={"time": "day", "feature": "forcing"})
    np.testing.assert_array_equal(one.y, several.y[1, :, 2])


@needs_native
def test_names_and_dates_of_the_data_and_of_the_model_are_on_the_axes():
    cell = gw.LSTMCell(3, 4, rng=0, labels=gw.Labels(units=list("wxyz"), outputs=list("wxyz")))
    found = gw.apply(gw.LSTM.from_cells(cell), labelled(), keep="forget_gate", units=[3, 1], every=2)
    assert found.time.values.tolist() == DAYS[::2].tolist()
    assert found.unit.values.tolist() == ["z", "x"]
    assert found.output.values.tolist() == list("wxyz")
    assert found.area.sel(basin="south") == 2
    whole = gw.LSTM.from_cells(cell).trace(RAW)
    np.testing.assert_array_equal(found.forget_gate, whole[0].forget_gate[::2, :, [3, 1]])
    np.testing.assert_array_equal(found.y, whole.output[::2])
    bare = gw.apply(gw.LSTM.from_cells(cell), labelled().drop_vars("time"), keep=(), every=3)
    assert bare.time.values.tolist() == [0, 3]
    assert set(bare) == {"y"}


@needs_native
def test_layers_and_directions_are_axes_where_several_are_asked_for():
    model = MODELS["stack"]
    whole = model.trace(RAW)
    found = gw.apply(model, labelled(), layer=[1, 0], keep="candidate", output=False)
    assert found.candidate.dims == ("layer", "direction", "time", "basin", "unit")
    for (layer, direction), cell in whole.cells().items():
        np.testing.assert_array_equal(found.candidate.sel(layer=layer, direction=direction), cell.candidate)
    one = gw.apply(model, labelled(), layer=0, direction="backward", keep="candidate")
    np.testing.assert_array_equal(one.candidate, whole[0, "backward"].candidate)


@needs_native
@pytest.mark.parametrize("kind", ["lengths", "mask"])
def test_steps_that_are_not_valid_and_states_are_those_of_a_trace(kind):
    model, lengths = MODELS["stack"], np.array([6, 3, 0, 5, 1])
    mask = np.arange(6)[:, None] < lengths
    given = {"lengths": xarray.DataArray(lengths, dims="basin")} if kind == "lengths" else {"mask": mask}
    state = model.trace(RAW).state
    shared, own = gw.State(np.ones(4), np.zeros(4)), state[1]
    first = (shared, shared)
    last = tuple(gw.State(*(xarray.DataArray(part, dims=("basin", "n")) for part in one)) for one in own)
    found = gw.apply(model, labelled(), state=(first, last), layer=[0, 1], **given)
    wide = tuple(gw.State(*(np.broadcast_to(part, (5, 4)) for part in one)) for one in first)
    expected = model.trace(RAW, (wide, own), lengths=lengths)
    for (layer, direction), cell in expected.cells().items():
        at = {"layer": layer, "direction": direction}
        np.testing.assert_array_equal(found.input_gate.sel(at), cell.input_gate)
        for name in ("cell_state", "hidden_state"):
            np.testing.assert_array_equal(found[name].sel(at), np.where(mask[..., None], cell.quantity(name), np.nan))
    np.testing.assert_array_equal(found.y, np.where(mask[..., None], expected.output, np.nan))
    raw = gw.apply(model, labelled(), state=(first, last), layer=[0, 1], padding="framework", **given)
    np.testing.assert_array_equal(raw.y, expected.output)
    np.testing.assert_array_equal(raw.cell_state.sel(layer=1, direction="forward"), expected[1, "forward"].cell_state)


@needs_native
def test_padding_is_nan_where_every_step_is_not_kept_and_where_a_model_marks_it_itself():
    network = gw.Network(gw.LSTM(3, 4, rng=0), embedding=np.ones((9, 3), np.float32), masked=0, head=HEAD)
    tokens = xarray.DataArray([[1, 2], [0, 8], [3, 3], [0, 1], [0, 1]], dims=("time", "text"))
    found = gw.apply(network, tokens, every=2)
    for name in ("y", "hidden_state", "cell_state", "forget_gate"):
        assert np.isnan(found[name]).all("unit" if name != "y" else "output").values.tolist() == [
            [False, False],
            [False, False],
            [True, False],
        ]
        assert found[name].dtype == np.float32
    last = gw.Network(gw.LSTM(3, 4, rng=0), head=HEAD, reads="last")
    at_end = gw.apply(last, labelled(), lengths=[6, 3, 1, 5, 1])
    np.testing.assert_array_equal(at_end.y, last.trace(RAW, lengths=[6, 3, 1, 5, 1]).output)


@needs_native
def test_tokens_have_no_features():
    network = gw.Network(gw.LSTM(3, 4, rng=0), embedding=RNG.normal(size=(9, 3)).astype(np.float32), masked=0)
    tokens = np.array([[1, 2], [0, 8], [3, 3]])
    found = gw.apply(network, xarray.DataArray(tokens, dims=("time", "text")), padding="framework")
    np.testing.assert_array_equal(found.cell_state, network.trace(tokens).lstm[0].cell_state)
    with cases.refusal("tokens", "float64", by=gw.OptionError):
        gw.apply(network, xarray.DataArray(1.0 * tokens, dims=("time", "text")))


def test_answers_are_those_of_insight_for_each_sequence_by_itself():
    model, lengths = MODELS["network"], np.array([6, 3, 0, 5, 6])
    raw = RAW.copy()
    raw[2, 4] = np.nan
    found = {
        name: gw.apply(model, labelled(raw), ask=name, lengths=lengths, **options)
        for name, options in (("timescales", {}), ("saturation", {"low": 0.45}), ("ceiling", {"scale": 2.0}))
    }
    assert set(found) == set(KINDS)
    for basin in (0, 1, 3):
        run = model.trace(raw[:, basin], lengths=lengths[basin : basin + 1])
        one = insight.timescales(run.lstm[0])
        np.testing.assert_array_equal(found["timescales"].half_life[basin], one.half_life)
        one = insight.saturation(run.lstm[0], low=0.45)
        np.testing.assert_array_equal(found["saturation"].closed[basin], one.closed)
        np.testing.assert_array_equal(found["saturation"].dead[basin], one.dead)
        one = insight.ceiling(run, scale=2.0)
        np.testing.assert_array_equal(found["ceiling"].ceiling[basin], one.ceiling)
        np.testing.assert_array_equal(found["ceiling"].value[:, basin], one.output)
        np.testing.assert_array_equal(found["ceiling"].lost_to_cell[:, basin], one.losses["lost_to_cell"])
    assert found["saturation"].gate.values.tolist() == ["input_gate", "forget_gate", "output_gate"]
    assert found["ceiling"].value.dims == ("time", "basin", "output")
    for name, variable in (("timescales", "span"), ("saturation", "stuck"), ("ceiling", "floor")):
        assert np.isnan(found[name][variable].isel(basin=[2, 4])).all()
    last = gw.apply(MODELS["last"], labelled(), ask="ceiling")
    assert last.value.dims == ("basin", "output")


def test_features_are_taken_by_name_where_both_have_names():
    cell = gw.LSTMCell(3, 4, rng=0, labels=gw.Labels(features=["rain", "snow", "heat"]))
    lstm = gw.LSTM.from_cells(cell)
    expected = gw.apply(lstm, labelled(feature=["rain", "snow", "heat"]))
    mixed = labelled(feature=["rain", "snow", "heat"]).sel(feature=["heat", "rain", "snow"])
    xarray.testing.assert_identical(gw.apply(lstm, mixed), expected)
    for names, words in (("rain hail heat", ["snow", "rain, hail, heat"]), ("rain snow heat snow", ["2", "'snow'"])):
        with cases.refusal(*words, by=gw.OptionError):
            gw.apply(lstm, labelled(np.ones((6, 5, len(names.split()))), feature=names.split()))


def test_a_result_has_units_and_long_names_and_the_attributes_of_the_data():
    labels = gw.Labels(outputs=["q", "e"], measures={"q": ("discharge", "mm/d"), "e": ("evaporation", "mm/d")})
    network = gw.Network(gw.LSTM(3, 4, rng=5), head=HEAD, labels=labels)
    data = labelled()
    data.area.attrs = {"units": "km2", "long_name": "area of the basin"}
    data.basin.attrs = {"cf_role": "timeseries_id"}
    before = data.copy(deep=True)
    found = gw.apply(network, data, every=2)
    assert found.y.attrs == {"long_name": "output of the network", "units": "mm/d"}
    assert found.forget_gate.attrs == {"long_name": "forget gate", "units": "1"}
    assert found.area.attrs == data.area.attrs
    assert found.basin.attrs == data.basin.attrs
    assert found.time.attrs == {"standard_name": "time", "long_name": "time", "axis": "T"}
    assert found.unit.attrs == {"long_name": "hidden unit"}
    xarray.testing.assert_identical(data, before)
    assert gw.apply(MODELS["network"], data).y.attrs == {"long_name": "output of the network"}  # in a unit nobody knows
    assert gw.apply(MODELS["LSTM"], data).y.attrs == {"long_name": "output of the LSTM", "units": "1"}
    one = gw.Network(gw.LSTM(3, 4, rng=5), labels=gw.Labels(outputs=list("abcd"), measures={"b": ("flow", "m")}))
    assert gw.apply(one, data).y.attrs == {"long_name": "output of the network"}
    for name, kind in KINDS.items():
        found = gw.apply(network, data, ask=name)
        units = "mm/d" if name == "ceiling" else "1"
        assert all(one.attrs["units"] == units and one.attrs["long_name"] for one in found.values()), kind


@needs_native
def test_a_result_says_how_it_was_made():
    expected = {"Conventions": "CF-1.11", "source": f"gatewise {gw.__version__}", "engine": "native"}
    options = {"lengths": [6, 6, 3, 2, 1], "layer": 0, "keep": None, "state": None}
    found = gw.apply(MODELS["LSTM"], labelled().rename(time="day"), dims={"time": "day"}, **options)
    call = "gw.apply(model, data, layer=0, lengths=[6, 6, 3, 2, 1], dims={'time': 'day'})"
    assert found.attrs == expected | {"history": call, "model": repr(MODELS["LSTM"])}
    answer = gw.apply(MODELS["network"], labelled(), ask="saturation", low=0.1, lengths=np.full(5, 6))
    lengths = "lengths=array([6, 6, 6, 6, 6])"
    assert answer.attrs["history"] == f"gw.apply(model, data, ask='saturation', {lengths}, low=0.1)"
    whole = gw.apply(MODELS["network"], labelled(), mask=xarray.ones_like(labelled()[..., 0], dtype=bool))
    assert whole.attrs["history"] == "gw.apply(model, data, mask=DataArray)"


REFUSED = {
    "no model": (lambda: gw.apply(gw.LSTMCell(3, 4), labelled()), "LSTMCell"),
    "no labels": (lambda: gw.apply(MODELS["LSTM"], RAW), "xarray.DataArray, not ndarray"),
    "other names": (lambda: gw.apply(MODELS["LSTM"], labelled().rename(time="day")), "'time'", "day, basin, feature"),
    "odd dims": (lambda: gw.apply(MODELS["LSTM"], labelled(), dims={"sequence": "basin"}), "time and feature"),
    "too wide": (lambda: gw.apply(MODELS["LSTM"], labelled(RAW[..., :2])), "2 features", "reads 3"),
    "text": (lambda: gw.apply(MODELS["LSTM"], labelled(RAW.astype(str))), "real numbers"),
    "nothing": (lambda: gw.apply(MODELS["LSTM"], labelled(), keep=(), output=False), "no variable"),
    "a dimension y": (lambda: gw.apply(MODELS["LSTM"], labelled().rename(basin="y")), "'y'"),
    "a name taken": (lambda: gw.apply(MODELS["LSTM"], labelled().rename(basin="unit")), "'unit'"),
    "no such layer": (lambda: gw.apply(MODELS["LSTM"], labelled(), layer=1), "layer 1"),
    "no such way": (lambda: gw.apply(MODELS["LSTM"], labelled(), direction="backward"), "only runs forward"),
    "no question": (lambda: gw.apply(MODELS["LSTM"], labelled(), ask="why"), ", ".join(KINDS)),
    "no such option": (lambda: gw.apply(MODELS["LSTM"], labelled(), low=1), "low"),
    "an option of no question": (lambda: gw.apply(MODELS["LSTM"], labelled(), ask="timescales", low=1), "low"),
    "too much": (lambda: gw.apply(MODELS["LSTM"], labelled(), ask="timescales", keep="candidate"), "keep"),
    "odd padding": (lambda: gw.apply(MODELS["LSTM"], labelled(), padding="none"), "nan, framework", "'none'"),
    "padding of answers": (lambda: gw.apply(MODELS["LSTM"], labelled(), ask="ceiling", padding="framework"), "padding"),
    "a cell of a model": (lambda: gw.apply(MODELS["LSTM"], labelled(), ask="ceiling", layer=0), "whole model"),
    "both": (lambda: gw.apply(MODELS["LSTM"], labelled(), lengths=[1] * 5, mask=RAW[..., 0] > 0), "not both"),
    "few lengths": (lambda: gw.apply(MODELS["LSTM"], labelled(), lengths=[1, 2]), "same sizes"),
    "odd lengths": (lambda: gw.apply(MODELS["LSTM"], labelled(), lengths=[0.5] * 5), "integers"),
    "another state": (lambda: gw.apply(MODELS["LSTM"], labelled(), state=((1,),)), "State(h, c)"),
    "a short state": (
        lambda: gw.apply(MODELS["LSTM"], labelled(), state=((gw.State(np.zeros(3), np.zeros(4)),),)),
        "h of layer 0",
        "(4,)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(name):
    call, *words = REFUSED[name]
    with cases.refusal(*words, by=gw.GatewiseError):
        call()


def test_results_that_do_not_fit_into_memory_are_refused_before_the_run(monkeypatch):
    monkeypatch.setattr("gatewise.arrays.SMALL", 0)
    monkeypatch.setattr("gatewise.arrays.available_memory", lambda: 2000)
    with cases.refusal("what 5 sequences give", "3.281 KiB", by=gw.CapacityError):
        gw.apply(MODELS["LSTM"], labelled())


def test_layers_of_different_sizes_are_asked_for_one_by_one():
    cells = [gw.LSTMCell(3, 4, rng=0), gw.LSTMCell(4, 2, rng=0)]
    with cases.refusal("layer=", by=gw.OptionError):
        gw.apply(gw.LSTM.from_cells(cells), labelled(), layer=[0, 1])


def test_without_xarray_one_sentence_tells_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with cases.refusal("pip install '.[xarray]'", by=gw.MissingExtraError):
        gw.apply(MODELS["LSTM"], RAW)
