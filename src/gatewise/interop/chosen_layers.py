"""The network of a file's LSTM and the layers around it that are named, or that alone fit it."""

from __future__ import annotations

import warnings
from collections.abc import Container
from typing import NamedTuple

import numpy as np

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, OptionError, WeightsWarning, join_names, one_of
from gatewise.interop import conventions
from gatewise.interop.contents import Contents, StoredLayer, StoredLSTM, not_finite_sentence
from gatewise.interop.graphs import JoinedNetwork
from gatewise.interop.ledger import CODE, clauses, concerning
from gatewise.interop.refusals import NETWORK, reading
from gatewise.layers.stack import States
from gatewise.network import Linear, Network
from gatewise.network.parts import READS

NO_LAYER = "none"  # in the place of a layer's name: there is to be none
MOST = 8  # names that a sentence lists


def chosen_network(
    contents: Contents,
    name: str | None,
    embedding: str | None,
    head: str | None,
    reads: str | None = None,
    *,
    strict: bool = False,
) -> Network | None:
    """Return the network of an LSTM in a file and the layers named as its embedding and head; None if none is named.

    It keeps masked steps, the steps that are read, and the layers between LSTM and head, as the file has them; the
    features' scaling, branches and windows too, where no head is to be read. It warns of everything that is left out,
    of masks that a call must give, and of `reads` other than the file's; `strict` refuses what leaves something out.
    The name ``none`` stands for no layer.

    Raises
    ------
    OptionError
        If there is no layer of a name, or `reads` alone is given and the file says how its layers are connected.
    FileError
        If the file cannot express the network, or leaves something out where `strict` is set.
    """
    if embedding is None and head is None:
        if reads is None or contents.network is None:
            return None
        raise OptionError(
            f"reads needs the name of an embedding or a head. {contents.path} itself says what its layers read."
        )
    stored = contents.find(name)
    if {embedding, head} <= {None, NO_LAYER} and (described := _network_with_features(contents)) is not None:
        contents.pick(name, strict=strict)
        if head != NO_LAYER:
            return described
        return described.replace(head=None, skip=0, outputs=None, labels=described.labels.replace(outputs=None))
    fitting, unwanted = fitting_layers(contents, stored), set[str]()
    if embedding == NO_LAYER:
        embedding, unwanted = None, unwanted.union(fitting.embeddings)
    if head == NO_LAYER:
        head, unwanted = None, unwanted.union(fitting.heads)
    lstm, table, linear, stated_reads = stored.lstm, None, None, None
    if embedding is not None:
        table, _ = _read_layer_weight(contents, embedding, "embedding", lstm.dtype)
    if head is not None:
        weight, layer_read = _read_layer_weight(contents, head, "head", lstm.dtype)
        bias = None if layer_read.bias is None else layer_read.bias().astype(lstm.dtype)
        linear, stated_reads = Linear(weight, bias, layer_read.activation), layer_read.reads
    used = {layer_name for layer_name in (embedding, head) if layer_name is not None}
    sentences = []
    if contents.joined is None or not used:
        initial = _initial(stored)
        network = Network(lstm, embedding=table, head=linear, reads=reads or stated_reads or "every", initial=initial)
        if stored.state is not None and initial is None:
            sentences.append(state_sentence(stored))
    else:
        checked_reads = None if reads is None else one_of("reads", reads, READS)
        with reading(contents.path, GatewiseError, NETWORK):
            joined: JoinedNetwork = contents.joined(stored.name, embedding, head, checked_reads)
        network = joined.network
        used |= joined.used
        stated_reads = joined.reads
        if joined.has_foreign_mask:
            options = f"mask=… and masked_output={network.masked_output!r}"
            sentences.append(
                f"a mask arrives at the LSTM which the network does not make: give {options} with each call"
            )
    if network.reads != (stated_reads or network.reads):
        sentences.append(f"the network reads {network.reads}, as asked for; in the file, it is {stated_reads}")
    contents.pick(name, strict=strict)  # its warnings, if there is no refusal
    left_out = []
    if unused := unused_layers(contents, stored, used | unwanted):
        left_out.append(f"the network leaves out {join_names(unused, most=MOST)}, which the file also holds")
    if of_layers := concerning(contents.ledger, used):
        left_out.append(f"left out: {clauses(of_layers)}")
    if left_out and strict:
        raise FileError(f"cannot read {contents.path} with strict=True: {left_out[0]}")
    sentences += left_out
    for sentence in sentences:
        warnings.warn(f"{contents.path}: {sentence}", WeightsWarning, stacklevel=3)
    network.provenance = lstm.provenance
    return network


def _network_with_features(contents: Contents) -> Network | None:
    """Return the network that a file describes, if it scales its features, mixes them or has windows; else None."""
    try:
        network: Network | None = None if contents.network is None else contents.network()
    except FileError:  # a Network cannot express it
        return None
    return network if network and (network.inputs is not None or network.branches or network.windows) else None


def _initial(stored: StoredLSTM) -> States | None:
    """Return the initial state of an LSTM in a file as a network has it: of one sequence, for all."""
    if stored.state is None or not conventions.has_one_state(stored.state):
        return None
    return conventions.first_sequence(stored.state)


def state_sentence(stored: StoredLSTM) -> str:
    """Return the warning of an initial state in a file, which what is made of its LSTM does not carry."""
    return (
        f"the file has an initial state for {stored.name!r}: a run starts from zeros unless it is given that state,"
        " which gatewise.inspect lists and gatewise.open_run uses"
    )


def run_sentences(stored: StoredLSTM) -> list[str]:
    """Return the warnings of what a file gives to each run of its LSTM, which the LSTM alone does not carry."""
    sentences = [] if stored.state is None else [state_sentence(stored)]
    if stored.lengths is not None:
        lengths = join_names(stored.lengths, most=MOST)
        sentences.append(
            f"the file fixes the lengths of the sequences of {stored.name!r} ({lengths}): a run takes every step unless"
            " it is given lengths=…, as gatewise.open_run does"
        )
    return sentences


def unused_layers(contents: Contents, stored: StoredLSTM, used: set[str]) -> list[str]:
    """Return what a network of a file's LSTM and the layers of the names `used` leaves out, each with its kind."""
    of_lstm = {stored.name, *stored.combines}
    kept = used | of_lstm | {entry.name for entry in contents.left_out(stored)}  # told with the LSTM
    layers = {part.name: part.kind for part in contents.parts if kept.isdisjoint(part.entries)}
    layers |= {other.name: "another LSTM" for other in contents.lstms if not kept & {other.name, *other.combines}}
    layers |= {one.name: "which cannot be read" for one in contents.refused if kept.isdisjoint(one.entries)}
    for entry in contents.ledger:
        if entry.effect and not entry.lstms:
            of_layer = entry.layer and entry.layer not in kept
            layers.setdefault(entry.layer if of_layer else entry.name, entry.reason)
    return [f"{name!r} ({kind})" for name, kind in layers.items() if name not in kept]


def _read_layer_weight(
    contents: Contents, name: str, purpose: str, dtype: np.dtype[np.generic]
) -> tuple[Array, StoredLayer]:
    """Return the weight of a named layer in a file, as an embedding or a head, and the layer."""
    for layer in contents.parts:
        if layer.name == name and layer.weight is not None:
            weight = layer.weight().astype(dtype)
            if count := int(np.count_nonzero(~np.isfinite(weight))):
                sentence = not_finite_sentence(f"{contents.path}: {name}", [f"{count} of {weight.size} numbers"])
                warnings.warn(sentence, WeightsWarning, stacklevel=4)
            return weight, layer
    names = join_names(repr(part.name) for part in contents.parts if part.weight is not None) or "none"
    raise OptionError(f"there is no {purpose} {name!r} in {contents.path}; it has {names}")


# Where no layer is named, and the file does not say how its layers are connected.


class FittingLayers(NamedTuple):
    """The layers of a file whose sizes fit its LSTM; `why` says why the file does not connect them, as a clause.

    `only` has the embedding and the head, each the one there is or None, where these are the only reading: there are no
    others, and nothing else is left out of the file. `read_last` are the heads that read the last step in the file.
    """

    embeddings: list[str]
    heads: list[str]
    only: tuple[str | None, str | None] | None
    why: str
    read_last: Container[str | None] = ()

    @property
    def options(self) -> str:
        """The choices in the words of the command line; empty if no layer fits."""
        choices = [f"--embedding {name}" for name in self.embeddings] + [f"--head {name}" for name in self.heads]
        return join_names([*choices, "--head none"], "or", most=MOST) if choices else ""

    def inference_sentence(self, embedding: str | None, head: str | None) -> str:
        """Return a sentence on layers that were taken because they alone fit, and on how to choose otherwise."""
        names = {role: name for role, name in (("embedding", embedding), ("head", head)) if name is not None}
        roles = [f"{name!r} as the {role}" for role, name in names.items()]
        every = "; it reads every step, and with --reads last the last alone" if head is not None else ""
        if head in self.read_last:
            every = "; it reads the last step alone, as the file says"
        others = " and ".join(f"--{role} none" for role in names)
        return (
            f"{' and '.join(roles)} {'is' if len(roles) == 1 else 'are'} inferred:"
            f" {self.why}, and no other fits{every}; {others}"
            f" leaves {'it' if len(roles) == 1 else 'them'} out"
        )


def fitting_layers(contents: Contents, stored: StoredLSTM, *, strict: bool = False) -> FittingLayers:
    """Return the layers of a file that fit its LSTM, by their sizes and kinds; `strict` lets none be inferred."""
    matrices = [part for part in contents.parts if part.weight is not None and len(part.shape) == 2]
    embeddings, heads = (
        [part.name for part in matrices if part.shape[1] == size and _can_be(part, kind)]
        for size, kind in ((stored.lstm.input_size, "embedding"), (stored.lstm.output_size, "linear layer"))
    )
    why = "the file does not say how its layers are connected"
    if any(entry.kind == "node" for entry in contents.ledger):
        why = "gatewise does not read how a program connects its layers"
        code = next((entry.reason for entry in contents.ledger if entry.name == CODE.name), "")
        why += code.removeprefix(CODE.reason)
    is_single = max(len(embeddings), len(heads)) == 1 and embeddings != heads
    if not is_single or contents.left_out(stored) or unused_layers(contents, stored, {*embeddings, *heads, CODE.name}):
        return FittingLayers(embeddings, heads, None, why)
    if strict:
        return FittingLayers(embeddings, heads, None, f"{why}, and with strict=True none is inferred")
    only = next(iter(embeddings), None), next(iter(heads), None)
    return FittingLayers(embeddings, heads, only, why, [part.name for part in matrices if part.reads == "last"])


def _can_be(part: StoredLayer, kind: str) -> bool:
    """Return whether a layer of a file can be of a kind: a matrix alone by its name, where that says embedding."""
    named = part.bias is None and "emb" in part.name.lower()
    return kind in part.kind and not (named and kind != "embedding")
