"""gatewise convert: an LSTM from one framework's file to another's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from gatewise.cli.inspect import LSTMName, ModelFile
from gatewise.cli.models import FileSettings, inspect_file
from gatewise.cli.printing import print_line, print_notes
from gatewise.errors import OptionError
from gatewise.interop import network_of
from gatewise.interop.chosen_layers import unused_layers
from gatewise.interop.contents import Contents
from gatewise.layers import LSTM
from gatewise.network import Network
from gatewise.opening.models import OpenedModel, opened_model
from gatewise.records.labels import NO_LABELS
from gatewise.showing import counted

TARGET = Group("Format", sort_key=2)
SUFFIXES = {
    "gatewise": (".safetensors",),
    "torch": (".pt", ".pth", ".safetensors"),
    "keras": (".keras", ".h5"),
    "onnx": (".onnx",),
}
WHOLE = ("gatewise", "onnx")  # those that hold a whole network
if TYPE_CHECKING:
    from gatewise.network.graph_network import GraphNetwork

    Target = str
else:
    Target = Literal[tuple(SUFFIXES)]


def convert(
    file: ModelFile,
    /,
    output: Annotated[
        Path,
        Parameter(
            name=["--output", "-o"],
            group=Group.create_default_arguments(),
            help="File to write: .safetensors, .pt, .pth, .keras, .h5, .onnx.",
        ),
    ],
    *,
    name: LSTMName = None,
    settings: FileSettings | None = None,
    to: Annotated[Target | None, Parameter(group=TARGET)] = None,
    gates: Annotated[bool, Parameter(group=TARGET)] = False,
    stream: Annotated[bool, Parameter(group=TARGET)] = False,
) -> None:
    """Convert an LSTM to another framework's format, exactly.

    If the result would not be exact, gatewise says why and writes nothing. You don't need any framework. A .safetensors
    file of gatewise and an ONNX file hold the whole network if FILE describes one. Other formats hold the LSTM alone.

    For example:

        gatewise convert model.h5 model.onnx
        gatewise convert model.pt model.onnx --gates

    Parameters
    ----------
    to
        Framework, if the suffix does not determine it. A .safetensors file is gatewise's own by default, and PyTorch's
        with torch.
    gates
        For ONNX: also output every gate of every step.
    stream
        For ONNX: run one step, with the state as input and output. Their names are h_in, c_in, h_out and c_out.
    """
    target = _target_framework(output, to)
    if (gates or stream) and target != "onnx":
        raise OptionError(
            f"--{'gates' if gates else 'stream'} is for ONNX files, but {output} is written for {target}."
            " Leave it out, or choose an .onnx file."
        )
    contents = inspect_file(file, settings)
    if target == "onnx" and name is None and not gates and (graph := _graph_network(contents)) is not None:
        from gatewise.interop import onnx  # not with the program's help

        onnx.write(graph, output, stream=stream)
        title = contents.lstms[0].name if len(contents.lstms) == 1 else counted(len(contents.lstms), "LSTM")
        print_line(f"{file}: {title} ({contents.format}) -> {output} (onnx{', one step' * stream}, the whole network)")
        return
    model = opened_model(contents, contents.pick(name))
    network = model.network if target in WHOLE else None
    if network is not None and stream:
        network = network.replace(initial=None)
    if target in WHOLE:
        print_notes(model.notes)
    _write_model(target, model.lstm if network is None else network, output, gates=gates, stream=stream)
    kind = f"{target}{', one step' * stream}{', with every gate' * gates}"
    left = left_behind(model, target, network)
    print_line(f"{file}: {model.found.name} ({contents.format}) -> {output} ({kind}){left}")


def _graph_network(contents: Contents) -> GraphNetwork | None:
    """Return the network of a file that is a graph of operations; None if it has the form of a `Network`, or none."""
    from gatewise.network.graph_network import GraphNetwork  # which most files do without

    if contents.graph is None or not contents.lstms:
        return None
    network = network_of(contents)
    return network if isinstance(network, GraphNetwork) else None


def _target_framework(output: Path, to: str | None) -> str:
    """Return the framework whose file `gatewise convert` writes: `to`, or by the suffix of the output."""
    suffix = output.suffix.lower()
    fits = [target for target, suffixes in SUFFIXES.items() if suffix in suffixes]
    if to is None:
        if not fits:
            every = ", ".join(dict.fromkeys(suffix for suffixes in SUFFIXES.values() for suffix in suffixes))
            raise OptionError(f"the name of {output} must end in one of {every}")
        return fits[0]
    if to not in fits:
        raise OptionError(f"a file for {to} must end in {' or '.join(SUFFIXES[to])}, but its name is {output.name}")
    return to


def _write_model(target: str, model: LSTM | Network, output: Path, *, gates: bool, stream: bool) -> None:
    """Write an LSTM to a file of a framework, or a whole network where the format holds one."""
    from gatewise.interop import keras, onnx, save, torch  # not with the program's help

    lstm = model.lstm if isinstance(model, Network) else model
    if target == "gatewise":
        save(model, output)
    elif target == "onnx":
        onnx.write(model, output, gates=gates, stream=stream)
    else:
        {"torch": torch, "keras": keras}[target].write(lstm, output)


def left_behind(model: OpenedModel, target: str, network: Network | None) -> str:
    """Return the clause about what a converted file does not carry over from its source; empty if that is nothing.

    `network` is written to it, or None where that is the LSTM alone.
    """
    contents, entry = model.contents, model.found
    left = []
    written = set[str]()
    if model.network is not None and target != "gatewise":
        left += _left_of_network(model.network, alone=network is None)
    if network is not None:
        written = {part.name for part in contents.parts}  # a network that a file describes has all of them
    left += unused_layers(contents, entry, written)
    if target != "gatewise" and any(cell.labels != NO_LABELS for row in entry.lstm.layers for cell in row):
        left.append("the labels")
    if entry.state is not None and (network is None or network.initial is None):
        left.append("the initial state")
    if entry.lengths is not None:
        left.append("the lengths of sequences")
    if entry.time_reversed:
        left.append("that its outputs have the last step first")
    left += [f"{found.name} ({found.reason})" for found in contents.left_out(entry)]
    if not left:
        return ""
    return f"; not carried over: {', '.join(left)}"


def _left_of_network(network: Network, *, alone: bool) -> list[str]:
    """Return what another format leaves out of a network, whose LSTM may be `alone` in it; but no layers, which have
    names in the file.
    """
    return [
        words
        for words, present in {
            "the scaling of features": alone and network.inputs is not None,
            "the scaling of outputs": alone and network.outputs is not None,
            "the branches before the LSTM": alone and bool(network.branches),
            "the features that are added to the outputs": alone and bool(network.skip),
            "that the last step alone is read": alone and network.reads == "last",
            "which steps are masked": alone and network.masked is not None,
            "that outputs are those of windows": network.windows is not None,
            "the time step of its data": network.time_step is not None,
            "the names of features and outputs": bool(network.labels.features or network.labels.outputs),
        }.items()
        if present
    ]
