"""Models in JSON: RTNeural's, Neural Amp Modeler's, GuitarML's, ICU's word segmenters, and dumps of a state dict."""

from gatewise.interop.json_models.files import contents, recognises

__all__ = ["contents", "recognises"]
