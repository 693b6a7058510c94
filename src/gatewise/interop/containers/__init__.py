"""What holds arrays and knows no LSTM: pickles, zip archives, safetensors, HDF5, JSON, protobuf; nothing is trusted."""
