"""The answers of a runtime with names: columns and dimensions of tables, labelled data and netCDF files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from program import output_of, refusal_of

import gatewise as gw

pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")
pytestmark = pytest.mark.usefixtures("here")

RNG = np.random.default_rng(0)
BATCH = RNG.normal(size=(4, 4, 2)).astype(np.float32)  # as many steps as sequences: no size tells the axes
NETWORK = gw.Network(
    gw.LSTM(2, 3, rng=0),
    head=gw.Linear(RNG.normal(size=(3, 3)).astype(np.float32)),
    labels=gw.Labels(features=("a", "b"), outputs=("p", "q", "r")),
)
X = xarray.DataArray(BATCH, dims=("batch", "time", "feature"), coords={"feature": ["a", "b"]})
Y = NETWORK(X)[0]  # in the order of x
NAMED = xarray.DataArray(Y, dims=("batch", "time", "output"), coords={"output": ["p", "q", "r"]})


@pytest.fixture(params=["memory", "file"])
def model(request):
    gw.save(NETWORK, "net.safetensors")
    return NETWORK if request.param == "memory" else "net.safetensors"


def test_answers_are_in_the_order_of_the_input_or_of_their_own_names(model):
    turned = NAMED.transpose("time", "output", "batch").isel(output=[2, 0, 1])
    answers = {
        "array": Y,
        "dims": NAMED,
        "turned": turned,
        "units": NAMED.rename(output="unit"),
        "dataset": turned.to_dataset(name="y"),
        "outputs": NAMED.to_dataset("output"),
    }
    for name, y in answers.items():
        assert gw.verify(model, X, y).verdict == "rounding", name
        assert gw.verify(model, X, {"y": y}).verdict == "rounding", name
    assert gw.verify(model, BATCH, turned, axes="batch,time,feature").verdict == "rounding"
    assert gw.verify(model, BATCH, Y, axes="batch,time,feature").verdict == "rounding"
    wrong = turned.assign_coords(output=["p", "q", "r"])
    assert gw.verify(model, X, wrong).verdict == gw.verify(model, X, {"y": wrong}).verdict == "mistake"


def test_columns_of_a_table_are_taken_by_name(model):
    x, y = BATCH[0], pandas.DataFrame(NETWORK(BATCH[0])[0], columns=list("pqr"))
    for answers in (y, y[["r", "q", "p"]], y.assign(more=1.0)[["more", "r", "q", "p"]]):
        assert gw.verify(model, x, answers).verdict == "rounding"
        assert gw.verify(model, x, {"y": answers}).verdict == "rounding"
    assert gw.verify(model, x, y.set_axis(["r", "q", "p"], axis=1)).verdict == "mistake"
    with pytest.raises(gw.OptionError, match="has 2 columns called 'p'"):
        gw.verify(model, x, y.assign(more=1.0).set_axis(["p", "q", "r", "p"], axis=1))


def test_the_last_step_of_labelled_answers_is_known_by_its_dimensions():
    last = gw.Network(NETWORK.lstm, head=NETWORK.head, reads="last", labels=NETWORK.labels)
    gw.save(last, "last.safetensors")
    y = xarray.DataArray(last(X)[0], dims=("batch", "output"), coords={"output": ["p", "q", "r"]})
    for model in (last, "last.safetensors"):
        assert gw.verify(model, X, y.transpose("output", "batch").isel(output=[2, 0, 1])).verdict == "rounding"


@pytest.mark.parametrize("labels", [NETWORK.labels, gw.Labels()])
def test_gatewise_s_own_files_are_answers(labels, capsys):
    pytest.importorskip("scipy")
    gw.save(gw.Network(NETWORK.lstm, head=NETWORK.head, labels=labels), "net.safetensors")
    np.save("x.npy", BATCH)
    model = ["net.safetensors", "x.npy"]
    output_of(capsys, "trace", *model, "-o", "y.nc", "--axes", "batch,time,feature")
    assert "rounding" in output_of(capsys, "verify", *model, "y.nc", "--axes", "batch,time,feature")
    output_of(capsys, "verify", *model, "y.nc", "--axes", "time,batch,feature", code=1)


def test_two_columns_of_one_name_are_refused(capsys):
    gw.save(NETWORK, "net.safetensors")
    np.savetxt("x.csv", BATCH[0], delimiter=",", header="a,b", comments="")
    Path("y.csv").write_text("p,p,q,r\n" + "1,2,3,4\n" * 4)
    assert "y.csv has 2 columns called 'p'" in refusal_of(capsys, "verify", "net.safetensors", "x.csv", "y.csv")
