"""LSTMs: cells stacked in layers, in one direction or two; and streams."""

from gatewise.layers.lstm import LSTM, backward
from gatewise.layers.stream import Stream

__all__ = ["LSTM", "Stream", "backward"]
