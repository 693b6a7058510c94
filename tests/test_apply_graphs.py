"""Networks that are graphs of operations over labelled data: each sequence gets what the network gives for it alone."""

from __future__ import annotations

import numpy as np
import pytest
from test_graph_stream import CAUSAL, causal_convolution, every_step, last_step, lstm, merged_axes, residual

import gatewise as gw
from gatewise.errors import OptionError, ShapeError
from gatewise.network.graph import Builder
from gatewise.network.graph_network import GraphNetwork

xarray = pytest.importorskip("xarray")
STEPS, BASINS = 12, 5
RAW = np.random.default_rng(1).normal(size=(STEPS, BASINS, 3)).astype(np.float32)
DAYS = np.arange("2001-01-01", STEPS, dtype="datetime64[D]").astype("datetime64[ns]")


def data(raw=RAW):
    names = [f"b{place}" for place in range(raw.shape[1])]
    return xarray.DataArray(raw, dims=("time", "basin", "feature"), coords={"time": DAYS, "basin": names})


def network(make, *shape):
    build = Builder()
    ends = make(build, build.input("x", shape or (None, None, 3)))
    return GraphNetwork(build.graph([ends] if isinstance(ends, str) else list(ends)))


def norm_between(build, x):
    y = build.add("normalise", lstm(build, x)[0], axes=(-1,), epsilon=1e-5)
    return build.add("lstm", y, lstm=gw.LSTM(4, 3, rng=2), name="second")[0]


def two_outputs(build, x):
    y = lstm(build, x)[0]
    return build.add("tanh", y, name="every"), build.add("gather", y, np.array(-1), axis=0, name="final")


def mean_over_time(build, x):
    return build.add("reduce_mean", lstm(build, x)[0], axes=(0,), keepdims=False, name="mean")


def backwards(build, x):
    return lstm(build, x, direction="backward")[0]


@pytest.mark.parametrize("make", [*(make for make in CAUSAL if make is not merged_axes), mean_over_time, backwards])
def test_each_sequence_gets_to_the_bit_what_the_network_gives_for_it_alone(make):
    net = network(make)
    result = gw.apply(net, data())
    for basin in range(BASINS):
        trace = net.trace(RAW[:, basin : basin + 1])
        np.testing.assert_array_equal(result.y[..., basin, :].values.ravel(), trace.output.ravel())
        for quantity in ("forget_gate", "cell_state"):
            np.testing.assert_array_equal(result[quantity][:, basin], trace.lstm[0].quantity(quantity)[:, 0])


@pytest.mark.parametrize("make", [every_step, residual, causal_convolution, last_step, mean_over_time])
def test_of_padded_data_the_valid_steps_alone_are_run(make):
    net, lengths, mask = network(make), np.array([12, 4, 0, 7, 1]), np.zeros((STEPS, BASINS), bool)
    starts = np.array([0, 3, 2, 5, 11])
    for basin, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        mask[start : start + length, basin] = True
    for options, first in (({"lengths": lengths}, 0 * starts), ({"mask": mask}, starts)):
        result = gw.apply(net, data(), every=2, **options)
        for basin in range(BASINS):
            inside = slice(first[basin], first[basin] + lengths[basin])
            states = np.full((STEPS, 4 if make is not residual else 3), np.nan, np.float32)
            y = np.full(result.y.shape[-1], np.nan, np.float32)
            if lengths[basin]:
                trace = net.trace(RAW[inside, basin : basin + 1])
                states[inside] = trace.lstm[0].cell_state[:, 0]
                y = trace.output.reshape(-1, len(y))[-1]
            np.testing.assert_array_equal(result.cell_state[:, basin], states[::2])
            if "time" not in result.y.dims:
                np.testing.assert_array_equal(result.y[basin], y)
            elif lengths[basin] and (inside.stop - 1) % 2 == 0:
                np.testing.assert_array_equal(result.y[(inside.stop - 1) // 2, basin], y)
    mask[5, 0] = False
    with pytest.raises(OptionError, match="one after the other"):
        gw.apply(net, data(), mask=mask)


def test_names_units_and_coordinates_stay_and_each_output_has_its_name():
    result = gw.apply(network(two_outputs), data(), keep="forget_gate")
    assert set(result) == {"forget_gate", "y_every", "y_final"}
    assert result.y_every.dims == ("time", "basin", "output_every")
    assert result.y_final.dims == ("basin", "output_final")
    assert result.basin.values.tolist() == [f"b{place}" for place in range(BASINS)]
    assert result.forget_gate.attrs["units"] == "1"
    np.testing.assert_array_equal(result.time, DAYS)
    np.testing.assert_array_equal(result.y_every.isel(time=-1).values, np.tanh(result.y_final.values))


def test_of_several_lstms_one_is_named():
    net = network(norm_between)
    with pytest.raises(OptionError, match=r"'rnn' and 'second'|'rnn', 'second'|'rnn' or 'second'"):
        gw.apply(net, data())
    for name, units in (("rnn", 4), ("second", 3)):
        result = gw.apply(net, data(), lstm=name)
        assert result.sizes["unit"] == units
        trace = net.trace(RAW[:, 1:2])
        np.testing.assert_array_equal(result.hidden_state[:, 1], trace[name][0].hidden_state[:, 0])
        np.testing.assert_array_equal(result.y[:, 1], trace.output[:, 0])
    with pytest.raises(OptionError, match="no LSTM 'third'"):
        gw.apply(net, data(), lstm="third")


def test_a_state_and_a_question_are_of_each_sequence():
    net = network(every_step)
    state = ((gw.State(np.ones(4, np.float32), np.full(4, 0.5, np.float32)),),)
    result = gw.apply(net, data(), state=state)
    np.testing.assert_array_equal(result.y[:, 2], net(RAW[:, 2:3], state)[0][:, 0])
    asked = gw.apply(net, data(), ask="timescales")
    expected = gw.insight.timescales(net.trace(RAW[:, 2:3]).lstm[0]).columns["timescale"]
    np.testing.assert_array_equal(asked.timescale[2], expected)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_file_that_fixes_its_number_of_sequences_runs_any_number(batch):
    net, free = network(every_step, None, batch, 3), network(every_step)
    np.testing.assert_allclose(gw.apply(net, data()).y, gw.apply(free, data()).y, rtol=1e-6, atol=1e-7)


def test_what_does_not_fit_is_refused_in_one_sentence():
    def still(build, x):
        return build.add("add", every_step(build, x), build.input("still", (1, 5)))

    with pytest.raises(OptionError, match="the input 'still' of the network has no steps"):
        gw.apply(network(still), data())
    with pytest.raises(OptionError, match="the output 'matmul' of the network has no axis for sequences"):
        gw.apply(network(merged_axes), data())
    with pytest.raises(ShapeError, match="the data have 2 features; the model reads 3"):
        gw.apply(network(every_step), data(RAW[..., :2]))
    with pytest.raises(OptionError, match="padding='framework' goes with"):
        gw.apply(network(every_step), data(), padding="framework")
    with pytest.raises(OptionError, match="lstm names one of the LSTMs of a GraphNetwork"):
        gw.apply(gw.LSTM(3, 2, rng=0), data(), lstm="rnn")


@pytest.mark.peers
def test_time_in_several_chunks_is_refused_by_the_node_that_needs_all_steps():
    pytest.importorskip("dask")
    with pytest.raises(OptionError, match=r"node 'mean' \(reduce_mean\) needs all steps at once"):
        gw.apply(network(mean_over_time), data().chunk(time=4))
    with pytest.raises(ShapeError, match=r"3 chunks along 'time'.*\.chunk\(\{'time': -1\}\)"):
        gw.apply(network(every_step), data().chunk(time=4))


@pytest.mark.peers
@pytest.mark.parametrize("make", [every_step, residual, causal_convolution, two_outputs, mean_over_time])
def test_uneven_chunks_change_no_bit(make):
    pytest.importorskip("dask")
    pytest.importorskip("threadpoolctl")
    net, lengths = network(make), xarray.DataArray([12, 4, 9, 7, 1], dims="basin")
    whole = gw.apply(net, data(), lengths=lengths)
    for chunks in (1, (2, 3), (1, 4)):
        lazy = gw.apply(net, data().chunk(basin=chunks), lengths=lengths)
        assert lazy.cell_state.chunks is not None
        xarray.testing.assert_equal(lazy.compute(scheduler="threads"), whole)
