"""A network that is evaluated in windows, over labelled data: the last step of each window, and what is refused."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from native_subjects import needs_native

import gatewise as gw
from gatewise.network import Windows

xarray = pytest.importorskip("xarray")
LENGTH, STEPS = 5, 14
RAW = np.random.default_rng(3).normal(size=(STEPS, 3, 2)).astype(np.float32)
DAYS = np.arange("2001-01-01", STEPS, dtype="datetime64[D]").astype("datetime64[ns]")
HEAD = gw.Linear(np.random.default_rng(4).normal(size=(1, 4)).astype(np.float32))
WIDE = gw.Linear(np.random.default_rng(5).normal(size=(300, 2)).astype(np.float32))
MODELS = {
    "plain": gw.Network(gw.LSTM(2, 4, rng=1), head=HEAD, windows=Windows(LENGTH)),
    "layers": gw.Network(gw.LSTM(2, 4, num_layers=2, bidirectional=True, merge="sum", rng=2), windows=Windows(LENGTH)),
    "one step": gw.Network(gw.LSTM(2, 4, rng=3), head=HEAD, windows=Windows(1)),
    "wide": gw.Network(gw.LSTM(300, 4, rng=1), head=HEAD, branches=[gw.Branch([0, 1], [WIDE])], windows=Windows(2)),
}


def data(raw=RAW, **coordinates):
    return xarray.DataArray(raw, dims=("time", "basin", "feature"), coords={"time": DAYS, **coordinates})


@needs_native
@pytest.mark.parametrize("order", [("time", "basin", "feature"), ("basin", "feature", "time")])
@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_each_step_are_the_last_ones_of_its_window(name, order):
    model = MODELS[name]
    steps = model.windows.steps
    result = gw.apply(model, data().transpose(*order)).transpose("time", "basin", ...)
    assert np.isnan(result.y[: steps - 1]).all()
    for basin in range(3):
        np.testing.assert_array_equal(result.y[:, basin], model.run_windows(RAW[:, basin]))
        for end in range(steps - 1, STEPS, 4):
            trace = model.trace(RAW[end + 1 - steps : end + 1, basin])
            for way, cell in trace.lstm.layers[-1].items():
                table = result.isel(time=end, basin=basin)
                table = table.sel(direction=way) if "direction" in table.dims else table
                for quantity in ("forget_gate", "cell_state"):
                    got, want = table[quantity], cell.quantity(quantity)[-1]
                    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 if name == "wide" else 0)


def test_what_is_not_whole_is_nan_and_the_rest_stays():
    model, raw = MODELS["plain"], RAW.copy()
    raw[6, 1, 0] = np.nan
    whole, result = gw.apply(model, data()), gw.apply(model, data(raw), keep="cell_state")
    lost = np.zeros((STEPS, 3), bool)
    lost[: LENGTH - 1] = lost[6 : 6 + LENGTH, 1] = True
    np.testing.assert_array_equal(np.isnan(result.cell_state).any("unit"), lost)
    np.testing.assert_array_equal(result.y.values[~lost], whole.y.values[~lost])
    assert whole.windows_not_whole.values.tolist() == [0, 0, 0]
    assert result.windows_not_whole.values.tolist() == [0, LENGTH, 0]
    gap = data().isel(time=[*range(8), *range(9, STEPS)])
    np.testing.assert_array_equal(
        np.isnan(gw.apply(model, gap).y[:, 0, 0]), [*[True] * 4, *[False] * 4, *[True] * 4, False]
    )
    assert gw.apply(model, gap).windows_not_whole.values.tolist() == [4, 4, 4]
    short = gw.apply(model, data(), lengths=[STEPS, 7, 3])
    assert np.isfinite(short.y[..., 0]).sum("time").values.tolist() == [STEPS - 4, 3, 0]
    assert short.windows_not_whole.values.tolist() == [0, 0, 0]
    assert gw.apply(model, data(raw), lengths=[STEPS, 9, 3]).windows_not_whole.values.tolist() == [0, 3, 0]
    mask = xarray.DataArray(np.arange(STEPS) != 6, dims="time")
    np.testing.assert_array_equal(np.isnan(gw.apply(model, data(), mask=mask).y[:, 0, 0]), lost[:, 1])


def test_thin_results_and_questions_are_of_windows_too():
    model = MODELS["plain"]
    whole, thin = gw.apply(model, data()), gw.apply(model, data(), every=3)
    xarray.testing.assert_equal(thin, whole.isel(time=slice(None, None, 3)))
    asked = gw.apply(model, data(), ask="timescales")
    want = gw.insight.timescales(model.trace(RAW[-LENGTH:, 1]).lstm[0]).columns["timescale"]
    np.testing.assert_array_equal(asked.timescale[1], want)
    assert asked.windows_not_whole.dims == ("basin",)
    ceiling = gw.apply(model, data(), ask="ceiling")
    assert np.isnan(ceiling.value[: STEPS - LENGTH]).all()
    np.testing.assert_allclose(ceiling.value[STEPS - LENGTH :, 2], model.trace(RAW[-LENGTH:, 2]).output, rtol=1e-6)


@needs_native
def test_a_continuous_run_is_that_of_the_network_without_windows_and_is_named():
    model = MODELS["plain"]
    result = gw.apply(model, data(), continuous=True)
    np.testing.assert_array_equal(result.y, model.trace(RAW).output)
    assert result.attrs["evaluation"] == "continuous, where the model is evaluated in windows of 5 steps"
    assert gw.apply(model, data()).attrs["evaluation"].startswith("in windows of 5 steps")
    with cases.refusal("continuous", by=gw.OptionError):
        gw.apply(gw.LSTM(2, 4, rng=1), data(), continuous=True)
    state = model.lstm.zero_state()
    with cases.refusal("state", "continuous=True", by=gw.OptionError):
        gw.apply(model, data(), state=state)
    np.testing.assert_array_equal(gw.apply(model, data(), state=state, continuous=True).y, result.y)


def test_lagged_and_copied_features_are_made_of_the_columns():
    labels = gw.Labels(features=["rain", "rain_shift2", "warm_copy1"])
    lags = {"rain_shift2": ("rain", 2), "warm_copy1": ("warm", 0)}
    model = gw.Network(gw.LSTM(3, 4, rng=1), head=HEAD, windows=Windows(LENGTH, lags=lags), labels=labels)
    result = gw.apply(model, data(feature=["warm", "rain"]))
    late = np.concatenate([np.full((2, 3), np.nan, np.float32), RAW[:-2, :, 1]])
    x = np.stack([RAW[..., 1], late, RAW[..., 0]], axis=-1)
    np.testing.assert_array_equal(result.y, model.run_windows(x))
    assert np.isfinite(result.y[LENGTH + 1 :]).all()
    with cases.refusal("no column warm", by=gw.OptionError):
        gw.apply(model, data(feature=["snow", "rain"]))


def test_one_sequence_without_a_dimension_of_sequences_is_evaluated():
    for options in ({}, {"ask": "timescales"}):
        several, alone = (gw.apply(MODELS["plain"], x, **options) for x in (data(), data()[:, 1]))
        xarray.testing.assert_equal(alone, several.isel(basin=1))


def lagged_model(*steps: int) -> gw.Network:
    """Return a network that reads rain, and rain shifted by steps."""
    lags = {f"rain_shift{step}": ("rain", step) for step in steps}
    labels = gw.Labels(features=["rain", *lags])
    lstm = gw.LSTM(1 + len(steps), 4, rng=1)
    return gw.Network(lstm, head=HEAD, windows=Windows(LENGTH, lags=lags), labels=labels)


@pytest.mark.parametrize("steps", [(2,), (3, -1), (-2,)])
def test_a_continuous_run_begins_where_all_shifted_features_are_there(steps):
    model, names = lagged_model(*steps), ["warm", "rain"]
    series = data(feature=names)
    expected = gw.open_run(model, series[:, 1], continuous=True).trace
    inside = slice(max(0, *steps), STEPS + min(0, *steps))
    result = gw.apply(model, series, continuous=True)
    np.testing.assert_array_equal(result.y[inside, 1], expected.output)
    np.testing.assert_array_equal(result.cell_state[inside, 1], expected.lstm[0].cell_state)
    outside = np.ones(STEPS, bool)
    outside[inside] = False
    assert np.isnan(result.y[outside]).all()
    short = gw.apply(model, series, continuous=True, lengths=[STEPS, STEPS - 3, 0]).y[:, 1]
    np.testing.assert_array_equal(short.dropna("time"), expected.output[: STEPS - 3 - max(0, *steps) + min(0, *steps)])


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize(("bad", "text"), [(np.inf, "is inf"), (-1e300, r"is -1e\+300")])
def test_an_infinite_number_is_refused_by_name_with_its_value(bad, text, continuous):
    raw = RAW.astype(np.float64)
    raw[6, 1, 1] = bad
    series = data(raw, feature=["warm", "rain"])
    for run in (gw.apply, gw.open_run):
        with pytest.raises(gw.OptionError, match=f"rain, of step 6.* {text}"):
            run(lagged_model(), series if run is gw.apply else series[:, 1], continuous=continuous)


def test_attributes_by_name_are_those_of_every_sequence():
    labels = gw.Labels(features=["slope", "rain"])
    model = gw.Network(gw.LSTM(2, 4, rng=1), head=HEAD, windows=Windows(LENGTH), labels=labels)
    rain = data(feature=["warm", "rain"])[..., 1:]
    result = gw.apply(model, rain, attributes={"slope": 0.5, "area": 9})
    x = np.stack([np.full((STEPS, 3), 0.5, np.float32), RAW[..., 1]], axis=-1)
    np.testing.assert_array_equal(result.y, model.run_windows(x))
    with cases.refusal("slope", by=gw.OptionError):
        gw.apply(model, rain, attributes={"area": 9})
    table = pytest.importorskip("pandas").DataFrame({"area": [1, 2, 3], "slope": [0.1, 0.2, 0.3]}, index=[7, 8, 9])
    result = gw.apply(model, rain.assign_coords(basin=[9, 8, 7]), attributes=table)
    slopes = np.broadcast_to(np.float32([0.3, 0.2, 0.1]), (STEPS, 3))
    np.testing.assert_array_equal(result.y, model.run_windows(np.stack([slopes, RAW[..., 1]], axis=-1)))
    with cases.refusal("the table of attributes has no basin '6'; it has 7, 8, 9", by=gw.OptionError):
        gw.apply(model, rain.assign_coords(basin=[6, 8, 7])[:, :1], attributes=table)
