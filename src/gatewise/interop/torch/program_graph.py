"""The graph of a program of torch.export: which of its operators are LSTMs, their axes and their initial states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

from gatewise.errors import join_names
from gatewise.files.budget import Budget
from gatewise.interop.containers.tensors import Tensor
from gatewise.interop.ledger import LedgerEntry
from gatewise.interop.torch.content import ModuleFacts
from gatewise.interop.torch.grouping import NAME, PLAIN, parameter_names

GRAPH = "reading its graph"  # of a program, as a task
LAYER, PACKED, CELL = "lstm.input", "lstm.data", "lstm_cell.default"
ZEROS = {"zeros.default", "zeros_like.default", "new_zeros.default"}
FULL = {"full.default", "full_like.default", "new_full.default"}
IDENTITIES = {"contiguous.default", "clone.default", "detach.default", "alias.default", "lift_fresh_copy.default"}
REPEATED = {"expand.default", "repeat.default", "unsqueeze.default"} | IDENTITIES  # which states may pass
OF_LAYERS = re.compile(r"torch\.nn\.modules\.(?:linear\.Linear|linear\.Identity|sparse\.Embedding)")
IN_LAYERS = {  # the operators of these, also in their decomposed form; others there are of hooks
    *("linear", "embedding", "addmm", "mm", "bmm", "matmul"),
    *("t", "permute", "transpose", "view", "_unsafe_view", "reshape", "expand"),
}
SWAPS = {  # operators that exchange two axes, and the names of their arguments
    "transpose.int": ("dim0", "dim1"),
    "swapaxes.default": ("axis0", "axis1"),
    "swapdims.default": ("dim0", "dim1"),
    "movedim.int": ("source", "destination"),
}
INTEGERS = range(1, 6)  # the numbers of integer types
EFFECT = "it may change what an LSTM takes, or what becomes of its output"


@dataclass(frozen=True, eq=False)
class Operator:
    """A node of the graph: `module` is the path of the innermost module that it is a part of."""

    name: str  # as ATen's, such as lstm.input
    tensors: Mapping[str, tuple[str, ...]]  # by the names of arguments
    constants: Mapping[str, Any]  # likewise: numbers, truth values, lists of integers
    module: str | None
    outputs: tuple[str, ...] = ()  # the names of the tensors that it makes

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of all tensors that it takes, in order."""
        return tuple(name for names in self.tensors.values() for name in names)

    @property
    def output(self) -> str:
        """Its name in the ledger: that of the first tensor that it makes."""
        return (*self.outputs, self.name)[0]

    @property
    def is_identity(self) -> bool:
        """Whether it changes no number in a run, nor any axis."""
        is_dropout = self.name == "dropout.default" and self.constants.get("train") is not True
        return is_dropout or self.name in IDENTITIES or not self.outputs  # or reads and checks sizes


def at(value: Any, *keys: str) -> Any:
    """Return what stands in nested JSON objects under these keys; None if there is nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


class ProgramFacts(NamedTuple):
    """What a program says: the classes of its modules by path, facts about its LSTMs, and the ledger of its nodes."""

    classes: dict[str, str]
    facts: dict[str, ModuleFacts]
    nodes: list[LedgerEntry]


def read_program(document: Any, weights: Mapping[str, Tensor], budget: Budget) -> ProgramFacts:
    """Return what a program of torch.export says of its modules, its LSTMs and its nodes."""
    reader = _ProgramReader(document, weights, budget)
    groups: dict[str, list[str]] = {}
    for name in weights:
        if (match := NAME.fullmatch(name)) is not None:
            groups.setdefault(match[1] or "", []).append(name)
    facts: dict[str, ModuleFacts] = {}
    owners: dict[Operator, str] = {}
    for operator in reader.operators:
        if operator.name in (LAYER, PACKED, CELL):
            prefix, fact = reader.facts_of(operator)
            owners[operator] = prefix
            facts[prefix] = fact if facts.get(prefix, fact) == fact else _disagreement(facts[prefix], fact)
            if not fact.refusal:
                reader.classes.pop(prefix, None)  # a subclass, whose operator is PyTorch's
    for prefix, names in groups.items():
        if prefix not in facts:
            facts[prefix] = reader.facts_without_operator(prefix, set(names))
            if PLAIN.fullmatch(reader.classes.get(prefix, "")):
                owners |= {operator: prefix for operator in reader.operators if operator.module == prefix}
    return ProgramFacts(reader.classes, facts, reader.ledger(owners))


def _disagreement(first: ModuleFacts, second: ModuleFacts) -> ModuleFacts:
    """Return the facts about an LSTM that a program calls in several ways."""
    if first.refusal or second.refusal:
        return first if first.refusal else second
    batch_first = first.batch_first if first.batch_first == second.batch_first else None
    warns = (*first.warns, "its program calls it several times, in different ways; the first is described here")
    return replace(first, batch_first=batch_first, warns=warns)


class _ProgramReader:
    """The operators of a program, and the weights and inputs that they take, by their names in the graph."""

    def __init__(self, document: Any, weights: Mapping[str, Tensor], budget: Budget) -> None:
        specs = at(document, "graph_module", "signature", "input_specs")
        self.stored = weights
        self.classes: dict[str, str] = {}
        self.weights: dict[str, str] = {}  # of an input of the graph: the name of its tensor
        for spec in specs if isinstance(specs, list) else ():
            for kind in ("parameter", "buffer", "tensor_constant"):
                name, weight = at(spec, kind, "arg", "name"), at(spec, kind, f"{kind}_name")
                if isinstance(name, str) and isinstance(weight, str) and weight in weights:
                    self.weights[name] = weight
        self.operators: list[Operator] = []
        self.makers: dict[str, Operator] = {}
        self.values: dict[str, tuple[int, bool]] = {}  # of a tensor: its rank, and whether it holds integers
        self.of_states: set[Operator] = set()  # the operators between a state that is known and an LSTM
        self.budget = budget
        self._add_graph(at(document, "graph_module", "graph"), {}, "")

    def _add_graph(self, graph: Any, outer: Mapping[str, str], start: str) -> None:
        """Add the operators of a graph; `outer` has the names of its inputs outside, `start` begins all other names."""
        nodes, values, names = at(graph, "nodes"), at(graph, "tensor_values"), dict(outer)
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(sizes := at(value, "sizes"), list):
                self.values[names.get(name, f"{start}{name}")] = len(sizes), at(value, "dtype") in INTEGERS
        for node in nodes if isinstance(nodes, list) else ():
            entries = at(node, "inputs")
            arguments = {
                str(at(entry, "name") or place): at(entry, "arg")
                for place, entry in enumerate(entries if isinstance(entries, list) else ())
            }
            tensors = {
                key: tuple(names.get(name, f"{start}{name}") for name in _tensor_names(argument))
                for key, argument in arguments.items()
            }
            constants = {key: _constant(argument) for key, argument in arguments.items()}
            target = at(node, "target")
            operator_name = target.removeprefix("torch.ops.").removeprefix("aten.") if isinstance(target, str) else "?"
            outputs = tuple(f"{start}{output}" for output in _tensor_names(at(node, "outputs")))
            module = self._module(at(node, "metadata", "nn_module_stack"))
            operator = Operator(operator_name, tensors, constants, module, outputs)
            self.budget.work(1 + len(operator.inputs), GRAPH)
            for argument in arguments.values():  # as of a block under torch.no_grad()
                if (inner := at(argument, "as_graph", "graph")) is not None:
                    self.budget.work(len(operator.inputs), GRAPH)
                    given = dict(zip(_tensor_names(at(inner, "inputs")), operator.inputs, strict=False))
                    begin = f"{start}{len(self.operators)}/"
                    self._add_graph(inner, given, begin)
                    made = tuple(given.get(name, f"{begin}{name}") for name in _tensor_names(at(inner, "outputs")))
                    operator = replace(operator, tensors={**operator.tensors, begin: made})
                    if "set_grad_enabled" in operator_name:  # the block gives what its graph gives
                        names |= zip(_tensor_names(at(node, "outputs")), made, strict=False)
            self.operators.append(operator)
            self.makers |= dict.fromkeys(outputs, operator)

    def _module(self, stack: Any) -> str | None:
        """Return the path of the innermost of the modules that a node is a part of, and note their classes."""
        module = None
        for level in stack.split(";") if isinstance(stack, str) else ():
            if len(parts := level.split(",")) == 3:
                module = re.sub(r"@\d+$", "", parts[1])
                self.classes[module] = parts[2]
        return module

    def ledger(self, owners: Mapping[Operator, str]) -> list[LedgerEntry]:
        """Return an entry for each operator; `owners` has those that are LSTMs, with the prefixes of their weights.

        What a layer computes, what changes no number and what exchanges time and batch is used. Everything else that is
        before or behind an LSTM, up to the next one, concerns it.
        """
        users: dict[str, dict[Operator, None]] = {}
        for operator in self.operators:
            for name in operator.inputs:
                users.setdefault(name, {})[operator] = None
        near: dict[Operator, dict[str, None]] = {}
        for lstm, prefix in owners.items():
            for is_before in (True, False):
                pending, seen = [lstm], {lstm}
                while pending:
                    operator = pending.pop()
                    names = self._sources(operator, lstm) if is_before else operator.outputs
                    others = [self.makers.get(name) for name in names] if is_before else []
                    others += [user for name in names for user in users.get(name, ())] if not is_before else []
                    self.budget.work(1 + len(names) + len(others), GRAPH)
                    for other in others:
                        if other is not None and other not in seen and other not in owners:
                            near.setdefault(other, {})[prefix] = None
                            seen.add(other)
                            pending.append(other)
        every = tuple(dict.fromkeys(owners.values()))
        finals = {name for lstm in owners if lstm.name in (LAYER, PACKED, CELL) for name in lstm.outputs[1:]}
        return [self._entry(operator, owners, near.get(operator, {}), finals, every) for operator in self.operators]

    def _sources(self, operator: Operator, lstm: Operator) -> tuple[str, ...]:
        """Return the tensors from which an operator computes: of an LSTM, its input, and states that are not known."""
        if operator is not lstm or operator.name not in (LAYER, PACKED, CELL):
            return operator.inputs
        states = operator.tensors.get("hx", ())
        is_known = all(self._origin(name)[0] != "computed" for name in states)
        given = [names for key, names in operator.tensors.items() if key in ("input", "data")]
        return tuple(name for names in (*given, () if is_known else states) for name in names)

    def _entry(
        self,
        operator: Operator,
        owners: Mapping[Operator, str],
        near: Mapping[str, None],
        finals: set[str],
        every: tuple[str, ...],
    ) -> LedgerEntry:
        """Return the entry of an operator that is before or behind the LSTMs `near`; `finals` are final states."""
        module = owners.get(operator, operator.module or "")
        kind = operator.name.partition(".")[0]
        takes_final = not finals.isdisjoint(operator.inputs)
        is_known = operator.is_identity or self._is_layer(operator) or self._is_exchange(operator)
        if operator in owners or (is_known and not takes_final) or (operator in self.of_states and not near):
            return LedgerEntry(operator.output, "node", module)
        lstms = every if kind.endswith("_") else tuple(near)  # in place, it may change any tensor
        if not lstms:
            return LedgerEntry(operator.output, "node", module, f"{operator.name}: it is on no way of an LSTM")
        reason = "it takes a final state" if takes_final else "the graph is read for its LSTMs alone"
        return LedgerEntry(operator.output, "node", module, f"{operator.name}: {reason}", EFFECT, lstms)

    def _is_layer(self, operator: Operator) -> bool:
        """Return whether an operator is a part of a linear layer or an embedding, by its module or by its weights."""
        kind = operator.name.partition(".")[0]
        if OF_LAYERS.fullmatch(self.classes.get(operator.module or "", "")):
            return kind in IN_LAYERS
        if kind not in ("linear", "embedding"):
            return False
        taken = [self.weights.get(name, "") for key in ("weight", "bias") for name in operator.tensors.get(key, ())]
        layer = taken[0].removesuffix("weight") if taken else ""
        return taken in ([f"{layer}weight"], [f"{layer}weight", f"{layer}bias"])

    def _is_exchange(self, operator: Operator) -> bool:
        """Return whether an operator exchanges time and batch: the first two axes, of two if they are of integers."""
        first = next(iter(operator.inputs), "")
        setting = operator.constants
        rank, is_integer = self.values.get(first, (3, False))
        axes: Any = [0, 1] if operator.name in ("t.default", "numpy_T.default") and rank == 2 else []
        if operator.name in SWAPS:
            axes = [setting.get(key) for key in SWAPS[operator.name]]
        elif operator.name == "permute.default" and isinstance(dims := setting.get("dims"), list) and len(dims) == rank:
            counted = [dim % rank if isinstance(dim, int) else None for dim in dims]
            axes = counted[:2] if counted[2:] == [*range(2, rank)] else []
        if rank < 2 or (rank == 2 and not is_integer) or not all(isinstance(axis, int) for axis in axes):
            return False
        return sorted(axis % rank for axis in axes) == [0, 1]

    def facts_of(self, operator: Operator) -> tuple[str, ModuleFacts]:
        """Return the prefix of the weights that an LSTM operator takes, and the facts about their LSTM."""
        setting = operator.constants
        layers = setting.get("num_layers")
        layers = layers if isinstance(layers, int) else 0
        if operator.name == CELL:
            inputs = [name for key in ("w_ih", "w_hh", "b_ih", "b_hh") for name in operator.tensors.get(key, ())]
            expected = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"][: len(inputs)]
        else:
            inputs = [*operator.tensors.get("params", ())]
            both, biased = setting.get("bidirectional") is True, setting.get("has_biases") is True
            expected = parameter_names(min(layers, len(inputs)), both, biased, len(inputs))
        sources = [self.weights.get(name) for name in inputs]
        prefixes = {source.rpartition(".")[0] for source in sources if source is not None}
        prefix = prefixes.pop() if len(prefixes) == 1 else operator.module or ""
        own = [f"{prefix}.{name}" if prefix else name for name in expected]
        for name, source in zip(own, sources, strict=False):
            if source != name and (source is not None or name in self.stored):
                taken = "a tensor that it computes" if source is None else source
                return prefix, ModuleFacts(refusal=f"the program gives its LSTM {taken} in the place of {name}")
        if not inputs or len(own) != len(inputs):
            return prefix, ModuleFacts(refusal=f"the program gives its LSTM {len(inputs)} weights, not {len(own)}")
        batch_first, dropout = setting.get("batch_first"), setting.get("dropout")
        notes = [] if operator.name != PACKED else ["its program runs it on packed sequences"]
        if setting.get("train") is True and dropout and layers > 1:
            notes.append(f"its program applies random dropout of {dropout} between its layers; a run here applies none")
        state, remarks, warns = self._initial_state(operator.tensors.get("hx", ()))
        given = next(iter(operator.tensors.get("input", ())), "")
        is_batch_first, exchanged = self._axes(batch_first if isinstance(batch_first, bool) else None, given)
        return prefix, ModuleFacts(is_batch_first, (*notes, *exchanged, *remarks), warns, knows_state=True, state=state)

    def _axes(self, batch_first: bool | None, name: str) -> tuple[bool | None, tuple[str, ...]]:
        """Return whether an LSTM has the batch first, and a note instead if the program's input has other axes.

        `name` is the tensor that the LSTM takes, from which the way goes back to the input of the program.
        """
        exchanged, seen = False, set[str]()
        while name not in seen and (operator := self.makers.get(name)) is not None:  # no circle in a spoiled file
            self.budget.work(1 + len(operator.inputs), GRAPH)
            seen.add(name)
            exchanged ^= self._is_exchange(operator)
            name = next((name for name in operator.inputs if name not in self.weights), "")
        if batch_first is None or not exchanged:
            return batch_first, ()
        order = "time" if batch_first else "the batch"
        return None, (f"its program exchanges time and batch before it: the program's own input begins with {order}",)

    def _initial_state(
        self, states: Sequence[str]
    ) -> tuple[tuple[str | None, str | None] | None, tuple[str, ...], tuple[str, ...]]:
        """Return the tensors that are an LSTM's initial h and c, or else notes and warnings on where they come from."""
        origins = [self._origin(name) for name in states]
        if len(origins) != 2 or all(kind == "zeros" for kind, _ in origins):
            return None, (), ()
        kinds = {kind for kind, _ in origins}
        if kinds <= {"weight", "zeros"}:
            h, c = (name if kind == "weight" else None for kind, name in origins)
            return (h, c), (), ()
        if kinds <= {"input", "zeros"}:
            return None, ("its initial states are inputs of the program",), ()
        made = join_names(dict.fromkeys(name for kind, name in origins if kind not in ("zeros", "input")))
        return None, (), (f"its initial states are computed in the program ({made}): runs here start from zeros",)

    def _origin(self, name: str) -> tuple[str, str]:
        """Return where a tensor of the graph comes from, behind what only repeats it: its kind, and its name."""
        passed = dict[Operator, None]()
        while (operator := self.makers.get(name)) is not None and operator.name in REPEATED and operator.inputs:
            self.budget.work(1, GRAPH)
            if operator in passed or (operator.name == "unsqueeze.default" and operator.constants.get("dim") == 0):
                break  # a circle in a spoiled file; a row of layers, or of sequences
            passed[operator] = None
            name = operator.inputs[0]
        self.of_states.update(passed)
        if name in self.weights:
            return "weight", self.weights[name]
        if (operator := self.makers.get(name)) is None:
            return "input", name
        if operator.name in ZEROS or (operator.name in FULL and operator.constants.get("fill_value") == 0):
            self.of_states.add(operator)
            return "zeros", name
        return "computed", operator.name

    def facts_without_operator(self, prefix: str, names: set[str]) -> ModuleFacts:
        """Return the facts about an LSTM's weights that no LSTM operator takes: it may be decomposed."""
        self.budget.work(5 * len(self.operators) + len(self.weights), GRAPH)
        inputs = {name for name, weight in self.weights.items() if weight in names}
        users = [operator for operator in self.operators if inputs & {*operator.inputs}]
        if not users:
            return ModuleFacts(notes=("its program does not run it",))
        kind = self.classes.get(prefix)
        if kind is None:
            made = join_names(dict.fromkeys(operator.name for operator in users), most=4)
            return ModuleFacts(refusal=f"the program takes its weights in operators that are no LSTM ({made})")
        if not PLAIN.fullmatch(kind):
            return ModuleFacts()  # refused by its class
        inside = [operator for operator in self.operators if operator.module == prefix]
        given = {name for operator in inside for name in operator.inputs if self._is_outside(name, prefix)}
        warns: tuple[str, ...] = ()
        if len(given) > 1:  # besides its input
            warns = ("its program gives it initial states, which are not carried: runs here start from zeros",)
        batch_first = None if kind.endswith("Cell") else any(map(partial(self._exchanges_axes, prefix), inside))
        batch_first, exchanged = self._axes(batch_first, min(given, default=""))
        notes = ("its program has it decomposed into other operators", *exchanged)
        return ModuleFacts(batch_first, notes, warns, knows_state=True)

    def _is_outside(self, name: str, prefix: str) -> bool:
        """Return whether a tensor of the graph is neither a weight nor computed in the module with this prefix."""
        maker = self.makers.get(name)
        return name not in self.weights and (maker is None or maker.module != prefix)

    def _exchanges_axes(self, prefix: str, operator: Operator) -> bool:
        """Return whether an operator exchanges the first two axes of an input from outside its module."""
        return self._is_exchange(operator) and any(self._is_outside(name, prefix) for name in operator.inputs)


def _tensor_names(argument: Any) -> Iterator[str]:
    """Yield the names of the tensors in an argument of a node: one, several, or in a list of arguments."""
    if isinstance(argument, list):
        for part in argument:
            yield from _tensor_names(part) if isinstance(part, dict) else ()
        return
    if isinstance(name := at(argument, "as_tensor", "name"), str):
        yield name
    for kind in ("as_tensors", "as_optional_tensors"):
        several = at(argument, kind)
        for part in several if isinstance(several, list) else ():
            name = at(part, "name") if kind == "as_tensors" else at(part, "as_tensor", "name")
            if isinstance(name, str):
                yield name


def _constant(argument: Any) -> Any:
    """Return the number, truth value or list of numbers of an argument of a node; None for others."""
    for kind in ("as_bool", "as_int", "as_float", "as_ints"):
        if (value := at(argument, kind)) is not None:
            return value
    return None
