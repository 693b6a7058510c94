"""What holds a picture against its description: no visible change of any artist passes unseen."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, ScalarFormatter
from pictures import described

from gatewise.plot import drawing


def drawn():
    """Return a picture with an artist of every kind, and the artists by name."""
    figure = Figure(layout="constrained")
    one, two = drawing.panels(figure, ["one", "two"])
    x = np.arange(30.0)
    made = {"figure": figure, "ax": one, "two": two}
    made["line"] = one.plot(x, np.sin(x), "o-", markevery=2, label="one")[0]
    made["bars"] = one.bar(x, x / 30, label="two")[3]
    made["band"] = one.fill_between(x, 0, 1, alpha=0.5, hatch="//", label="three")
    made["points"] = one.scatter(x, x, c=x)
    made["span"] = one.add_patch(Rectangle((3, 0), 1, 1))
    made["legend"] = one.legend(title="all")
    made["text"] = one.text(1, 2, "text", bbox={"facecolor": "#123456"})
    made["note"] = one.annotate("note", (1, 1), (2, 2), arrowprops={"arrowstyle": "->"})
    made["image"] = two.imshow(np.arange(600.0).reshape(20, 30) / 600, aspect="auto", cmap="cividis")
    made["bar"] = figure.colorbar(made["image"], ax=two, label="scale")
    drawing.name_ticks(two.yaxis, [f"unit {n}" for n in range(20)])
    two.set_title("title")
    return made


CHANGES = {
    "line": [
        lambda line: line.set_color("red"),
        lambda line: line.set_linewidth(2),
        lambda line: line.set_linestyle("--"),
        lambda line: line.set_marker("s"),
        lambda line: line.set_markersize(3),
        lambda line: line.set_markevery(3),
        lambda line: line.set_markerfacecolor("blue"),
        lambda line: line.set_drawstyle("steps-mid"),
        lambda line: line.set_alpha(0.5),
        lambda line: line.set_zorder(7),
        lambda line: line.set_xdata(line.get_xdata() + 1),
        lambda line: line.set_ydata(line.get_ydata()[::-1]),
        lambda line: line.set_ydata(np.where(line.get_xdata() == 11, 0.5, line.get_ydata())),
        lambda line: line.set_ydata(np.where(line.get_xdata() == 11, np.nan, line.get_ydata())),
        lambda line: line.set_transform(line.axes.transAxes),
        lambda line: line.set_visible(False),
    ],
    "bars": [
        lambda bar: bar.set_facecolor("red"),
        lambda bar: bar.set_edgecolor("red"),
        lambda bar: bar.set_linewidth(2),
        lambda bar: bar.set_hatch("//"),
        lambda bar: bar.set_height(0.5),
        lambda bar: bar.set_x(0.5),
        lambda bar: bar.set_alpha(0.5),
        lambda bar: bar.remove(),
    ],
    "span": [lambda span: span.set_xy((2, 0)), lambda span: span.set_width(5), lambda span: span.set_linestyle("--")],
    "band": [
        lambda band: band.set_facecolor("red"),
        lambda band: band.set_edgecolor("red"),
        lambda band: band.set_linewidth(2),
        lambda band: band.set_linestyle("--"),
        lambda band: band.set_hatch("xx"),
        lambda band: band.set_alpha(0.2),
        lambda band: band.set_paths([band.get_paths()[0].vertices * 1.1]),
        lambda band: band.set_zorder(9),
        lambda band: band.set_visible(False),
    ],
    "points": [
        lambda points: points.set_sizes([4]),
        lambda points: points.set_offsets(points.get_offsets()[::-1]),
        lambda points: points.set_array(points.get_array()[::-1]),
        lambda points: points.set_cmap("cividis"),
        lambda points: points.set_clim(0, 100),
        lambda points: points.set_alpha(0.5),
    ],
    "image": [
        lambda image: image.set_cmap("viridis"),
        lambda image: image.set_clim(0, 2),
        lambda image: image.set_extent((0, 10, 0, 10)),
        lambda image: image.set_interpolation("bilinear"),
        lambda image: image.set_alpha(0.5),
        lambda image: image.set_data(image.get_array()[::-1]),
        lambda image: image.set_data(np.where(np.arange(600).reshape(20, 30) == 333, 1.0, image.get_array())),
        lambda image: image.set_data(np.where(np.arange(600).reshape(20, 30) == 333, np.nan, image.get_array())),
    ],
    "text": [
        lambda text: text.set_text("other"),
        lambda text: text.set_position((3, 3)),
        lambda text: text.set_color("red"),
        lambda text: text.set_fontsize(20),
        lambda text: text.set_fontweight("bold"),
        lambda text: text.set_fontstyle("italic"),
        lambda text: text.set_fontfamily("monospace"),
        lambda text: text.set_rotation(90),
        lambda text: text.set_ha("right"),
        lambda text: text.set_va("top"),
        lambda text: text.set_alpha(0.5),
        lambda text: text.get_bbox_patch().set_facecolor("red"),
        lambda text: text.set_transform(text.axes.transAxes),
    ],
    "note": [lambda note: setattr(note, "xy", (0, 0)), lambda note: note.arrow_patch.set_color("red")],
    "legend": [
        lambda legend: legend.get_texts()[0].set_text("other"),
        lambda legend: legend.set_title("other"),
        lambda legend: legend.legend_handles[0].set_color("red"),
        lambda legend: legend.set_frame_on(False),
        lambda legend: legend.set_bbox_to_anchor((2, 1)),
        lambda legend: legend.set_loc("upper left"),
        lambda legend: legend.axes.legend(ncols=2, title="all"),
        lambda legend: legend.axes.legend(
            *(some[::-1] for some in legend.axes.get_legend_handles_labels()), title="all"
        ),
        lambda legend: legend.axes.get_legend().remove(),
    ],
    "two": [
        lambda ax: ax.set_yticks(range(20), [f"unit {20 - n}" for n in range(20)]),
        lambda ax: ax.set_yticks([0, 10], ["unit 0", "unit 10"]),
        lambda ax: ax.yaxis.set_major_formatter(ScalarFormatter()),
        lambda ax: ax.tick_params(axis="y", labelrotation=45),
        lambda ax: ax.set_aspect("equal"),
    ],
    "bar": [lambda bar: bar.set_label("other"), lambda bar: bar.set_ticks([0, 1]), lambda bar: bar.remove()],
    "ax": [
        lambda ax: ax.set_xlim(0, 5),
        lambda ax: ax.set_ylim(*ax.get_ylim()[::-1]),
        lambda ax: ax.set_yscale("symlog"),
        lambda ax: ax.set_xlabel("other"),
        lambda ax: ax.xaxis.label.set_color("red"),
        lambda ax: ax.set_title("other"),
        lambda ax: ax.set_title("other", loc="left"),
        lambda ax: ax.grid(True),
        lambda ax: ax.set_facecolor("red"),
        lambda ax: ax.spines["top"].set_visible(False),
        lambda ax: ax.spines["left"].set_color("red"),
        lambda ax: ax.xaxis.set_major_locator(LogLocator()),
        lambda ax: ax.set_xticks([0, 20]),
        lambda ax: ax.tick_params(axis="x", labelbottom=True),
        lambda ax: ax.twinx(),
        lambda ax: ax.inset_axes((0, 0, 1, 1)),
        lambda ax: ax.axhline(0.5),
        lambda ax: ax.yaxis.tick_right(),
        lambda ax: ax.axis("off"),
        lambda ax: ax.set_visible(False),
    ],
    "figure": [
        lambda figure: figure.set_size_inches(9, 9),
        lambda figure: figure.set_facecolor("red"),
        lambda figure: figure.suptitle("other"),
        lambda figure: figure.legend(["one"]),
        lambda figure: figure.axes[0].get_gridspec().set_height_ratios([1, 2]),
        lambda figure: figure.add_axes((0, 0, 1, 1)),
    ],
}


@pytest.mark.peers
def test_every_visible_change_changes_the_description():
    """One change after the other to one picture; those after which nothing of an artist can be seen come last."""
    made = drawn()
    before = described(made["figure"])
    assert described(made["figure"]) == before
    for name, changes in CHANGES.items():
        for number, change in enumerate(changes):
            change(made[name])
            after = described(made["figure"])
            assert after != before, (name, number)
            before = after
