"""One adapter for each engine. An adapter runs in the engine's own process, which loads it by its path.

It has `version()` and `run(settings, arrays)`, which returns the outputs by name. For an ONNX engine, `arrays` holds
the bytes of the model and its inputs, and `settings["outputs"]` lists the names of its outputs.
"""
