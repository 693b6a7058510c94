"""The graph of a program of torch.export: which of its operators are LSTMs, their axes and their initial states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from gatewise.errors import join_names
from gatewise.files.budget import Budget
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.graphs import GraphInput
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.torch.content import ZERO_STATE, ModuleFacts
from gatewise.interop.torch.names import LAYER, NAME, OF_WEIGHTS, PACKED, PLAIN, weight_names
from gatewise.interop.torch.operators import IDENTITIES, Operator

GRAPH = "reading its graph"  # of a program, as a task
ZEROS = {"zeros", "zeros_like", "new_zeros", "full", "full_like", "new_full"}  # the latter where they are full of 0
REPEATED = {"expand", "repeat", "unsqueeze"} | IDENTITIES  # which states may pass
OF_LAYERS = re.compile(r"torch\.nn\.modules\.(?:linear\.Linear|linear\.Identity|sparse\.Embedding)")
IN_LAYERS = {  # the operators of these, also in their decomposed form; others there are of hooks
    *("linear", "embedding", "addmm", "mm", "bmm", "matmul"),
    *("t", "permute", "transpose", "view", "_unsafe_view", "reshape", "expand"),
}
EXCHANGES = {  # operators that may exchange two axes: the names of the arguments that say which
    "t": (),
    "numpy_T": (),
    "permute": ("dims",),
    "transpose": ("dim0", "dim1"),
    "swapaxes": ("axis0", "axis1"),
    "swapdims": ("dim0", "dim1"),
    "movedim": ("source", "destination"),
}
TYPES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "<u1", 13: "bf16"}
DTYPES = {code: np.dtype(kind).name for code, kind in TYPES.items() if kind != "bf16"} | {12: "bool", 13: "bfloat16"}
EFFECT = "it may change what an LSTM takes, or what becomes of its output"


def at(value: Any, *keys: str) -> Any:
    """Return what stands in nested JSON objects under these keys; None if there is nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def list_at(value: Any, *keys: str) -> list[Any]:
    """Return a list in nested JSON objects; an empty one if there is none under these keys."""
    found = at(value, *keys)
    return found if isinstance(found, list) else []


class Program:
    """A program of torch.export: its operators, and the weights and inputs that they take, by their names in the graph.

    `classes` are those of its modules by path, `facts` are about its LSTMs, `inputs` are its own. All names begin with
    `start`.
    """

    def __init__(self, document: Any, weights: Mapping[str, Tensor], budget: Budget, start: str = "") -> None:
        self.stored, self.budget, self.start = weights, budget, start
        self.classes: dict[str, str] = {}
        self.facts: dict[str, ModuleFacts] = {}
        self.weights: dict[str, str] = {}  # of an input of the graph: the name of its tensor
        inputs: list[str] = []
        for spec in list_at(document, "graph_module", "signature", "input_specs"):
            for kind in ("parameter", "buffer", "tensor_constant"):
                name, weight = at(spec, kind, "arg", "name"), f"{start}{at(spec, kind, f'{kind}_name')}"
                if isinstance(name, str) and weight in weights:
                    self.weights[f"{start}{name}"] = weight
            if isinstance(name := at(spec, "user_input", "arg", "as_tensor", "name"), str):
                inputs.append(f"{start}{name}")
        self.operators: list[Operator] = []
        self.values: dict[str, GraphInput] = {}  # of a tensor: its shape and type
        self.exchanged: set[str] = set()  # the tensors in which time and batch are exchanged since the program's input
        self.origins = {name: ("weight", weight) for name, weight in self.weights.items()}  # behind what repeats them
        self.steps: dict[str, int | Operator] = {}  # of an LSTM's output or final h: its axis, or what took the last
        self.takes_last: set[Operator] = set()  # the operators that take the last step for a layer
        self.owners: dict[Operator, str] = {}  # of an LSTM's operators: the prefix of its weights
        self.lost: dict[Operator, tuple[str, str]] = {}  # what is not carried of an LSTM's, and its effect
        self._add_graph(at(document, "graph_module", "graph"), {}, start)
        self.inputs = [self.values.get(name, GraphInput(name)) for name in inputs]
        for operator in self.operators:
            if operator.is_lstm:
                self._add_lstm(operator)
        groups: dict[str, set[str]] = {}
        for name in weights:
            if (match := NAME.fullmatch(name)) is not None:
                groups.setdefault(match[1] or "", set()).add(name)
        for prefix, names in groups.items():
            if prefix not in self.facts:
                self.facts[prefix] = self._facts_without_operator(prefix, names)

    def _add_graph(self, graph: Any, outer: Mapping[str, str], start: str) -> None:
        """Add the operators of a graph; `outer` has the names of its inputs outside, `start` begins all other names."""
        values, names = at(graph, "tensor_values"), dict(outer)
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(sizes := at(value, "sizes"), list):
                shape = tuple(size if isinstance(size := at(entry, "as_int"), int) else None for entry in sizes)
                name, kind = names.get(name, f"{start}{name}"), at(value, "dtype")
                self.values[name] = GraphInput(name, shape, DTYPES.get(kind) if isinstance(kind, int) else None)
        for node in list_at(graph, "nodes"):
            arguments = {
                str(at(entry, "name") or place): at(entry, "arg") for place, entry in enumerate(list_at(node, "inputs"))
            }
            tensors = {
                key: tuple(names.get(name, f"{start}{name}") for name in _tensor_names(argument))
                for key, argument in arguments.items()
            }
            constants = {key: _constant(argument) for key, argument in arguments.items()}
            name = str(at(node, "target")).removeprefix("torch.ops.").removeprefix("aten.")
            outputs = tuple(f"{start}{output}" for output in _tensor_names(at(node, "outputs")))
            module = self._module(at(node, "metadata", "nn_module_stack"))
            operator = Operator(name, tensors, constants, module, outputs)
            self.budget.work(1 + len(operator.inputs), GRAPH)
            for argument in arguments.values():  # as of a block under torch.no_grad()
                if (inner := at(argument, "as_graph", "graph")) is not None:
                    self.budget.work(len(operator.inputs), GRAPH)
                    given = dict(zip(_tensor_names(at(inner, "inputs")), operator.inputs, strict=False))
                    begin = f"{start}{at(argument, 'as_graph', 'name') or len(self.operators)}/"
                    self._add_graph(inner, given, begin)
                    made = tuple(given.get(name, f"{begin}{name}") for name in _tensor_names(at(inner, "outputs")))
                    operator = replace(operator, tensors={**operator.tensors, begin: made})
                    if "set_grad_enabled" in operator.name:  # the block gives what its graph gives
                        names |= zip(_tensor_names(at(node, "outputs")), made, strict=False)
            self.operators.append(operator)
            self._trace(operator)

    def _trace(self, operator: Operator) -> None:
        """Note of what an operator makes whether time and batch are exchanged, and where it comes from."""
        source = next((name for name in operator.inputs if name not in self.weights), "")
        if (source in self.exchanged) != self._is_exchange(operator):
            self.exchanged.update(operator.outputs)
        origin = "computed", operator.name
        if operator.kind in ZEROS and operator.constants.get("fill_value", 0) == 0:
            origin = "zeros", operator.name
        elif operator.kind in REPEATED and operator.constants.get("dim") != 0:  # else a row of layers, or of sequences
            origin = self._origin(next(iter(operator.inputs), ""))
        self.origins |= dict.fromkeys(operator.outputs, origin)
        self._trace_steps(operator, source)

    def _trace_steps(self, operator: Operator, source: str) -> None:
        """Note which axis of what an operator makes are an LSTM's steps, or that it is the last one, and who reads it.

        Of the final h of one direction the last layer's is the last step.
        """
        setting, value = operator.constants, self.values.get(source)
        shape = (None, None, None) if value is None or value.shape is None else value.shape
        rank = len(shape)
        if operator.name == LAYER and setting.get("bidirectional") is False and len(operator.outputs) > 1:
            self.steps |= {operator.outputs[0]: int(rank == 3 and setting.get("batch_first") is True)}
            self.steps[operator.outputs[1]] = 0
        if source not in self.steps:
            return
        axis = self.steps[source]
        if self._is_layer(operator):
            layer = self._layer_of(operator)
            known = self.facts.get(layer, ModuleFacts())
            if isinstance(axis, Operator):
                self.takes_last.add(axis)
            reads = "every" if isinstance(axis, int) or known.reads == "every" else "last"
            self.facts[layer] = replace(known, reads=reads)
        elif operator.is_identity:
            self.steps |= dict.fromkeys(operator.outputs, axis)
        elif isinstance(axis, int) and self._is_exchange(operator):
            self.steps |= dict.fromkeys(operator.outputs, 1 - axis)
        elif isinstance(axis, int) and operator.kind in ("select", "squeeze") and axis < rank:
            size, dimension, index = shape[axis], setting.get("dim"), setting.get("index", 0)
            is_last = index == -1 or (isinstance(size, int) and index == size - 1)
            if isinstance(dimension, int) and dimension % rank == axis and is_last:
                self.steps |= dict.fromkeys(operator.outputs, operator)

    def _layer_of(self, operator: Operator) -> str:
        """Return the path of the linear layer or the embedding of which an operator is a part."""
        weights = [self.weights[name] for name in operator.inputs if name in self.weights]
        return weights[0].rpartition(".")[0] if weights else operator.module or ""

    def _origin(self, name: str) -> tuple[str, str]:
        """Return where a tensor of the graph comes from, behind what only repeats it: its kind, and its name."""
        return self.origins.get(name, ("input", name))

    def _module(self, stack: Any) -> str | None:
        """Return the path of the innermost of the modules that a node is a part of, and note their classes."""
        module = None
        for level in stack.split(";") if isinstance(stack, str) else ():
            if len(parts := level.split(",")) == 3:
                module = (self.start + re.sub(r"@\d+$", "", parts[1])).removesuffix(".")
                self.classes[module] = parts[2]
        return module

    # The ledger.

    def ledger(self) -> Iterator[LedgerEntry]:
        """Yield an entry for each operator.

        What a layer computes, what changes no number and what exchanges time and batch is used. Everything else that is
        before or behind an LSTM, up to the next one, concerns it.
        """
        bits = {prefix: 1 << place for place, prefix in enumerate(dict.fromkeys(self.owners.values()))}
        own = {operator: bits[prefix] for operator, prefix in self.owners.items()}
        near: dict[Operator, int] = {}  # the LSTMs that each is before or behind, as bits
        behind: dict[str, int] = {}
        before: dict[str, int] = {}
        for operator in self.operators:
            near[operator] = reduce(or_, (behind.get(name, 0) for name in operator.inputs), 0)
            behind |= dict.fromkeys(operator.outputs, own.get(operator, near[operator]))
        states = {name for lstm in own if lstm.is_lstm for name in lstm.taken("hx")}
        of_states: set[Operator] = set()
        for operator in reversed(self.operators):
            mask = reduce(or_, (before.get(name, 0) for name in operator.outputs), 0)
            near[operator] |= mask
            for name in operator.taken("input", "data") if operator.is_lstm else operator.inputs:
                before[name] = before.get(name, 0) | own.get(operator, mask)
            if operator.kind in ZEROS | REPEATED and not states.isdisjoint(operator.outputs):
                states.update(operator.inputs)
                of_states.add(operator)
        masks = {*near.values()}
        self.budget.work(len(masks) * len(bits), GRAPH)
        lstms = {mask: [prefix for prefix, bit in bits.items() if mask & bit] for mask in masks}
        finals = {name for lstm in own if lstm.is_lstm for name in lstm.outputs[1:]}
        for operator in self.operators:
            takes_final = not finals.isdisjoint(operator.inputs)
            yield self._entry(operator, lstms[near[operator]], operator in of_states, takes_final)

    def _entry(self, operator: Operator, near: list[str], is_state: bool, takes_final: bool) -> LedgerEntry:
        """Return the entry of an operator that is before or behind the LSTMs `near`, or makes their initial states."""
        module = self.owners.get(operator, operator.module or "")
        if operator in self.lost:
            return operator.entry(module, *self.lost[operator], [module])
        is_known = operator.is_identity or self._is_layer(operator) or self._is_exchange(operator)
        if (
            operator in self.owners
            or operator in self.takes_last
            or (is_known and not takes_final)
            or (is_state and not near)
        ):
            return operator.entry(module)
        lstms = dict.fromkeys(self.owners.values()) if operator.kind.endswith("_") else near
        if not lstms:  # one in place may change any tensor
            return operator.entry(module, "it is on no way of an LSTM's input or output")
        reason = "it takes a final state" if takes_final else "the graph is read for its LSTMs alone"
        return operator.entry(module, reason, EFFECT, lstms)

    def _is_layer(self, operator: Operator) -> bool:
        """Return whether an operator is a part of a linear layer or an embedding, by its module or by its weights."""
        if OF_LAYERS.fullmatch(self.classes.get(operator.module or "", "")):
            return operator.kind in IN_LAYERS
        taken = [self.weights.get(name, "") for name in operator.taken("weight", "bias")]
        layer = taken[0].removesuffix("weight") if taken else ""
        is_own = taken in ([f"{layer}weight"], [f"{layer}weight", f"{layer}bias"])
        return is_own and operator.kind in ("linear", "embedding")

    def _is_exchange(self, operator: Operator) -> bool:
        """Return whether an operator exchanges time and batch: the first two axes, of two if they are of integers."""
        value, arguments = self.values.get(next(iter(operator.inputs), "")), EXCHANGES.get(operator.kind)
        rank = 3 if value is None or value.shape is None else len(value.shape)
        is_integer = value is not None and "int" in (value.dtype or "")
        if arguments is None or rank < 2 or (rank == 2 and not is_integer):
            return False
        values = [operator.constants.get(argument) for argument in arguments]
        given = values[0] if values and isinstance(values[0], list) else values
        axes = [axis % rank for axis in given if isinstance(axis, int)]
        if not arguments:
            return rank == 2
        return axes == [1, 0, *range(2, rank)] if operator.kind == "permute" else sorted(axes) == [0, 1]

    # The LSTMs.

    def _add_lstm(self, operator: Operator) -> None:
        """Add the LSTM that an operator runs, and the facts about it."""
        inputs = operator.taken(*OF_WEIGHTS)
        sources = [self.weights.get(name) for name in inputs]
        prefixes = {source.rpartition(".")[0] for source in sources if source is not None}
        prefix = prefixes.pop() if len(prefixes) == 1 else operator.module or ""
        own = [f"{prefix}.{name}" if prefix else name for name in weight_names(operator.constants, len(inputs))]
        facts = self._facts_of(operator)
        if not inputs or len(own) != len(inputs):
            facts = ModuleFacts(refusal=f"the program gives its LSTM {len(inputs)} weights, not {len(own)}")
        for name, source in zip(own, sources, strict=False):
            if source != name and (source is not None or name in self.stored):
                given = "a tensor that it computes" if source is None else source
                facts = ModuleFacts(refusal=f"the program gives its LSTM {given} in the place of {name}")
                break
        self.owners[operator] = prefix
        if not facts.refusal:
            self.classes.pop(prefix, None)  # a subclass, whose operator is PyTorch's
        first = self.facts.get(prefix, facts)
        if facts.refusal or first == facts:
            self.facts[prefix] = first if first.refusal else facts
        elif not first.refusal:
            batch_first = first.batch_first if first.batch_first == facts.batch_first else None
            self.facts[prefix] = replace(first, batch_first=batch_first)
            self.lost[operator] = "it calls the LSTM in another way than before", "the first call is described here"

    def _facts_of(self, operator: Operator) -> ModuleFacts:
        """Return the facts about the LSTM that an operator runs; initial states that are computed are left out."""
        setting = operator.constants
        notes = ["its program runs it on packed sequences"] if operator.name == PACKED else []
        layers, dropout, batch_first = (setting.get(name) for name in ("num_layers", "dropout", "batch_first"))
        if setting.get("train") is True and dropout and layers != 1:
            notes.append(f"its program applies random dropout of {dropout} between its layers; a run here applies none")
        batch_first = batch_first if isinstance(batch_first, bool) else None
        batch_first, exchanged = self._axes(batch_first, next(iter(operator.taken("input")), ""))
        origins = [self._origin(name) for name in operator.taken("hx")]
        kinds = {kind for kind, _ in origins} - {"zeros"}
        state = None
        if kinds == {"weight"} and len(origins) == 2:
            h, c = (name if kind == "weight" else None for kind, name in origins)
            state = h, c
        elif kinds == {"input"}:
            exchanged = (*exchanged, "its initial states are inputs of the program")
        elif kinds:
            made = join_names(dict.fromkeys(name for kind, name in origins if kind != "zeros"))
            self.lost[operator] = f"its initial states are computed in the program ({made})", ZERO_STATE
        return ModuleFacts(batch_first, (*notes, *exchanged), state_by="graph", state=state)

    def _facts_without_operator(self, prefix: str, weights: set[str]) -> ModuleFacts:
        """Return the facts about an LSTM's weights that no LSTM operator takes: it may be decomposed."""
        self.budget.work(5 * len(self.operators) + len(self.weights), GRAPH)
        taken = {name for name, weight in self.weights.items() if weight in weights}
        users = [operator for operator in self.operators if not taken.isdisjoint(operator.inputs)]
        kind = self.classes.get(prefix)
        if not users:
            return ModuleFacts(notes=("its program does not run it",))
        if kind is None:
            made = join_names(dict.fromkeys(operator.name for operator in users), most=4)
            return ModuleFacts(refusal=f"the program takes its weights in operators that are no LSTM ({made})")
        if not PLAIN.fullmatch(kind):
            return ModuleFacts()  # refused by its class
        inside = [operator for operator in self.operators if operator.module == prefix]
        self.owners |= dict.fromkeys(inside, prefix)
        known = self.weights.keys() | {name for operator in inside for name in operator.outputs}
        given = {name: operator for operator in inside for name in operator.inputs if name not in known}
        if len(given) > 1:  # besides its input
            lost = "the LSTM is given initial states, which are not carried"
            self.lost[[*given.values()][-1]] = lost, ZERO_STATE
        exchanges = (not given.keys().isdisjoint(operator.inputs) for operator in inside if self._is_exchange(operator))
        batch_first = None if kind.endswith("Cell") else any(exchanges)
        batch_first, exchanged = self._axes(batch_first, min(given, default=""))
        notes = ("its program has it decomposed into other operators", *exchanged)
        return ModuleFacts(batch_first, notes, state_by="graph")

    def _axes(self, batch_first: bool | None, name: str) -> tuple[bool | None, tuple[str, ...]]:
        """Return whether an LSTM that takes a tensor has the batch first, and a note if the program's input has not."""
        if batch_first is None or name not in self.exchanged:
            return batch_first, ()
        order = "time" if batch_first else "the batch"
        return None, (f"its program exchanges time and batch before it: the program's own input begins with {order}",)


def _tensor_names(argument: Any) -> Iterator[str]:
    """Yield the names of the tensors in an argument of a node: one, several, or in a list of arguments."""
    if isinstance(argument, list):
        for part in argument:
            yield from _tensor_names(part) if isinstance(part, dict) else ()
        return
    if isinstance(name := at(argument, "as_tensor", "name"), str):
        yield name
    for part in (*list_at(argument, "as_tensors"), *list_at(argument, "as_optional_tensors")):
        if isinstance(name := at(part, "name") or at(part, "as_tensor", "name"), str):
            yield name


def _constant(argument: Any) -> Any:
    """Return the number, truth value or list of numbers of an argument of a node; None for others."""
    values = (at(argument, kind) for kind in ("as_bool", "as_int", "as_float", "as_ints"))
    return next((value for value in values if value is not None), None)
