"""The graph of a program of torch.export: which of its operators are LSTMs, their axes and their initial states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
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
RESHAPED = {  # operators that repeat numbers or leave them as they are
    *("expand.default", "repeat.default", "contiguous.default", "clone.default", "unsqueeze.default"),
    *("detach.default", "alias.default", "lift_fresh_copy.default"),
}
PASSED = {  # operators that choose steps, move axes or leave all as it is, beside those that repeat
    *("select.int", "slice.Tensor", "getitem", "squeeze.dims", "squeeze.dim", "view.default", "reshape.default"),
    *("permute.default", "transpose.int", "embedding.default", "linear.default", "sym_size.int", "flatten.using_ints"),
}
OF_LAYERS = re.compile(r"torch\.nn\.modules\.(?:linear\.Linear|linear\.Identity|sparse\.Embedding)|" + PLAIN.pattern)
TRANSPOSED: Mapping[str, Mapping[str, Any]] = {
    "permute.default": {"dims": [1, 0, 2]},
    "transpose.int": {"dim0": 0, "dim1": 1},
}


class Operator(NamedTuple):
    """A node of the graph: `module` is the path of the innermost module that it is a part of."""

    name: str  # as ATen's, such as lstm.input
    tensors: Mapping[str, tuple[str, ...]]  # by the names of arguments
    constants: Mapping[str, Any]  # likewise: numbers, truth values, lists of integers
    module: str | None
    output: str = ""  # the name of the first tensor that it makes

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of all tensors that it takes, in order."""
        return tuple(name for names in self.tensors.values() for name in names)


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
    nodes = [reader.entry(operator) for operator in reader.operators]
    for operator in reader.operators:
        if operator.name in (LAYER, PACKED, CELL):
            prefix, fact = reader.facts_of(operator)
            facts[prefix] = fact if facts.get(prefix, fact) == fact else _disagreement(facts[prefix], fact)
            if not fact.refusal:
                reader.classes.pop(prefix, None)  # a subclass, whose operator is PyTorch's
    for prefix, names in groups.items():
        if prefix not in facts:
            facts[prefix] = reader.facts_without_operator(prefix, set(names))
    return ProgramFacts(reader.classes, facts, nodes)


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
        self.budget = budget
        self._add_graph(at(document, "graph_module", "graph"), {}, "")

    def _add_graph(self, graph: Any, outer: Mapping[str, str], start: str) -> None:
        """Add the operators of a graph; `outer` has the names of its inputs outside, `start` begins all other names."""
        nodes = at(graph, "nodes")
        for node in nodes if isinstance(nodes, list) else ():
            entries = at(node, "inputs")
            arguments = {
                str(at(entry, "name") or place): at(entry, "arg")
                for place, entry in enumerate(entries if isinstance(entries, list) else ())
            }
            tensors = {
                key: tuple(outer.get(name, f"{start}{name}") for name in _tensor_names(argument))
                for key, argument in arguments.items()
            }
            constants = {key: _constant(argument) for key, argument in arguments.items()}
            target = at(node, "target")
            name = target.removeprefix("torch.ops.").removeprefix("aten.") if isinstance(target, str) else "?"
            outputs = [f"{start}{output}" for output in _tensor_names(at(node, "outputs"))]
            module = self._module(at(node, "metadata", "nn_module_stack"))
            operator = Operator(name, tensors, constants, module, (*outputs, name)[0])
            self.budget.work(1 + len(operator.inputs), GRAPH)
            inner = [argument for argument in arguments.values() if at(argument, "as_graph") is not None]
            for argument in inner:  # as of a block under torch.no_grad()
                names = dict(
                    zip(_tensor_names(at(argument, "as_graph", "graph", "inputs")), operator.inputs, strict=False)
                )
                self._add_graph(at(argument, "as_graph", "graph"), names, f"{start}{len(self.operators)}/")
            if not inner:
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

    def entry(self, operator: Operator) -> LedgerEntry:
        """Return the entry of an operator in the ledger of the file: an LSTM, a layer, or what stands between them."""
        module = operator.module or ""
        is_layer = OF_LAYERS.fullmatch(self.classes.get(module, "")) is not None
        is_random = operator.name == "dropout.default" and operator.constants.get("train") is True
        known = {LAYER, PACKED, CELL, "dropout.default"} | PASSED | RESHAPED | ZEROS | FULL
        if is_layer or (operator.name in known and not is_random):
            return LedgerEntry(operator.output, "node", module)
        reason = f"{operator.name}: the graph is read for its LSTMs alone"
        return LedgerEntry(operator.output, "node", module, reason, "it computes something between the layers")

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
        exchanged = False
        for _ in range(len(self.makers)):  # which may make a circle in a spoiled file
            self.budget.work(1, GRAPH)
            if (operator := self.makers.get(name)) is None:
                break
            exchanged ^= _is_exchange(operator)
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
        for _ in range(len(self.makers)):  # which may make a circle in a spoiled file
            self.budget.work(1, GRAPH)
            operator = self.makers.get(name)
            if operator is None or operator.name not in RESHAPED or not operator.inputs:
                break
            if operator.name == "unsqueeze.default" and operator.constants.get("dim") == 0:
                break  # a row of layers, or of sequences
            name = operator.inputs[0]
        if name in self.weights:
            return "weight", self.weights[name]
        if (operator := self.makers.get(name)) is None:
            return "input", name
        is_zero = operator.name in FULL and operator.constants.get("fill_value") == 0
        return ("zeros", name) if is_zero or operator.name in ZEROS else ("computed", operator.name)

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
        return _is_exchange(operator) and any(self._is_outside(name, prefix) for name in operator.inputs)


def _is_exchange(operator: Operator) -> bool:
    """Return whether an operator exchanges the first two of three axes, or of any."""
    settings = TRANSPOSED.get(operator.name)
    return settings is not None and all(operator.constants.get(key) == value for key, value in settings.items())


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
