"""Colours by what they mean, each on a light ground and on a dark one: the only place that has their values."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """A colour on a light ground, and what stands for it on a dark one, as CSS has them."""

    light: str
    dark: str

    @property
    def css(self) -> str:
        """The colour as CSS, which chooses by the reader's preference."""
        return f"light-dark({self.light}, {self.dark})" if self.dark != self.light else self.light


PALETTE = {
    "paper": Colour("#fcfcfa", "#16181b"),  # what a page lies on
    "sheet": Colour("#fff", "#fff"),  # what it is printed on
    "panel": Colour("#ffffff", "#1d2024"),  # a box on the paper
    "hover": Colour("#f0f4f5", "#23282d"),  # a line that is pointed at
    "ink": Colour("#1d2125", "#e4e7ea"),
    "soft": Colour("#565e68", "#a3acb7"),  # what is read second
    "line": Colour("#e2e3dd", "#33383f"),  # between things
    "accent": Colour("#0a5a83", "#7dc3ec"),  # what leads the eye, or opens
    "bar": Colour("#bcd8e6", "#2f5d78"),  # how large a share is
    "shut": Colour("#ab2a1c", "#ff9d8e"),  # a gate near 0
    "open": Colour("#17693a", "#7fd4a0"),  # a gate near 1
}
