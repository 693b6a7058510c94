"""Labels: names, dates and measures, where they come from and where they go."""

from __future__ import annotations

import datetime
import sys

import cases
import numpy as np
import pytest
from pairwise import pairs
from program import exit_code
from safetensors.numpy import save_file
from stacks import BIDIRECTIONAL, LABELS

import gatewise as gw
from gatewise.interop import torch
from gatewise.layers.merging import MERGES
from gatewise.records.keep import QUANTITIES
from gatewise.render.text import short

DAYS = np.arange("2001-01-30", "2001-02-04", dtype="datetime64[D]")
DATES = {
    "days": DAYS,
    "nanoseconds": DAYS.astype("datetime64[ns]"),
    "hours": np.arange("2001-01-01T22", "2001-01-02T03", dtype="datetime64[h]"),
    "datetime": [datetime.datetime(2001, 1, 1, 0, 0, second, 5) for second in range(5)],
    "date": DAYS.tolist(),
}
WHOLE = gw.Labels(
    features=("prcp", "tmax"),
    units=LABELS.units,
    sequences=("Neckar", "Fulda", "Werra"),
    times=DAYS,
    outputs=("a", "b", "c", "q"),
    measures={"prcp": ("precipitation", "mm/d"), "tmax": gw.Measure("air temperature", "°C"), "q": "discharge"},
)


# What they are.


def test_a_measure_reads_as_it_stands_on_an_axis():
    assert str(WHOLE.measures["prcp"]) == "precipitation (mm/d)"
    assert str(WHOLE.measures["q"]) == "discharge"


@pytest.mark.parametrize("kind", DATES)
def test_dates_stay_dates_at_the_coarsest_resolution_that_keeps_them(kind):
    labels = gw.Labels(times=DATES[kind])
    expected = np.array(DATES[kind], "datetime64[ns]")
    np.testing.assert_array_equal(np.array(labels.times, "datetime64[ns]"), expected)
    shortest = {"days": 10, "nanoseconds": 10, "hours": 13, "datetime": 26, "date": 10}[kind]
    assert {len(str(time)) for time in labels.times} == {shortest}


def test_names_of_times_are_left_as_they_are():
    assert gw.Labels(times=["1 Jan", "2 Jan"]).times == ("1 Jan", "2 Jan")
    assert gw.Labels(times=range(2)).times == ("0", "1")


@pytest.mark.parametrize("kind", ["features", "units", "sequences", "times", "outputs"])
def test_an_iterator_gives_its_names_once(kind):
    assert getattr(gw.Labels(**{kind: (name for name in "ab")}), kind) == ("a", "b")


class Timestamp(datetime.datetime):
    """An instant with nanoseconds, as pandas has it."""

    def to_datetime64(self):
        return np.datetime64(datetime.datetime(self.year, self.month, self.day), "ns") + np.timedelta64(7, "ns")


def test_a_timestamp_keeps_its_nanoseconds():
    labels = gw.Labels(times=[Timestamp(2001, 1, 1), Timestamp(2001, 1, 2)])
    assert list(map(str, labels.times)) == ["2001-01-01T00:00:00.000000007", "2001-01-02T00:00:00.000000007"]


@pytest.mark.parametrize("labels", [gw.Labels(), LABELS, WHOLE, *(gw.Labels(times=dates) for dates in DATES.values())])
def test_labels_survive_plain_data(labels):
    assert gw.Labels.from_json(labels.to_json()) == labels


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"features": "abc"}, ["features", "'abc'"]),
        ({"units": 5}, ["units", "5"]),
        ({"features": ["a"], "measures": {"b": "rain"}}, ["'b'", "a"]),
        ({"measures": {"b": "rain"}}, ["'b'", "no names"]),
        ({"features": ["a"], "measures": {"a": 3}}, ["'a'", "3", "quantity"]),
        ({"features": ["a"], "measures": {"a": ("rain", "mm", "d")}}, ["'a'", "quantity"]),
        ({"features": ["a"], "measures": ["rain"]}, ["measures", "rain"]),
        ({"features": {"a"}}, ["features", "{'a'}"]),  # in no order
        ({"times": DAYS[None]}, ["times", "(1, 5)"]),
        ({"times": np.array([0, 1], "datetime64[ps]")}, ["nanoseconds", "ps"]),
    ],
)
def test_wrong_labels_are_refused_in_one_sentence(given, parts):
    with cases.refusal(*parts, by=gw.OptionError):
        gw.Labels(**given)


def test_a_measure_goes_with_the_name_it_belongs_to():
    assert WHOLE.replace(outputs=None).measures.keys() == {"prcp", "tmax"}
    assert gw.Labels(features=("x", "y")).or_else(WHOLE).measures.keys() == {"q"}
    assert gw.Labels(sequences=("a",)).or_else(WHOLE).measures == WHOLE.measures


# Where they go.


def test_labels_of_a_run_come_back_from_its_trace_and_from_its_file(tmp_path):
    lstm, x = gw.LSTM(2, 4, rng=0), np.ones((5, 3, 2))
    trace = lstm.trace(x, labels=WHOLE, out=tmp_path / "trace")
    assert trace.labels == WHOLE.replace(units=None)
    assert trace[0].labels == gw.load(tmp_path / "trace")[0].labels == WHOLE
    assert trace[0].step(1).name == "2001-01-31"
    assert trace[0][1:3, 2:].labels == WHOLE.replace(sequences=("Werra",), times=DAYS[1:3])


def test_measures_and_dates_are_coordinates_of_xarray():
    trace = gw.LSTM(2, 4, rng=0).trace(np.ones((5, 3, 2)), labels=WHOLE)
    table, output = trace[0].to_xarray(), trace.to_xarray()["output"]
    np.testing.assert_array_equal(table.time, DAYS.astype("datetime64[ns]"))
    assert table.feature_quantity.values.tolist() == ["precipitation", "air temperature"]
    assert table.feature_unit.sel(feature="prcp") == "mm/d"
    assert output.y.sel(time="2001-02-01", batch="Fulda", output="q").size == 1
    assert output.output_quantity.values.tolist() == ["", "", "", "discharge"]


@pytest.mark.parametrize("first", ["1066-10-14", "2001-01-30", "9999-12-01", "1066-10-14T12", "1066-10-14T00:00:00.1"])
def test_xarray_has_the_dates_of_any_century(first):
    dates = np.datetime64(first) + np.arange(5)
    trace = gw.LSTM(2, 4, rng=0).trace(np.ones((5, 2)), labels=gw.Labels(times=dates))
    np.testing.assert_array_equal(trace[0].to_xarray().time.values.astype(dates.dtype), dates)


def test_directions_that_are_not_merged_are_named_in_xarray():
    trace = gw.LSTM(2, 4, bidirectional=True, merge="none", rng=0).trace(np.ones((5, 1, 2)))
    output = trace.to_xarray()["output"].y
    for direction in trace.directions:
        np.testing.assert_array_equal(output.sel(direction=direction), trace[0, direction].hidden_state)


def test_a_network_s_outputs_are_those_of_its_head():
    network = gw.Network(gw.LSTM(2, 4, rng=0), head=gw.Linear(np.ones((1, 4), np.float32)))
    labels = gw.Labels(("prcp", "tmax"), outputs=("q",), times=DAYS, measures={"q": "discharge", "prcp": "rain"})
    trace = network.trace(np.ones((5, 3, 2)), labels=labels)
    assert trace.labels == labels
    assert trace.lstm.labels == labels.replace(outputs=None)
    with cases.refusal("labels of outputs must be 1, not 2", by=gw.ShapeError):
        network.trace(np.ones((5, 3, 2)), labels=labels.replace(outputs=("q", "r")))


@pairs(merge=MERGES[:-1], bidirectional=(False, True), projection=(None, 3), named=(False, True))
def test_a_layer_s_inputs_bear_the_names_of_the_units_and_directions_below(merge, bidirectional, projection, named):
    options = {"num_layers": 3, "bidirectional": bidirectional, "merge": merge, "projection_size": projection}
    lstm = gw.LSTM(2, 4, rng=0, **options)
    labels = [gw.Labels(units=tuple(f"{layer}{unit}" for unit in "uvwz")) for layer in range(3)] if named else None
    trace = lstm.trace(np.ones((2, 1, 2)), labels=labels)
    for (layer, direction), cell in trace.cells().items():
        if not layer:
            assert cell.labels.features is None
            continue
        below = trace[layer - 1, direction]
        own = below.step(0).column_names()[: below.parameters.recurrent_size]  # as the layer below calls them
        apart = bidirectional and merge == "concat"
        ways = [f" {way}" for way in lstm.directions] if apart else [""]
        assert list(cell.labels.features) == [f"{name}{way} (layer {layer - 1})" for way in ways for name in own]
        assert len(set(map(short, cell.labels.features))) == len(cell.labels.features)


def test_the_inputs_of_a_layer_are_told_apart_in_every_table():
    lstm = gw.LSTM(2, 120, num_layers=12, bidirectional=True, rng=0)
    for row in lstm.labels[1:]:
        assert len(set(map(short, row[0].features))) == 240


def test_names_that_are_given_come_before_those_of_the_layer_below():
    labels = [gw.Labels(), gw.Labels(features=tuple("abcd"))]
    trace = gw.LSTM(2, 4, num_layers=2, rng=0).trace(np.ones((2, 1, 2)), labels=labels)
    assert trace[1].labels.features == tuple("abcd")


# As tables of xarray, with names on their axes.


def test_a_table_names_its_axes_and_their_entries():
    run = cases.run_of("plain", time=5, valid="mask")
    trace = run.trace(labels=LABELS)
    table = trace.to_xarray()
    assert set(table.variables) - set(table.coords) == {*QUANTITIES, "input", "valid"} - {"unprojected_state"}
    assert table.forget_gate.dims == ("time", "batch", "unit")
    assert table.hidden_state.dims == ("time", "batch", "unit")
    assert table.input.dims == ("time", "batch", "feature")
    assert table.valid.dims == ("time", "batch")
    assert table.unit.values.tolist() == list(LABELS.units)
    assert table.feature.values.tolist() == list(LABELS.features)
    assert table.batch.values.tolist() == list(LABELS.sequences)
    assert table.time.values.tolist() == list(LABELS.times)
    assert table.attrs == {"direction": "forward", "engine": trace.engine}
    one = table.forget_gate.sel(time="day 3", batch="south", unit="w")
    np.testing.assert_array_equal(one, trace.forget_gate[3, 1, 2])
    np.testing.assert_array_equal(table.valid, run.valid)
    np.testing.assert_array_equal(table.input, run.x)


def test_a_table_of_a_projected_cell_tells_units_from_what_is_projected():
    table = cases.run_of("plain", projection="projected").trace().to_xarray()
    assert table.hidden_state.dims == ("time", "batch", "projected")
    assert table.unprojected_state.dims == ("time", "batch", "unit")
    assert dict(table.sizes) == {"time": 3, "batch": 3, "unit": 4, "projected": 3, "feature": 2}
    assert table.unit.values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("valid", ["all valid", "mask"])
def test_a_table_of_less_keeps_the_names_of_what_is_left(valid):
    run = cases.run_of("plain", time=5, valid=valid)
    table = run.trace(keep="cell_state", units=[3, 1], every=2, labels=LABELS).to_xarray()
    assert table.unit.values.tolist() == ["z", "v"]
    assert table.time.values.tolist() == ["day 0", "day 2", "day 4"]
    np.testing.assert_array_equal(table.cell_state, run.trace().cell_state[::2, :, [3, 1]])
    bare = run.trace(keep="cell_state", units=[3, 1], every=2).to_xarray()
    assert bare.time.values.tolist() == [0, 2, 4]
    assert bare.unit.values.tolist() == [3, 1]
    assert "input" not in bare
    nothing = run.trace(keep=()).to_xarray()
    assert not set(nothing.variables) - {"valid", "time"}


def test_tables_of_an_lstm_go_by_layer_and_direction():
    trace = gw.LSTM(**BIDIRECTIONAL, num_layers=2, rng=0).trace(np.ones((3, 1, 2)))
    tables = trace.to_xarray()
    for (layer, direction), cell in trace.cells().items():
        table = tables[f"layer_{layer}/{direction}"]
        np.testing.assert_array_equal(table.candidate, cell.candidate)
        assert table.attrs["direction"] == direction
    np.testing.assert_array_equal(tables["output"].y, trace.output)


def test_without_xarray_one_sentence_tells_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with cases.refusal("xarray", "pip install '.[xarray]'", by=gw.MissingExtraError):
        cases.run_of("plain").trace().to_xarray()


LONG = "n" * 2**20


def named_run(x):
    """Return the run of a network whose features, output, units and measures have names of a megabyte."""
    names = gw.Labels(features=[f"{LONG}0", f"{LONG}1"], outputs=[LONG], measures={LONG: (LONG, LONG)})
    head = gw.Linear(np.ones((1, 3), "f4"), np.zeros(1, "f4"))
    network = gw.Network(gw.LSTM(2, 3, rng=0), head=head, labels=names)
    return network.trace(x, labels=names.replace(units=[f"{LONG}{unit}" for unit in range(3)]))


def test_a_long_name_is_kept_whole_in_labels_and_in_files(tmp_path):
    names = ["n" * 1200 + "1", "n" * 1200 + "2"]
    network = gw.Network(gw.LSTM(2, 3, rng=0), labels=gw.Labels(features=names, measures={names[0]: LONG}))
    gw.save(network, tmp_path / "model.safetensors")
    labels = gw.load_network(tmp_path / "model.safetensors").labels
    assert labels == network.labels
    assert labels.features == tuple(names)
    assert len(repr(labels)) < 2**13
    (tmp_path / "x.csv").write_text(f"time,{names[1]},{names[0]}\n1,2,3\n2,4,5\n", encoding="utf-8")
    run = gw.open_run(tmp_path / "model.safetensors", tmp_path / "x.csv")
    np.testing.assert_array_equal(np.ravel(run.trace.lstm.first.input), [3, 2, 5, 4])


def test_a_report_and_a_page_take_the_whole_name_of_a_sequence(tmp_path):
    names = gw.Labels(sequences=[f"{LONG}0", f"{LONG}1"], times=[f"{LONG}{t}" for t in range(4)])
    trace = gw.LSTM(2, 3, rng=0).trace(np.ones((4, 2, 2)), labels=names)
    page = gw.page(trace, sequence=f"{LONG}1")
    assert "This is sequence 1" in page.html
    assert len(page.html) < 2**19
    gw.report(trace, sequence=f"{LONG}1", at=f"{LONG}2")


def write_named_model(path):
    """Write the weights of an LSTM whose name has a megabyte."""
    save_file({f"{LONG}.{name}": array for name, array in torch.state_dict(gw.LSTM(2, 3, rng=0)).items()}, path)


def test_a_name_of_a_megabyte_is_cut_on_a_page_and_on_a_terminal(tmp_path, capsys):
    gw.page(named_run(np.ones((5, 2)))).save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "n" * 900 in page
    assert len(page) < 2**19
    write_named_model(tmp_path / "model.safetensors")
    assert exit_code(["inspect", str(tmp_path / "model.safetensors")]) == 0
    assert 500 < len(capsys.readouterr().out) < 2**11


@pytest.mark.peers
def test_a_name_of_a_megabyte_is_cut_wherever_it_comes_out(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(12, 2))
    gw.report(named_run(x)).save(tmp_path / "report.html")
    write_named_model(tmp_path / "model.safetensors")
    np.save(tmp_path / "x.npy", x)
    for command, target in (("report", "layer.html"), ("page", "played.html"), ("plot", "gates.svg")):
        files = [str(tmp_path / name) for name in ("model.safetensors", "x.npy", target)]
        assert exit_code([command, *files[:2], "--output", files[2]]) == 0
    told = capsys.readouterr()
    sizes = [path.stat().st_size for path in tmp_path.glob("*.[hs][tv]*")]
    assert len(told.out + told.err) < 2**14
    assert len(sizes) == 4
    assert max(sizes) < 2**19
