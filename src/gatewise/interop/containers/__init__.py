"""Containers of arrays, independent of LSTMs: pickles, zip, safetensors, HDF5, JSON, protobuf; nothing is trusted."""
