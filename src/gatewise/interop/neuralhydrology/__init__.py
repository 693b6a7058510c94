"""NeuralHydrology: read the folder of a run, with its configuration, its scaler and the weights of any epoch.

Its networks take features in physical units: the dynamic inputs in the order of the configuration, then the static
attributes in that of the alphabet. Each is centered and scaled; both kinds may go through an embedding network of
dense layers; then comes an LSTM with one layer, and a linear layer, whose outputs are scaled back. `nn.LSTM` holds the
weights of ``cudalstm``; ``customlstm`` has the same under other names. The network is evaluated in windows; see
`gatewise.network.Windows`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, OptionError, join_names, shown
from gatewise.files.budget import Budget
from gatewise.interop.containers.lookups import Lookups
from gatewise.interop.containers.tensors import Tensor, numbers_of
from gatewise.interop.contents import Contents, Refused, StoredLSTM, check_options
from gatewise.interop.neuralhydrology import documents, scaler
from gatewise.interop.neuralhydrology.config import (
    LSTMS,
    Config,
    Embedding,
    config_ledger,
    measure_of,
    read_config,
    unsupported_reason,
)
from gatewise.interop.refusals import reading
from gatewise.interop.torch.files import open_file
from gatewise.interop.torch.grouping import group_tensors
from gatewise.layers import LSTM
from gatewise.network import Branch, Linear, Network
from gatewise.records.labels import Labels

CONFIG = "config.yml"
WEIGHTS = re.compile(r"model_epoch([0-9]{1,9})\.pt")
MOST_FILES = 100_000  # of the folder, that are looked at
CELL = re.compile(r"\Acell\.([wb])_(ih|hh)\Z")  # the parameters of customlstm, which have PyTorch's names otherwise
KINDS = {"w": "weight", "b": "bias"}
HEAD = "head.net.0"
# Where the layers of embeddings are; older versions had one of dynamic inputs alone.
DYNAMICS = ("embedding_net.dynamics_embeddings.0.net", "embedding_net.dynamics_embedding.net")
STATICS = ("embedding_net.statics_embedding.net",)
Tensors = Mapping[str, Tensor | Array]


def recognises(path: os.PathLike[str], head: bytes) -> bool:
    """Return whether a folder is that of a run."""
    return (Path(path) / CONFIG).is_file()


def contents(path: os.PathLike[str], omitted: Mapping[str, Any]) -> Contents:
    """Return the contents of a NeuralHydrology run's folder; see `gatewise.interop.inspect`.

    The only option is ``epoch``, an integer: its weights are read. The default is the last.
    """
    name, folder = os.fspath(path), Path(path)
    check_options(name, omitted, ("epoch",))
    weights, epoch = _find_weights(folder, name, omitted.get("epoch"))
    budget = Budget.of(folder / CONFIG)
    budget.grow(weights.stat().st_size)
    with ExitStack() as stack, reading(name, GatewiseError):
        stack.callback(budget.end)
        document = documents.read_yaml(documents.file_within(folder, CONFIG), budget)
        if not isinstance(document, dict):
            raise FileError(f"its {CONFIG} is not a dictionary")
        document = Lookups(document)
        if (reason := unsupported_reason(document)) is not None:
            return _refused_contents(name, f"NeuralHydrology, epoch {epoch}", reason, weights)
        found = _read_run(name, folder, weights, read_config(document), budget, stack, epoch)
        return replace(found, ledger=(*found.ledger, *config_ledger(document, found.lstms[0].name)))


def _find_weights(folder: Path, name: str, epoch: object) -> tuple[Path, int]:
    """Return the weights file of an epoch, or of the last, in a NeuralHydrology run's folder, and the epoch."""
    files_by_epoch: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for _, entry in zip(range(MOST_FILES), entries, strict=False):
            if (match := WEIGHTS.fullmatch(entry.name)) is not None and entry.is_file():
                files_by_epoch[int(match[1])] = Path(entry.path)
    if not files_by_epoch:
        raise FileError(f"cannot read {name}: it has no weights, such as model_epoch009.pt")
    if epoch is None:
        epoch = max(files_by_epoch)
    if not isinstance(epoch, int) or isinstance(epoch, bool):
        raise OptionError(f"epoch must be an integer, not {shown(repr(epoch), 60)}")
    if epoch not in files_by_epoch:
        raise OptionError(f"there is no epoch {epoch} in {name}; it has {join_names(sorted(files_by_epoch), most=11)}")
    return files_by_epoch[epoch], epoch


def _refused_contents(name: str, kind: str, reason: str, weights: Path) -> Contents:
    """Return the contents of a NeuralHydrology run whose network is not supported, with the reason."""
    advice = f"{reason}; the LSTM alone may be in {weights.name}, which is a file of PyTorch's"

    def network() -> Network:
        raise FileError(advice)

    return Contents(name, kind, refused=(Refused("model", advice),), network=network)


def _read_run(
    name: str, folder: Path, weights: Path, config: Config, budget: Budget, stack: ExitStack, epoch: int
) -> Contents:
    """Return the contents of a NeuralHydrology run: its LSTM, and the network with its scaling."""
    file = documents.file_within(folder, weights.name)
    try:
        archive = open_file(file, budget, stack)
    except FileError as problem:
        raise FileError(f"{weights.name}: {problem}") from None
    place = LSTMS[config.model]
    keys = {CELL.sub(lambda match: f"cell.{KINDS[match[1]]}_{match[2]}", key): key for key in archive.tensors}
    tensors: Tensors = {name: archive.tensors[key] for name, key in keys.items()}
    lstms, layers, refused, ledger = group_tensors(tensors, connected=True)
    matching = [lstm_in_file for lstm_in_file in lstms if lstm_in_file.name == place]
    if len(lstms) + len(refused) != 1 or not matching:
        names = join_names((shown(lstm.name, 40) for lstm in lstms), most=5)
        reason = refused[0].reason if refused else f"it has {names}" if lstms else "there is none"
        raise FileError(f"its {weights.name} must have one LSTM, under the name {place}: {reason}")
    scales = scaler.read_scaler(folder, budget)
    network = _build_network(config, scales, matching[0].lstm, tensors, place)
    version = f" {config.version}" if config.version else ""
    return Contents(
        name,
        f"NeuralHydrology{version}, {config.model}, epoch {epoch}",
        (_with_conventions(matching[0], config, weights.name),),
        tuple(replace(layer, weight=None, bias=None) for layer in layers),  # without the scaling they mean nothing
        network=lambda: network,
        calls=(*archive.calls, *scales.calls),
        epoch=epoch,
        ledger=tuple(entry._replace(name=keys[entry.name]) for entry in ledger),
    )


def _with_conventions(stored: StoredLSTM, config: Config, file: str) -> StoredLSTM:
    """Return the LSTM of a NeuralHydrology run with its conventions, its file, and notes on its features."""
    of_features = (
        f"the network takes {', '.join(config.features)}, in this order and in physical units, and gives"
        f" {', '.join(config.targets)}"
    )
    return replace(
        stored,
        convention=f"NeuralHydrology's {config.model}, {stored.convention}",
        where=f"{file}: {stored.where}",
        notes=(*stored.notes, of_features, *config.notes),
        batch_first=False,
    )


# The network: its scaling, its embeddings, its LSTM and its head.


def _build_network(config: Config, scales: scaler.Scaler, lstm: LSTM, tensors: Tensors, place: str) -> Network:
    """Return the network of a NeuralHydrology run; its weights must fit its configuration."""
    if lstm.num_layers != 1 or lstm.bidirectional or lstm.hidden_size != config.hidden_size:
        raise FileError(
            f"its weights are of {lstm!r}; its config.yml says one layer of {config.hidden_size} units, forward"
        )
    used = {f"{place}.{kind}" for kind in ("weight", "bias")} | {HEAD}
    head = _dense_layer(tensors, HEAD, (len(config.targets), config.hidden_size), config.activation)
    branches, first = [], 0
    for embedding, features, places in (
        (config.dynamics_embedding, config.dynamic, DYNAMICS),
        (config.statics_embedding, config.static, STATICS),
    ):
        layers = [] if embedding is None else _embedding_layers(tensors, embedding, len(features), places, used)
        if features:
            branches.append(Branch(range(first, first + len(features)), layers))
        first += len(features)
    if others := [name for name in tensors if name.rpartition(".")[0] not in used and not name.startswith(f"{place}.")]:
        raise FileError(f"its weights have {shown(others[0], 80)!r}, which its config.yml does not account for")
    measures = {
        name: measure for name in (*config.features, *config.targets) if (measure := measure_of(name)) is not None
    }
    try:
        return Network(
            lstm,
            head=head,
            inputs=scales.scaling(config.dynamic, config.static),
            branches=branches if any(branch.layers for branch in branches) else (),
            outputs=scales.scaling(config.targets, clipped=config.clipped),
            windows=config.windows,
            time_step=config.time_step,
            labels=Labels(features=config.features, outputs=config.targets, measures=measures),
        )
    except FileError:
        raise
    except GatewiseError as problem:
        raise FileError(f"its weights differ from those in its config.yml: {problem}") from None


def _embedding_layers(
    tensors: Tensors, embedding: Embedding, features: int, places: tuple[str, ...], used: set[str]
) -> list[Linear]:
    """Return the dense layers of a NeuralHydrology embedding; all but the last have an activation and dropout."""
    place = next((candidate for candidate in places if f"{candidate}.0.weight" in tensors), places[0])
    layers = []
    for number, size in enumerate(embedding.hiddens):
        last = number == len(embedding.hiddens) - 1
        prefix = f"{place}.{3 * number}"
        layers.append(_dense_layer(tensors, prefix, (size, features), None if last else embedding.activation))
        used.add(prefix)
        features = size
    return layers


def _dense_layer(tensors: Tensors, place: str, shape: tuple[int, int], activation: str | None) -> Linear:
    """Return a dense layer of a NeuralHydrology run, whose weights must have the configured shape."""
    arrays = []
    for kind, expected in (("weight", shape), ("bias", shape[:1])):
        tensor = tensors.get(f"{place}.{kind}")
        if tensor is None:
            raise FileError(f"its weights have no {place}.{kind}, which its config.yml asks for")
        if tuple(tensor.shape) != expected:
            raise FileError(
                f"its {place}.{kind} has shape {re.sub(' +', ' ', shown(str(tuple(tensor.shape)), 60))};"
                f" its config.yml asks for {expected}"
            )
        arrays.append(numbers_of(tensor))
    weight, bias = arrays
    return Linear(weight, bias, activation)
