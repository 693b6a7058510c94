"""Records of a run: traces, steps, gradients, edits, labels, and the quantities that a trace keeps."""
