"""What a notebook shows of records: static, well-formed, inert, small, the same bytes every time."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape
from importlib import import_module

import cases
import numpy as np
import pytest
from matplotlib import rcParams
from pairwise import thinned
from planted import leaky_bucket

import gatewise as gw
from gatewise import insight, showing
from gatewise.interop import onnx
from gatewise.plot import inline
from gatewise.plot.markup import numbers, strip
from gatewise.plot.picture import PICTURES
from gatewise.plot.svg import svg

HOSTILE = "</td><script>alert('x')</script>&\"\x00\ud800 $x$"
MOST = 80_000  # bytes


@pytest.fixture
def without_pictures(monkeypatch):
    """Leave pictures out, which take most of the time."""
    monkeypatch.setattr(inline, "pictured", lambda record: None)


def records(tmp_path, *, labels=None, steps=30, batch=2, hidden=4, layers=1, **switches):
    """Return one record of each kind that has an HTML of its own."""
    lstm = gw.LSTM(2, hidden, num_layers=layers, bidirectional=layers > 1, rng=0, **switches)
    network = gw.Network(lstm, head=gw.Linear(np.ones((3, lstm.output_size), np.float32)))
    x = np.random.default_rng(0).normal(size=(steps, batch, 2))
    run = network.trace(x, labels=labels, lengths=[steps, *[max(1, steps // 2)] * (batch - 1)])
    onnx.write(lstm, tmp_path / "model.onnx")
    found = gw.inspect(tmp_path / "model.onnx").lstms[0]
    trace = run.lstm[0, "forward"]
    return [lstm, network, run, run.lstm, trace, found, *answers(trace)]


def answers(trace):
    walk = np.random.default_rng(0).normal(size=trace.num_steps).cumsum()
    asked = [insight.timescales(trace), insight.saturation(trace), insight.contributions(trace)]
    asked += [insight.probe(trace, walk, name=HOSTILE, draws=5, folds=2), insight.matches(trace, 0, 1, threshold=-1)]
    return [*asked, gw.plot.data.gates(trace)]


def read(record):
    """Return the tree of a record's HTML, having held what must hold of all of them."""
    html = record._repr_html_()
    assert len(html.encode()) < MOST
    assert not re.search(r"<script|javascript:|https?://|\son\w+=|@import|url\((?!#)", html, re.IGNORECASE)
    tree = ET.fromstring(html)
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', html)) == set(ids)
    return tree


def words(tree):
    return " ".join(" ".join(tree.itertext()).split())


@pytest.mark.parametrize(
    "sizes", [{}, {"steps": 4, "batch": 1, "hidden": 1}, {"layers": 2, "hidden": 40, "steps": 100}]
)
def test_every_record_is_shown_as_static_html(tmp_path, sizes, without_pictures):
    for record in records(tmp_path, **sizes):
        assert type(record).__name__ in words(read(record))
        assert record._repr_html_() == record._repr_html_()


@pytest.mark.thorough
def test_what_comes_from_data_is_inert(tmp_path):
    labels = gw.Labels(
        features=[HOSTILE, "b"],
        units=[HOSTILE, *"bcd"],
        sequences=[HOSTILE, "b"],
        times=[HOSTILE] * 30,
        measures={HOSTILE: (HOSTILE, HOSTILE)},
    )
    said = " ".join(words(read(record)) for record in records(tmp_path, labels=labels)[:-2])
    assert "<script>alert('x')" in said
    assert "$x$" in said


@pytest.mark.parametrize("variant", thinned(cases.VARIANTS, 6))
def test_a_trace_and_an_lstm_of_every_variant_are_shown(variant):
    run = cases.run_of(variant, projection="projected", direction="backward", valid="mask", dropout=True)
    trace = words(read(run.trace()))
    assert "unprojected_state" in trace
    lstm = words(read(run.lstm))
    for said in (trace, lstm):
        assert ("Variant: " in said) == bool(run.p.variant.differences())


@pytest.mark.parametrize("options", [{"keep": []}, {"keep": "cell_state", "units": [1]}, {"every": 7}])
def test_a_trace_that_kept_less_shows_what_it_kept(options):
    run = gw.LSTM(2, 3, rng=0).trace(np.ones((20, 2, 2)), **options)
    assert "kept" in words(read(run))
    tree = read(run[0])
    rows = [row[0] for row in tree.iter("tr")][1:]
    assert ["".join(row.itertext()) for row in rows] == run[0].distinct()


def test_a_run_without_steps_or_valid_steps_or_numbers_is_shown():
    lstm = gw.LSTM(2, 3, rng=0)
    for run in (
        lstm.trace(np.ones((0, 2))),
        lstm.trace(np.ones((4, 2, 2)), lengths=[0, 0]),
        lstm.trace(np.full((4, 2), np.nan)),
    ):
        read(run)
        read(run[0])


def test_the_table_of_a_trace_has_the_numbers_of_its_quantities():
    lstm, rain, _ = leaky_bucket(25, 2)
    trace = lstm.trace(rain)[0]
    rows = [["".join(cell.itertext()) for cell in row] for row in read(trace).iter("tr")][1:]
    for name, shape, *spread, _ in rows:
        values = trace.quantity(name)
        assert shape == str(values.shape)
        found = [float(number.replace("−", "-")) for number in spread]
        np.testing.assert_allclose(found, [values.mean(), values.min(), values.max()], atol=1e-3)


def test_a_long_run_is_sampled_and_not_read_whole():
    trace = gw.LSTM(2, 128, rng=0).trace(np.ones((2, 3, 2)))[0]
    shapes = {"gates": (100_000, 3, 4, 128), "cell_state": (100_000, 3, 128), "hidden_state": (100_000, 3, 128)}
    arrays = {name: np.broadcast_to(np.float32(0.5), shape) for name, shape in shapes.items()}
    long = replace(trace, num_steps=100_000, arrays=arrays, input=np.broadcast_to(0.5, (100_000, 3, 2)))
    values, sampled = inline._sample_quantity(long, long.forget_gate)
    assert values.size <= inline.NUMBERS
    assert f"a sample of {sampled:,} steps" in words(read(long))
    wide = np.broadcast_to(np.float32(0.5), (100, 5_000, 700))
    assert inline._sample_quantity(trace, wide)[0].size <= 2 * inline.NUMBERS


def test_a_strip_keeps_the_extremes_of_its_units():
    values = np.full((1000, 2), 0.5)
    values[371, 0], values[777, 1] = 1.0, 0.0
    drawn = strip(values, "")
    assert "#fee838" in drawn
    assert "#00224e" in drawn
    assert len(re.findall("M", drawn)) == 2 * 24


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ([0.5, 0.25, -0.125], ["0.5000", "0.2500", "−0.1250"]),
        ([123.4, 1.0], ["123.4", "1.0"]),
        ([1e9, 1], ["1.000e+09", "1.000e+00"]),
        ([np.nan, np.inf, -np.inf, 1], ["–", "∞", "−∞", "1.000"]),
        ([0.0], ["0"]),
        ([], []),
    ],
)
def test_the_numbers_of_a_column_have_as_many_decimals_each(given, texts):
    assert numbers(given) == texts


def test_an_answer_is_its_sentence_its_first_rows_its_law_and_its_picture():
    lstm, rain, storage = leaky_bucket(40, 2)
    found = insight.probe(lstm.trace(rain)[0], storage, name=("storage", "mm"), draws=9)
    tree = read(found)
    said = words(tree)
    assert said.split("</style>")[-1].count(found.sentence) == 1
    assert "Law: 1 - R²" in said
    assert len(list(tree.iter("tr"))) == 5
    pictures = [one for one in tree.iter("svg") if one.get("role") == "img"]
    assert [one.get("aria-label") for one in pictures] == [found.sentence]
    assert "currentColor" in ET.tostring(pictures[0], encoding="unicode")
    assert "storage (mm)" in "".join(pictures[0].itertext())


def test_pictures_of_a_page_share_no_id():
    def drawn(height):
        return svg(lambda figure: figure.subplots().plot([0, height], clip_on=True), "a line")

    ids = [set(re.findall(r'id="([^"]+)"', drawn(height))) for height in (1, 2)]
    assert all(ids)
    assert not ids[0] & ids[1]
    assert drawn(1) == drawn(1)


def test_a_picture_leaves_the_settings_of_the_reader(monkeypatch):
    monkeypatch.setitem(rcParams, "backend", "pdf")
    before = dict(rcParams)
    svg(lambda figure: figure.subplots(), "nothing")
    assert dict(rcParams) == before


def test_without_matplotlib_all_but_the_picture_is_shown(monkeypatch):
    lstm, rain, storage = leaky_bucket(40)
    trace = lstm.trace(rain)[0]
    found = insight.probe(trace, storage, draws=9)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert list(read(found).iter("svg")) == []
    assert len(list(read(trace).iter("svg"))) == 6


def test_a_picture_that_is_too_large_is_left_out(monkeypatch):
    monkeypatch.setattr(inline, "svg", lambda *given, **options: "<svg/>" * 20_000)
    lstm, rain, storage = leaky_bucket(40)
    assert "gatewise.plot.probe draws it" in words(read(insight.probe(lstm.trace(rain)[0], storage, draws=9)))


def test_what_was_found_says_where_it_lies_and_what_the_file_does_not_tell(tmp_path):
    onnx.write(gw.LSTM(2, 3, rng=0), tmp_path / "model.onnx")
    found = gw.inspect(tmp_path / "model.onnx").lstms[0]
    said = words(read(found))
    for part in (found.name, found.convention, found.where, "2 features → 3 outputs"):
        assert part in said
    bare = replace(found, batch_first=None, notes=["a note"] * 30, warns=["slightly different"])
    said = words(read(bare))
    assert "whether its input has the batch first, or time" in said
    assert "and 19 more" in said


def test_a_file_is_shown_with_all_that_is_in_it(tmp_path):
    onnx.write(gw.LSTM(2, 3, rng=0), tmp_path / "model.onnx")
    contents = gw.inspect(tmp_path / "model.onnx")
    said = words(
        read(replace(contents, refused=(gw.interop.Refused(HOSTILE, "no weights"),), calls=("os.system",) * 50))
    )
    for part in (contents.format, contents.lstms[0].name, "no weights", "os.system", "and 20 more"):
        assert part in said
    assert "it holds no weights" in words(read(replace(contents, lstms=())))


def test_a_record_is_drawn_by_the_picture_whose_data_are_of_its_kind():
    lstm, rain, _ = leaky_bucket(10)
    assert showing.pictured(gw.plot.data.gates(lstm.trace(rain)[0])) is gw.plot.gates
    assert showing.pictured(lstm) is None
    for name, picture in PICTURES.items():
        assert picture.draw is getattr(gw.plot, name)
        assert picture.data.__annotations__["return"] == picture.record.__name__


def test_every_line_of_the_table_names_a_function():
    for place in showing.INLINE.values():
        module, _, function = place.partition(":")
        assert callable(getattr(import_module(module), function))


def test_an_opened_run_shows_its_notes_and_its_trace(tmp_path):
    network = gw.Network(gw.LSTM(2, 3, rng=0), head=gw.Linear(np.ones((1, 3), np.float32)))
    gw.save(network, tmp_path / "m.safetensors")
    run = gw.open_run(tmp_path / "m.safetensors", np.ones((5, 2)))
    html = run._repr_html_()
    assert "<strong>OpenedRun</strong> of lstm, with the trace of its network." in html
    assert f"{run.interpretation[1:]}." in unescape(html)
    assert run.trace._repr_html_() in html
    assert "the trace of its LSTM" in replace(run, trace=run.trace.lstm)._repr_html_()
    assert "<script" not in replace(run, name=HOSTILE, notes=(HOSTILE,))._repr_html_()
