"""Tensors of PyTorch's that are no weights of an LSTM: what stands inside one, initial states, norms, a training's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gatewise.arrays import Array
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.torch.content import DICTIONARY
from gatewise.interop.torch.names import NAME, owners_of
from gatewise.layers import LSTM

MOST = 6  # names inside an LSTM that are kept
STATE = re.compile(
    r"(?!(?:h|c|hidden|cell)$)(?:(?:init|initial|learned)_?)?(h|c)(?:x|idden|ell)?(?:_?(?:0|state|init|initial|param))*"
)
STATE_WORD = re.compile(r"(?:^|_)(?:[hc](?:x|n|idden|ell)?\d?|hidden|cell|states?)(?:_|\d|$)")
INSIDE = re.compile(r"(?:weight|bias|ln|w|u|b|(?:.*_)?lora)(?:_.*)?|.*(?:norm|peephole).*")
MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "sum", "step"}
RECORDS = {"callbacks", "loops", "lr_schedulers", "optimizer", "optimizer_states", "optimizer_state_dict"}
ON_THE_WAY = "it changes what passes through it, if it lies on the way"
MAY_START = "its first steps may start from it, and start from zeros here"
StateNames = tuple[str | None, str | None]  # of the tensors that are h and c; None is zeros


class Bystanders:
    """The tensors of a file that are no weights of its LSTMs, by what their names and shapes say of each.

    `own` has the names of each LSTM's weights by their prefix, `classes` the class of the object at each; the file does
    not say what those with the prefixes `unsettled` start from.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor | Array],
        own: Mapping[str, set[str]],
        classes: Mapping[str, str],
        unsettled: Iterable[str],
    ) -> None:
        self.tensors, self.own, self.classes = tensors, own, classes
        self.inside: dict[str, list[str]] = {prefix: [] for prefix in own}
        self.states: dict[str, list[tuple[str, str]]] = {}  # of each place: h or c, and the name of one by its name
        self.entries: dict[str, LedgerEntry] = {}
        near: dict[str, list[str]] = {}
        self.sizes: dict[str, set[int]] = {}
        for prefix in unsettled:
            matches = (match for name in own[prefix] if (match := NAME.fullmatch(name)) is not None)
            recurrent = [match[0] for match in matches if match[2] == "weight_hh" and match[0] in tensors]
            shapes = [tensors[name].shape for name in recurrent]
            for place in {prefix, prefix.rpartition(".")[0]}:
                near.setdefault(place, []).append(prefix or "lstm")
                for rows, columns in (shape for shape in shapes if len(shape) == 2):
                    self.sizes.setdefault(place, set()).update((rows // 4, columns))
        self.near = {place: tuple(labels) for place, labels in near.items()}
        for name, tensor in tensors.items():
            self._add(name, tensor)

    def _add(self, name: str, tensor: Tensor | Array) -> None:
        """Add a tensor of the file to what stands inside LSTMs, to the states, or to the entries."""
        layer, _, last = name.rpartition(".")
        state = STATE.fullmatch(last.lower()) if tensor.shape else None
        if state is not None:
            self.states.setdefault(layer, []).append((state[1], name))
        reason, effect, lstms = self._reason_of(layer, last, tensor, state is not None)
        is_counter = not (tensor.shape or getattr(tensor, "floating", True))
        for prefix in owners_of(name, self.own):
            if name in self.own[prefix] or is_counter or (state is not None and prefix == layer):
                continue
            first, _, rest = name[len(prefix) + bool(prefix) :].lower().partition(".")
            is_piece = INSIDE.fullmatch(first) is not None
            in_dictionary = self.classes.get(prefix, "" if prefix else DICTIONARY) == DICTIONARY
            if not in_dictionary or (is_piece and (not rest or "lora" in first)):
                self.inside[prefix] += [name] * (len(self.inside[prefix]) < MOST)
            elif is_piece or not rest:
                layer, reason, lstms = prefix, "it lies beside its weights", (prefix or "lstm",)
                effect = "it may be a part of the LSTM, or lie on its way"
        if reason:
            self.entries[name] = LedgerEntry(name, layer=layer, reason=reason, effect=effect, lstms=lstms)

    def _reason_of(
        self, layer: str, last: str, tensor: Tensor | Array, is_state: bool
    ) -> tuple[str, str, tuple[str, ...]]:
        """Return why a tensor is left out if no layer uses it, its effect, and on which LSTMs; empty if unknown."""
        near, sizes = self.near.get(layer, ()), self.sizes.get(layer, ())
        if last in MOMENTS or last == "num_batches_tracked" or not RECORDS.isdisjoint(layer.split(".")):
            return "a record of the training", "", ()
        if is_state and near:
            return "by its name an initial state, which no LSTM alone is known to start from", MAY_START, near
        if not is_state and STATE_WORD.search(last.lower()) and tensor.shape and tensor.shape[-1] in sizes:
            return "by its name and shape it may be an initial state", MAY_START, near
        if len(tensor.shape) == 1 and last in ("weight", "bias", "running_mean", "running_var"):
            start = f"{layer}." if layer else ""
            weight, kind = self.tensors.get(f"{start}weight"), ""
            if f"{start}running_mean" in self.tensors:
                kind = "a batch norm"
            elif weight is not None and len(weight.shape) == 1:
                both = f"{start}bias" in self.tensors
                kind = "a norm (LayerNorm, GroupNorm)" if both else "a scale or slope (RMSNorm, PReLU)"
            return kind, ON_THE_WAY, ()
        return "", "", ()

    def state_of(self, prefix: str, lstm: LSTM, alone: bool) -> StateNames | None:
        """Return the names of an LSTM's initial h and c, where names and shapes leave one reading; else None.

        They stand beside its weights, or beside the module itself if it is `alone`: no other LSTM is in its place.
        """
        places = dict.fromkeys([prefix, *[prefix.rpartition(".")[0]] * alone])
        first, count = lstm.layers[0][0], len(lstm.cells())
        names: list[str | None] = []
        for kind, size in (("h", first.recurrent_size), ("c", first.hidden_size)):
            shapes = {(count, 1, size), (count, size), (1, 1, size), (1, size), (size,)}
            candidates = [name for place in places for letter, name in self.states.get(place, ()) if letter == kind]
            fitting = [name for name in candidates if tuple(self.tensors[name].shape) in shapes]
            if len(fitting) > 1:
                return None
            names += fitting or [None]
        return None if names == [None, None] else (names[0], names[1])
