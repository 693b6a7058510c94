"""How a case is handed to an engine, and its outputs are read: as an ONNX model, PyTorch's LSTM or Keras' layers."""
