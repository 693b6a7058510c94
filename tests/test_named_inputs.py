"""Names, dates and units come along with an input of pandas or xarray, wherever an array is taken."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from native_subjects import needs_native

import gatewise as gw

pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")

NAMES, BASINS = ["prcp", "tmax"], ["Inn", "Isar", "Lech"]
DAYS = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]")
BATCH = np.random.default_rng(0).normal(size=(6, 3, 2)).astype(np.float32)
X = BATCH[:, 0]
UNITS = {"prcp": "mm/d", "tmax": "°C"}
MEASURES = {name: gw.Measure(name, unit) for name, unit in UNITS.items()}
LSTM = gw.LSTM(2, 3, num_layers=2, rng=0)
HEAD = gw.Linear(np.ones((1, 3), np.float32), np.zeros(1, np.float32))
NETWORK = gw.Network(LSTM, head=HEAD, labels=gw.Labels(outputs=["q"]))
SCALED = gw.Network(LSTM, head=HEAD, inputs=gw.Scaling(np.ones(2), np.full(2, 2.0)))
MODELS = {"LSTM": LSTM, "network": NETWORK, "scaled": SCALED}
ONE = gw.LSTM(1, 3, rng=0)
TOKENS = gw.Network(gw.LSTM(2, 3, rng=0), embedding=np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32))


def frame(x=X, columns=NAMES):
    table = pandas.DataFrame(x, columns=columns, index=pandas.DatetimeIndex(DAYS))
    table.attrs["units"] = UNITS
    return table


def dataset():
    coordinates = {"basin": BASINS, "date": DAYS}
    variables = {
        name: (("basin", "date"), BATCH[..., n].T, {"units": UNITS[name], "long_name": name})
        for n, name in enumerate(NAMES)
    }
    return xarray.Dataset(variables, coords=coordinates)


def data_array():
    array = dataset().to_dataarray("feature").transpose("date", "basin", "feature")
    return array.assign_coords(feature_unit=("feature", [UNITS[name] for name in NAMES]))


SINGLE = {  # the same sequence
    "a table": frame(),
    "a table in float64": frame().astype(float),
    "a table of pandas' own types": frame().astype("Float32"),
    "columns of text for names": frame().rename(columns=str),
    "an index of periods": frame().to_period("D"),
    "an index of date objects": frame().set_axis(list(DAYS.astype(object))),
    "an index of text": frame().set_axis(list(map(str, DAYS))),
    "a Dataset of one basin": dataset().isel(basin=0, drop=True),
    "a DataArray of one basin": data_array().isel(basin=0, drop=True),
    "a DataArray on other axes": data_array().isel(basin=0, drop=True).T,
}
MANY = {
    "a Dataset": dataset(),
    "a DataArray": data_array(),
    "a DataArray on other axes": data_array().transpose("feature", "basin", "date"),
}


def require_names(labels, sequences=None):
    assert labels.features == tuple(NAMES)
    assert labels.sequences == sequences
    assert np.array_equal(np.array(labels.times), DAYS)
    assert labels.measures == MEASURES


@pytest.mark.parametrize("what", SINGLE)
@pytest.mark.parametrize("model", MODELS)
def test_names_dates_and_units_of_a_sequence_come_along(model, what):
    run = MODELS[model]
    trace = run.trace(SINGLE[what])
    np.testing.assert_array_equal(trace.output, run.trace(X).output)
    np.testing.assert_array_equal(run(SINGLE[what])[0], run(X)[0] if "axes" not in what else run(X)[0].T)
    assert not trace.batched
    require_names(trace.labels)
    require_names(gw.open_run(run, SINGLE[what]).labels)


@pytest.mark.parametrize("what", MANY)
@pytest.mark.parametrize("model", MODELS)
def test_names_of_a_batch_come_along(model, what):
    run = MODELS[model]
    trace = run.trace(MANY[what])
    np.testing.assert_array_equal(trace.output, run.trace(BATCH).output)
    require_names(trace.labels, tuple(BASINS))
    require_names(gw.open_run(run, MANY[what]).labels, tuple(BASINS))
    assert trace.sequence("Lech").labels.sequences == ("Lech",)
    assert gw.verify(run, MANY[what], run(MANY[what])[0]).verdict == "rounding"


def test_names_reach_tables_pictures_reports_pages_and_insight():
    table = LSTM.trace(frame()).to_dataframe()
    assert [name[2] for name in table.columns if name[:2] == ("layer_0/forward", "input")] == NAMES
    np.testing.assert_array_equal(table.index.values.astype(DAYS.dtype), DAYS)
    require_names(NETWORK.trace(NETWORK.trace(frame()).lstm[0].to_xarray()["input"]).labels)
    assert gw.insight.attribution(NETWORK.trace(frame()), "q", "2001-01-05").measures == ("prcp (mm/d)", "tmax (°C)")
    for text in (gw.report(NETWORK, frame()).findings, [gw.page(LSTM, frame()).html]):
        assert any("2001-01-0" in str(each) for each in text)
    metric = gw.insight.ablation(LSTM, frame(), np.sum, "gates").unedited
    assert metric == gw.insight.ablation(LSTM, X, np.sum, "gates").unedited


def test_several_dimensions_of_sequences_are_one_axis():
    raw = np.arange(6 * 2 * 3 * 2, dtype=np.float32).reshape(6, 2, 3, 2) / 50
    data = xarray.DataArray(
        raw, dims=("time", "lat", "lon", "feature"), coords={"lat": [1, 2], "lon": [7, 8, 9], "time": DAYS}
    )
    expected = LSTM.trace(raw.reshape(6, 6, 2)).output
    trace = LSTM.trace(data)
    np.testing.assert_array_equal(trace.output, expected)
    assert trace.labels.sequences[1] == "1, 8"
    own = data.rename(time="t", feature="f").transpose("lat", "lon", "f", "t")
    np.testing.assert_array_equal(LSTM(own, axes="batch,batch,feature,time")[0], expected.transpose(1, 2, 0))
    with cases.refusal("lat, lon, f, t", "axes", by=gw.OptionError):
        LSTM(own)


def test_a_series_is_a_sequence_of_one_feature():
    series = pandas.Series(X[:, 0], index=pandas.DatetimeIndex(DAYS), name="prcp")
    series.attrs["units"] = "mm/d"
    data = xarray.DataArray(X[:, 0], dims="time", coords={"time": DAYS}, name="prcp", attrs={"units": "mm/d"})
    for x in (series, data):
        trace = ONE.trace(x)
        np.testing.assert_array_equal(trace.output, ONE(X[:, :1])[0])
        assert np.array_equal(np.array(trace.labels.times), DAYS)
        assert (trace.labels.features, trace.labels.measures) == (("prcp",), {"prcp": MEASURES["prcp"]})
        assert gw.open_run(ONE, x).labels.times == trace.labels.times
    assert ONE.trace(series.rename(None)).labels.features is None


def test_tokens_come_with_dates_and_texts_with_names():
    words = np.arange(6) % 5
    for x in (pandas.Series(words, index=DAYS, name="word"), pandas.DataFrame({"word": words}, index=DAYS)):
        trace = TOKENS.trace(x)
        np.testing.assert_array_equal(trace.tokens, words)
        assert (trace.batched, trace.labels.features, len(trace.labels.times)) == (False, None, 6)
    both = TOKENS.trace(pandas.DataFrame({"a": words, "b": words[::-1]}))
    np.testing.assert_array_equal(both.tokens, np.stack([words, words[::-1]], axis=1))
    assert both.labels.sequences == ("a", "b")


@needs_native
def test_a_mask_with_named_dimensions_is_read_by_their_names():
    lengths = np.array([6, 2, 4])
    valid = np.arange(6)[:, None] < lengths
    expected = LSTM(BATCH, mask=valid)[0]
    data = data_array().rename(basin="a", date="b").drop_vars(["a", "b"]).isel(b=slice(3))  # of three steps and basins
    square = valid[:3]
    for dims in (("b", "a"), ("a", "b")):
        mask = xarray.DataArray(square, dims=("b", "a")).transpose(*dims)
        for x in (data, data.transpose("a", "feature", "b")):
            y = LSTM(x, mask=mask, axes=[{"a": "batch", "b": "time"}.get(name, name) for name in x.dims])[0]
            batch_first = x.dims[0] == "a"
            np.testing.assert_array_equal(y.transpose(2, 0, 1) if batch_first else y, LSTM(BATCH[:3], mask=square)[0])
    for mask in (valid.T, xarray.DataArray(valid.T, dims=("x", "y")), xarray.DataArray(valid, dims=("time", "y"))):
        for model in (LSTM, NETWORK.lstm):
            y = model(BATCH.transpose(1, 0, 2), mask=mask, axes="batch,time,feature")[0]
            np.testing.assert_array_equal(y.transpose(1, 0, 2), expected)
    several = xarray.DataArray(np.stack([BATCH, BATCH], 1), dims=("time", "run", "basin", "feature"))
    y = LSTM(several, mask=xarray.DataArray(np.stack([valid, valid]), dims=("run", "time", "basin")))[0]
    np.testing.assert_array_equal(y[:, 3:], expected)


def test_the_axes_of_tokens_with_named_dimensions_may_have_features():
    words = np.arange(12).reshape(2, 6) % 5
    for axes in ("batch,time", "batch,time,feature"):
        for x in (words, xarray.DataArray(words, dims=("a", "b"))):
            np.testing.assert_array_equal(TOKENS.trace(x, axes=axes).tokens, words.T)


# By name.


def test_features_are_taken_by_their_names_where_the_model_has_some():
    parameters = LSTM.layers[0][0].parameters
    named = gw.LSTM.from_cells(gw.LSTMCell.from_parameters(parameters, gw.Labels(features=NAMES)))
    network = gw.Network(named, labels=gw.Labels(features=NAMES))
    mixed = frame().assign(flow=9.0)[["flow", "tmax", "prcp"]]
    for model in (named, network, gw.Network(named)):
        expected = model(X)[0]
        for x in (mixed, mixed.to_xarray(), dataset().isel(basin=0)[["tmax", "prcp"]], frame(X, None)):
            np.testing.assert_array_equal(model(x)[0], expected)
            assert model.trace(x).labels.features == tuple(NAMES)
            assert gw.verify(model, x, expected).verdict == "rounding"
        with cases.refusal("x has no column prcp, which the model takes; it has rain, tmax", by=gw.OptionError):
            model(frame(columns=["rain", "tmax"]))


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_stream_takes_tables_by_the_names_of_the_features(engine):
    cells = [cell.parameters for (cell,) in LSTM.layers]
    first = gw.LSTMCell.from_parameters(cells[0], gw.Labels(features=NAMES))
    named, mixed = gw.LSTM.from_cells([first, cells[1]]), frame().assign(flow=9.0)[["flow", "tmax", "prcp"]]
    for model in (named, gw.Network(named), gw.Network(named, inputs=gw.Scaling(np.ones(2), np.ones(2)))):
        expected, stream = model(X)[0], model.stream(engine=engine)
        np.testing.assert_allclose(stream.push(mixed[:4]), expected[:4], rtol=1e-6)
        np.testing.assert_allclose(stream.push(mixed.iloc[4]), expected[4], rtol=1e-6)
        np.testing.assert_allclose(stream.push(frame(columns=None)[5:]), expected[5:], rtol=1e-6)
        with cases.refusal("x has no column tmax", by=gw.OptionError):
            stream.push(mixed[["prcp", "flow"]])
    for model in (LSTM, NETWORK, TOKENS):
        with cases.refusal("x has names, but", ".to_numpy()", by=gw.OptionError):
            model.stream(engine=engine).push(mixed)


def test_a_mapping_and_a_dataset_with_more_are_read_by_name_too():
    network = gw.Network(LSTM, labels=gw.Labels(features=NAMES))
    mixed = frame().assign(flow=9.0)[["flow", "tmax", "prcp"]]
    expected = network(X)[0]
    np.testing.assert_array_equal(gw.open_run(network, {"x": mixed}).trace.output, expected)
    texts = {"quality": ("date", ["ok"] * len(DAYS)), "level": (("date", "depth"), np.ones((len(DAYS), 3)))}
    more = dataset().isel(basin=0).assign(texts)
    np.testing.assert_array_equal(network(more)[0], expected)
    np.testing.assert_array_equal(gw.open_run(network, more).trace.output, expected)
    single = gw.Network(ONE, labels=gw.Labels(features=["prcp"]))
    for run in (single, lambda x: gw.open_run(single, x)):
        with cases.refusal("has no column prcp, which the model takes; it has tmax", by=gw.OptionError):
            run(data_array().isel(basin=0, feature=1).rename("tmax"))


def test_the_labels_of_a_run_come_before_those_of_its_input():
    labels = gw.Labels(features=["a", "b"], outputs=["x", "y", "z"])
    for given in (labels, [labels.replace(outputs=None), gw.Labels(outputs=["x", "y", "z"])]):
        found = LSTM.trace(frame(), labels=given).labels
        assert (found.features, found.outputs, len(found.times)) == (("a", "b"), ("x", "y", "z"), 6)
    with cases.refusal("labels must be Labels", by=gw.OptionError):
        LSTM.trace(frame(), labels=[3, 4])


REFUSED = {
    "a column of text": (frame().assign(tmax="warm"), "'tmax' is not one"),
    "a column of dates": (frame().assign(tmax=DAYS), "'tmax' is not one. Put dates into its index with .set_index(…)."),
    "several basins": (dataset().to_dataframe(), "an index of several levels, basin, date, "),
    "too many columns": (frame(BATCH.reshape(6, 6), list("abcdef")), "x has shape (6, 6); it must be"),
    "a vector": (frame().iloc[0], "x has shape (2, 1)"),
    "a Dataset without variables": (
        xarray.Dataset(),
        "x is a Dataset without variables. Give it a variable for each feature.",
    ),
    "a DataTree": (LSTM.trace(X).to_xarray(), "x cannot be read as an array"),
    "complex numbers": (frame().astype(complex), "'tmax'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_tables_that_are_no_input_are_refused_in_one_sentence(what):
    x, words = REFUSED[what]
    for ask in (LSTM, LSTM.trace, NETWORK, lambda x: gw.open_run(LSTM, x)):
        with cases.refusal(words if ask is LSTM else "", by=gw.GatewiseError):
            ask(x)


COLUMNS_OF_TIMES = {
    "dates": lambda: frame().reset_index(names="day"),
    "dates behind": lambda: frame(columns=NAMES).assign(day=DAYS).reset_index(drop=True),
    "text": lambda: frame().set_axis(list(map(str, DAYS))).reset_index(names="day"),
    "compact integers": lambda: (
        frame().set_axis([int(f"{day:%Y%m%d}") for day in DAYS.tolist()]).reset_index(names="t")
    ),
    "compact integers as the index": lambda: frame().set_axis([int(f"{day:%Y%m%d}") for day in DAYS.tolist()]),
    "a time zone": lambda: frame().tz_localize("UTC").tz_convert("Asia/Tokyo"),
    "a column with a time zone": lambda: frame().tz_localize("UTC").tz_convert("Asia/Tokyo").reset_index(names="date"),
}


@pytest.mark.parametrize("kind", COLUMNS_OF_TIMES)
def test_a_column_of_times_or_dates_with_a_zone_are_the_dates(kind):
    named = gw.Network(LSTM, labels=gw.Labels(features=NAMES))
    for model in (named, LSTM)[: 1 if kind == "compact integers" else 2]:  # to the LSTM, numbers are a feature
        labels = model.trace(COLUMNS_OF_TIMES[kind]()).labels
        assert (labels.features, [*map(str, labels.times)]) == (tuple(NAMES), [*map(str, DAYS)])
        run = gw.open_run(model, COLUMNS_OF_TIMES[kind]())
        assert [*map(str, run.trace.labels.times)] == [*map(str, DAYS)]
        assert not any("left out" in note for note in run.notes)


def test_a_feature_that_is_called_time_is_no_times():
    labels = gw.Network(LSTM, labels=gw.Labels(features=["time", "tmax"])).trace(frame(columns=["time", "tmax"])).labels
    assert labels.features == ("time", "tmax")


def test_a_table_has_axes_of_its_own():
    np.testing.assert_array_equal(LSTM(frame(), axes="time,feature")[0], LSTM(X)[0])
    for axes in ("feature,time", "time,batch"):
        with cases.refusal("the axes of x, which is a DataFrame, are time,feature, not", by=gw.OptionError):
            LSTM(frame(), axes=axes)


def test_a_gap_of_pandas_own_is_nan():
    gap = frame().astype("Float64")
    gap.iloc[3, 1] = pandas.NA
    y = LSTM(gap)[0]
    assert np.isfinite(y[:3]).all()
    assert np.isnan(y[3:]).any()
