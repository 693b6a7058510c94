"""The text of pictures: it lies in the figure, no tick label touches another, and all of it can be read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import agg as agg
from pictures import touching
from test_plot import SUBJECTS

import gatewise as gw
from gatewise import plot
from gatewise.palette import CIVIDIS, PALETTE, VIK
from gatewise.plot import drawing
from gatewise.plot.picture import PICTURES

LONG = "the precipitation of the whole catchment of a river that has a very long name"
NAMES = [LONG, "שלום עולם " * 12, "温度" * 60, "$x$ <b>&amp; \\frac", "\n\t‮" + "w" * 200]
HEIGHTS = {"states": 6.0, "unit": 7.0, "change": 6.3, "probe": 6.8}


def long_named(steps, units, times, outputs=1):
    """Return the trace of a network whose parts all have names that are too long, or of other scripts."""
    names = [f"{NAMES[n % len(NAMES)]} {n}" for n in range(max(units, 5))]
    labels = gw.Labels(
        features=names[:3], units=names[:units], outputs=names[:outputs], sequences=names[:2], times=times
    )
    rng = np.random.default_rng(0)
    head = gw.Linear(rng.normal(size=(outputs, units)))
    network = gw.Network(gw.LSTM(3, units, rng=0, dtype=np.float64), head=head)
    return network.trace(rng.normal(size=(steps, 2, 3)), labels=labels)


TIMES = {
    "words": [f"{'abracadabra ' * 4}{n}" for n in range(40)],
    "hours": np.datetime64("2001-12-29T22") + np.arange(115),
    "days": np.datetime64("2001-01-20") + np.arange(40),
    "numbers": 10**9 + 7 * np.arange(30),
    "one": np.array(["2001-01-01"], "M8[D]"),
}
PARTS = {
    **{name: ("cell", {}) for name in ("gates", "states", "unit", "activity", "attention", "saturation", "timescales")},
    "contributions": ("cell", {"unit": 0}),
    "influence": ("network", {}),
    "ceiling": ("network", {}),
    "attribution": ("network", {"method": "lrp"}),
}


def fitting(name, width, subject, options):
    """Hold a picture of a width in pixels against the law."""
    figure = pyplot.figure(figsize=(width / 100, HEIGHTS.get(name, 4.5)), layout="constrained", dpi=100)
    getattr(plot, name)(subject, ax=figure, **options)
    assert touching(figure) == []


@pytest.mark.peers
@pytest.mark.parametrize("width", [390, 700, 1400])
@pytest.mark.parametrize("name", PICTURES)
def test_the_text_of_every_picture_fits(name, width):
    subject, options = SUBJECTS[name]()
    fitting(name, width, subject, options)


@pytest.mark.parametrize("name", ["attention", "contributions", "saturation"])
def test_long_names_and_dates_fit_a_small_picture(name):
    part, options = PARTS[name]
    trace = long_named(40, 6, TIMES["days"])
    fitting(name, 390, trace.lstm[0] if part == "cell" else trace, options)


@pytest.mark.peers
@pytest.mark.parametrize("width", [390, 700, 1400])
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("name", PARTS)
def test_the_text_of_a_picture_fits_at_any_width(name, times, width):
    part, options = PARTS[name]
    trace = long_named(len(TIMES[times]), 7, TIMES[times])
    fitting(name, width, trace.lstm[0] if part == "cell" else trace, options)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_drawn_on_a_figure_a_part_of_one_or_its_axes(name):
    subject, options = SUBJECTS[name]()
    record, draw = getattr(plot.data, name)(subject, **options), getattr(plot, name)
    whole = pyplot.figure(layout="constrained")
    part = pyplot.figure(figsize=(9, 9), layout="constrained").subfigures(1, 2)[1]
    count = np.size(draw(record, ax=whole))
    assert np.size(draw(record, ax=part)) == count
    assert {ax.figure for ax in np.ravel(draw(record, ax=part))} == {part}
    rows = pyplot.figure(figsize=(9, 9), layout="constrained").subplots(count, 2)[..., 0].ravel() if count > 1 else None
    axes = pyplot.figure(layout="constrained").subplots() if rows is None else rows
    assert np.ravel(draw(record, ax=axes)).tolist() == np.ravel(axes).tolist()
    axes = np.ravel(axes)
    with pytest.raises(gw.OptionError, match=f"ax must be {count} matplotlib Axes.* or a Figure, not {count + 1}"):
        draw(record, ax=[*axes, axes[0]])


def contrast(text, ground):
    """Return the contrast of two colours by the definition of WCAG 2."""

    def luminance(rgb):
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(text), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("quantity", ["forget_gate", "cell_state"])
def test_each_token_can_be_read_on_its_colour(style, quantity):
    from matplotlib.colors import to_rgb

    values = np.linspace(-1 if quantity == "cell_state" else 0, 1, 256)
    stops = VIK if quantity == "cell_state" else CIVIDIS
    record = plot.data.Text({}, "", ("a",) * 256, values, (values[0], 1.0), None)
    with pyplot.style.context(style):
        texts = plot.text(record).texts
        grounds = drawing.colour_map(stops)(np.linspace(0, 1, 256))[:, :3]
        for text, ground in zip(texts, grounds, strict=True):
            assert contrast(to_rgb(text.get_color()), ground) >= 4.5


def test_the_letters_of_a_token_keep_their_colour_on_a_page_in_the_dark():
    from gatewise.plot.svg import svg

    record = plot.data.Text({}, "", ("dark", "light"), np.array([-1.0, 0.0]), (-1.0, 1.0), None)
    page = svg(lambda figure: plot.text(record, ax=figure), "")
    assert "fill: #ffffff" in page
    assert PALETTE["panel"].css not in page
