"""A graph as text: a line for each layer of the file, as a person would draw the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gatewise.errors import join_names, shown
from gatewise.network.graph import Graph, Node

MAX_DRAWN = 60  # layers that are printed
MAX_NAME = 40  # characters of a name
# Operations that move numbers or tell sizes: they are printed only where a layer does nothing else.
PLUMBING = {"transpose", "swap", "reshape", "squeeze", "unsqueeze", "flatten", "expand", "identity", "cast", "shape"}


def drawing(graph: Graph) -> list[str]:
    """Return a line for each input, layer and output: what it is, and what it reads."""
    sizes = _sizes(graph)
    blocks: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if not sizes.issuperset(node.outputs):
            blocks.setdefault(scope_of(node), []).append(node)
    owner = {port.name: port.name for port in graph.inputs}
    for label, nodes in blocks.items():
        owner |= {name: label for node in nodes for name in node.outputs}
    short = _short_names([*owner.values(), *graph.output_names, "a constant"])
    lines = [f"{short[item.name]}: input {item.shape_in_words}, {item.dtype}" for item in graph.inputs]
    for label, nodes in [*blocks.items()][:MAX_DRAWN]:
        names = (name for node in nodes for name in node.inputs)
        read = dict.fromkeys(owner[name] for name in names if owner.get(name, label) != label)
        sources = join_names((short[name] for name in read), "and", most=5)
        lines.append(f"{short[label]}: {_in_words(nodes)}{f' of {sources}' if read else ''}")
    if len(blocks) > MAX_DRAWN:
        lines.append(f"… and {len(blocks) - MAX_DRAWN} more layers")
    for name, value in zip(graph.output_names, graph.outputs, strict=True):
        lines.append(f"{short[name]}: output, {short[owner.get(value, 'a constant')]}")
    return lines


def scope_of(node: Node) -> str:
    """Return the layer that a node is drawn in: of paths, as ONNX files have them, without the last name."""
    label = node.layer or node.name
    return label.rpartition("/")[0].lstrip("/") or label.lstrip("/")


def _short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the printed form of each name: of a long path its end, if no other path ends so."""
    short = {name: _end_of(name) for name in names}
    counts = Counter(short.values())
    return {name: shown(name if counts[end] > 1 else end) for name, end in short.items()}


def _end_of(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    end = name[1 - MAX_NAME :]
    return f"…{end[min((place for place in map(end.find, '/.') if place >= 0), default=0) :]}"


def _sizes(graph: Graph) -> set[str]:
    """Return the values that are made of sizes and constants alone."""
    result = set[str]()
    for node in graph.nodes:
        read = [name for name in node.inputs if name and name not in graph.constants]
        if node.op == "shape" or (read and result.issuperset(read)):
            result.update(node.outputs)
    return result


def _in_words(nodes: Sequence[Node]) -> str:
    """Return the operations of one layer in a few words."""
    words: list[str] = []
    moves: list[str] = []
    for node in nodes:
        if node.op == "lstm":
            words.append(repr(node.settings["lstm"]))
        elif node.op == "unknown":
            words.append(f"{node.settings['kind']} (not supported)")
        else:
            (moves if node.op in PLUMBING else words).append(node.op.replace("_", " "))
    counts = Counter(words or moves)
    several = (f"{count} × {word}" if count > 1 and word.startswith("LSTM") else word for word, count in counts.items())
    return join_names(several, most=6)
