"""Tensors of PyTorch's that are no weights of an LSTM: what stands inside one, initial states, norms, a training's."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import NamedTuple

from gatewise.arrays import Array
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.torch.content import ModuleFacts
from gatewise.interop.torch.described import DEEPEST
from gatewise.layers import LSTM

MOST = 6  # names inside an LSTM that are kept
STATE = re.compile(
    r"(?!(?:h|c|hidden|cell)$)(?:(?:init|initial|learned)_?)?(h|c)(?:x|idden|ell)?(?:_?(?:0|state|init|initial|param))*"
)
STATE_WORD = re.compile(r"(?:^|_)(?:[hc](?:x|n|idden|ell)?\d?|hidden|cell|states?)(?:_|\d|$)")
INSIDE = re.compile(r"(?:weight|bias|ln|w|u|b|(?:.*_)?lora)(?:_.*)?|.*(?:norm|peephole).*")
MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "sum", "step"}
RECORDS = {"callbacks", "loops", "lr_schedulers", "optimizer", "optimizer_states", "optimizer_state_dict"}
Tensors = Mapping[str, Tensor | Array]


def owners_of(name: str, prefixes: Container[str]) -> list[str]:
    """Return those of prefixes that a name begins with, the empty one among them, up to a depth."""
    owners, end = [""] if "" in prefixes else [], name.find(".", 1)
    for _ in range(DEEPEST):
        if end < 0:
            break
        if name[:end] in prefixes:
            owners.append(name[:end])
        end = name.find(".", end + 1)
    return owners


class Foreign(NamedTuple):
    """Tensors that are not an LSTM's own: those that stand inside it, and those that may."""

    inside: list[str]
    beside: list[str]


def foreign_tensors(
    tensors: Tensors, own: Mapping[str, set[str]], facts: Mapping[str, ModuleFacts], classes: Mapping[str, str]
) -> dict[str, Foreign]:
    """Return, for the prefix of each LSTM, the tensors under it that are not its own.

    Under the name of a module all stand inside it. A dictionary may hold those of other modules too: inside are then
    those of its first level that are called as weights are, and what adapts them; norms may be.
    """
    foreign = {prefix: Foreign([], []) for prefix in own}
    for name, tensor in tensors.items():
        for prefix in owners_of(name, own):
            if name in own[prefix] or not (tensor.shape or getattr(tensor, "floating", True)):
                continue  # its own, or a counter
            is_dictionary = facts[prefix].is_dictionary if prefix in facts else False
            is_dictionary = is_dictionary or (prefix == "" and "" not in classes)
            first, _, rest = name[len(prefix) + bool(prefix) :].partition(".")
            if not rest and tensor.shape and STATE.fullmatch(first.lower()) is not None:
                continue  # accounted for as an initial state
            is_piece = INSIDE.fullmatch(first.lower()) is not None
            if not is_dictionary or (is_piece and (not rest or "lora" in first.lower())):
                places = foreign[prefix].inside
            elif is_piece or not rest:
                places = foreign[prefix].beside
            else:
                continue
            if len(places) < MOST:
                places.append(name)
    return foreign


def state_candidates(tensors: Tensors) -> dict[str, dict[str, list[str]]]:
    """Return the tensors that are initial states by their names: of each prefix, those of h and those of c."""
    candidates: dict[str, dict[str, list[str]]] = {}
    for name, tensor in tensors.items():
        prefix, _, last = name.rpartition(".")
        if tensor.shape and (match := STATE.fullmatch(last.lower())) is not None:
            candidates.setdefault(prefix, {"h": [], "c": []})[match[1]].append(name)
    return candidates


def named_state(
    prefix: str, lstm: LSTM, alone: bool, tensors: Tensors, candidates: Mapping[str, Mapping[str, list[str]]]
) -> tuple[str | None, str | None] | None:
    """Return the names of an LSTM's initial h and c, where names and shapes leave one reading; else None.

    They stand beside its weights, or beside the module itself if it is `alone`: there is no other LSTM in its place.
    """
    parent = prefix.rpartition(".")[0]
    places = [place for place in dict.fromkeys((prefix, parent)) if place in candidates and (place == prefix or alone)]
    first = lstm.layers[0][0]
    names: list[str | None] = []
    for kind, size in (("h", first.recurrent_size), ("c", first.hidden_size)):
        shapes = {(len(lstm.cells()), 1, size), (len(lstm.cells()), size), (1, 1, size), (1, size), (size,)}
        fitting = [name for place in places for name in candidates[place][kind] if tuple(tensors[name].shape) in shapes]
        if len(fitting) > 1:
            return None
        names.append(fitting[0] if fitting else None)
    return None if names == [None, None] else (names[0], names[1])


def known_entries(
    tensors: Tensors,
    candidates: Mapping[str, Mapping[str, list[str]]],
    owners: Mapping[str, str],
    sizes: Mapping[str, set[int]],
    used: Container[str],
) -> list[LedgerEntry]:
    """Return why tensors that no layer uses are left out, where their names say; `owners` are the LSTMs' labels.

    `sizes` are those of their states: a tensor beside an LSTM whose name has a word for a state may be one if it fits.
    """
    entries = []
    near_places: dict[str, list[str]] = {}
    sizes_near: dict[str, set[int]] = {}
    for prefix, label in owners.items():
        for place in {prefix, prefix.rpartition(".")[0]}:
            near_places.setdefault(place, []).append(label)
            sizes_near.setdefault(place, set()).update(sizes.get(prefix, ()))
    places = {place: tuple(labels) for place, labels in near_places.items()}
    effect = "its first steps may start from it, and start from zeros here"
    for place, kinds in candidates.items():
        near = places.get(place, ())
        for name in (*kinds["h"], *kinds["c"]):
            if near and name not in used:
                reason = "by its name an initial state, which no LSTM alone is known to start from"
                entries.append(LedgerEntry(name, layer=place, reason=reason, effect=effect, lstms=near))
    for name, tensor in tensors.items():
        layer, last = name.rpartition(".")[::2]
        if name in used:
            continue
        if last in MOMENTS or last == "num_batches_tracked" or not RECORDS.isdisjoint(layer.split(".")):
            entries.append(LedgerEntry(name, layer=layer, reason="a record of the training", effect=""))
        elif tensor.shape and tensor.shape[-1] in sizes_near.get(layer, ()) and _is_state_name(last.lower()):
            reason = "by its name and shape it may be an initial state"
            entries.append(LedgerEntry(name, layer=layer, reason=reason, effect=effect, lstms=places[layer]))
        elif len(tensor.shape) == 1 and (kind := _norm_kind(layer, last, tensors)) is not None:
            scales = "it scales what passes through it, if it lies on the way"
            entries.append(LedgerEntry(name, layer=layer, reason=kind, effect=scales))
    return entries


def _is_state_name(name: str) -> bool:
    """Return whether a name has a word for a state, and is none of those that `state_candidates` has."""
    return STATE_WORD.search(name) is not None and STATE.fullmatch(name) is None


def _norm_kind(layer: str, last: str, tensors: Tensors) -> str | None:
    """Return what a layer is whose weights have one axis, by their names; None if they do not say."""
    start = f"{layer}." if layer else ""
    if last in ("weight", "bias", "running_mean", "running_var"):
        weight = tensors.get(f"{start}weight")
        if f"{start}running_mean" in tensors:
            return "a batch norm"
        if weight is not None and len(weight.shape) == 1:
            both = f"{start}bias" in tensors
            return "a norm (LayerNorm, GroupNorm)" if both else "a scale or slope (RMSNorm, PReLU)"
    return None
