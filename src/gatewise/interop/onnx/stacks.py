"""The LSTM nodes of an ONNX graph in their surroundings: how their directions are merged, and which are stacked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from gatewise.errors import FileError
from gatewise.files.budget import Budget
from gatewise.interop.contents import StoredLSTM
from gatewise.interop.graphs import TIME_FIRST
from gatewise.interop.onnx.cells import StoredCell
from gatewise.interop.onnx.graph_names import FinalOutputs, names_of
from gatewise.interop.onnx.lstm import APART, OUTSIDE
from gatewise.interop.onnx.lstm_outputs import NODE_OUTPUT, UNMERGED, LstmOutput, output_after, outputs_of
from gatewise.interop.onnx.scopes import SIZES, OnnxNode, OnnxScope, OnnxValue
from gatewise.interop.onnx.sizes import Sizes
from gatewise.interop.stacks import LayerStack, stacks_of
from gatewise.layers import LSTM

TALLEST = 256  # layers of a stack
STEPS = 50  # of work that looking at one name takes
MOST = 200  # names that are looked through for the source of a state


class LstmGraph:
    """The LSTM nodes of a model in their graphs, given what each is by itself, and the outputs of the main graph.

    `traced` has the names of each graph that hold an LSTM's output, and `results` those of the main graph, by the LSTM;
    `outputs` the positions of the main graph's outputs; `below` the outputs that LSTMs read; `singles` the LSTMs of
    single nodes, with their merges and the names around them; `stacks` those that read one another as one LSTM, by its
    nodes from the lowest layer on. `unrolled` are those whose steps stand one after another, `sizes` what they learned.
    """

    def __init__(
        self,
        lstms: Mapping[OnnxNode, StoredLSTM],
        outputs: Iterable[str],
        budget: Budget,
        unrolled: Mapping[OnnxNode, StoredCell],
        sizes: Sizes,
    ) -> None:
        self.unrolled = unrolled
        self.outputs = {name: position for position, name in enumerate(outputs)}
        self.results: dict[OnnxNode, dict[str, LstmOutput]] = {node: {} for node in lstms}
        self.states: dict[str, LstmOutput] = {}
        self._budget, self.sizes = budget, sizes
        self.below: dict[OnnxNode, LstmOutput] = {}
        self.traced: dict[OnnxScope, dict[str, LstmOutput]] = {}
        self._merges: dict[OnnxNode, set[str]] = {}
        self._trace_outputs(lstms)
        self._finals = self._final_outputs(lstms)
        self.singles = {
            node: self._with_graph_names([node], self._with_graph_merge(node, single)) for node, single in lstms.items()
        }
        below = {node: output.node for node, output in self.below.items()}
        stacks = stacks_of(below, self.singles, self._extend_stack, budget, APART, TALLEST)
        self.stacks = {nodes: self._with_graph_names(nodes, stack) for nodes, stack in stacks.items()}

    @property
    def sole(self) -> Sequence[OnnxNode] | None:
        """The nodes of an ONNX graph's only LSTM, the lowest layer's first; None if there are several, not stacked."""
        if len(self.singles) == 1:
            return [*self.singles]
        return next((nodes for nodes in self.stacks if len(nodes) == len(self.singles)), None)

    def ends(self, node: OnnxNode) -> list[OnnxValue]:
        """Return the names in an ONNX graph that the LSTM of a node puts out."""
        if node in self.unrolled:
            return self.unrolled[node].ends
        return [OnnxValue(node.scope, name) for name in node.outputs]

    def _trace_outputs(self, lstms: Mapping[OnnxNode, StoredLSTM]) -> None:
        """Follow the LSTMs' outputs through their ONNX graphs: note how each is merged, and which LSTM reads it."""
        for node, single in lstms.items():
            unrolled = self.unrolled.get(node)
            held = unrolled.outputs if unrolled else outputs_of(node, single.lstm, single.batch_first)
            self.traced.setdefault(node.scope, {}).update(held)
        for scope, traced in self.traced.items():
            for node in scope.nodes:
                if node in lstms:
                    output = traced.get(node.inputs[0])
                    reads_merged = output is not None and output.merge is not None and output.layout == TIME_FIRST
                    if output is not None and reads_merged and not _starts_from_lstm(node, lstms, self._budget):
                        self.below[node] = output
                    continue
                output = output_after(node, traced, self.sizes)
                if output is not None and node.outputs:
                    traced[node.outputs[0]] = output
                    self._learn_sizes(node, output)
                    if output.merge is not None and output.kind == 0:
                        self._merges.setdefault(output.node, set()).add(output.merge)
            for name, output in traced.items() if scope.parent is None else ():
                if output.kind:
                    self.states[name] = output
                    continue
                self.results[output.node][name] = output
                if name in self.outputs and output.is_result("none"):
                    self._merges.setdefault(output.node, {"none"})

    def _learn_sizes(self, node: OnnxNode, output: LstmOutput) -> None:
        """Keep the sizes of an LSTM's output in an ONNX graph, as a node returns it merged."""
        if output.merge is not None and output.layout == TIME_FIRST:
            steps = (self.sizes.of_axis(output.node.scope, output.node.input("X"), axis) for axis in (0, 1))
            width = output.lstm.hidden_size * (len(output.directions) if output.merge == "concat" else 1)
            self.sizes.learn(node.scope, node.outputs[0], chain(steps, [width]))

    def _final_outputs(self, lstms: Mapping[OnnxNode, StoredLSTM]) -> FinalOutputs:
        """Return the ONNX graph's outputs that are final states, of one LSTM or of several, concatenated."""
        finals: FinalOutputs = {}
        for name in self.outputs:
            state = self.states.get(name)
            if state is not None and state.timed == (UNMERGED if lstms[state.node].batch_first else NODE_OUTPUT):
                finals.setdefault((state.kind, state.nodes), name)
        return finals

    def _with_graph_merge(self, node: OnnxNode, single: StoredLSTM) -> StoredLSTM:
        """Return an LSTM whose directions are merged as in the ONNX graph, if that merges them in one way only."""
        merges = self._merges.get(node, set())
        if "average" in merges:
            merges = merges - {"sum"}  # a step on the way to it
        if len(merges) != 1 or not single.lstm.bidirectional:
            return single
        notes = tuple(note for note in single.notes if note != APART)
        return replace(single, lstm=LSTM.from_cells(single.lstm.layers, merge=next(iter(merges))), notes=notes)

    def _extend_stack(self, stack: LayerStack, node: OnnxNode) -> None:
        """Add the LSTM of an ONNX node to a stack; FileError if it cannot be a layer of it."""
        if stack:
            lower = self.below[node]
            if lower.node.input("sequence_lens") != node.input("sequence_lens"):
                raise FileError(f"{node.label!r} has sequences of other lengths than the LSTM before it")
            if self.singles[lower.node].lstm.dtype != self.singles[node].lstm.dtype:
                raise FileError(f"{node.label!r} computes in another precision than the LSTM before it")
        stack.add(self.singles[node].name, self.singles[node].lstm)
        if len(stack) > 1:
            stack.merges[-2] = self.below[node].merge or "concat"

    def _with_graph_names(self, nodes: Sequence[OnnxNode], lstm: StoredLSTM) -> StoredLSTM:
        """Return an LSTM with its names in the ONNX graph; a stack without a state if a layer starts from an input."""
        graph = names_of(nodes, lstm.lstm, self.results[nodes[-1]], self.outputs, self._finals, self.sizes)
        starts_outside = len(nodes) > 1 and any(note.startswith(OUTSIDE) for note in lstm.notes)
        if starts_outside and lstm.state is not None:
            text = "the initial states of some of its layers are in the file, and left out: those of others are not"
            return replace(lstm, graph=graph, state=None, warns=(*lstm.warns, text))
        return replace(lstm, graph=graph)


def _starts_from_lstm(node: OnnxNode, lstms: Mapping[OnnxNode, StoredLSTM], budget: Budget) -> bool:
    """Say whether an ONNX LSTM starts from another's output, as a decoder does: then it is no layer above it."""
    names = [node.input(role) for role in ("initial_h", "initial_c")]
    names_left = [(node.scope, name) for name in names if name]
    visited: set[tuple[OnnxScope, str]] = set()
    while names_left and len(visited) < MOST:
        scope, name = names_left.pop()
        if (scope, name) in visited:
            continue
        visited.add((scope, name))
        budget.work(STEPS, "looking where states come from")
        if (source := scope.source(name)) is None:
            continue
        if source.node in lstms:
            return True
        if source.node.operator not in SIZES:  # of which only sizes are used
            names_left += [(source.node.scope, name) for name in source.node.inputs if name]
    return bool(names_left)
