"""Builds the network of a NeuralHydrology run from its scaling, embeddings, LSTM and head."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gatewise.arrays import Array
from gatewise.errors import FileError, GatewiseError, shown
from gatewise.interop.containers.tensors import Tensor, numbers_of
from gatewise.interop.neuralhydrology.config import Config, Embedding, measure_of
from gatewise.interop.neuralhydrology.scaler import Scaler
from gatewise.layers import LSTM
from gatewise.network import Branch, Linear, Network
from gatewise.records.labels import Labels

Tensors = Mapping[str, Tensor | Array]
HEAD = "head.net.0"
# Where the layers of embeddings are; older versions had one of dynamic inputs alone.
DYNAMICS = ("embedding_net.dynamics_embeddings.0.net", "embedding_net.dynamics_embedding.net")
STATICS = ("embedding_net.statics_embedding.net",)


def build_network(config: Config, scaler: Scaler, lstm: LSTM, tensors: Tensors, place: str) -> Network:
    """Return the network of an LSTM, which is at a place among weights; these must be as the configuration says."""
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
        raise FileError(f"its weights have {shown(others[0], 80)!r}, for which its config.yml gives no reason")
    measures = {
        name: measure for name in (*config.features, *config.targets) if (measure := measure_of(name)) is not None
    }
    try:
        return Network(
            lstm,
            head=head,
            inputs=scaler.scaling(config.dynamic, config.static),
            branches=branches if any(branch.layers for branch in branches) else (),
            outputs=scaler.scaling(config.targets, clipped=config.clipped),
            labels=Labels(features=config.features, outputs=config.targets, measures=measures),
        )
    except FileError:
        raise
    except GatewiseError as problem:
        raise FileError(f"its weights are others than its config.yml says: {problem}") from None


def _embedding_layers(
    tensors: Tensors, embedding: Embedding, features: int, places: tuple[str, ...], used: set[str]
) -> list[Linear]:
    """Return the dense layers of an embedding: each but the last has an activation and dropout behind it."""
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
