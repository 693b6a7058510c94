"""The network that the page carries: its sentences, and its training, `python -m reading.train`."""
