"""The picture of a change: the distance of two runs, and one unit before and after."""

import pytest
from cases import run_of
from matplotlib import pyplot
from pictures import described, golden

import gatewise as gw
from gatewise.examples import latch

Edit = gw.Edit


@pytest.fixture(autouse=True)
def agg():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def test_the_latch_that_forgets_is_drawn_as_it_was():
    cell, x, *_ = latch()
    lstm = gw.LSTM.from_cells(cell)
    before = lstm.trace(x, engine="reference")[0]
    after = lstm.trace(x, edit=Edit.set("forget_gate", 0.0, steps=3))[0]
    golden("change", gw.plot.change(before, after=after)[0])


def test_a_record_is_drawn_as_the_runs_that_it_is_of():
    run = run_of("plain", valid="mask", time=6)
    pair = run.trace(engine="reference"), run.trace(edit=Edit.scale("cell_state", 0.0, steps=[1, 3, 4]))
    drawn = gw.plot.change(pair[0], after=pair[1], unit=2, sequence=0)
    record = gw.plot.data.change(*pair, unit=2, sequence=0)
    assert len(drawn) == 3
    assert described(drawn[0].figure) == described(gw.plot.change(record)[0].figure)
    with pytest.raises(gw.OptionError, match="drawn as it is, without unit"):
        gw.plot.change(record, unit=1)


def test_two_runs_that_are_the_same_have_a_picture_too():
    run = run_of("plain", projection="projected")
    axes = gw.plot.change(run.trace(), after=run.trace())
    assert [ax.get_ylabel() for ax in axes] == ["distance", "cell\nstate"]  # a projected state has no units


def test_one_run_alone_is_refused():
    with pytest.raises(gw.GatewiseError, match="two runs of one kind can be compared"):
        gw.plot.change("before", after="after")
