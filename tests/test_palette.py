"""The colours of pages: text can be read on every ground, and marks can be seen on it."""

from __future__ import annotations

import pytest

from gatewise.palette import PALETTE, QUANTITIES

GROUNDS = ("paper", "panel", "hover")
TEXTS = ("ink", "soft", "accent", *(f"{name}_text" for name in QUANTITIES))
OKABE_AND_ITO = {
    "input_gate": "#0072b2",
    "forget_gate": "#d55e00",
    "candidate": "#009e73",
    "output_gate": "#cc79a7",
    "hidden_state": "#e69f00",
}


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", TEXTS)
def test_text_can_be_read_on_every_ground(name, scheme):
    grounds = [*GROUNDS, "sheet"] if scheme == "light" else GROUNDS
    for ground in grounds:
        assert contrast(getattr(PALETTE[name], scheme), getattr(PALETTE[ground], scheme)) >= 4.5, ground


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["negative", "positive"])
def test_the_bars_of_signed_values_can_be_seen_without_an_outline(name, scheme):
    for ground in GROUNDS:
        assert contrast(getattr(PALETTE[name], scheme), getattr(PALETTE[ground], scheme)) >= 3, ground


def test_the_hues_of_quantities_are_the_same_on_every_ground():
    for name, hue in OKABE_AND_ITO.items():
        assert (PALETTE[name].light, PALETTE[name].dark) == (hue, hue)
    assert PALETTE["cell_state"] == PALETTE["cell_state_text"] == PALETTE["ink"]
