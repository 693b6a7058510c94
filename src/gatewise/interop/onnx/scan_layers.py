"""A layer as a Scan for each of its directions, which outputs every gate of every step."""

from __future__ import annotations

from gatewise import gates as gate_names
from gatewise.errors import OptionError
from gatewise.interop.onnx.building import Graph
from gatewise.interop.onnx.scan_cell import fill
from gatewise.layers import LSTM


def scan_layer(graph: Graph, lstm: LSTM, layer: int, x: str, end: str) -> list[str]:
    """Add a layer as a Scan for each direction; return the names of the hidden states of every step."""
    finals: list[tuple[str, str]] = []
    outputs: list[str] = []
    row = lstm.layers[layer]
    sizes = {"h": [cell.recurrent_size for cell in row], "c": [cell.hidden_size for cell in row]}
    if any(len(set(of_state)) > 1 for of_state in sizes.values()):
        raise OptionError(f"the directions of layer {layer} have sizes {sizes}; ONNX's initial states need equal ones")
    initial = {state: graph.input(f"{state}0{end}", [len(row), "batch", sizes[state][0]]) for state in "hc"}
    alone = lstm.num_layers * len(row) == 1
    for place, (cell, direction) in enumerate(zip(row, lstm.directions, strict=True)):
        suffix = "" if alone else f"_{layer}_{direction}"
        body = Graph(graph.dtype, graph, f"cell_{layer}_{direction}_")
        results = fill(body, cell.parameters, f"cell{suffix}")
        start = [graph.node("Gather", [initial[state], graph.constant(place)], axis=0) for state in "hc"]
        names = [f"{quantity}{suffix}" for quantity in (*gate_names.NAMES, "cell_state", "hidden_state")]
        final = (graph.new("final_h"), graph.new("final_c"))
        backward = int(direction == "backward")
        graph.node(
            "Scan",
            [*start, x],
            *(*final, *names),
            name=f"cell{suffix}",
            body=body.graph(f"cell{suffix}"),
            num_scan_inputs=1,
            scan_input_directions=[backward],
            scan_output_directions=[backward] * len(results),
        )
        for name in names:
            width = cell.recurrent_size if name == names[-1] else cell.hidden_size
            graph.output(name, ["time", "batch", width])
        finals.append(final)
        outputs.append(names[-1])
    for position, state in enumerate("hc"):
        axis = graph.constant([0])
        parts = [graph.node("Unsqueeze", [final[position], axis]) for final in finals]
        graph.node("Concat", parts, f"{state}n{end}", axis=0)
        graph.output(f"{state}n{end}", [len(row), "batch", sizes[state][0]])
    return outputs
