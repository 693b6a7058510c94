"""Pictures as files, with the same bytes for the same picture anywhere and at any time."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from gatewise.files.storage import beside
from gatewise.plot.drawing import library

FORMATS = ("svg", "png", "pdf")
DATES = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}  # that differ
DPI = 200
FONTS = (  # with characters of names that matplotlib's own font lacks
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "PingFang SC", "Microsoft YaHei"),
    *("Malgun Gothic", "Arial Unicode MS", "IPAexGothic", "WenQuanYi Zen Hei"),
)


def save(path: str | os.PathLike[str], format: str, draw: Callable[[], Any]) -> None:
    """Write the new figure whose Axes `draw` returns to a file; letters become shapes and look the same everywhere."""
    library().use("agg")
    import numpy as np
    from matplotlib import font_manager, pyplot, rc_context

    installed = set(font_manager.fontManager.get_font_names())
    family = [*library().rcParams["font.family"], *(font for font in FONTS if font in installed)]
    options: dict[Any, Any] = {"svg.hashsalt": "gatewise", "svg.fonttype": "path"}
    options |= {"figure.dpi": DPI, "font.family": family}
    content = io.BytesIO()  # matplotlib cannot handle a full disk
    with rc_context(options), beside(path) as temporary:
        figure = np.atleast_1d(np.asarray(draw(), dtype=object)).ravel()[0].get_figure()
        try:
            figure.savefig(content, format=format, metadata=DATES[format])
        finally:
            pyplot.close(figure)
        temporary.write_bytes(content.getvalue())
