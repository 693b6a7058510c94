"""LSTMs and other layers from tensors with PyTorch's names; look-alikes of LSTMs are refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, join_names, shown
from gatewise.interop import conventions, ledger
from gatewise.interop.containers.tensors import Tensor, numbers_of
from gatewise.interop.contents import Listing, Refused, StoredItem, StoredLayer, StoredLSTM, listing
from gatewise.interop.ledger import Ledger, LedgerEntry
from gatewise.interop.torch.accounting import MAY_START, ON_THE_WAY, Bystanders, StateNames
from gatewise.interop.torch.content import DICTIONARY, ZERO_STATE, ModuleFacts
from gatewise.interop.torch.names import NAME, PLAIN, owners_of
from gatewise.interop.torch.reparametrised import NORMED, PlainTensors, undo_parametrisations
from gatewise.interop.torch.states import read_state
from gatewise.interop.unread import QUANTISED
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.parameters import Parameters

CONVENTION = "PyTorch: gates i f g o, two biases, which are summed"
QUANTISED_NAME = re.compile(  # as PyTorch names the tensors of an LSTM that it has quantised, or is about to
    r"(?:(.*?)\.)?(?:_all_weight_values|_packed_weight_[ih]h|layers\.\d+\.layer_[fb]w\.cell\.[ih]gates)(?:\.|$)",
    re.DOTALL,
)
OF_CELL = -1  # the layer of an LSTMCell's names, which have none
Key = tuple[str, int, bool]  # weight_ih and the like, the layer, and whether it is of the backward direction


def group_tensors(
    tensors: Mapping[str, Tensor | Array],
    classes: Mapping[str, str] | None = None,
    facts: Mapping[str, ModuleFacts] | None = None,
    *,
    connected: bool = False,
) -> tuple[*Listing, Ledger]:
    """Return the LSTMs among named tensors, the other layers, the unreadable ones, and the ledger of the tensors.

    Parameters
    ----------
    tensors : mapping of str to tensor or array
        A state dict: PyTorch's names after any prefix.
    classes : mapping of str to str, optional
        The class of the object at each prefix, if the file says.
    facts : mapping of str to ModuleFacts, optional
        What the file says of each prefix besides: axes, notes, a reason to refuse it, its initial state.
    connected : bool
        Whether the file says how its layers are connected. If not, whatever no layer uses may concern every LSTM.
    """
    reader = _GroupReader(tensors, classes or {}, facts or {})
    items: list[StoredItem] = [reader.read(prefix) for prefix in reader.groups]
    items += [
        Refused(prefix or "lstm", known.refusal)
        for prefix, known in reader.facts.items()
        if known.refusal and prefix not in reader.groups
    ]
    items += _refuse_quantised(reader.tensors, reader.classes, reader.groups)
    items += _other_layers(reader.plain, reader.groups, reader.facts)
    lstms, layers, refused = listing(items)
    known = reader.left_out({name for item in items for name in item.entries}, {part.name for part in layers})
    if not connected:
        useless = ((name, part) for part in layers if part.weight is None for name in part.entries)
        known += [
            LedgerEntry(name, layer=part.name, reason=f"a {part.kind}", effect=ON_THE_WAY) for name, part in useless
        ]
    entries = ledger.account(dict.fromkeys(tensors, "tensor"), (*lstms, *layers, *refused), known)
    if not connected:
        names = tuple(stored.name for stored in lstms)
        entries = tuple(entry._replace(lstms=names) if entry.effect and not entry.lstms else entry for entry in entries)
    return lstms, layers, refused, entries


class _GroupReader:
    """Tensors by the LSTMs whose weights they are: of each prefix, the names by kind, layer and direction."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor | Array],
        classes: Mapping[str, str],
        facts: Mapping[str, ModuleFacts],
    ) -> None:
        self.plain = undo_parametrisations(tensors)
        self.tensors, self.classes, self.facts = self.plain.tensors, classes, facts
        self.groups: dict[str, dict[Key, str]] = {}
        raw_groups: dict[str, dict[Key, str]] = {}
        for name in (*self.plain.problems, *self.tensors):
            if (match := NAME.fullmatch(name.removesuffix("_raw"))) is not None:
                prefix, kind, layer, reverse = match.groups()
                key = kind, OF_CELL if layer is None else int(layer[:6]), reverse is not None
                groups = raw_groups if name.endswith("_raw") else self.groups
                groups.setdefault(prefix or "", {})[key] = name
        self.raw_names = {  # of an LSTM's weights as they are without DropConnect
            prefix: raw_groups.get(prefix, {}) | raw_groups.get(prefix.removesuffix(".module"), {})
            for prefix in self.groups
        }
        self.in_file = {
            prefix: (*self.plain.in_file(names.values()), *self.raw_names[prefix].values())
            for prefix, names in self.groups.items()
        }
        own = {prefix: {*names.values(), *self.in_file[prefix]} for prefix, names in self.groups.items()}
        unsettled = [prefix for prefix in own if prefix not in facts or facts[prefix].state_by != "graph"]
        self.bystanders = Bystanders(self.tensors, own, classes, unsettled)
        self.neighbours = Counter(prefix.rpartition(".")[0] for prefix in self.groups)

    def read(self, prefix: str) -> StoredLSTM | Refused:
        """Return the LSTM whose weights have a prefix, or why it is none."""
        names, raw_names = self.groups[prefix], self.raw_names[prefix]
        known, label, in_file = self.facts.get(prefix, ModuleFacts()), prefix or "lstm", self.in_file[prefix]
        try:
            if (reason := self._why_refused(prefix, names, known)) is not None:
                return Refused(label, reason, (*in_file, *self.bystanders.inside[prefix]))
            lstm, notes = _build_lstm(self.tensors, names | raw_names)
            _require_settings(lstm, any(kind.startswith("bias") for kind, _, _ in names), known.settings)
            starts = known.state
            if known.state_by == "names":
                alone = self.neighbours[prefix.rpartition(".")[0]] == 1
                starts = self.bystanders.state_of(prefix, lstm, alone)
            state = None if starts is None else self._read_state(prefix, lstm, starts)
            if state is not None and known.state_by == "names":
                listed = join_names(filter(None, starts or ()), "and")
                notes = (*notes, f"it starts from {listed}, its initial state by name and shape")
        except (GatewiseError, ValueError) as problem:
            return Refused(label, str(problem), in_file)
        if not self.plain.sources.keys().isdisjoint(names.values()):
            notes = (NORMED, *notes)
        if raw_names:
            notes = (f"{len(raw_names)} of its arrays are those without DropConnect (…_raw)", *notes)
        first = next(iter(names.values()))
        where = f"{len(names)} tensors, starting with {first}" if len(names) > 1 else first
        entries = in_file if state is None or starts is None else (*in_file, *filter(None, starts))
        notes = (*notes, *known.notes)
        return StoredLSTM(label, lstm, CONVENTION, where, notes, state, known.batch_first, entries=entries)

    def _why_refused(self, prefix: str, names: Mapping[Key, str], known: ModuleFacts) -> str | None:
        """Return why what has the weights of an LSTM is none, or may compute something else; None for an LSTM."""
        if problem := next((name for name in names.values() if name in self.plain.problems), None):
            return f"{problem}: {self.plain.problems[problem]}"
        if reason := known.refusal or _why_not_lstm(self.tensors, names):
            return reason
        kind = self.classes.get(prefix, DICTIONARY)
        if "quanti" in kind:
            return f"its class is {kind}: {QUANTISED}"
        if kind != DICTIONARY and not PLAIN.fullmatch(kind):
            return f"its class is {kind}, which may compute something else"
        if inside := self.bystanders.inside[prefix]:
            return f"it also has {join_names(inside, 'and')}, which no plain LSTM has: it may compute something else"
        return None

    def _read_state(self, prefix: str, lstm: LSTM, names: StateNames) -> States | None:
        """Return the initial state of an LSTM in the tensors that hold h and c; those that do not fit are left out."""
        count = len(lstm.cells())
        sizes = lstm.layers[0][0].recurrent_size, lstm.layers[0][0].hidden_size
        rows = []
        for name, size in zip(names, sizes, strict=True):
            array = np.zeros(1) if name is None else numbers_of(self.tensors[name])
            if array.size in (1, size):  # zeros, or one row for all layers and directions
                rows.append(array.reshape(1, 1, -1))
            elif array.shape[0] == count and array.shape[-1] == size and array.ndim in (2, 3):
                rows.append(array.reshape(count, -1, size))
        if len(rows) < 2 or len({len(row[0]) for row in rows} - {1}) > 1:
            for name in filter(None, names):
                reason = f"its initial state, of shape {tuple(self.tensors[name].shape)}, does not fit the LSTM"
                entry = LedgerEntry(name, layer=prefix, reason=reason, effect=ZERO_STATE, lstms=(prefix or "lstm",))
                self.bystanders.entries[name] = entry
            return None
        if not any(row.any() for row in rows):
            self.bystanders.entries |= {name: _zeros_entry(name, prefix) for name in filter(None, names)}
            return None
        batch = max(len(row[0]) for row in rows)
        both = [np.broadcast_to(row, (count, batch, size)) for row, size in zip(rows, sizes, strict=True)]
        return read_state(both, lstm)

    def _is_zeros(self, name: str) -> bool:
        try:
            return not numbers_of(self.tensors[name]).any()
        except GatewiseError:  # its numbers cannot be read
            return False

    def left_out(self, used: Container[str], layers: Container[str]) -> list[LedgerEntry]:
        """Return what is known of the tensors that no layer uses, and of the code that would run with modules.

        A hook of one of the `layers` concerns a network that has this layer, but not the LSTM alone.
        """
        for name, entry in self.bystanders.entries.items():
            if entry.effect == MAY_START and name not in used and self._is_zeros(name):
                self.bystanders.entries[name] = _zeros_entry(name, entry.layer)
        near: dict[str, list[str]] = {path: [] for path, fact in self.facts.items() if fact.hooks}
        for prefix in self.groups:
            for path in owners_of(f"{prefix}.", near):
                near[path].append(prefix or "lstm")
        entries = [
            entry._replace(name=name)
            for entry in self.bystanders.entries.values()
            if entry.name not in used
            for name in self.plain.in_file([entry.name])
        ]
        for path, lstms in near.items():
            for hook in self.facts[path].hooks:
                concerned = (path,) if path in layers else tuple(lstms)
                known = ("it is code", "it may change what its module takes or returns", concerned)
                if hook.startswith("backward"):
                    known = ("it changes gradients alone", "", ())
                entries.append(LedgerEntry(f"{path}.{hook}" if path else hook, "attribute", path, *known))
        return entries


def _zeros_entry(name: str, layer: str) -> LedgerEntry:
    """Return the entry of an initial state that changes nothing, since it is that of every run."""
    return LedgerEntry(name, layer=layer, reason="an initial state of zeros, as every run has without it")


def _refuse_quantised(
    tensors: Mapping[str, Tensor | Array], classes: Mapping[str, str], groups: Mapping[str, object]
) -> list[Refused]:
    """Return the refusals of PyTorch's quantised LSTMs, by their classes or the names of their tensors."""
    prefixes = {
        owner: f"its class is {kind}: {QUANTISED}"
        for owner, kind in classes.items()
        if owner not in groups and "quanti" in kind and "LSTM" in kind
    }
    for name in [*tensors, *classes]:
        if (match := QUANTISED_NAME.match(name)) is not None:
            prefix = match[1] or ""
            outer = (*owners_of(f"{prefix}.", prefixes), *owners_of(f"{prefix}.", groups))
            if prefix not in prefixes and prefix not in groups and not any(outer):
                prefixes[prefix] = f"it is {QUANTISED}"
    return [Refused(owner or "lstm", reason) for owner, reason in prefixes.items()]


def _why_not_lstm(tensors: Mapping[str, Tensor | Array], names: Mapping[Key, str]) -> str | None:
    """Return why PyTorch tensors of these names do not belong to an LSTM, or None."""
    for (kind, layer, reverse), name in names.items():
        other = names.get(("weight_ih", layer, reverse))
        if kind != "weight_hh" or other is None or ("weight_hr", layer, reverse) in names:
            continue
        tensor = tensors[name]
        if len(tensor.shape) == 2 and tensor.shape[1]:
            rows, columns = tensor.shape
            if rows == 3 * columns:
                return f"it is a GRU: {name} has 3 gates of {columns} units"
            if rows == columns:
                return f"it is a simple recurrent layer without gates: {name} has shape ({rows}, {columns})"
    return None


def _build_lstm(tensors: Mapping[str, Tensor | Array], names: Mapping[Key, str]) -> tuple[LSTM, tuple[str, ...]]:
    """Return the LSTM of PyTorch tensors by layer and direction, and notes on its biases and precision."""
    keys = {(layer, reverse) for kind, layer, reverse in names if kind in ("weight_ih", "weight_hh")}
    layers = sorted({layer for layer, _ in keys})
    if (layers != [OF_CELL] and layers != list(range(len(layers)))) or not layers:
        raise FileError(f"it has layers {[n for n in layers if n >= 0]}; they must be 0, 1, … without a gap")
    bidirectional = any(reverse for _, reverse in keys)
    biased = {(layer, reverse) for kind, layer, reverse in names if kind.startswith("bias")}
    if biased and (without_bias := sorted(keys - biased)):
        raise FileError(f"bias_ih{_layer_suffix(*without_bias[0])} is missing")
    notes = [] if biased else ["it has no biases: they are zeros"]
    dtypes: set[str] = set()
    directions = (False, True) if bidirectional else (False,)
    rows = [[_cell_parameters(tensors, names, layer, reverse, dtypes) for reverse in directions] for layer in layers]
    if half_types := dtypes & {"<f2", "bf16"}:
        stored = "bfloat16" if "bf16" in half_types else "float16"
        notes.append(f"it is stored in {stored} and read as float32, which changes no number")
    if len({cell.dtype for row in rows for cell in row}) > 1:
        rows = [[cell.astype(np.float64) for cell in row] for row in rows]
    return LSTM.from_cells(rows), tuple(notes)


def _require_settings(lstm: LSTM, has_bias: bool, settings: Mapping[str, int | str]) -> None:
    """Raise FileError for a pickled module whose settings are not those of its tensors."""
    first = lstm.layers[0][0]
    of_tensors = {
        "mode": "LSTM",
        "input_size": lstm.input_size,
        "hidden_size": first.hidden_size,
        "num_layers": lstm.num_layers,
        "bias": has_bias,
        "bidirectional": lstm.bidirectional,
        "proj_size": 0 if first.parameters.projection is None else first.recurrent_size,
    }
    for name, value in settings.items():
        if value != of_tensors[name]:
            raise FileError(
                f"the module says {name} {shown(str(value), 60)}, but its tensors say {of_tensors[name]}:"
                " save the model again, or its state dict alone"
            )


def _layer_suffix(layer: int, reverse: bool) -> str:
    return f"{'' if layer == OF_CELL else f'_l{layer}'}{'_reverse' if reverse else ''}"


def _cell_parameters(
    tensors: Mapping[str, Tensor | Array],
    names: Mapping[Key, str],
    layer: int,
    reverse: bool,
    dtypes: set[str],
) -> Parameters:
    """Return the parameters of one layer and direction of an LSTM, from PyTorch's tensors."""

    def array(kind: str) -> Array:
        """Return the array of this kind, such as weight_ih, of the layer and direction."""
        name = names.get((kind, layer, reverse))
        if name is None:
            raise FileError(f"{kind}{_layer_suffix(layer, reverse)} is missing")
        tensor = tensors[name]
        dtypes.add(getattr(tensor, "kind", None) or "")
        try:
            return numbers_of(tensor)
        except FileError as problem:
            raise FileError(f"{name}: {problem}") from None

    weights = array("weight_ih"), array("weight_hh")
    kinds = ("bias_ih", "bias_hh")  # both, or neither
    biases = [array(kind) for kind in kinds] if any((kind, layer, reverse) in names for kind in kinds) else []
    projection = array("weight_hr") if ("weight_hr", layer, reverse) in names else None
    return conventions.parameters("pytorch", *weights, biases, projection=projection)


def _other_layers(
    plain: PlainTensors, groups: Mapping[str, object], facts: Mapping[str, ModuleFacts]
) -> tuple[StoredLayer, ...]:
    """Return the layers of a PyTorch file besides its LSTMs: linear layers, embeddings, convolutions."""
    tensors, parts = plain.tensors, list[StoredLayer]()
    for name, tensor in tensors.items():
        prefix, _, last = name.rpartition(".")
        if last != "weight" or len(tensor.shape) < 2 or prefix in groups or not getattr(tensor, "floating", True):
            continue
        bias_name = name.removesuffix("weight") + "bias"
        bias, is_matrix, kind = tensors.get(bias_name), len(tensor.shape) == 2, "convolution or the like"
        if is_matrix:
            kind = "linear layer"
            if bias is None or tuple(bias.shape) != (tensor.shape[0],):
                bias, kind = None, "embedding or linear layer without bias"
        entries = plain.in_file([name] if bias is None else [name, bias_name])
        read_weight = partial(numbers_of, tensor) if is_matrix else None
        read_bias = None if bias is None or not is_matrix else partial(numbers_of, bias)
        layer = StoredLayer(prefix or name, kind, tuple(tensor.shape), read_weight, read_bias, entries=entries)
        parts.append(replace(layer, reads=facts.get(prefix, ModuleFacts()).reads))
    return tuple(parts)
