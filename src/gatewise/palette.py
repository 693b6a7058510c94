"""Colours by meaning, each for a light and for a dark background: the only place that has their values."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """A colour for a light background, and its counterpart for a dark one, as in CSS."""

    light: str
    dark: str

    @property
    def css(self) -> str:
        """The colour as CSS, which chooses by the reader's preference."""
        return f"light-dark({self.light}, {self.dark})" if self.dark != self.light else self.light


def _mark(colour: str) -> Colour:
    """Return the colour of a mark, which is the same on every ground; an outline in the text's colour sets it off."""
    return Colour(colour, colour)


# The hues of the quantities are those of Okabe and Ito ("Color Universal Design", 2008), which colour-blind readers
# can tell apart. They fill marks. Text in a hue, and the outline of a mark, has the darker or lighter one behind it.
QUANTITIES = ("input_gate", "forget_gate", "candidate", "output_gate", "cell_state", "hidden_state")
PALETTE = {
    "paper": Colour("#fcfcfa", "#16181b"),  # the background of a page
    "sheet": Colour("#fff", "#fff"),  # what it is printed on
    "panel": Colour("#ffffff", "#1d2024"),  # a box on the paper
    "hover": Colour("#f0f4f5", "#23282d"),  # a line that is pointed at
    "ink": Colour("#1d2125", "#e4e7ea"),
    "soft": Colour("#565e68", "#a3acb7"),  # what is read second
    "line": Colour("#e2e3dd", "#33383f"),  # between things
    "accent": Colour("#0a5a83", "#7dc3ec"),  # links, headings, and what can be expanded
    "input_gate": _mark("#0072b2"),
    "input_gate_text": Colour("#00639c", "#63b8ee"),
    "forget_gate": _mark("#d55e00"),
    "forget_gate_text": Colour("#a84a00", "#ff9a55"),
    "candidate": _mark("#009e73"),
    "candidate_text": Colour("#007053", "#3fcb9c"),
    "output_gate": _mark("#cc79a7"),
    "output_gate_text": Colour("#96406f", "#e3a3c6"),
    "cell_state": Colour("#1d2125", "#e4e7ea"),  # ink
    "cell_state_text": Colour("#1d2125", "#e4e7ea"),
    "hidden_state": _mark("#e69f00"),
    "hidden_state_text": Colour("#7d5700", "#f2b63c"),
    "negative": Colour("#116496", "#5496b7"),  # signed values: Crameri's vik, as far from its middle on either side
    "positive": Colour("#b75a26", "#cc875f"),
}

# Amounts from 0 to 1, and signed values about 0, as colours at equal distances.
CIVIDIS = (  # Nuñez, Anderton and Renslow, "Optimizing colormaps with consideration for color vision deficiency" (2018)
    *("#00224e", "#003170", "#2a3f6d", "#434e6c", "#575d6d", "#6a6c71", "#7d7c78"),
    *("#918b78", "#a59c74", "#bcae6c", "#d2c060", "#e9d34e", "#fee838"),
)
VIK = (  # Crameri, "Scientific colour maps" (2018)
    *("#001261", "#023376", "#06548b", "#307da6", "#71a8c4", "#b3d1df", "#ece5e0"),
    *("#e4bfaa", "#d39774", "#c27041", "#a94512", "#7e1d06", "#590008"),
)
