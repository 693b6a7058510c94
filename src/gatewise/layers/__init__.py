"""LSTMs: cells stacked in layers, in one direction or two; the backward pass; and streams."""

from gatewise.layers.backward import backward
from gatewise.layers.lstm import LSTM
from gatewise.layers.stream import Stream

__all__ = ["LSTM", "Stream", "backward"]
