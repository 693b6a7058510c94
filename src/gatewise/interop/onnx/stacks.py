"""The LSTM nodes of an ONNX graph in their surroundings: how their directions are merged, and which are stacked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.found import Found
from gatewise.interop.graphs import TIME_FIRST
from gatewise.interop.onnx.graph_names import final_outputs, names_of
from gatewise.interop.onnx.lstm import APART, OUTSIDE
from gatewise.interop.onnx.lstm_outputs import LstmOutput, output_after
from gatewise.interop.onnx.scopes import OnnxNode, OnnxScope
from gatewise.interop.onnx.sizes import Sizes
from gatewise.interop.stacks import LayerStack, stacks_of
from gatewise.layers import LSTM
from gatewise.layers.stack import States
from gatewise.records.step import State

TALLEST = 256  # layers of a stack
STEPS = 50  # of work that looking at one name takes
MOST = 200  # names that are looked through for the source of a state


@dataclass(frozen=True, eq=False)
class SoleLstm:
    """The only LSTM of a graph, of one node or of several that are stacked.

    Attributes
    ----------
    nodes : sequence of OnnxNode
        The lowest layer's first.
    results : mapping of str to LstmOutput
        The names of the main graph that hold its output.
    outputs : sequence of str
        Of the main graph.
    """

    nodes: Sequence[OnnxNode]
    results: Mapping[str, LstmOutput]
    outputs: Sequence[str]


@dataclass(frozen=True, eq=False)
class LstmGroups:
    """The LSTMs of single nodes, each stack of them as one LSTM, and the LSTM that is all of these, if one is."""

    singles: Sequence[Found]
    stacks: Sequence[Found]
    sole: SoleLstm | None


def group_stacks(lstms: Mapping[OnnxNode, Found], outputs: Iterable[str], budget: Budget) -> LstmGroups:
    """Return LSTM nodes with their merges and names, and as the stacks that they make.

    Parameters
    ----------
    lstms : mapping of OnnxNode to Found
    outputs : iterable of str
        Of the main graph.
    budget : Budget
    """
    positions = {name: position for position, name in enumerate(outputs)}
    sizes = Sizes()
    known = _Surroundings(lstms, positions, sizes, budget)
    finals = final_outputs(lstms, positions)
    singles: dict[OnnxNode, Found] = {}
    for node, single in lstms.items():
        merged = _with_merge(single, known.merges.get(node, set()))
        graph = names_of([node], merged.lstm, known.results[node], positions, finals, sizes)
        singles[node] = replace(merged, graph=graph)

    def extend(stack: LayerStack, node: OnnxNode) -> None:
        if stack:
            lower = known.below[node]
            if lower.node.input("sequence_lens") != node.input("sequence_lens"):
                raise FileError(f"{node.label!r} has sequences of other lengths than the LSTM before it")
            if singles[lower.node].lstm.dtype != singles[node].lstm.dtype:
                raise FileError(f"{node.label!r} computes in another precision than the LSTM before it")
        stack.add(singles[node].name, singles[node].lstm)
        if len(stack) > 1:
            stack.merges[-2] = known.below[node].merge or "concat"

    below = {node: output.node for node, output in known.below.items()}
    stacks: list[Found] = []
    sole = [SoleLstm([node], known.results[node], [*positions]) for node in lstms] if len(lstms) == 1 else []
    for nodes, stack in stacks_of(below, singles, extend, budget, APART, TALLEST).items():
        graph = names_of(nodes, stack.lstm, known.results[nodes[-1]], positions, finals, sizes)
        stacks.append(replace(stack, state=_stack_state([singles[node] for node in nodes]), graph=graph))
        if len(nodes) == len(lstms):
            sole.append(SoleLstm(nodes, known.results[nodes[-1]], [*positions]))
    return LstmGroups([*singles.values()], stacks, sole[0] if sole else None)


class _Surroundings:
    """What the graphs of LSTM nodes do with their outputs.

    Attributes
    ----------
    below : dict of OnnxNode to LstmOutput
        Of each LSTM that another feeds, the output that it reads.
    merges : dict of OnnxNode to set of str
        In which ways the directions of an LSTM are merged.
    results : dict of OnnxNode to dict of str to LstmOutput
        The names of the main graph that hold an LSTM's output.
    """

    def __init__(
        self, lstms: Mapping[OnnxNode, Found], outputs: Mapping[str, int], sizes: Sizes, budget: Budget
    ) -> None:
        self.below: dict[OnnxNode, LstmOutput] = {}
        self.merges: dict[OnnxNode, set[str]] = {}
        self.results: dict[OnnxNode, dict[str, LstmOutput]] = {node: {} for node in lstms}
        time_first = {node: single for node, single in lstms.items() if not single.batch_first}
        known_of: dict[OnnxScope, dict[str, LstmOutput]] = {}
        for node in time_first:
            known_of.setdefault(node.scope, {}).update((name, LstmOutput(node)) for name in node.outputs[:1] if name)
        for scope, known in known_of.items():
            self._follow(scope, known, time_first, sizes, budget)
            if scope.parent is None:
                for name, output in known.items():
                    self.results[output.node][name] = output
                    if name in outputs and output.is_result("none"):
                        self.merges.setdefault(output.node, {"none"})

    def _follow(
        self,
        scope: OnnxScope,
        known: dict[str, LstmOutput],
        lstms: Mapping[OnnxNode, Found],
        sizes: Sizes,
        budget: Budget,
    ) -> None:
        """Add to the known outputs of LSTMs in a graph those that are computed from them."""
        for node in scope.nodes:
            if node in lstms:
                output = known.get(node.inputs[0])
                fed = output is not None and output.merge is not None and output.layout == TIME_FIRST
                if output is not None and fed and not _continues(node, lstms, budget):
                    self.below[node] = output
                continue
            output = output_after(node, known, lstms, sizes)
            if output is not None and node.outputs:
                known[node.outputs[0]] = output
                if output.merge is not None:
                    self.merges.setdefault(output.node, set()).add(output.merge)


def _continues(node: OnnxNode, lstms: Mapping[OnnxNode, Found], budget: Budget) -> bool:
    """Say whether an LSTM starts from what another returns, as a decoder does: then it is no upper layer of a stack."""
    names = [node.input(role) for role in ("initial_h", "initial_c")]
    waiting = [(node.scope, name) for name in names if name]
    visited: set[tuple[OnnxScope, str]] = set()
    while waiting and len(visited) < MOST:
        scope, name = waiting.pop()
        if (scope, name) in visited:
            continue
        visited.add((scope, name))
        budget.work(STEPS, "looking where states come from")
        if (source := scope.source(name)) is None:
            continue
        if source.node in lstms:
            return True
        if source.node.operator not in ("Shape", "Size"):  # of which only sizes are used
            waiting += [(source.node.scope, name) for name in source.node.inputs if name]
    return bool(waiting)


def _with_merge(single: Found, merges: set[str]) -> Found:
    """Return an LSTM whose directions are merged as in the graph, if it merges them in one way only."""
    if "average" in merges:
        merges = merges - {"sum"}  # a step on the way to it
    if len(merges) != 1 or not single.lstm.bidirectional:
        return single
    notes = tuple(note for note in single.notes if note != APART)
    return replace(single, lstm=LSTM.from_cells(single.lstm.layers, merge=next(iter(merges))), notes=notes)


def _stack_state(layers: Sequence[Found]) -> States | None:
    """Return the initial state of a stack; layers for which the file holds none start from zeros.

    None if no layer has a state in the file, or one starts from an input of the graph, as a note says.
    """
    states = [layer.state[0] for layer in layers if layer.state is not None]
    if not states or any(note.startswith(OUTSIDE) for layer in layers for note in layer.notes):
        return None
    batch = len(states[0][0].h)

    def zeros(lstm: LSTM) -> tuple[State, ...]:
        zero = np.zeros((batch, lstm.hidden_size), lstm.dtype)
        return tuple(State(zero, zero) for _ in lstm.directions)

    return tuple(zeros(layer.lstm) if layer.state is None else layer.state[0] for layer in layers)
