"""Models in JSON: RTNeural's, Neural Amp Modeler's, GuitarML's, and dumps of a state dict."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatewise.errors import FileError, GatewiseError, join_names
from gatewise.files.budget import Budget
from gatewise.interop.containers.json_document import describe, may_be_json, read_document
from gatewise.interop.containers.lookups import Lookups, walk_entries
from gatewise.interop.contents import Contents, check_options
from gatewise.interop.json_models import nam, rtneural, state_dict
from gatewise.interop.ledger import looked_up_entries, owners_by_prefix
from gatewise.interop.refusals import reading

__all__ = ["contents", "recognises"]
ABOUT = {  # what is known to say something about a model, or of its training, that no run computes
    *("metadata", "name", "author", "authors", "license", "version", "date", "description", "comment", "epoch", "loss"),
    *("model_loss", "dic", "model", "v", "max_value"),  # of a container its sizes
}
MATRICES_OF_ICU = {f"mat{number}" for number in range(1, 10)}

# In the order in which they are asked.
READERS: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any], str, Budget], Contents]], ...] = (
    (lambda document: "in_shape" in document and "layers" in document, rtneural.contents),
    (lambda document: "architecture" in document and "weights" in document, nam.contents),
    (state_dict.has_tensors, state_dict.contents),
)


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Return whether a file begins like a JSON object or list."""
    return may_be_json(head)


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the contents of a JSON model of any known kind; see `gatewise.interop.inspect`."""
    name = os.fspath(path)
    check_options(name, omitted, ())
    with reading(name, GatewiseError):
        budget = Budget.of(path)
        document = read_document(Path(path), budget)
        if not isinstance(document, Lookups):
            raise FileError(f"its JSON is {describe(document)}; a model is an object")
        for known, reader in READERS:
            if known(document):
                return _with_ledger(document, reader(document, name, budget), budget)
        if "class_name" in document and "config" in document:
            raise FileError(
                "it describes a Keras model, but has no weights. Give the file of the weights, with this one as its"
                " config (--set config=PATH)"
            )
        if document.keys() >= MATRICES_OF_ICU:
            raise FileError(
                "it is a word segmenter of ICU, which gatewise does not read. Put its matrices into a Keras model"
                " (Embedding, Bidirectional of LSTM, Dense), and save that as .keras"
            )
        keys = join_names((describe(key) for key in document), most=6) or "nothing"
        raise FileError(
            f"its JSON has {keys}, and is not a model of RTNeural, Neural Amp"
            " Modeler or Automated-GuitarAmpModelling, nor a state dict of PyTorch"
        )


def _with_ledger(document: Lookups, found: Contents, budget: Budget) -> Contents:
    """Return the contents of a JSON model with the ledger of its entries: what its reader looked up is used."""
    tensors = {entry.name for entry in found.ledger}
    reasons = {refused.name: refused.reason for refused in found.refused}
    lstms = [stored.name for stored in found.lstms]
    owner_of = owners_by_prefix((*lstms, *reasons))
    entries = [(path, used) for path, used in walk_entries(document) if path.removeprefix("state_dict.") not in tensors]
    budget.work(2 * len(entries) * len({*map(len, (*lstms, *reasons))}), "the list of its entries")

    def owner(path: str) -> str:
        """Return the layer of an entry, at the top of the document or inside of its first entry."""
        return owner_of(path) or owner_of(path.partition(".")[2])

    def idle(path: str) -> str:
        if not ABOUT.isdisjoint(path.split(".")):
            return "it is about the model, and no part of what runs"
        return reasons.get(owner(path), "")

    unknown = "no entry of this name is known in such a file"
    return replace(found, ledger=(*found.ledger, *looked_up_entries(entries, owner, lstms, unknown, idle)))
