"""gatewise trace from store to store with a network that is a graph: whole, one LSTM of several, and after an end."""

from __future__ import annotations

import program
import pytest
from test_apply_graphs import causal_convolution, data, mean_over_time, network, norm_between, two_outputs

import gatewise as gw
from gatewise.chunked import computing
from gatewise.cli import main
from gatewise.interop import onnx as gw_onnx

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:the network takes:UserWarning")]
xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")
pytest.importorskip("onnx")


@pytest.fixture(autouse=True)
def files(here) -> None:
    """Work in a folder with a store."""
    data().rename("forcing").to_dataset().to_zarr("x.zarr", zarr_format=2)


def written(make):
    """Return a network as it is read from an ONNX file that it was written to."""
    gw_onnx.write(network(make), "model.onnx")
    return gw.load_network("model.onnx")


@pytest.mark.parametrize("make", [causal_convolution, two_outputs, mean_over_time])
def test_a_store_is_run_through_the_whole_network(make, capsys):
    net = written(make)
    main(["trace", "model.onnx", "x.zarr", "-o", "gates.zarr"])
    found, expected = xarray.open_zarr("gates.zarr", consolidated=False).load(), gw.apply(net, data())
    assert {"forget_gate", *(name for name in expected if name.startswith("y"))} <= set(found)
    xarray.testing.assert_equal(found.drop_attrs(), expected.drop_attrs())


def test_one_of_several_lstms_is_named(capsys):
    net = written(norm_between)
    name = list(net.lstms)[1]
    main(["trace", "model.onnx", "x.zarr", "-o", "gates.zarr", "--name", name])
    found = xarray.open_zarr("gates.zarr", consolidated=False).load()
    xarray.testing.assert_equal(found.drop_attrs(), gw.apply(net, data(), lstm=name).drop_attrs())
    refusal = program.refusal_of(capsys, "trace", "model.onnx", "x.zarr", "-o", "other.zarr")
    assert all(repr(other) in refusal for other in net.lstms)


def test_an_ended_run_goes_on_to_the_bit(monkeypatch, capsys):
    net, compute = written(causal_convolution), computing._compute

    def some(writes, threads, done):
        compute(writes[:2], threads, done)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(computing, "_compute", some)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            main(["trace", "model.onnx", "x.zarr", "-o", "gates.zarr"])
    main(["trace", "model.onnx", "x.zarr", "-o", "gates.zarr", "--resume"])
    found = xarray.open_zarr("gates.zarr", consolidated=False).load()
    xarray.testing.assert_equal(found.drop_attrs(), gw.apply(net, data()).drop_attrs())
